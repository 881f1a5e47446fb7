"""Physics of the renderer: interaural delay and level, reverberation time, distance law, splits, determinism."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from earshot.runtime.errors import InputError
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.events import ProceduralLibrary, prepare, trim
from earshot.training.synthesis.heads import (
    SAMPLE_RATE_HZ,
    Head,
    load_sofa,
    parametric_head,
)
from earshot.training.synthesis.orientation import itd_azimuth_correlation
from earshot.training.synthesis.render import World, make_background, place_source, render_scene
from earshot.training.synthesis.rooms import Shoebox, free_field_ir, load_measured, shoebox_brir
from earshot.training.synthesis.scenes import SceneSettings, restrict, sample_room


@pytest.fixture(scope="module")
def head() -> Head:
    return parametric_head(np.random.default_rng(3), "sphere")


def direction(azimuth_deg: float, elevation_deg: float = 0.0) -> np.ndarray:
    a, e = np.deg2rad([azimuth_deg, elevation_deg])
    return np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)], np.float32)


def interaural_delay_s(response: np.ndarray) -> float:
    """Delay of the right ear behind the left one, from the cross-correlation below 1.5 kHz."""
    size = 16_384
    left, right = np.fft.rfft(response, size)
    low = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ) < 1500
    correlation = np.fft.irfft(right * np.conj(left) * low)
    lags = np.arange(-30, 31)
    return float(lags[np.argmax(correlation[lags])]) / SAMPLE_RATE_HZ


@pytest.mark.parametrize("azimuth_deg", [-90, -45, 0, 45, 90])
def test_delay_follows_the_spherical_head_formula(head: Head, azimuth_deg: float) -> None:
    # Woodworth: r/c (theta + sin theta); low frequencies run up to 1.5 times longer (Kuhn 1977).
    theta = np.deg2rad(azimuth_deg)
    expected = 0.088 / 343 * (theta + np.sin(theta))
    measured = interaural_delay_s(free_field_ir(head, direction(azimuth_deg), 1.0))
    assert abs(measured) <= 1.6 * abs(expected) + 7e-5
    assert abs(measured) >= 0.7 * abs(expected) - 7e-5
    assert np.sign(measured) == np.sign(expected) or abs(expected) < 1e-9


def test_left_sources_are_louder_at_the_left_ear(head: Head) -> None:
    power = (free_field_ir(head, direction(60), 1.0) ** 2).sum(axis=1)
    assert 10 * np.log10(power[0] / power[1]) > 3


def test_free_field_level_falls_six_decibels_per_doubling(head: Head) -> None:
    near, far = ((free_field_ir(head, direction(20), d) ** 2).sum() for d in (1.0, 2.0))
    assert 10 * np.log10(near / far) == pytest.approx(6.02, abs=0.1)


@pytest.mark.parametrize("t60_s", [0.2, 0.5, 0.9])
def test_rendered_rooms_have_the_wanted_reverberation_time(head: Head, t60_s: float) -> None:
    room = Shoebox((6.0, 5.0, 3.0), (t60_s,) * 3, (3.0, 2.0, 1.5), 30.0)
    response = shoebox_brir(room, head, direction(70), 1.5, np.random.default_rng(0))
    energy = np.cumsum((response[0] ** 2)[::-1])[::-1]
    level_db = 10 * np.log10(energy / energy[0] + 1e-12)
    begin, end = np.argmax(level_db < -5), np.argmax(level_db < -25)
    assert 3 * (end - begin) / SAMPLE_RATE_HZ == pytest.approx(t60_s, rel=0.1)


def test_reverberation_drowns_distant_sources_more(head: Head) -> None:
    room = Shoebox((8.0, 6.0, 3.0), (0.6,) * 3, (2.0, 3.0, 1.5), 0.0)
    ratios = []
    for distance_m in (0.5, 4.0):
        response = shoebox_brir(room, head, direction(0), distance_m, np.random.default_rng(1))
        arrival = int(distance_m / 343 * SAMPLE_RATE_HZ) + 16
        direct = (response[:, arrival - 16 : arrival + 80] ** 2).sum()
        ratios.append(direct / ((response**2).sum() - direct))
    assert ratios[0] > 10 * ratios[1]


def test_a_source_that_faces_the_listener_excites_the_room_less(head: Head) -> None:
    room = Shoebox((6.0, 4.5, 2.8), (0.4,) * 3, (3.0, 2.0, 1.4), 0.0)
    plain, same, facing = (
        shoebox_brir(room, head, direction(0), 1.5, np.random.default_rng(3), directivity_db)
        for directivity_db in (0.0, 0.0, 6.0)
    )
    np.testing.assert_array_equal(plain, same)
    direct = slice(0, int(np.argmax(np.abs(plain[0]))) + 8)
    np.testing.assert_allclose(facing[:, direct], plain[:, direct], atol=1e-5)
    late = slice(direct.stop + 800, None)
    ratio_db = 10 * np.log10((plain[:, late] ** 2).sum() / (facing[:, late] ** 2).sum())
    assert 1.8 <= ratio_db <= 6.0  # 1.8 dB in the lowest band, 6 in the highest


def test_far_sources_stay_far_where_the_distance_is_kept(head: Head) -> None:
    far = {}
    for keep in (False, True):
        settings = SceneSettings(keep_distance=keep, free_share=0.0)
        rng = np.random.default_rng(1)
        distances_m = [place_source(settings, sample_room(settings, rng), head, rng)[1] for _ in range(200)]
        far[keep] = np.mean(np.array(distances_m) > 2.0)
    assert far[True] > far[False] + 0.15


def test_mirrored_responses_are_noticed(head: Head) -> None:
    assert itd_azimuth_correlation(head.hrirs, head.directions) > 0.8
    assert itd_azimuth_correlation(head.hrirs[:, ::-1], head.directions) < -0.8


@pytest.mark.shared_data
def test_all_measured_heads_have_left_on_the_left(shared_data) -> None:  # type: ignore[no-untyped-def]
    for path in sorted((shared_data / "hrtf").glob("*.sofa"))[::6]:
        measured = load_sofa(path)
        left = measured.hrirs[measured.nearest(direction(90)[None])[0]]
        assert 450e-6 < interaural_delay_s(left) < 950e-6, path.name


@pytest.fixture(scope="module")
def world():  # type: ignore[no-untyped-def]
    return build_world(DataFolders(None), "train")


def test_same_seed_same_audio_other_seed_other_audio(world) -> None:  # type: ignore[no-untyped-def]
    settings = SceneSettings(duration_s=5.0, sources=2)
    first, second, other = (render_scene(world, settings, seed, "x", "train") for seed in (5, 5, 6))
    assert np.array_equal(first.mixture(), second.mixture())
    assert first.scene == second.scene
    assert not np.array_equal(first.mixture(), other.mixture())


def test_a_scene_states_what_its_audio_holds(world) -> None:  # type: ignore[no-untyped-def]
    rendered = render_scene(world, SceneSettings(duration_s=6.0, sources=3), 11, "x", "train")
    mixture = rendered.mixture()
    assert mixture.shape == (2, 96_000)
    assert np.isfinite(mixture).all()
    assert np.abs(mixture).max() <= 1.0
    for source, stem in zip(rendered.scene["sources"], rendered.stems, strict=True):
        begin = int(source["onset_s"] * SAMPLE_RATE_HZ)
        assert (stem[:, : max(0, begin - 400)] ** 2).sum() < 1e-3 * (stem**2).sum()
        assert 0 <= source["onset_s"] < source["offset_s"] <= 6.0


def test_restricting_a_scene_drops_what_would_not_be_heard() -> None:
    scene = {
        "id": "a",
        "duration_s": 10.0,
        "sources": [
            {"onset_s": 1.0, "offset_s": 9.0, "trajectory": [{"time_s": 1.0}, {"time_s": 7.0}, {"time_s": 8.5}]},
            {"onset_s": 7.9, "offset_s": 9.0, "trajectory": [{"time_s": 0.0}]},
        ],
    }
    short = restrict(scene, [0, 1], 8.0)
    assert [s["offset_s"] for s in short["sources"]] == [8.0]
    assert [point["time_s"] for point in short["sources"][0]["trajectory"]] == [1.0, 7.0]
    assert scene["sources"][0]["offset_s"] == 9.0


@pytest.mark.shared_data
def test_no_head_room_or_recording_is_in_both_splits(shared_data) -> None:  # type: ignore[no-untyped-def]
    train, held_out = (build_world(DataFolders(shared_data, variations=0), split) for split in ("train", "validation"))
    assert not {h.head_id for h in train.heads} & {h.head_id for h in held_out.heads}
    assert not {r.room for r in train.measured} & {r.room for r in held_out.measured}
    groups = [{c.group for key in w.events.keys() for c in w.events.clips(key)} for w in (train, held_out)]  # noqa: SIM118
    assert not groups[0] & groups[1]


def test_prepared_events_fit_and_have_unit_level() -> None:
    library = ProceduralLibrary()
    rng = np.random.default_rng(0)
    for key in library.keys()[:6]:
        event = prepare(library.samples(library.clips(key)[0], rng), key, 2.0, rng)
        assert 0 < len(event) <= 2 * SAMPLE_RATE_HZ
        assert 0.3 < np.sqrt((event**2).max()) < 60


def test_trimming_cuts_silence_only() -> None:
    sound = np.zeros(16_000, np.float32)
    sound[6400:9600] = np.sin(np.arange(3200) * 0.3)
    assert len(trim(sound)) == pytest.approx(3200, abs=640)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_background_keeps_its_pitch_whatever_its_sample_rate(rate_hz: int, tmp_path) -> None:  # type: ignore[no-untyped-def]
    time = np.arange(4 * rate_hz) / rate_hz
    soundfile.write(tmp_path / "hum.flac", np.tile(np.sin(2 * np.pi * 1000 * time)[:, None], (1, 2)), rate_hz)
    world = World(ProceduralLibrary(range(1)), (), (), (tmp_path / "hum.flac",))
    stems = 0.1 * np.random.default_rng(0).standard_normal((1, 2, 32_000)).astype(np.float32)
    made = (make_background(world, (0.0, 0.0), stems, np.random.default_rng(seed)) for seed in range(20))
    background = next(sound for sound, described in made if described["kind"] == "hum")
    spectrum = np.abs(np.fft.rfft(background[0]))
    assert np.argmax(spectrum) / 2 == pytest.approx(1000, abs=2)


def test_a_background_that_cannot_be_read_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "hum.flac").write_text("not a sound")
    world = World(ProceduralLibrary(range(1)), (), (), (tmp_path / "hum.flac",))
    with pytest.raises(InputError, match=r"hum\.flac: cannot be read as audio"):
        for seed in range(20):
            make_background(world, (0.0, 0.0), np.ones((1, 2, 3200), np.float32), np.random.default_rng(seed))


def test_measured_rooms_are_read_in_the_range_of_azimuths_and_broken_lists_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    header = "file,room,az_deg,el_deg,distance_m,t60_est_s\n"
    (tmp_path / "manifest.csv").write_text(header + "hall/a.wav,hall,270,0,1.5,0.3\nhall/b.wav,hall,180,,,\n")
    assert [response.azimuth_deg for response in load_measured(tmp_path)] == [-90.0, 180.0]
    broken = [
        ("file,az_deg\nhall/a.wav,0\n", "el_deg"),
        (header + "hall/a.wav,hall,left,0,1.5,0.3\n", "line 2: .*left"),
        (None, "missing"),
    ]
    for text, said in broken:
        (tmp_path / "manifest.csv").unlink()
        if text is not None:
            (tmp_path / "manifest.csv").write_text(text)
        with pytest.raises(InputError, match=rf"manifest\.csv.*{said}"):
            load_measured(tmp_path)
