"""What was heard as a line of JSON: all that the cascade baseline gets in the place of audio embeddings.

It is made of the very rows that the projector gets, decoded as the runtime decodes its tracks and rounded as evidence is, in
training as in use; the truth has no part in it. One array for each sound, in order of onset:

    [["dog", -35, 0, 1.2, 0.4, 3.1, 0.8], ["car", 60, 0, 4.0, 1.0, 6.2, 0.6, [80, 5.2], [40, 3.1], "or mirrored"]]

what, azimuth, elevation (degrees), distance (m), since, until (s), confidence; then azimuth and distance in the first and in the
second half of its time where they differ as those of a moving sound do, and `or mirrored` where front and back could not be
told apart. Over 400 scenes of a bank (2.2 sounds on average) this takes 80 tokens, the embeddings 13; with names (`"azimuth":
-35`) for the numbers it would be more than twice as long. The moments, which say of the whole what sounds through time and how
it echoes, are left out: no question is about them.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angle_between_azimuths, angles_of
from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.runtime.hearing.posterior import AZIMUTH_BINS, front_back_ambiguous, lobe_azimuth_deg
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import ACTIVITY_VALUES, TOKEN_S
from earshot.runtime.labels import load_labels
from earshot.runtime.language.prompt import Evidence, evidence_line, parse_evidence
from earshot.training.models.projector import OBJECT_PARTS
from earshot.training.questions.tasks_motion import MOVED_DEG, MOVED_RATIO

AMBIGUOUS = "or mirrored"
_STEP_S = TOKEN_S / ACTIVITY_VALUES
_SOUNDING = 0.5
_NEAREST_M, _FARTHEST_M = 0.1, 50.0
_ENDS = np.cumsum(list(OBJECT_PARTS.values()))[:-1]


def tracks_text(heard: ProjectorInputs) -> str:
    """The sounds of a window as JSON; ``[]`` when there was none.

    Parameters
    ----------
    heard : ProjectorInputs
        Only its objects are looked at; their last row says that there are no more.
    """
    return json.dumps([_track(row) for row in heard.objects[:-1]])


def _track(row: NDArray[np.float32]) -> list[Any]:
    parts = dict(zip(OBJECT_PARTS, np.split(row, _ENDS), strict=True))
    label = int(parts["what"][:CLASSES].argmax())
    posterior, direction = parts["posterior"][:AZIMUTH_BINS], parts["posterior"][AZIMUTH_BINS:]
    told = _rounded(
        load_labels()[label].spoken, lobe_azimuth_deg(posterior), float(angles_of(direction)[1]), parts["far"][0],
        *_times(parts["when"]),
    )  # fmt: skip
    confidence = round(float(np.clip(parts["what"][CLASSES + label], 0.0, 1.0)), 1)
    return [
        told.label, told.azimuth_deg, told.elevation_deg, told.distance_m, told.onset_s, told.offset_s, confidence,
        *_course(parts["first"], parts["second"]),
        *([AMBIGUOUS] if front_back_ambiguous(posterior) else []),
    ]  # fmt: skip


def _rounded(
    name: str, azimuth_deg: float, elevation_deg: float, log_distance: float, since_s: float, until_s: float
) -> Evidence:
    """The numbers as evidence states them."""
    distance_m = float(np.exp(np.clip(log_distance, np.log(_NEAREST_M), np.log(_FARTHEST_M))))
    return parse_evidence(evidence_line(name, azimuth_deg, elevation_deg, distance_m, since_s, until_s))[0]


def _course(first: NDArray[np.float32], second: NDArray[np.float32]) -> list[Any]:
    """Azimuth and distance in both halves of a sound; nothing where it stayed or one half is unknown.

    Between the means of its halves a sound goes half of its way.
    """
    if not (first.any() and second.any()):
        return []
    azimuths = [float(angles_of(half[:3])[0]) for half in (first, second)]
    turned = angle_between_azimuths(*azimuths) >= MOVED_DEG / 2
    nearer = abs(float(first[3] - second[3])) >= np.log(MOVED_RATIO) / 2
    if not (turned or nearer):
        return []
    halves = zip(azimuths, (first[3], second[3]), strict=True)
    places = [_rounded("it", azimuth, 0.0, log_distance, 0.0, 0.0) for azimuth, log_distance in halves]
    return [[place.azimuth_deg, place.distance_m] for place in places]


def _times(activity: NDArray[np.float32]) -> tuple[float, float]:
    """Begin and end in seconds of what surely sounded; of the strongest step if nothing did."""
    sure = np.flatnonzero(activity >= _SOUNDING)
    first, last = (sure[0], sure[-1]) if len(sure) else (activity.argmax(), activity.argmax())
    return float(first) * _STEP_S, float(last + 1) * _STEP_S
