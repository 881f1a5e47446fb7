"""Published question sets: small files made in their layouts become items with binaural audio, and a score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.interfaces.batch import BatchItem, read_items
from earshot.training.benchmark.ambisonics import encode
from earshot.training.benchmark.answers import judge, score_answers
from earshot.training.benchmark.command import app
from earshot.training.benchmark.published import read_bat, read_twnm
from earshot.training.benchmark.published_run import Request, prepare

NOISE = 0.1 * np.random.default_rng(0).standard_normal(24_000)


def twnm_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "file_name": f"{number:03d}.wav", "sample_id": f"{number:03d}", "question": "Where is the dog?",
        "option_a": "Front", "option_b": "Left", "option_c": "Back", "option_d": "Right",
        "answer_letter": "B", "answer_text": "Left", "level": "L1", "task": "l1_azimuth",
    }  # fmt: skip
    return {**row, **changes}


@pytest.fixture
def twnm(tmp_path: Path) -> Path:
    """Two clips of one second, 24 kHz: a source on the left, one on the right and above."""
    root = tmp_path / "TWNM" / "data" / "test"
    root.mkdir(parents=True)
    for number, (azimuth, elevation) in enumerate([(90, 0), (-60, 40)]):
        soundfile.write(root / f"{number:03d}.wav", encode(NOISE, azimuth, elevation).T, 24_000)
    rows = [twnm_row(0), twnm_row(1, answer_letter="D", level="L2", task="l2_relative_direction_between_objects")]
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path / "TWNM"


def test_twnm_becomes_items_that_the_batch_reads(twnm: Path, tmp_path: Path) -> None:
    items = prepare(Request("twnm", twnm, tmp_path / "out"))
    first, second = read_items(items)
    assert isinstance(first, BatchItem)
    assert first.choices == ["Front", "Left", "Back", "Right"]
    line = json.loads(items.read_text(encoding="utf-8").splitlines()[1])
    assert (line["choice"], line["answer"], line["level"], line["form"]) == (3, "Right", "L2", "choice")
    assert line["task"] == "l2_relative_direction_between_objects"
    for item, louder in ((first, 0), (second, 1)):
        samples, rate = soundfile.read(items.parent / item.audio)  # type: ignore[union-attr]
        assert (rate, samples.shape) == (16_000, (16_000, 2))
        assert int(np.argmax((samples**2).sum(axis=0))) == louder


def test_the_convention_of_the_channels_matters(twnm: Path, tmp_path: Path) -> None:
    fuma = prepare(Request("twnm", twnm, tmp_path / "fuma", convention="fuma"))
    ambix = prepare(Request("twnm", twnm, tmp_path / "ambix"))
    one, other = (soundfile.read(items.parent / "audio" / "000000.flac")[0] for items in (fuma, ambix))
    assert not np.allclose(one, other, atol=1e-3)


def test_a_set_without_answers_is_read_and_not_judged(twnm: Path, tmp_path: Path) -> None:
    table = next(twnm.rglob("metadata.jsonl"))
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        del row["answer_letter"], row["answer_text"]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    items = prepare(Request("twnm", twnm, tmp_path / "out"))
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"id": "twnm-000", "answer": "B", "choice": 1}\n', encoding="utf-8")
    assert score_answers(items, answers)["not_judged"] == 2


def test_twnm_as_parquet_with_audio_inside(twnm: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the optional package pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sound = {"bytes": next(twnm.rglob("000.wav")).read_bytes(), "path": "000.wav"}
    row = {**twnm_row(0), "audio": sound}
    del row["file_name"]
    (tmp_path / "data").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "data" / "test-00000-of-00001.parquet")
    items = prepare(Request("twnm", tmp_path / "data", tmp_path / "out"))
    wave = prepare(Request("twnm", twnm, tmp_path / "wave"))
    assert (items.parent / "audio/000000.flac").read_bytes() == (wave.parent / "audio/000000.flac").read_bytes()


@pytest.fixture
def bat(tmp_path: Path) -> Path:
    """Questions about a source on the left, and about two sources at once."""
    root = tmp_path / "SpatialSoundQA"
    (root / "AudioSet" / "eval").mkdir(parents=True)
    (root / "reverb" / "binaural" / "room").mkdir(parents=True)
    for name in ("a", "b"):
        soundfile.write(root / "AudioSet" / "eval" / f"{name}.wav", NOISE, 32_000)
    for number, (left, right) in enumerate([(1.0, 0.2), (0.2, 1.0)]):
        response = np.zeros((2, 400))
        response[:, 50] = left, right
        np.save(root / "reverb" / "binaural" / "room" / f"{number}.npy", response)
    row = {"audio_id": "eval/a", "reverb_id": "room/0.npy", "audio_id2": None, "reverb_id2": None, "question_id": 0}
    two = {**row, "audio_id2": "eval/b", "reverb_id2": "room/1.npy"}
    rows = [
        {**row, "question_type": "DOA_DISTANCE", "question": "Where is it?", "answer": "left, front, above; 2m"},
        {**row, "question_type": "CLASSIFICATION", "question": "What is it?", "answer": "car; vehicle"},
        {**two, "question_type": "MIXUP_BINARY", "question": "Is a left of b?", "answer": "Yes"},
    ]
    (root / "eval.json").write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    return root


def bat_request(bat: Path, out: Path) -> Request:
    return Request("bat", bat / "eval.json", out, audio=bat / "AudioSet", reverbs=bat / "reverb")


def test_bat_becomes_items_that_share_their_audio(bat: Path, tmp_path: Path) -> None:
    items = prepare(bat_request(bat, tmp_path / "out"))
    lines = [json.loads(line) for line in items.read_text(encoding="utf-8").splitlines()]
    assert [line["form"] for line in lines] == ["open", "open", "yesno"]
    assert [line["level"] for line in lines] == ["L1", "L1", "L2"]
    assert lines[0]["audio"] == lines[1]["audio"] != lines[2]["audio"]
    samples, rate = soundfile.read(items.parent / lines[0]["audio"])
    assert (rate, samples.shape) == (16_000, (160_000, 2))
    level = np.sqrt((samples[:10_000] ** 2).mean(axis=0))
    # The clip is brought to -14 dB RMS over its whole band before the response; half of the band is left at 16 kHz.
    assert level[0] / level[1] == pytest.approx(5.0, rel=0.01)
    assert 20 * np.log10(level[0]) == pytest.approx(-14 - 3, abs=1.5)


def test_two_sources_are_the_mean_of_both(bat: Path, tmp_path: Path) -> None:
    single, _, double = (entry.ears() for entry in read_bat(bat / "eval.json", bat / "AudioSet", bat / "reverb"))
    # The second source is the same clip with the ears exchanged.
    assert np.allclose(double, (single + single[::-1]) / 2, atol=1e-5)


@pytest.mark.parametrize("wrap", ["lines", "list", "data"])
def test_all_ways_of_writing_json_are_read(bat: Path, wrap: str) -> None:
    rows = [json.loads(line) for line in (bat / "eval.json").read_text(encoding="utf-8").splitlines()]
    text = {"lines": "\n".join(map(json.dumps, rows)), "list": json.dumps(rows), "data": json.dumps({"data": rows})}
    (bat / "eval.json").write_text(text[wrap], encoding="utf-8")
    assert len(list(read_bat(bat / "eval.json", bat / "AudioSet", bat / "reverb"))) == 3


def broken_line(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_what_breaks_the_layout_is_named_in_one_line(twnm: Path, bat: Path, tmp_path: Path) -> None:
    table = next(twnm.rglob("metadata.jsonl"))
    good = table.read_text(encoding="utf-8")
    for old, new, what in [
        ('"option_d": "Right", ', "", "row 1: no option_d"),
        ('"answer_letter": "D"', '"answer_letter": "E"', "row 2: answer_letter 'E'"),
        ("001.wav", "gone.wav", r"row 2: no audio file gone\.wav"),
        ('{"file_name": "001', "{file", "line 2: no JSON"),
    ]:
        table.write_text(good, encoding="utf-8")
        broken_line(table, old, new)
        with pytest.raises(InputError, match=what) as caught:
            prepare(Request("twnm", twnm, tmp_path / "out"))
        assert "\n" not in str(caught.value)
    np.save(bat / "reverb" / "binaural" / "room" / "1.npy", np.zeros((9, 5)))
    with pytest.raises(InputError, match=r"row 3: .*two rows"):
        prepare(bat_request(bat, tmp_path / "out"))
    with pytest.raises(InputError, match="no metadata"):
        list(read_twnm(tmp_path / "out", None))


def test_pickles_are_not_opened(bat: Path, tmp_path: Path) -> None:
    np.save(bat / "reverb" / "binaural" / "room" / "0.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="is no array"):
        prepare(bat_request(bat, tmp_path / "out"))


def item(form: str, answer: str, choice: int | None = None) -> dict[str, Any]:
    choices = ["Front", "Left", "A dog", "Right"] if form == "choice" else None
    return {"form": form, "answer": answer, "choice": choice, "choices": choices}


@pytest.mark.parametrize(
    ("asked", "given", "right"),
    [
        (item("choice", "Left", 1), {"answer": "anything", "choice": 1}, True),
        (item("choice", "Left", 1), {"answer": "B", "choice": None}, True),
        (item("choice", "Left", 1), {"answer": "B", "choice": float("nan")}, False),
        (item("choice", "Left", 1), {"answer": "B", "choice": 1.6}, False),
        (item("choice", "Left", 1), {"answer": "B", "choice": 1.0}, True),
        (item("choice", "Left", 1), {"answer": "(B) Left"}, True),
        (item("choice", "Left", 1), {"answer": "left."}, True),
        (item("choice", "Left", 1), {"answer": "left"}, True),
        (item("choice", "A dog", 2), {"answer": "A dog"}, True),
        (item("choice", "Left", 1), {"answer": "I cannot tell"}, False),
        (item("choice", "Left", 1), {"error": "no such file"}, False),
        (item("choice", "", None), {"answer": "B", "choice": 1}, None),
        (item("yesno", "Yes"), {"answer": "Yes, it is not far."}, True),
        (item("yesno", "No"), {"answer": "I would say yes"}, False),
        (item("open", "left, front, above; 2m"), {"answer": "to your left, in front, above you, 2.4 m away"}, True),
        (item("open", "left, front, above; 2m"), {"answer": "to your left, in front, above you, 2.6 m away"}, False),
        (item("open", "left, front"), {"answer": "front left"}, True),
        (item("open", "left, behind"), {"answer": "front left"}, False),
        (item("open", "1.5m"), {"answer": "about 1 metre"}, True),
        (item("open", "car; vehicle"), {"answer": "a car"}, None),
    ],
)
def test_answers_are_judged(asked: dict[str, Any], given: dict[str, Any], right: bool | None) -> None:
    assert judge(asked, given) is right


def test_one_command_scores_a_bundle(twnm: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["published", "twnm", str(twnm), str(out)]
    result = CliRunner().invoke(app, [*arguments, "--bundle", str(tiny_bundle)])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert (report["items"], report["answered"], report["not_judged"]) == (2, 2, 0)
    assert report["overall"]["scenes"] == 2
    again = CliRunner().invoke(app, [*arguments, "--bundle", str(tiny_bundle)])
    assert isinstance(again.exception, UsageError)
    scored = CliRunner().invoke(app, [*arguments, "--predictions", str(out / "answers.jsonl")])
    assert json.loads(scored.stdout.splitlines()[-1])["overall"] == report["overall"]


def test_predictions_of_other_systems_are_scored(twnm: Path, tmp_path: Path) -> None:
    answers = tmp_path / "theirs.jsonl"
    rows = [{"id": "twnm-000", "answer": "B) Left"}, {"id": "twnm-001", "answer": "Back"}]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    items = prepare(Request("twnm", twnm, tmp_path / "out"))
    report = score_answers(items, answers)
    assert report["overall"]["value"] == 0.5
    assert report["by_level"]["L1"]["accuracy"]["value"] == 1.0
    answers.write_text('{"id": "other-7", "answer": "B"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="other-7"):
        score_answers(items, answers)


def test_wrong_use_says_what_to_choose(twnm: Path, bat: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="twnm or bat"):
        prepare(Request("starss", twnm, tmp_path))
    with pytest.raises(UsageError, match="ambix, n3d, fuma"):
        prepare(Request("twnm", twnm, tmp_path, convention="wxyz"))
    with pytest.raises(UsageError, match="--audio"):
        prepare(Request("bat", bat / "eval.json", tmp_path))
