"""Readers of published question sets: their files become question items (JSONL) beside binaural audio.

- **TWNM-FOA** (arXiv 2601.02954): 5 s clips of first-order ambisonics; columns sample_id, question, option_a..option_d,
  answer_letter, answer_text, level, task, as ``metadata.jsonl``, ``metadata.csv`` (with file_name) or parquet (with audio).
- **SpatialSoundQA** (BAT, arXiv 2402.01591): lines or a list of audio_id, reverb_id, audio_id2, reverb_id2, question_id,
  question_type, question, answer; audio is AudioSet clips convolved with binaural responses (32 kHz ``.npy``).

The items have the fields of docs/architecture.md and ``audio``, so that ``earshot ask --batch`` answers them as they are.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.ambisonics import Convention, EarFilters
from earshot.training.questions.items import Item

SAMPLE_RATE_HZ = 16_000
FloatArray = NDArray[np.float32]
Row = Mapping[str, Any]

TWNM_COLUMNS = ("sample_id", "question", "option_a", "option_b", "option_c", "option_d", "level", "task")
BAT_COLUMNS = ("audio_id", "reverb_id", "question_id", "question_type", "question", "answer")
BAT_RATE_HZ = 32_000
BAT_LENGTH_S = 10
BAT_LEVEL_DB = -14.0
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True)
class Published:
    """One item and the way to its audio.

    Attributes
    ----------
    item : Item
    sound : str
        Name of its audio; items of the same sound share one file.
    ears : callable
        Reads and renders the audio: float32 [2, samples] at 16 kHz.
    """

    item: Item
    sound: str
    ears: Callable[[], FloatArray]


def read_twnm(source: Path, filters: EarFilters | None, convention: Convention = "ambix") -> Iterator[Published]:
    """Items of TWNM-FOA.

    Parameters
    ----------
    source : Path
        Metadata file, or a folder that holds one.
    filters : EarFilters or None
        From :func:`~earshot.training.benchmark.ambisonics.ear_filters`; None is enough for binaural clips.
    convention : {"ambix", "n3d", "fuma"}
        Of the ambisonic channels. The data set does not state it.

    Raises
    ------
    InputError
        The layout is broken; the message names file and row. Sets without answers are read; their ``choice`` is None.
    """
    table = _table(source)
    for number, row in enumerate(_table_rows(table), start=1):
        where = f"{table}, row {number}"
        _need(row, TWNM_COLUMNS, where)
        item = _twnm_item(row, where)
        yield Published(item, item.scene, partial(_twnm_ears, row, table, where, filters, convention))


def _twnm_item(row: Row, where: str) -> Item:
    choices = tuple(str(row[f"option_{letter}"]) for letter in "abcd")
    letter = str(row.get("answer_letter") or "").strip().upper()
    if letter and letter not in tuple("ABCD"):
        raise InputError(f"{where}: answer_letter {letter!r} is none of A, B, C, D")
    choice = "ABCD".index(letter) if letter else None
    name = f"twnm-{row['sample_id']}"
    return Item(
        id=name,
        scene=name,
        level=str(row["level"]).upper(),
        task=str(row["task"]),
        form="choice",
        question=str(row["question"]),
        choices=choices,
        answer="" if choice is None else choices[choice],
        choice=choice,
        think="",
        truth={},
    )


def _twnm_ears(row: Row, table: Path, where: str, filters: EarFilters | None, convention: Convention) -> FloatArray:
    audio = row.get("audio")
    if isinstance(audio, Mapping) and audio.get("bytes"):
        channels = _read_audio(io.BytesIO(audio["bytes"]), where)
    else:
        channels = _read_audio(_twnm_file(row, table, where), where)
    if channels.shape[0] == 2:
        return channels
    if filters is None:
        raise UsageError(f"{where}: {channels.shape[0]} channels; ambisonics are heard through a head, name one")
    return filters.render(channels, convention)


def _twnm_file(row: Row, table: Path, where: str) -> Path:
    named = row.get("file_name") or (row["audio"] if isinstance(row.get("audio"), str) else None)
    names = [str(named)] if named else [f"{row['sample_id']}{suffix}" for suffix in AUDIO_SUFFIXES]
    places = [table.parent / part / name for part in ("", "audio") for name in names]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(f"{where}: no audio file {' or '.join(names)} in {table.parent}")
    return found


def read_bat(source: Path, audio: Path, reverbs: Path) -> Iterator[Published]:
    """Items of SpatialSoundQA.

    Parameters
    ----------
    source : Path
        JSON or JSONL file of questions.
    audio : Path
        Folder of AudioSet clips (``audio_id`` and .wav, .flac or .ogg).
    reverbs : Path
        Folder of the responses (``reverb_id``, or ``binaural/`` before it): float arrays [2, samples] at 32 kHz.

    Raises
    ------
    InputError
        The layout is broken; the message names file and row.
    """
    for number, row in enumerate(_json_rows(source), start=1):
        where = f"{source}, row {number}"
        _need(row, BAT_COLUMNS, where)
        parts = [(str(row["audio_id"]), str(row["reverb_id"]))]
        if row.get("audio_id2") and row.get("reverb_id2"):
            parts.append((str(row["audio_id2"]), str(row["reverb_id2"])))
        sound = "+".join(f"{clip}@{response}" for clip, response in parts)
        item = _bat_item(row, number, sound, len(parts))
        yield Published(item, sound, partial(_bat_ears, parts, audio, reverbs, where))


def _bat_item(row: Row, number: int, sound: str, sources: int) -> Item:
    answer = str(row["answer"])
    return Item(
        id=f"bat-{number}-{row['question_id']}",
        scene=sound,
        level="L1" if sources == 1 else "L2",
        task=str(row["question_type"]).lower(),
        form="yesno" if answer.strip(" .").lower() in {"yes", "no"} else "open",
        question=str(row["question"]),
        choices=None,
        answer=answer,
        choice=None,
        think="",
        truth={"sources": sources},
    )


def _bat_ears(parts: list[tuple[str, str]], audio: Path, reverbs: Path, where: str) -> FloatArray:
    """Ten seconds as BAT makes them: clips at -14 dB RMS through their responses; two sources are averaged."""
    length = BAT_LENGTH_S * BAT_RATE_HZ
    mixture = np.zeros((2, length))
    for clip, response in parts:
        mono = _read_audio(_bat_clip(audio, clip, where), where, BAT_RATE_HZ)[0].astype(np.float64)
        mono *= 10 ** (BAT_LEVEL_DB / 20) / max(float(np.sqrt((mono**2).mean())), 1e-9)
        wet = oaconvolve(mono[None], _bat_response(reverbs, response, where), axes=-1)[:, :length]
        mixture[:, : wet.shape[1]] += wet / len(parts)
    return _at_16_khz(mixture, BAT_RATE_HZ)


def _bat_clip(folder: Path, clip: str, where: str) -> Path:
    for suffix in ("", *AUDIO_SUFFIXES):
        path = folder / f"{clip}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"{where}: no clip {clip} in {folder}")


def _bat_response(folder: Path, response: str, where: str) -> NDArray[np.float64]:
    path = next((p for p in (folder / response, folder / "binaural" / response) if p.is_file()), None)
    if path is None:
        raise InputError(f"{where}: no response {response} in {folder}")
    try:
        array = np.asarray(np.load(path, allow_pickle=False), np.float64)
    except (ValueError, OSError) as error:
        raise InputError(f"{where}: {path} is no array ({error})") from error
    if array.ndim != 2 or array.shape[0] != 2:
        raise InputError(f"{where}: {path} has shape {array.shape}; a binaural response has two rows")
    return array


def write_items(published: Iterator[Published], out: Path, advance: Callable[[], None] = lambda: None) -> Path:
    """Write ``items.jsonl`` and the audio of its items, one file for all items of a sound.

    Parameters
    ----------
    published : iterator of Published
    out : Path
        Folder for ``items.jsonl`` and ``audio/``.
    advance : callable
        Called after each item.

    Returns
    -------
    Path
        The items file, written at the end and whole.
    """
    (out / "audio").mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    files: dict[str, str] = {}
    for entry in published:
        if entry.sound not in files:
            files[entry.sound] = f"audio/{len(files):06d}.flac"
            _write_audio(out / files[entry.sound], entry.ears())
        lines.append(json.dumps({**entry.item.to_json(), "audio": files[entry.sound]}) + "\n")
        advance()
    if not lines:
        raise InputError(f"{out}: the source holds no item")
    target = out / "items.jsonl"
    target.write_text("".join(lines), encoding="utf-8")
    return target


def _write_audio(path: Path, ears: FloatArray) -> None:
    """As FLAC; loud mixtures are brought below full scale with both ears alike."""
    scale = 1 / max(1.0, float(np.abs(ears).max()) / 0.99)
    soundfile.write(path, (scale * ears).T, SAMPLE_RATE_HZ, subtype="PCM_16")


def _table(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise InputError(f"{source}: no such file or folder")
    found = [p for name in ("metadata.jsonl", "metadata.csv", "*.parquet") for p in sorted(source.rglob(name))]
    if not found:
        raise InputError(f"{source}: no metadata.jsonl, metadata.csv or parquet file")
    if len(found) > 1:
        names = ", ".join(str(p.relative_to(source)) for p in found[:4])
        raise InputError(f"{source}: more than one table ({names}); name the one to read")
    return found[0]


def _table_rows(table: Path) -> Iterator[Row]:
    if table.suffix == ".parquet":
        yield from _parquet_rows(table)
    elif table.suffix == ".csv":
        with table.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.DictReader(file)
    else:
        yield from _json_rows(table)


def _parquet_rows(table: Path) -> Iterator[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(f"{table}: reading parquet needs the package pyarrow: pip install pyarrow") from error
    for batch in parquet.ParquetFile(table).iter_batches(batch_size=32):
        yield from batch.to_pylist()


def _json_rows(source: Path) -> Iterator[Row]:
    """Objects of a JSON list, of the list under ``data``, or of JSON lines."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: cannot be read ({error})") from error
    try:
        document = json.loads(text)
        rows = document["data"] if isinstance(document, dict) and "data" in document else document
        rows = rows if isinstance(rows, list) else [rows]
    except ValueError:
        rows = [_json_line(source, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    yield from rows


def _json_line(source: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(f"{source}, line {number}: no JSON ({error})") from error


def _need(row: Any, columns: tuple[str, ...], where: str) -> None:
    missing = [name for name in columns if not isinstance(row, Mapping) or row.get(name) is None]
    if missing:
        raise InputError(f"{where}: no {', '.join(missing)}; expected {', '.join(columns)}")


def _read_audio(file: Path | io.BytesIO, where: str, rate_hz: int = SAMPLE_RATE_HZ) -> FloatArray:
    """Channels [C, samples] at a rate."""
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{where}: cannot be read as audio ({error})") from error
    if rate != rate_hz:
        samples = soxr.resample(samples, rate, rate_hz)
    return np.ascontiguousarray(samples.T, np.float32)


def _at_16_khz(audio: NDArray[np.float64], rate_hz: int) -> FloatArray:
    return np.ascontiguousarray(soxr.resample(audio.T, rate_hz, SAMPLE_RATE_HZ).T, np.float32)
