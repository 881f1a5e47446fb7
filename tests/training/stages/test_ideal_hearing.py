"""Ideal hearing says what a described scene holds, in the rows that real hearing would fill."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.objects import OBJECT_WIDTH
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.labels import class_id
from earshot.training.questions.scenes import sample_scene
from earshot.training.stages.ideal_hearing import ideal_inputs


def scenes(count: int) -> list[dict]:
    rng = random.Random(4)
    return [sample_scene(rng) for _ in range(count)]


def test_every_source_is_an_object_in_order_of_onset_near_its_direction() -> None:
    for number, scene in enumerate(scenes(40)):
        rows = ideal_inputs(scene, np.random.default_rng(number)).objects[:-1]
        labels = {int(row[:61].argmax()): row for row in rows}
        assert set(labels) == {class_id(source["label"]) for source in scene["sources"]}
        onsets = [next(s["onset_s"] for s in scene["sources"] if class_id(s["label"]) == label) for label in labels]
        assert all(later > earlier - 0.1 for earlier, later in itertools.pairwise(onsets))
        for source in scene["sources"]:
            if len(source["trajectory"]) > 1:
                continue
            row, point = labels[class_id(source["label"])], source["trajectory"][0]
            assert angle_between_azimuths(lobe_azimuth_deg(row[247:283]), point["azimuth_deg"]) < 25.0
            assert np.exp(row[286]) == pytest.approx(point["distance_m"], rel=1.2)
            sounding = np.flatnonzero(row[122:247] > 0.5)
            assert sounding[0] * 0.08 == pytest.approx(source["onset_s"], abs=0.09)


def test_a_moving_source_is_heard_where_it_was_in_each_half() -> None:
    moving = [(scene, s) for scene in scenes(300) for s in scene["sources"] if len(s["trajectory"]) > 8]
    assert len(moving) > 15
    for number, (scene, source) in enumerate(moving):
        row = ideal_inputs({**scene, "sources": [source]}, np.random.default_rng(number)).objects[0]
        points = source["trajectory"]
        for half, part in ((row[288:292], points[: len(points) // 2]), (row[292:296], points[len(points) // 2 :])):
            truth = np.mean([_vector(point) for point in part], axis=0)
            if np.linalg.norm(truth) > 0.7:
                heard = half[:2] / np.linalg.norm(half[:2])
                assert float(heard @ truth[:2] / np.linalg.norm(truth[:2])) > 0.6
            assert half[3] == pytest.approx(np.mean([np.log(point["distance_m"]) for point in part]), abs=0.8)


def _vector(point: dict[str, float]) -> np.ndarray:
    azimuth, elevation = np.deg2rad(point["azimuth_deg"]), np.deg2rad(point["elevation_deg"])
    return np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])


def test_an_empty_scene_is_the_end_mark_alone() -> None:
    empty = {**scenes(1)[0], "sources": []}
    rows = ideal_inputs(empty, np.random.default_rng(0)).objects
    assert rows.shape == (1, OBJECT_WIDTH)
    assert not rows.any()


def test_the_same_seed_hears_the_same() -> None:
    scene = scenes(3)[-1]
    first, second = (ideal_inputs(scene, np.random.default_rng(9)).as_dict() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
