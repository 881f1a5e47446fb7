"""The self-test at the start: which threads and which effort, by a clock that is fed to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.hearing.effort import Effort
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.holding import BUDGET_S, Holding, time_hops, what_holds
from tests.runtime.tiny_bundle import write_tiny_networks


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    encoders = Encoders()
    encoders.load(write_tiny_networks(tmp_path_factory.mktemp("tiny")))
    return encoders


class Clock:
    """Every look at it is so much later; counts the looks."""

    def __init__(self, hops_s: Iterator[float]) -> None:
        self._hops_s, self._now_s, self.looks = hops_s, 0.0, 0

    def __call__(self) -> float:
        self.looks += 1
        if self.looks % 2 == 0:
            self._now_s += next(self._hops_s)
        return self._now_s


def test_the_load_is_that_of_the_middle_hop_without_the_warm_up(encoders: Encoders) -> None:
    clock = Clock(iter([9.0, 9.0, 9.0] + [0.001] * 7 + [0.002] * 5))
    assert time_hops(encoders, clock) == pytest.approx(0.001 / FRAME_S)


def test_the_names_network_counts_with_a_tenth_of_its_time_for_each_ear(tmp_path: Path) -> None:
    encoders = Encoders()
    encoders.load(write_tiny_networks(tmp_path, names=True))
    clock = Clock(iter([0.001] * 15 + [0.03]))
    assert time_hops(encoders, clock) == pytest.approx((0.001 + 2 * 0.003) / FRAME_S)


def test_a_slow_machine_is_not_kept_waiting(encoders: Encoders) -> None:
    clock = Clock(iter([BUDGET_S / 2] * 15))
    assert time_hops(encoders, clock) == pytest.approx(BUDGET_S / 2 / FRAME_S)
    assert clock.looks == 2 * (3 + 3), "three to warm up, and the three without which there is no middle"


@pytest.mark.parametrize(
    ("loads", "cores", "holding"),
    [
        ({1: 0.03}, 8, Holding(1, Effort.FULL, 0.03)),
        ({1: 1.2, 2: 0.7}, 8, Holding(2, Effort.FULL, 0.7)),
        ({1: 1.2, 2: 1.1, 4: 0.8}, 4, Holding(4, Effort.FULL, 0.8)),
        ({1: 1.2, 2: 1.1, 4: 1.0}, 4, Holding(1, Effort.HALF, 1.2)),
        ({1: 2.0, 2: 1.7}, 2, Holding(2, Effort.HALF, 1.7)),
        ({1: 9.0}, 1, Holding(1, Effort.HEARING_ONLY, 9.0)),
        ({1: 1.2, 2: 0.1}, 0, Holding(1, Effort.HALF, 1.2)),
    ],
)
def test_the_fewest_threads_that_hold_the_most(loads: dict[int, float], cores: int, holding: Holding) -> None:
    assert what_holds(loads.__getitem__, cores) == holding


def test_what_somebody_has_chosen_is_only_measured() -> None:
    asked: list[int] = []
    holding = what_holds(lambda threads: asked.append(threads) or 1.3, 8, threads=3)
    assert (asked, holding.threads, holding.effort) == ([3], 3, Effort.HALF)


def test_it_says_what_it_found() -> None:
    assert Holding(1, Effort.FULL, 0.031).text == (
        "self-test: hearing every frame takes 3.1% of real time on one thread; "
        "this machine keeps up; everything is heard and answered"
    )
    assert "120.0% of real time on 2 threads; this machine is too slow" in Holding(2, Effort.HALF, 1.2).text


def test_other_threads_hear_the_same(encoders: Encoders) -> None:
    stream = encoders.open_stream()
    features = np.random.default_rng(0).standard_normal((3, 8, 64)).astype(np.float32)
    before = [stream.step(one).class_probability for one in features]
    again = encoders.open_stream()
    heard = [again.step(features[0]).class_probability]
    encoders.use_threads(2)
    heard += [again.step(one).class_probability for one in features[1:]]
    encoders.use_threads(1)
    np.testing.assert_allclose(heard, before, atol=1e-5)
