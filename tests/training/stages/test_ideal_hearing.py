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
            row, point = labels[class_id(source["label"])], source["trajectory"][0]
            assert angle_between_azimuths(lobe_azimuth_deg(row[247:283]), point["azimuth_deg"]) < 25.0
            assert np.exp(row[286]) == pytest.approx(point["distance_m"], rel=1.2)
            sounding = np.flatnonzero(row[122:247] > 0.5)
            assert sounding[0] * 0.08 == pytest.approx(source["onset_s"], abs=0.09)


def test_an_empty_scene_is_the_end_mark_alone() -> None:
    empty = {**scenes(1)[0], "sources": []}
    rows = ideal_inputs(empty, np.random.default_rng(0)).objects
    assert rows.shape == (1, OBJECT_WIDTH)
    assert not rows.any()


def test_the_same_seed_hears_the_same() -> None:
    scene = scenes(3)[-1]
    first, second = (ideal_inputs(scene, np.random.default_rng(9)).as_dict() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
