"""`earshot ask` from sound file to JSON, with real graphs and a real (if nonsensical) language model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.asking import Asker

KEYS = {"id", "answer", "choice", "reasoning", "sources", "timing"}
SOURCE_KEYS = {"label", "confidence", "azimuth_deg", "elevation_deg", "distance_m", "onset_s", "offset_s"}


def write_sound(path: Path, seed: int = 0, duration_s: float = 3.0, channels: int = 2) -> Path:
    """Noise, louder at the left ear, from half a second on."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.1, (round(16000 * duration_s), channels))
    sound[:8000] = 0.0
    sound[:, channels - 1 :] *= 0.4
    soundfile.write(path, sound, 16000)
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sounds") / "noise.wav")


def run(*arguments: object) -> int:
    return cli.run([str(a) for a in arguments])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_json_answer_of_an_open_question(sound: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", sound, "Where is it?", "--json", "--bundle", tiny_bundle) == 0
    result = document(capsys)
    assert set(result) - {"doubts"} == KEYS
    assert result["choice"] is None and result["answer"] and result["reasoning"] and result["id"] == "noise"
    assert result["sources"] and all(set(s) == SOURCE_KEYS for s in result["sources"])
    assert max(result["sources"], key=lambda s: s["confidence"])["azimuth_deg"] > 0
    timing = result["timing"]
    assert timing["audio_s"] == 3.0
    assert 0 < timing["first_token_s"] <= timing["answer_s"]


@pytest.mark.parametrize("think", [True, False])
def test_a_question_with_choices_is_answered_with_one_of_them(
    think: bool, sound: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = ["to the left", "to the right", "behind", "above"]
    options = [word for choice in choices for word in ("--choices", choice)]
    options += [] if think else ["--no-think"]
    assert run("ask", sound, "Where is it?", *options, "--json", "--bundle", tiny_bundle) == 0
    result = document(capsys)
    assert result["answer"] == f"{'ABCD'[result['choice']]}) {choices[result['choice']]}"
    assert bool(result["reasoning"]) == think


def test_a_file_name_that_is_not_utf8_gives_strict_json(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its id held half a surrogate pair, which strict parsers refuse."""
    odd = write_sound(tmp_path / "x.wav").rename(tmp_path / "caf\udce9 \u00e9.wav")
    assert run("ask", odd, "Where is it?", "--json", "--bundle", tiny_bundle) == 0
    assert document(capsys)["id"] == "caf\\udce9 \u00e9"


def test_people_get_the_answer_first(sound: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", sound, "Which?", "--choices", "one", "--choices", "two", "--bundle", tiny_bundle) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] in ("A) one", "B) two")
    assert "to your left" in "\n".join(out)


def test_the_answer_depends_on_the_sound(tiny_bundle: Path, tmp_path: Path) -> None:
    asker = Asker(tiny_bundle)
    asker.load()
    reasonings = {asker.ask(write_sound(tmp_path / f"{s}.wav", s), "Where?").reasoning for s in range(12)}
    assert len(reasonings) > 1
    asker.close()


def test_chunking_and_repeating_do_not_change_an_answer(sound: Path, tiny_bundle: Path) -> None:
    asker = Asker(tiny_bundle)
    asker.load()
    first = asker.ask(sound, "Where?")
    asker.ask(sound, "What else?")
    again = asker.ask(sound, "Where?")
    assert (first.answer, first.reasoning, first.sources) == (again.answer, again.reasoning, again.sources)
    asker.close()


def test_batch_answers_every_item_and_resumes(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audio").mkdir()
    write_sound(tmp_path / "audio" / "one.wav", 1)
    write_sound(tmp_path / "audio" / "mono.wav", 2, channels=1)
    items = [
        {"id": "a", "audio": "audio/one.wav", "question": "Where?"},
        {"id": "b", "audio": "audio/one.wav", "question": "Which?", "choices": ["x", "y"]},
        {"id": "c", "audio": "audio/mono.wav", "question": "Where?"},
        {"id": "d", "audio": "audio/gone.wav", "question": "Where?"},
        {"id": "e", "audio": "audio/one.wav", "question": "   "},
        {"id": "f", "audio": "audio/one.wav", "question": "Where?", "choices": None},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    out = tmp_path / "answers.jsonl"
    out.write_text('{"id": "a", "answer": "kept"}\n{"id": "b", "answ')
    heard: list[Path] = []
    hear = Asker._hear
    monkeypatch.setattr(Asker, "_hear", lambda self, path: heard.append(path) or hear(self, path))
    batch = ("ask", "--batch", tmp_path / "items.jsonl", "--out", out, "--bundle", tiny_bundle, "--json")
    assert run(*batch) == 0
    assert document(capsys) == {"answered": 2, "failed": 3, "skipped": 1, "out": str(out)}
    answers = {a["id"]: a for a in map(json.loads, out.read_text().splitlines())}
    assert list(answers) == list("abcdef")
    assert answers["a"]["answer"] == "kept"
    assert set(answers["b"]) - {"doubts"} == set(answers["f"]) - {"doubts"} == KEYS and answers["b"]["choice"] in (0, 1)
    assert "mono.wav" in answers["c"]["error"] and "gone.wav" in answers["d"]["error"]
    assert "question is empty" in answers["e"]["error"]
    assert [path.name for path in heard] == ["one.wav", "mono.wav", "gone.wav"]
    # Again: what was answered stays, what failed is asked once more.
    before = sorted(out.read_text().splitlines())
    assert run(*batch) == 0
    counts = document(capsys)
    assert (counts["answered"], counts["failed"], counts["skipped"]) == (0, 3, 3)
    assert sorted(out.read_text().splitlines()) == before


def test_a_batch_does_not_take_its_items_for_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each item has an id, as an answer has: all of them were "there already", and a line break was added."""
    items = tmp_path / "items.jsonl"
    items.write_text('{"id": "a", "audio": "a.wav", "question": "Where?"}')
    assert run("ask", "--batch", items, "--out", items) == 2
    assert "name another file" in capsys.readouterr().err
    assert items.read_text().endswith("}")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["SOUND"], 2, "AUDIO and QUESTION"),
        (["SOUND", "Where?", "--choices", "one"], 2, "choices"),
        (["SOUND", "x" * 400], 2, "at most 300"),
        (["--batch", "items.jsonl"], 2, "--out"),
        (["SOUND", "Where?", "--batch", "i.jsonl", "--out", "o.jsonl"], 2, "from its items"),
        (["missing.wav", "Where?"], 3, "missing.wav"),
        (["MONO", "Where?"], 3, "mono.wav"),
        (["--batch", "missing.jsonl", "--out", "o.jsonl"], 3, "missing.jsonl"),
        (["SOUND", "Where?", "--bundle", "nowhere"], 4, "nowhere"),
    ],
)
def test_every_failure_has_its_exit_code_and_one_line(
    arguments: list[str],
    code: int,
    said: str,
    sound: Path,
    tiny_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mono = write_sound(tmp_path / "mono.wav", channels=1)
    known = {"SOUND": str(sound), "MONO": str(mono)}
    words = [known.get(word, word) for word in arguments]
    words += [] if "--bundle" in words else ["--bundle", str(tiny_bundle)]
    assert run("ask", *words) == code
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
