"""SOFA sets: mirrored ones are noticed by their own delays and refused by name, as broken ones are; a mended copy can be had."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from earshot.runtime.errors import InputError
from earshot.training.synthesis import scenes
from earshot.training.synthesis.command import app
from earshot.training.synthesis.heads import Head, cached_head, inspect_sofa, load_sofa, parametric_head

sofar = pytest.importorskip("sofar")


@pytest.fixture(scope="module")
def head() -> Head:
    return parametric_head(np.random.default_rng(8), "sphere")


def write_sofa(path: Path, azimuth_deg: np.ndarray, elevation_deg: np.ndarray, responses: np.ndarray) -> Path:
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR = responses.astype(float)
    sofa.Data_SamplingRate = 16_000
    sofa.Data_Delay = np.zeros((1, 2))
    sofa.SourcePosition = np.stack([azimuth_deg % 360, elevation_deg, np.full(len(azimuth_deg), 1.4)], axis=1)
    sofar.write_sofa(str(path), sofa)
    return path


def made_of(head: Head, path: Path, side: float = 1.0, responses: np.ndarray | None = None) -> Path:
    """A SOFA file of a head; ``side`` -1 mirrors its azimuths but not its responses."""
    x, y, z = head.directions.astype(float).T
    azimuth, elevation = np.rad2deg(np.arctan2(side * y, x)), np.rad2deg(np.arcsin(z))
    return write_sofa(path, azimuth, elevation, head.hrirs if responses is None else responses)


def test_a_set_that_agrees_is_taken_as_it_is(head: Head, tmp_path: Path) -> None:
    loaded = load_sofa(made_of(head, tmp_path / "good.sofa"))
    left = loaded.hrirs[loaded.nearest(np.array([[0, 1, 0]], np.float32))[0]]
    assert (left[0] ** 2).sum() > 2 * (left[1] ** 2).sum()


def test_a_mirrored_set_is_named_and_refused_in_one_line(head: Head, tmp_path: Path) -> None:
    path = made_of(head, tmp_path / "clockwise.sofa", side=-1)
    with pytest.raises(InputError, match=r"clockwise\.sofa: azimuths are MIRRORED .* --mend") as caught:
        load_sofa(path)
    assert "\n" not in str(caught.value)
    assert inspect_sofa(path).mirrored


def test_a_mended_copy_is_taken_and_has_left_on_the_left(head: Head, tmp_path: Path) -> None:
    path = made_of(head, tmp_path / "clockwise.sofa", side=-1)
    before = path.read_bytes()
    result = CliRunner().invoke(app, ["heads", str(path), "--mend", str(tmp_path / "mended")])
    assert result.exit_code == 0, result.output
    loaded = load_sofa(tmp_path / "mended" / "clockwise.sofa")
    left = loaded.hrirs[loaded.nearest(np.array([[0, 1, 0]], np.float32))[0]]
    assert (left[0] ** 2).sum() > 2 * (left[1] ** 2).sum()
    assert path.read_bytes() == before
    again = CliRunner().invoke(app, ["heads", str(path), "--mend", str(tmp_path)])
    assert isinstance(again.exception, InputError)


def test_a_kept_head_that_was_cut_off_is_made_again(head: Head, tmp_path: Path) -> None:
    path = made_of(head, tmp_path / "good.sofa")
    first = cached_head(path, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    cached_head.cache_clear()
    again = cached_head(path, tmp_path / "cache")
    np.testing.assert_allclose(again.hrirs, first.hrirs)
    cached_head.cache_clear()
    np.testing.assert_allclose(cached_head(path, tmp_path / "cache").hrirs, first.hrirs, atol=1e-6)
    assert list((tmp_path / "cache").iterdir()) == [kept]


def test_delays_that_follow_nothing_are_refused(head: Head, tmp_path: Path) -> None:
    shuffled = np.random.default_rng(0).permutation(head.hrirs)
    with pytest.raises(InputError, match="do not follow its directions"):
        load_sofa(made_of(head, tmp_path / "shuffled.sofa", responses=shuffled))
    same = np.repeat(head.hrirs[:, :1], 2, axis=1)
    with pytest.raises(InputError, match="do not follow its directions"):
        load_sofa(made_of(head, tmp_path / "mono.sofa", responses=same))


def test_a_head_wider_than_any_is_refused(head: Head, tmp_path: Path) -> None:
    stretched = np.zeros((*head.hrirs.shape[:2], 4 * head.hrirs.shape[2]))
    stretched[..., ::4] = head.hrirs
    with pytest.raises(InputError, match="no head is that wide"):
        load_sofa(made_of(head, tmp_path / "wide.sofa", responses=stretched))


def test_a_set_in_the_median_plane_alone_cannot_be_judged_and_is_taken(head: Head, tmp_path: Path) -> None:
    median = np.flatnonzero(np.abs(head.directions[:, 1]) < 1e-6)
    x, _, z = head.directions[median].astype(float).T
    azimuth = np.where(x >= 0, 0.0, 180.0)
    path = write_sofa(tmp_path / "median.sofa", azimuth, np.rad2deg(np.arcsin(z)), head.hrirs[median])
    assert not inspect_sofa(path).mirrored
    assert len(load_sofa(path).directions) == len(median)


def test_files_that_are_no_sofa_are_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.sofa").write_text("hello")
    for name in ("text.sofa", "absent.sofa"):
        with pytest.raises(InputError, match=name) as caught:
            load_sofa(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_command_lists_every_set(head: Head, tmp_path: Path) -> None:
    made_of(head, tmp_path / "a.sofa")
    made_of(head, tmp_path / "b.sofa", side=-1)
    (tmp_path / "c.sofa").write_text("hello")
    result = CliRunner().invoke(app, ["heads", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert json.loads(lines[-1]) == {"sets": 3, "mirrored": ["b.sofa"], "unusable": ["c.sofa"]}
    assert [("MIRRORED" in line, "NOT USABLE" in line) for line in lines[:3]] == [
        (False, False), (True, False), (False, True),
    ]  # fmt: skip


@pytest.mark.shared_data
def test_no_shared_set_is_mirrored(shared_data: Path) -> None:
    for name in ("LISTEN_IRC_1002", "KU100_HRIR_CIRC360_NF025"):
        assert not inspect_sofa(shared_data / "hrtf" / f"{name}.sofa").mirrored, name


def described(head: Head, path: Path, **fields: object) -> Path:
    """A SOFA file of a head with some fields as a careless writer leaves them."""
    x, y, z = head.directions.astype(float).T
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR, sofa.Data_SamplingRate, sofa.Data_Delay = head.hrirs.astype(float), 16_000, np.zeros((1, 2))
    azimuth_deg, elevation_deg = np.rad2deg(np.arctan2(y, x)), np.rad2deg(np.arcsin(z))
    sofa.SourcePosition = np.stack([azimuth_deg, elevation_deg, np.full(len(x), 1.4)], axis=1)
    for name, value in fields.items():
        setattr(sofa, name, value)
    sofa.verify(issue_handling="ignore")  # states the sizes; then it is written as it is, even against the convention
    sofar.io._write_sofa(str(path), sofa, 0, verify=False)
    return path


def with_nan(values: np.ndarray) -> np.ndarray:
    broken = values.astype(float)
    broken[3].flat[0] = np.nan
    return broken


def test_numbers_that_are_none_or_of_nothing_are_refused_in_one_line(head: Head, tmp_path: Path) -> None:
    at_head = 1.4 * head.directions.astype(float)
    at_head[0] = 0.0
    cases: list[tuple[dict[str, object], str]] = [
        ({"Data_IR": with_nan(head.hrirs)}, "Data.IR .* finite"),
        ({"SourcePosition": with_nan(head.directions)}, "SourcePosition .* finite"),
        ({"Data_Delay": np.full((1, 2), np.nan)}, "Data.Delay .* finite"),
        ({"Data_Delay": np.full((1, 2), 1e6)}, "Data.Delay of up to 1000000 samples"),
        ({"Data_SamplingRate": np.nan}, "Data.SamplingRate .* hertz"),
        ({"Data_SamplingRate": 44.1}, "Data.SamplingRate .* hertz"),
        ({"SourcePosition": np.array([[0.0, 0.0, 1.4]])}, "1 source positions for 671 responses"),
        (
            {"SourcePosition": at_head, "SourcePosition_Type": "cartesian", "SourcePosition_Units": "metre"},
            "in the head",
        ),
    ]
    for number, (fields, said) in enumerate(cases):
        with pytest.raises(InputError, match=rf"case{number}\.sofa: .*{said}") as caught:
            load_sofa(described(head, tmp_path / f"case{number}.sofa", **fields))
        assert "\n" not in str(caught.value)


def test_positions_in_radians_are_read_so_where_the_file_says_it_and_refused_where_not(
    head: Head, tmp_path: Path
) -> None:
    x, y, z = head.directions.astype(float).T
    radians = np.stack([np.arctan2(y, x) % (2 * np.pi), np.arcsin(z), np.full(len(x), 1.4)], axis=1)
    path = described(head, tmp_path / "said.sofa", SourcePosition=radians, SourcePosition_Units="radian, radian, metre")
    np.testing.assert_allclose(load_sofa(path).directions, head.directions, atol=1e-6)
    with pytest.raises(InputError, match="radians"):  # and not called mirrored: mending it so would make it worse
        load_sofa(described(head, tmp_path / "unsaid.sofa", SourcePosition=radians))


def test_a_delay_below_zero_moves_a_response_forward_and_wraps_nothing(head: Head, tmp_path: Path) -> None:
    early = np.roll(head.hrirs, 40, axis=-1)
    early[..., :40] = 0.0
    path = described(head, tmp_path / "early.sofa", Data_IR=early.astype(float), Data_Delay=np.full((1, 2), -36.0))
    wanted = described(head, tmp_path / "late.sofa", Data_IR=early.astype(float), Data_Delay=np.zeros((1, 2)))
    np.testing.assert_allclose(load_sofa(path).hrirs, load_sofa(wanted).hrirs, atol=1e-6)


def test_a_kept_head_is_the_head_bit_for_bit(head: Head, tmp_path: Path) -> None:
    path = made_of(head, tmp_path / "good.sofa")
    first = cached_head(path, tmp_path / "cache")
    cached_head.cache_clear()
    again = cached_head(path, tmp_path / "cache")
    for one, other in ((first.hrirs, again.hrirs), (first.banded, again.banded), (first.diffuse, again.diffuse)):
        np.testing.assert_array_equal(one, other)


def test_a_kept_head_does_not_stand_for_another_of_its_name(head: Head, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = described(head, tmp_path / "a" / "subject.sofa")
    other = described(parametric_head(np.random.default_rng(9), "other"), tmp_path / "b" / "subject.sofa")
    assert one.stat().st_size == other.stat().st_size
    first, second = (cached_head(path, tmp_path / "cache") for path in (one, other))
    assert not np.array_equal(first.hrirs, second.hrirs)
    np.testing.assert_array_equal(second.hrirs, load_sofa(other).hrirs)


@pytest.mark.parametrize(
    ("stem", "held_out"),
    [
        ("CIPIC_021", True),
        ("CIPIC_165", True),
        ("subject_021", True),
        ("subject_165", True),
        ("subject_008", False),
        ("LISTEN_3DTI_IRC1002_512_48k", True),
        ("LISTEN_3DTI_IRC1008_512_48k", False),
        ("CIPIC_008", False),
        ("QU_KEMAR_anechoic_3m", True),
        ("HRIR_L2702", True),
        ("neumann-ku100", True),
        ("D1_48K_24bit_256tap_FIR_SOFA", True),
        ("D2_44K_16bit_256tap_FIR_SOFA", True),
        ("H3_48K_24bit_256tap_FIR_SOFA", False),
        ("pp1_HRIRs_measured", False),
        ("P0001_FreeFieldComp_48kHz", False),
    ],
)
def test_heads_of_validation_are_known_by_the_names_that_collections_give_them(stem: str, held_out: bool) -> None:
    assert scenes.is_validation_head(stem) == held_out
