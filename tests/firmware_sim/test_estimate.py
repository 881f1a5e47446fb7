"""Counting instructions on an emulated ARM core, and converting them. Emulation is tested where it is set up."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from earshot.firmware_sim.emulator import CORES, SETUP_SCRIPT, Emulation, emulate, find_environment, parse_counts
from earshot.firmware_sim.estimate import (
    CALIBRATIONS,
    RANGE,
    Counts,
    count_board,
    counts_of,
    demo_tokens,
    estimate_board,
    long_enough,
    to_document,
    weight_reading_ms,
)
from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.tokens import MAX_TOKENS
from earshot.runtime.interfaces.commands.profile import make_noise
from earshot.runtime.interfaces.profile_added import BOARD_MODELS
from earshot.runtime.interfaces.profile_tables import estimate_table
from tests.conftest import ROOT
from tests.runtime.tiny_bundle import write_tiny_networks

RECORDED = Path(__file__).with_name("aarch64_counts.json")
VERSIONED = ("numpy", "onnxruntime")
WRITTEN = {"reasoning": "dog | 30", "answer": "A dog.", "prompt_tokens": 26, "reasoning_tokens": 5, "answer_tokens": 3}


@pytest.fixture(scope="module")
def environment() -> Path:
    try:
        return find_environment()
    except UsageError as error:
        pytest.skip(f"emulation is not set up: {error}")


@given(st.dictionaries(st.integers(0, 255), st.lists(st.integers(0, 2**63), min_size=1), max_size=5), st.integers(0))
def test_counts_are_read_as_they_were_written(regions: dict[int, list[int]], total: int) -> None:
    lines = [f"region {number} {count}" for number, counts in regions.items() for count in counts]
    assert parse_counts("\n".join([*lines, f"total {total}", ""])) == (regions, total)


@pytest.mark.parametrize("text", ["", "region 1 2\n", "region 1\ntotal 3\n", "region a b\ntotal 3\n", "segfault\n"])
def test_broken_counts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_counts(text)


def emulation(**regions: list[int]) -> Emulation:
    told = json.dumps({"regions": list(regions), "written": None})
    return Emulation(f"a line before\n{told}\n", dict(enumerate(regions.values())), 10**9)


def test_what_marking_costs_is_taken_off_and_stages_are_means() -> None:
    counts = counts_of(emulation(nothing=[90, 100, 110], hearing=[1100, 1300], step=[5000], features=[50]))
    assert counts.stages == {"hearing": 1100.0, "features": 0.0}
    assert counts.most["hearing"] == 1200.0
    assert counts_of(emulation(nothing=[100], hearing=[1100, 1120, 9900])).typical["hearing"] == 1020.0
    assert counts.written is None


@pytest.mark.parametrize("board", CALIBRATIONS)
def test_an_estimate_is_called_one_and_has_its_range(board: str) -> None:
    """16.6 M instructions take 10 ms at 1.66 G a second: a quarter of a hop of 40 ms."""
    counts = Counts(*3 * [{"hearing": 16.6e6, "answer": 1e9}], WRITTEN)
    document = to_document(CALIBRATIONS[board], counts, 3_300_000)
    hearing = document["stages"]["hearing"]
    assert document["kind"] == "ESTIMATE"
    assert "MobileNet" in document["calibration"]["source"]
    assert hearing["low_ms"] == pytest.approx((1 - RANGE) * hearing["ms"], rel=1e-3)
    assert hearing["high_ms"] == pytest.approx((1 + RANGE) * hearing["ms"], rel=1e-3)
    if board == "pi4":
        assert hearing["ms"] == pytest.approx(10.0)
        assert document["realtime_factor"] == {"estimate": 0.25, "low": 0.15, "high": 0.35}
        assert document["reads_weights_ms_per_token"] == pytest.approx(1.0)
    assert any("prompt of 26 tokens, then 5 of reasoning" in note for note in document["notes"])
    json.dumps(document)


def test_the_table_says_estimate_and_the_range() -> None:
    document = to_document(CALIBRATIONS["pi5"], Counts(*3 * [{"hearing": 5e6}], None), 1000)
    console = Console(width=120, record=True, quiet=True)
    console.quiet = False
    with console.capture() as captured:
        console.print(estimate_table(document))
    assert "ESTIMATE for pi5 (Cortex-A76, 2.4 GHz), ±40%" in captured.get()
    assert any("--language" in note for note in document["notes"])


def test_unknown_memory_speed_bounds_nothing() -> None:
    assert weight_reading_ms(CALIBRATIONS["zero2w"], 10**9) is None
    assert weight_reading_ms(CALIBRATIONS["pi5"], 10**9) == pytest.approx(100.0)


def test_every_board_has_a_calibration_and_a_core_whose_processor_table_names_it() -> None:
    assert CALIBRATIONS.keys() == BOARD_MODELS.keys()
    for calibration in CALIBRATIONS.values():
        core = CORES[calibration.core]
        assert core.cpuinfo().count(f"CPU part\t: {core.part:#x}\n") == 4
    assert "asimddp" in CORES["cortex-a76"].features.split()
    assert not {"aes", "asimddp"} & set(CORES["cortex-a72"].features.split())


def test_a_missing_environment_names_the_script(tmp_path: Path) -> None:
    assert (ROOT / SETUP_SCRIPT).is_file()
    with pytest.raises(UsageError, match=SETUP_SCRIPT):
        find_environment(tmp_path)


def test_the_counter_compiles_without_a_warning(tmp_path: Path) -> None:
    source = ROOT / "firmware_sim/boards/count_instructions.c"
    flags = ["-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    done = subprocess.run(
        ["cc", *flags, "-o", str(tmp_path / "count.so"), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_script_is_well_formed_and_says_what_is_missing(tmp_path: Path) -> None:
    script = str(ROOT / SETUP_SCRIPT)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    bare = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(["/bin/bash", script], env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "first install: qemu-user mmdebstrap gcc libc6-dev" in done.stderr


def test_an_emulated_program_is_counted_twice_the_same(environment: Path) -> None:
    code = "import ctypes; f = ctypes.CDLL(None).syscall; f(4242, 1, 7); print(sum(range(1000))); f(4242, 2, 7)"
    first, second = (emulate(environment, CORES["cortex-a72"], ["-S", "-E", "-c", code]) for _ in range(2))
    assert first.output == "499500\n"
    assert first.regions[7][0] > 10_000
    assert first.regions[7][0] == pytest.approx(second.regions[7][0], rel=0.01)
    assert first.total > first.regions[7][0]


def test_an_emulated_program_that_fails_is_told_of(environment: Path) -> None:
    with pytest.raises(UsageError, match=r"cortex-a76 failed .* ValueError: no such thing"):
        emulate(environment, CORES["cortex-a76"], ["-S", "-c", "raise ValueError('no such thing')"])


def test_the_question_is_about_ten_seconds_of_the_demo(tmp_path: Path) -> None:
    tokens = demo_tokens(write_tiny_networks(tmp_path / "networks"))
    assert len(tokens) == MAX_TOKENS == 25
    assert tokens.slots.any()
    assert (tokens.semantic[20:] == tokens.semantic[:5]).all(), "its eight seconds begin anew"


@pytest.mark.slow
@pytest.mark.parametrize(("board", "part", "first_token_s"), [("pi4", 0.35, 2.0), ("pi5", 0.10, 0.5)])
def test_the_built_in_model_is_within_the_budgets_of_the_boards(
    environment: Path, board: str, part: float, first_token_s: float
) -> None:
    """By count; budgets are those of the design. The upper end of the range (40 %) is above that of a Pi 4 by a fiftieth."""
    if not (environment / CORES[CALIBRATIONS[board].core].llama).is_dir():
        pytest.skip("llama.cpp is not built for the board: setup_aarch64.sh --language")
    document = estimate_board(board, verified_bundle(None)[0], make_noise(0.6))
    stages = document["stages"]
    assert document["realtime_factor"]["estimate"] <= part
    assert document["realtime_factor"]["high"] <= 1.03 * part
    assert stages["first_token"]["high_ms"] <= 1e3 * first_token_s
    assert stages["prompt"]["instructions"] < stages["first_token"]["instructions"] < stages["answer"]["instructions"]
    assert document["written"]["reasoning_tokens"] > 10, "there are sounds to tell of"


@pytest.mark.slow
def test_hearing_costs_what_it_cost_when_the_counts_were_recorded(environment: Path, tmp_path: Path) -> None:
    """Within 1 %: a change of the listener's cost on ARM must be noticed. Record anew with `record_counts`."""
    recorded = json.loads(RECORDED.read_text())
    if recorded["versions"] != versions():
        pytest.skip(f"counts were recorded with {recorded['versions']}")
    counted = count_tiny(tmp_path)
    for name, count in recorded["stages"].items():
        if count > 50_000:  # small stages are within the noise of the interpreter
            assert counted[name] == pytest.approx(count, rel=0.01), name


@pytest.mark.parametrize(("frames", "heard"), [(1, 15), (6, 15), (15, 15), (24, 15), (25, 25), (300, 35)])
def test_whole_tens_of_hops_are_counted_however_short_the_sound(frames: int, heard: int) -> None:
    samples = make_noise(frames * FRAME_S)
    taken = long_enough(samples)
    assert taken.shape == (2, heard * FRAME_SAMPLES) and taken.flags.c_contiguous
    short = min(samples.shape[1], taken.shape[1])
    assert np.array_equal(taken[:, :short], samples[:, :short])


def versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in VERSIONED}


def count_tiny(folder: Path) -> dict[str, float]:
    """Instructions per stage of the tiny networks on a Cortex-A72."""
    return count_board(CALIBRATIONS["pi4"], write_tiny_networks(folder / "networks"), make_noise(0.6)).typical


def record_counts() -> None:
    """Write the recorded counts anew: python -c "import tests.firmware_sim.test_estimate as t; t.record_counts()"."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        stages = {name: round(count) for name, count in count_tiny(Path(folder)).items()}
    RECORDED.write_text(json.dumps({"versions": versions(), "stages": stages}, indent=1) + "\n")
