"""Motion: whether a sound moves (level 1), whether it comes closer or goes away (level 2).

These tasks need a view that keeps trajectories, `MovingView`; about any other view they ask nothing.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earshot.runtime.geometry import great_circle_deg
from earshot.training.questions.items import Balance, Draft, Form, sound_choice, task
from earshot.training.questions.view import Heard, SceneView, hear, round_azimuth, view_scene

# What a listener can be sure of: several times the just noticeable change of direction, twice that of distance.
MOVED_DEG, MOVED_RATIO = 25.0, 1.5
STAYED_DEG, STAYED_RATIO = 5.0, 1.1
LISTENER_STILL_DEG, LISTENER_STILL_M = 5.0, 0.2
SHORTEST_S = 1.0
COURSES = ("it comes closer", "it goes away", "it stays at the same distance", "it passes by")


@dataclass(frozen=True)
class Motion:
    """How one source moves, relative to the listener.

    Attributes
    ----------
    heard : Heard
        The source.
    points : tuple of (azimuth_deg, elevation_deg, distance_m)
        Where it is in the middle of the first half of its audible part, and of the second.
    turned_deg : float
        The largest angle between two of its directions.
    nearest_m, first_m, last_m : float
        Smallest distance, and those at the beginning and the end of its audible part.
    spread : float
        Largest distance over smallest.
    """

    heard: Heard
    points: tuple[tuple[float, float, float], tuple[float, float, float]]
    turned_deg: float
    nearest_m: float
    first_m: float
    last_m: float
    spread: float

    @property
    def moves(self) -> bool | None:
        """Whether it moves; None where a listener could not be sure."""
        if self.heard.exact[4] - self.heard.exact[3] < SHORTEST_S:
            return None
        if self.turned_deg >= MOVED_DEG or self.spread >= MOVED_RATIO:
            return True
        return False if self.turned_deg <= STAYED_DEG and self.spread <= STAYED_RATIO else None

    @property
    def course(self) -> int | None:
        """Which of `COURSES` it takes; None where a listener could not be sure."""
        if self.heard.exact[4] - self.heard.exact[3] < SHORTEST_S:
            return None
        if min(self.first_m, self.last_m) >= MOVED_RATIO * self.nearest_m:
            return 3
        if self.first_m >= MOVED_RATIO * self.last_m and self.last_m <= STAYED_RATIO * self.nearest_m:
            return 0
        if self.last_m >= MOVED_RATIO * self.first_m and self.first_m <= STAYED_RATIO * self.nearest_m:
            return 1
        return 2 if self.spread <= STAYED_RATIO else None

    @property
    def step(self) -> str:
        """The step that shows it: `dog 40 to -35, 2.1 to 1.0 m`."""
        (start_deg, _, start_m), (goal_deg, _, goal_m) = self.points
        metres = f"{max(0.1, round(start_m, 1))} to {max(0.1, round(goal_m, 1))} m"
        return f"{self.heard.name} {round_azimuth(start_deg)} to {round_azimuth(goal_deg)}, {metres}"


@dataclass(frozen=True)
class MovingView(SceneView):
    """A view that also keeps how its sources move.

    Attributes
    ----------
    motions : tuple of Motion
        Sources whose label no other source of the scene has.
    listener_still : bool
        Whether the listener neither turns nor walks, so that what changes its direction is what moves.
    """

    motions: tuple[Motion, ...] = ()
    listener_still: bool = True


def view_moving_scene(scene: Mapping[str, Any], pool: Sequence[str] = ()) -> MovingView:
    """Read a scene JSON with its trajectories; see `earshot.training.questions.view.view_scene`."""
    view = view_scene(scene, pool)
    heard = {source.key: source for source in view.heard}
    times_heard = Counter(source["label"] for source in scene["sources"])
    lonely = [source for source in scene["sources"] if times_heard[source["label"]] == 1]
    motions = [motion_of(source, heard[source["label"]]) for source in lonely]
    return MovingView(
        view.scene_id, view.heard, view.duration_s, pool,
        motions=tuple(motions), listener_still=_listener_still(scene["head"]),
    )  # fmt: skip


def motion_of(source: Mapping[str, Any], heard: Heard | None = None) -> Motion:
    """How a source of a scene JSON moves while it is heard; ``heard`` is what the view holds of it."""
    points = [(p["azimuth_deg"], p["elevation_deg"], p["distance_m"]) for p in source["trajectory"]]
    first, last = points[0], points[-1]
    distances = [distance for _, _, distance in points]
    some = [*points[:: max(1, len(points) // 12)], last]  # all pairs of a dozen points tell enough
    turned = max(float(great_circle_deg(a[0], a[1], b[0], b[1])) for a in some for b in some)
    halves = (points[len(points) // 4], points[(3 * len(points)) // 4]) if len(points) > 1 else (first, first)
    return Motion(
        heard or hear(source), halves, turned, min(distances), distances[0], distances[-1],
        max(distances) / min(distances),
    )  # fmt: skip


def _listener_still(head: Mapping[str, Any]) -> bool:
    yaws = [point["yaw_deg"] for point in head["yaw"]]
    way = [math.hypot(point["x_m"], point["y_m"]) for point in head.get("way", ())]
    return max(yaws) - min(yaws) <= LISTENER_STILL_DEG and max(way, default=0.0) <= LISTENER_STILL_M


@task("moving", "L1", "choice", "yesno")
def moving(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Whether a sound moves, or which of them does. Not asked of a listener who moves: then everything does."""
    if not isinstance(view, MovingView) or not view.motions or not view.listener_still:
        return None
    if form == "choice":
        return _which_moves(view, rng)
    motion = rng.choice(view.motions)
    yes = motion.moves
    if yes is None:
        return None
    label = motion.heard.label
    stays = "stay where they are" if label.plural else "stays where it is"
    text = f"Yes, {label.definite} {label.verb} moving." if yes else f"No, {label.definite} {stays}."
    truth = {"label": motion.heard.key, "yes": yes}
    balance = Balance("moving.yesno", str(yes), 2)
    return Draft("moving.yesno", {"x": label}, text, (), (motion.step,), truth, balance)


def _which_moves(view: MovingView, rng: random.Random) -> Draft | None:
    """The one sound that moves among others that surely do not."""
    if len(view.motions) != len(view.heard) or len(view.heard) < 2:
        return None
    verdicts = [motion.moves for motion in view.motions]
    if None in verdicts or verdicts.count(True) != 1:
        return None
    motion = view.motions[verdicts.index(True)]
    steps = tuple(m.step for m in view.motions)[:3]
    wrong = sound_choice(view, motion.heard, rng, view.heard)
    truth = {"label": motion.heard.key}
    return Draft("moving.which", {}, f"the {motion.heard.name}", wrong, steps, truth)


@task("course", "L2", "choice", "yesno")
def course(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Whether a sound comes closer, goes away, stays or passes by, relative to the listener."""
    if not isinstance(view, MovingView) or not view.motions:
        return None
    motion = rng.choice(view.motions)
    taken = motion.course
    if taken is None:
        return None
    label = motion.heard.label
    truth = {"label": motion.heard.key, "course": COURSES[taken]}
    if form == "choice":
        wrong = tuple(text for text in COURSES if text != COURSES[taken])
        balance = Balance("course.choice", COURSES[taken], len(COURSES))
        return Draft("course.choice", {"x": label}, COURSES[taken], wrong, (motion.step,), truth, balance)
    if taken == 3:
        return None  # yes at first, no later
    yes = taken == 0
    text = f"{'Yes' if yes else 'No'}, {COURSES[taken]}."
    balance = Balance("course.yesno", str(yes), 2)
    return Draft("course.yesno", {"x": label}, text, (), (motion.step,), {**truth, "yes": yes}, balance)
