"""Dynamic scenes: what they may hold, that their description is what is heard, and that a seed is a scene."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from earshot.training.benchmark.frame_tables import table_of_scene
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.dynamic import most_at_once, render_dynamic, sample_spans
from earshot.training.synthesis.events import active_rms
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ
from earshot.training.synthesis.interferers import KINDS, interferer
from earshot.training.synthesis.placing import SAME_CLASS_APART_DEG, set_stage
from earshot.training.synthesis.render import RenderedScene, World
from earshot.training.synthesis.scenes import DynamicSettings

SHORT = DynamicSettings(duration_s=4.0)
BUSY = replace(
    SHORT,
    sources=(5, 5),
    same_class_share=1.0,
    interferer_share=1.0,
    turning_share=1.0,
    walking_share=1.0,
    fault_share=1.0,
)
OUTDOORS = replace(
    SHORT, sources=(1, 1), outdoor_share=1.0, moving_share=1.0, vehicle_share=1.0, turning_share=0.0, walking_share=0.0,
    interferer_share=0.0, fault_share=0.0, ambience_snr_db=(30.0, 30.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(DataFolders(None), "train")


@pytest.fixture(scope="module")
def busy(world: World) -> list[RenderedScene]:
    return [render_dynamic(world, BUSY, seed, f"busy-{seed}", "train") for seed in range(4)]


def test_a_seed_is_a_scene(world: World, busy: list[RenderedScene]) -> None:
    again = render_dynamic(world, BUSY, 2, "busy-2", "train")
    assert np.array_equal(again.mixture(), busy[2].mixture())
    assert again.scene == busy[2].scene
    assert not np.array_equal(busy[1].mixture(), busy[2].mixture())


def test_descriptions_are_json_and_state_the_motion_of_sources_and_head(busy: list[RenderedScene]) -> None:
    for rendered in busy:
        scene = json.loads(json.dumps(rendered.scene))
        assert len(scene["head"]["yaw"]) == len(scene["head"]["way"]) == 41
        assert scene["head"]["yaw"][0] == {"time_s": 0.0, "yaw_deg": 0.0}
        assert scene["head"]["way"][0] == {"time_s": 0.0, "x_m": 0.0, "y_m": 0.0}
        assert max(abs(point["yaw_deg"]) for point in scene["head"]["yaw"]) > 10
        assert scene["microphones"]["offset_us"] != 0
        assert scene["interferers"]
        assert not any("label" in interferer for interferer in scene["interferers"])
        for source in scene["sources"]:
            times = [point["time_s"] for point in source["trajectory"]]
            assert times[0] == pytest.approx(source["onset_s"], abs=2e-3)
            assert times[-1] == pytest.approx(source["offset_s"], abs=2e-3)
            assert max(np.diff(times)) < 0.11
            assert all(-180 < p["azimuth_deg"] <= 180 for p in source["trajectory"])


def test_audio_is_whole_and_within_full_scale(busy: list[RenderedScene]) -> None:
    for rendered in busy:
        mixture = rendered.mixture()
        assert mixture.shape == (2, 64_000)
        assert np.isfinite(mixture).all()
        assert active_rms(mixture[0]) > 1e-4
        for source, stem in zip(rendered.scene["sources"], rendered.stems, strict=True):
            begin = round(source["onset_s"] * SAMPLE_RATE_HZ)
            assert (stem[:, : max(0, begin - 400)] ** 2).sum() < 2e-3 * (stem**2).sum()


def test_two_sources_of_a_class_are_other_clips_in_other_directions(busy: list[RenderedScene]) -> None:
    for rendered in busy:
        counted = Counter(source["label"] for source in rendered.scene["sources"])
        key, count = counted.most_common(1)[0]
        assert count == 2
        first, second = (source for source in rendered.scene["sources"] if source["label"] == key)
        assert first["clip"] != second["clip"]


def test_sources_of_a_class_begin_apart(world: World) -> None:
    still = replace(SHORT, moving_share=0.0, turning_share=0.0, walking_share=0.0)
    for seed in range(20):
        stage = set_stage(world, still, world.heads[0], np.random.default_rng(seed))
        placed = stage.place(np.random.default_rng(seed), [10.0])
        offset = stage.scenery.in_head(
            placed.track.at(np.zeros(1)) - stage.scenery.listener.at(np.zeros(1)), np.zeros(1)
        )[0]
        gap = (np.rad2deg(np.arctan2(offset[1], offset[0])) - 10.0 + 180) % 360 - 180
        assert abs(gap) >= SAME_CLASS_APART_DEG - 1e-6


def test_three_sources_overlap_at_most() -> None:
    settings = replace(DynamicSettings(), sources=(5, 5))
    most = []
    for seed in range(200):
        spans = sample_spans(5, settings, np.random.default_rng(seed))
        time = np.arange(0.0, 10.0, 0.01)
        most.append(max(sum((time >= a) & (time < a + lasts) for a, lasts in spans)))
        assert len(spans) == 5
    assert set(most) == {1, 2, 3} or set(most) == {2, 3}
    assert most_at_once([(0.0, 2.0), (1.0, 2.0), (1.5, 0.2)]) == 3
    assert most_at_once([(0.0, 1.0), (1.0, 1.0)]) == 1


def test_places_fill_the_promised_ranges(world: World) -> None:
    settings = replace(DynamicSettings(), moving_share=0.0, walking_share=0.0, turning_share=0.0)
    distances, elevations = [], []
    for seed in range(250):
        rng = np.random.default_rng(seed)
        stage = set_stage(world, settings, world.heads[0], rng)
        offset = stage.place(rng).track.values[0] - stage.scenery.listener.values[0]
        distances.append(float(np.linalg.norm(offset)))
        elevations.append(float(np.rad2deg(np.arcsin(offset[2] / distances[-1]))))
    assert min(distances) >= 0.25 - 1e-9
    assert max(distances) <= 10.0 + 1e-9
    assert np.quantile(distances, 0.05) < 0.4
    assert np.quantile(distances, 0.95) > 3.0
    assert min(elevations) < -25
    assert max(elevations) > 60
    assert min(elevations) > -46


def test_nothing_comes_nearer_than_the_near_field_reaches(world: World) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        stage = set_stage(world, replace(SHORT, moving_share=1.0), world.heads[0], rng)
        placed = stage.place(rng)
        time = np.arange(0.0, 4.0, 0.1)
        gaps = np.linalg.norm(placed.track.at(time) - stage.scenery.listener.at(time), axis=1)
        assert gaps.min() >= 0.25 - 1e-6, (seed, placed.motion)


def test_vehicles_drive_by_at_a_distance(world: World) -> None:
    speeds = []
    for seed in range(6):
        (source,) = render_dynamic(world, OUTDOORS, seed, "road", "train").scene["sources"]
        assert source["motion"] == "vehicle"
        points = source["trajectory"]
        assert min(p["distance_m"] for p in points) >= 3.9
        x, y = (
            np.array(
                [
                    p["distance_m"] * f(np.deg2rad(p["azimuth_deg"])) * np.cos(np.deg2rad(p["elevation_deg"]))
                    for p in points
                ]
            )
            for f in (np.cos, np.sin)
        )
        times = np.array([p["time_s"] for p in points])
        speeds.append(np.hypot(x[-1] - x[0], y[-1] - y[0]) / (times[-1] - times[0]))
        # What comes nearer is heard in quick motion, what goes away in slow motion; angles are stated to 0.1 degree.
        assert speeds[-1] == pytest.approx(source["speed_m_s"], rel=0.08)
    assert max(speeds) > 8


def delay_samples(stem: np.ndarray) -> float:
    """How much later the right ear hears, below 1.5 kHz."""
    spectra = np.fft.rfft(stem, 16_384)
    cross = spectra[1] * np.conj(spectra[0])
    cross[1536:] = 0
    correlation = np.fft.irfft(cross)
    lags = np.arange(-16, 17)
    return float(lags[np.argmax(correlation[lags])])


def test_stated_sides_are_heard_sides(world: World) -> None:
    # Free field, one source, no faults: the delay between the ears must follow the trajectory's left and right.
    settings = replace(OUTDOORS, vehicle_share=0.0, turning_share=1.0, walking_share=1.0)
    stated, heard = [], []
    for seed in range(12):
        rendered = render_dynamic(world, settings, seed, "side", "train")
        for point in rendered.scene["sources"][0]["trajectory"][5:-5:8]:
            middle = round(point["time_s"] * SAMPLE_RATE_HZ)
            piece = rendered.stems[0][:, max(0, middle - 1024) : middle + 1024]
            lateral = np.sin(np.deg2rad(point["azimuth_deg"])) * np.cos(np.deg2rad(point["elevation_deg"]))
            if abs(lateral) > 0.4 and (piece**2).sum() > 1e-3 * (rendered.stems**2).sum():
                stated.append(lateral)
                heard.append(delay_samples(piece))
    assert len(stated) >= 12
    assert {np.sign(v) for v in stated} == {-1.0, 1.0}
    assert np.mean(np.sign(stated) == np.sign(heard)) > 0.9
    assert np.corrcoef(stated, heard)[0, 1] > 0.85


def test_world_azimuths_of_things_that_stand_stay_when_the_head_turns(world: World) -> None:
    settings = replace(SHORT, moving_share=0.0, walking_share=0.0, turning_share=1.0, measured_share=0.0)
    scene = render_dynamic(world, settings, 3, "turn", "train").scene
    yaw_s, yaw_deg = np.array([[p["time_s"], p["yaw_deg"]] for p in scene["head"]["yaw"]]).T
    for source in scene["sources"]:
        azimuth = np.array([p["azimuth_deg"] for p in source["trajectory"]])
        turned = np.interp([p["time_s"] for p in source["trajectory"]], yaw_s, yaw_deg)
        world_deg = (azimuth + turned - azimuth[0] - turned[0] + 180) % 360 - 180
        assert np.abs(world_deg).max() < 1.5


def test_the_benchmark_reads_the_trajectories(busy: list[RenderedScene]) -> None:
    table = table_of_scene(busy[0].scene)
    sounding = sum(source["offset_s"] - source["onset_s"] for source in busy[0].scene["sources"])
    assert len(table) == pytest.approx(10 * sounding, abs=len(busy[0].scene["sources"]) + 1)


def test_ambience_is_as_soft_as_stated(world: World) -> None:
    for seed in range(3):
        settings = replace(SHORT, interferer_share=0.0, fault_share=0.0, sources=(1, 1))
        rendered = render_dynamic(world, settings, seed, "snr", "train")
        level = active_rms(rendered.stems[0].mean(axis=0)) / np.sqrt((rendered.background**2).mean())
        assert 0 <= rendered.scene["ambience"]["snr_db"] <= 30
        assert 20 * np.log10(level) == pytest.approx(rendered.scene["ambience"]["snr_db"], abs=1.5)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_interferer_sounds(kind: str) -> None:
    sound = KINDS[kind](np.random.default_rng(0), 16_000)
    assert np.isfinite(sound).all()
    assert sound.std() > 0
    name, ready = interferer(np.random.default_rng(1), 0.8)
    assert name in KINDS
    assert len(ready) == 12_800
    assert np.sqrt((ready**2).mean()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.shared_data
def test_measured_rooms_hold_still_sources(shared_data, world: World) -> None:  # type: ignore[no-untyped-def]
    from earshot.training.synthesis.rooms import load_measured

    measured = tuple(load_measured(shared_data / "brir"))
    settings = replace(SHORT, measured_share=1.0, sources=(2, 2))
    scene = render_dynamic(replace(world, measured=measured), settings, 0, "room", "train").scene
    assert scene["room"]["kind"] == "brir"
    assert all(len(source["trajectory"]) == 1 and source["motion"] == "still" for source in scene["sources"])
