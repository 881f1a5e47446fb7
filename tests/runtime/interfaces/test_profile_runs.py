"""What `earshot profile` says: medians of whole runs, comparison beyond noise, advice from figures; on a tiny bundle."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from earshot.runtime.errors import BundleError, InputError, UsageError
from earshot.runtime.interfaces.commands.profile import default_threads, make_noise, profile, read_samples, read_threads
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.profile_added import estimate, is_here, load_added
from earshot.runtime.interfaces.profile_cold import cold_start_s
from earshot.runtime.interfaces.profile_compare import compare, judge, other_bundle, other_machine, read_document
from earshot.runtime.interfaces.profile_runs import (
    ThreadedEncoders,
    busy_notes,
    line_fit,
    medians,
    memory_slope,
    processor_name,
    time_hop,
)
from earshot.runtime.interfaces.profile_suggest import (
    processor_flags,
    suggest,
    suggest_encoders,
    suggest_hop,
    suggest_threads,
)
from earshot.runtime.interfaces.profile_tables import bar, show

RUNS = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6)


@pytest.fixture(scope="module")
def written(whole_bundle: Path, recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One real run with everything, its output and its picture."""
    folder = tmp_path_factory.mktemp("profile")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("typer.echo", lambda text: lines.append(str(text)))
        profile(recording, whole_bundle, repeat=2, threads="1", suggest=True, json=True, plot=folder / "profile.png")
    (folder / "old.json").write_text("a line before\n" + lines[-1] + "\n")
    return {"lines": lines, "document": json.loads(lines[-1]), "folder": folder}


def test_the_document_has_percentiles_in_order_deadlines_memory_and_all_runs(written: dict[str, Any]) -> None:
    document = written["document"]
    assert len(written["lines"]) == 1, "--json prints nothing else"
    for spread in (*document["stages"].values(), document["hearing"]):
        assert 0 < spread["p50_ms"] <= spread["p95_ms"] <= spread["p99_ms"]
    assert document["deadline"]["hops"] == 2 * 175, "7 s in hops of 40 ms, twice"
    assert 0 <= document["deadline"]["misses"] <= 350
    assert document["memory"]["high_water_mb"] > 50
    assert document["memory"]["watched_audio_s"] == pytest.approx(39, abs=2)
    assert {len(values) for name, values in document["runs"].items() if name != "peak_memory_mb"} == {2}
    assert [run["threads"] for run in document["threads"]] == [1]
    assert [hop["hop_ms"] for hop in document["hop_sweep"]] == [40.0, 80.0, 160.0, 320.0]


def test_every_cold_start_is_a_process_of_its_own(written: dict[str, Any]) -> None:
    """A process that has loaded everything before would start in no time; this one is older than that."""
    document = written["document"]
    assert len(document["runs"]["cold_start_s"]) == 2
    assert min(document["runs"]["cold_start_s"]) > document["load_s"] / 2
    assert document["cold_start_s"] == pytest.approx(np.median(document["runs"]["cold_start_s"]), abs=1e-3)


def test_a_start_that_fails_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="could not load"):
        cold_start_s(tmp_path)


def test_other_models_are_warned_of(written: dict[str, Any]) -> None:
    here = written["document"]
    there = {**here, "bundle": {**here["bundle"], "llm": "Q4_K_M", "fingerprint": "0"}}
    assert other_bundle(here, here) is None
    assert "different models" in str(other_bundle(here, there)) and "Q4_K_M" in str(other_bundle(here, there))
    assert other_bundle({}, here) is None, "documents of older versions do not say"


def test_advice_sweeps_threads_by_itself() -> None:
    assert default_threads(2) == (1, 2)
    assert default_threads(16) == (1, 2, 3, 4)


def test_a_median_is_that_of_its_runs(written: dict[str, Any]) -> None:
    document = written["document"]
    assert document["hearing"]["p95_ms"] == pytest.approx(np.median(document["runs"]["hearing.p95_ms"]), abs=1e-4)
    assert document["answer_s"] == pytest.approx(np.median(document["runs"]["answer_s"]), abs=1e-4)


def test_the_picture_is_a_png(written: dict[str, Any]) -> None:
    assert (written["folder"] / "profile.png").read_bytes().startswith(b"\x89PNG")


def test_the_advice_says_why(written: dict[str, Any]) -> None:
    advice = written["document"]["suggestion"]
    assert advice["threads"] == 1
    assert [line.split()[0].rstrip(":") for line in advice["why"]] == ["hop", "threads", "encoders", "language"]


def test_tables_and_bars_are_for_people(written: dict[str, Any]) -> None:
    console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    show(written["document"], console)
    text = console.export_text()
    assert "semantic" in text
    assert "█" in text
    assert "memory, slope" in text
    assert bar(1.0) == "█" * 16
    assert bar(0.0) == ""


def test_a_document_compared_with_itself_has_no_regression(written: dict[str, Any]) -> None:
    document = read_document(written["folder"] / "old.json")
    assert {change.verdict for change in compare(document, document)} == {"same"}


def test_a_slower_hearing_is_marked_and_nothing_else(written: dict[str, Any]) -> None:
    old, new = written["document"], copy.deepcopy(written["document"])
    slowest = max(old["runs"]["hearing.p50_ms"])
    new["runs"]["hearing.p50_ms"] = [1.5 * slowest, 1.6 * slowest]
    marked = [change.name for change in compare(old, new) if change.verdict != "same"]
    assert marked == ["hearing.p50_ms"]
    assert next(c for c in compare(new, old) if c.name == "hearing.p50_ms").verdict == "improvement"


def test_overlapping_runs_small_changes_and_single_runs_are_noise() -> None:
    assert judge("x", [1.0, 1.1, 2.0], [1.9, 2.5, 3.0]).verdict == "same"
    assert judge("x", [1.00, 1.01], [1.03, 1.04]).verdict == "same"
    assert judge("x", [1.0], [9.0]).verdict == "same"
    assert judge("x", [0.0, 0.0], [1.0, 2.0]).ratio is None


@given(RUNS, RUNS)
def test_a_regression_seen_from_the_other_side_is_an_improvement(old: list[float], new: list[float]) -> None:
    there, back = judge("x", old, new), judge("x", new, old)
    opposite = {"regression": "improvement", "improvement": "regression", "same": "same"}
    if abs(there.new - there.old) > 0.06 * max(there.new, there.old):  # 5 % of which side differs
        assert back.verdict == opposite[there.verdict]
    assert there.verdict == "same" or set(old).isdisjoint(new)


def test_other_machines_are_warned_of() -> None:
    here = {"machine": {"system": "Linux", "processor": "A", "cores": 2}}
    there = {"machine": {"system": "Linux", "processor": "B", "cores": 4}}
    assert other_machine(here, here) is None
    assert "different machines: A with 2 cores then, B with 4 cores now" in str(other_machine(here, there))


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '{"stages": {}}', '{"runs": {"a": []}}', '{"runs": {"a": ["b"]}}', "[" * 100_000]
)
def test_what_is_no_profile_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(InputError, match="earshot profile --json"):
        read_document(tmp_path / "old.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bundle", {}),
        ("bundle", "nano"),
        ("machine", []),
        ("machine", None),
        ("hop_s", "abc"),
        ("hop_s", 0),
        ("hearing", {}),
        ("hearing", {"p50_ms": 0, "p95_ms": 1, "p99_ms": 1}),
        ("first_token_s", float("nan")),
        ("kind", "guessed"),
        ("runs", {"hearing.p50_ms": [float("nan")]}),
        ("runs", None),
    ],
)
def test_a_part_of_a_profile_that_is_of_another_kind_is_named(
    name: str, value: Any, written: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "old.json").write_text(json.dumps({**written["document"], name: value}))
    with pytest.raises(InputError, match="earshot profile --json") as caught:
        read_document(tmp_path / "old.json")
    assert name in str(caught.value)


def test_a_profile_that_does_not_say_which_bundle_is_taken(written: dict[str, Any], tmp_path: Path) -> None:
    older = {key: value for key, value in written["document"].items() if key != "bundle"}
    (tmp_path / "old.json").write_text(json.dumps(older))
    assert other_bundle(read_document(tmp_path / "old.json"), written["document"]) is None


def hop(hop_ms: float, p99_ms: float, misses: int = 0) -> dict[str, Any]:
    return {"hop_ms": hop_ms, "p99_ms": p99_ms, "misses": misses, "hops": 100}


def test_the_shortest_hop_that_leaves_half_is_advised() -> None:
    assert suggest_hop([hop(40, 3), hop(80, 6)])[0] == 40
    assert suggest_hop([hop(40, 25), hop(80, 39), hop(160, 60)])[0] == 80
    assert suggest_hop([hop(40, 3, misses=1), hop(80, 6)])[0] == 80
    assert suggest_hop([hop(40, 50), hop(80, 100)])[0] is None
    assert suggest_hop([{"hop_ms": 40.0, "hops": 0}])[0] is None


def sweep(*times_s: float) -> list[dict[str, Any]]:
    return [{"threads": k + 1, "answer_s": time_s} for k, time_s in enumerate(times_s)]


def test_a_core_is_left_to_hearing_and_threads_must_pay() -> None:
    assert suggest_threads(sweep(1.0, 0.6, 0.4, 0.3), cores=4)[0] == 3
    assert suggest_threads(sweep(1.0, 0.95, 0.93), cores=4)[0] == 1
    assert suggest_threads(sweep(1.0, 0.5), cores=2)[0] == 1
    assert suggest_threads([], cores=4)[0] == 1


def test_number_formats_are_advised_by_measurement_else_by_the_processor() -> None:
    measured = {"int8": {"float32_ms": 1.0, "int8_ms": 0.6}}
    assert suggest_encoders(measured, frozenset())[0] == "int8"
    assert suggest_encoders({"int8": {"float32_ms": 1.0, "int8_ms": 0.95}}, frozenset({"asimddp"}))[0] == "float32"
    assert "may be faster" in suggest_encoders(None, frozenset({"asimddp"}))[1]
    assert "slower" in suggest_encoders(None, frozenset({"asimd"}))[1]


def test_a_slow_language_model_is_called_slow(written: dict[str, Any]) -> None:
    slow = {**written["document"], "first_token_s": 4.0}
    assert "--llm-quant" in suggest(slow, frozenset()).why[-1]


def test_flags_and_names_are_read_from_both_kinds_of_cpuinfo(tmp_path: Path) -> None:
    arm, x86 = tmp_path / "arm", tmp_path / "x86"
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp\n")
    x86.write_text("model name\t: Fast One\nflags\t\t: sse avx2\n")
    assert processor_flags(arm) == {"fp", "asimd", "asimddp"}
    assert processor_flags(x86) == {"sse", "avx2"}
    assert processor_flags(tmp_path / "missing") == frozenset()
    if not Path("/proc/device-tree/model").exists():
        assert processor_name(x86) == "Fast One"


def test_boards_know_themselves_by_the_device_tree() -> None:
    assert is_here("pi4", "Raspberry Pi 4 Model B Rev 1.4")
    assert is_here("zero2w", "Raspberry Pi Zero 2 W Rev 1.0")
    assert is_here("rk3588", "Orange Pi 5 (RK3588S)")
    assert not is_here("pi5", "Raspberry Pi 4 Model B Rev 1.4")
    assert is_here("host", "whatever")


def test_a_line_is_found_with_its_error() -> None:
    slope, error = line_fit([0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
    assert (slope, error) == pytest.approx((2.0, 0.0))
    slope, error = line_fit([0, 1, 2, 3], [1.0, 3.2, 4.8, 7.0])
    assert slope == pytest.approx(1.96)
    assert error > 0.01
    assert line_fit([0.0, 1.0], [0.0, 5.0]) == (0.0, 0.0)


def test_medians_are_taken_leaf_by_leaf() -> None:
    assert medians([{"a": {"b": 1.0}, "c": 5}, {"a": {"b": 3.0}}, {"a": {"b": 2.0}}]) == {"a": {"b": 2.0}, "c": 5.0}


def test_a_busy_machine_is_told_of() -> None:
    assert busy_notes({"load_average": 0.2, "cores": 2}) == []
    assert "busy" in busy_notes({"load_average": 3.0, "cores": 2})[0]
    assert busy_notes({"load_average": None, "cores": 2}) == []


def test_more_threads_hear_the_same(whole_bundle: Path) -> None:
    directory, encoders = open_encoders(whole_bundle)
    threaded = ThreadedEncoders(encoders, 2)
    threaded.load(directory)
    features = np.random.default_rng(0).normal(0, 1, (8, 64)).astype(np.float32)
    ours, theirs = encoders.open_stream().step(features), threaded.open_stream().step(features)
    np.testing.assert_allclose(ours.class_probability, theirs.class_probability, atol=1e-5)
    assert threaded.network("spatial").session.get_session_options().intra_op_num_threads == 2


def test_memory_is_watched_for_as_long_as_asked_and_a_long_hop_has_few_pieces(whole_bundle: Path) -> None:
    _, encoders = open_encoders(whole_bundle)
    noise = make_noise(1.0)
    assert memory_slope(encoders, noise, audio_s=9.0)["watched_audio_s"] == pytest.approx(6, abs=1)
    assert time_hop(encoders, noise, 8)["hops"] == 3
    assert time_hop(encoders, noise, 100)["hops"] == 0


@pytest.mark.parametrize("text", ["1,x", "0", "65", "1,,2", "-1"])
def test_wrong_thread_counts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--threads"):
        read_threads(text)


def test_thread_counts_are_sorted_and_single() -> None:
    assert read_threads("4,1,4") == (1, 4)
    assert read_threads("") == ()


def test_unknown_boards_are_refused() -> None:
    with pytest.raises(UsageError, match="one of host, pi4"):
        profile(board="toaster")


def test_advice_for_a_board_that_is_not_here_is_refused() -> None:
    with pytest.raises(UsageError, match="--suggest must be run on the board itself"):
        profile(board="zero2w", suggest=True)


def test_thread_counts_for_a_board_that_is_not_here_are_refused() -> None:
    with pytest.raises(UsageError, match="--threads must be run on the board itself"):
        profile(board="zero2w", threads="1,2")


def test_a_picture_that_cannot_be_drawn_is_refused_before_measuring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="ends in"):
        profile(plot=tmp_path / "p.gif")
    with pytest.raises(UsageError, match="no folder"):
        profile(plot=tmp_path / "missing" / "p.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"earshot\[plot\]"):
        profile(plot=tmp_path / "p.png")


def test_a_recording_that_is_too_short_is_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "short.wav", np.zeros((400, 2)), 16_000)
    with pytest.raises(InputError, match="too short"):
        read_samples(tmp_path / "short.wav")


def test_what_other_packages_add_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "added_profiles.py").write_text("def board(name, bundle, samples):\n    return {'board': name}\n")
    facts = tmp_path / "added_profiles-0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: added-profiles\nVersion: 0\n")
    (facts / "entry_points.txt").write_text("[earshot.profiling]\nboard = added_profiles:board\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert estimate("pi4", tmp_path, None) == {"board": "pi4"}, "the path's first entry wins"


def test_what_nobody_adds_is_said_in_one_line() -> None:
    with pytest.raises(UsageError, match="--nothing: not part of this installation"):
        load_added("nothing", "--nothing")
