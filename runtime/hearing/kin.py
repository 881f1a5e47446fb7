"""The sources of one class while a slot holds it: to which of them each frame belongs.

A frame belongs to a source that has just been heard if it may come from its place; one that comes from elsewhere waits, until
others say the same: then it is a source heard before, or a new one. So no single frame makes a second source of one. A
frame with two clear lobes is heard as both.
"""

from __future__ import annotations

import numpy as np

from earshot.runtime.hearing.alike import SAME_OVERLAP, Float64, lateral, lateral_peak_deg, lobes, overlap
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.slots import EMPTY
from earshot.runtime.hearing.track import Moment, Track, TrackerSettings

KNOWN_FRAMES = 2
"""So many frames from the place of a source heard before are its sound."""
RECENT_FRAMES = round(1.0 / FRAME_S)
"""A source heard since so many frames is taken to go on."""
PATIENCE_FRAMES = round(0.6 / FRAME_S)
"""Frames from elsewhere that are as far apart as this have nothing to do with each other."""
ANOTHER_DEG = 25.0
"""A lobe as near as this to where another class sounds is that other sound,"""
ANOTHER_ACTIVITY = 0.3
"""... if its activity is over this."""
AGAIN_FRAMES = round(1.5 / FRAME_S)
"""A source that was silent for longer begins again when it is heard again, as one whose slot was given up always did."""
MOST_KIN = 4
"""More sources of one class are not kept at one time."""
MOST_PAST = 16


class Past:
    """Tracks that have lost their slot, and may be heard again: bounded in number and in time."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._frames = round(settings.remember_s / FRAME_S)
        self._tracks: list[Track] = []

    def keep(self, tracks: list[Track]) -> None:
        """Remember tracks; those heard longest ago are forgotten when there are too many."""
        self._tracks = sorted([*self._tracks, *tracks], key=_last_heard)[-MOST_PAST:]

    def of_class(self, class_id: int, now: int) -> list[Track]:
        """Tracks of a class heard not too long before frame `now`."""
        self._tracks = [track for track in self._tracks if now - track.last_heard <= self._frames]
        return [track for track in self._tracks if track.class_id == class_id]

    def drop(self, track: Track) -> None:
        """A track is heard again."""
        self._tracks.remove(track)


class Kin:
    """Tracks of the class that a slot holds.

    Parameters
    ----------
    class_id : int
    settings : TrackerSettings
    past : Past
        Where tracks are looked for that were heard before the class took the slot.

    Attributes
    ----------
    tracks : list of Track
        Those heard since then, each for the minimum time.
    """

    def __init__(self, class_id: int, settings: TrackerSettings, past: Past) -> None:
        self.class_id = class_id
        self.tracks: list[Track] = []
        self._settings, self._past = settings, past
        self._needed = max(1, int(np.ceil(settings.minimum_s / FRAME_S - 1e-9)))
        self._sounding = False
        self._waiting: list[Moment] = []

    def turn(self, yaw_deg: float | None) -> None:
        """Move all tracks with the head."""
        for track in self.tracks:
            track.turn(yaw_deg)

    def hear(self, frame: HearingFrame, slot: int, number: int, lead_in: int, yaw_deg: float | None) -> None:
        """Take frame `number` of the stream, of which `slot` holds the class; see `Moment`."""
        activity = float(frame.activity[slot])
        threshold = self._settings.off_activity if self._sounding else self._settings.on_activity
        self._sounding = activity >= threshold
        if not self._sounding:
            return
        parts = lobes(frame.azimuth_posterior[slot])
        for part in parts if self.tracks else parts[:1]:
            moment = Moment(frame, slot, part, len(parts) > 1, number, lead_in, yaw_deg)
            if not self._belongs(moment) and not (moment.lobe and _heard_as_another(moment)):
                self._wait(moment)

    def _belongs(self, moment: Moment) -> bool:
        """Give a moment to the source from whose place it may come, of those just heard."""
        latest = max((track.last_heard for track in self.tracks), default=0)
        recent = min(latest, moment.number - RECENT_FRAMES)
        near = [track for track in self.tracks if track.last_heard >= recent]
        fits = [(track.fit(moment.posterior, moment), track.last_heard, track) for track in near]
        fit, _, best = max(fits, key=lambda fit: fit[:2], default=(0.0, 0, None))
        if best is None or fit == 0.0:
            return False
        if best.last_heard < moment.number:  # the second lobe of a frame adds nothing to where the first one belongs
            best.hear(moment)
        return True

    def _wait(self, moment: Moment) -> None:
        """Keep what comes from elsewhere, with what came from the same place before it; enough of it is a source."""
        if self.tracks:
            self._waiting = [m for m in self._waiting if moment.number - m.number <= PATIENCE_FRAMES]
            if self._waiting and overlap(lateral(self._mean_waiting), lateral(moment.posterior)) < SAME_OVERLAP:
                self._waiting.clear()
        self._waiting.append(moment)
        track = self._known(moment) or self._new()
        if track is not None:
            for heard in self._waiting:
                track.hear(heard)
            self._waiting.clear()

    @property
    def _mean_waiting(self) -> Float64:
        return np.asarray(np.mean([moment.posterior for moment in self._waiting], axis=0))

    def _known(self, now: Moment) -> Track | None:
        """The source heard before from whose place the waiting frames come."""
        if len(self._waiting) < min(KNOWN_FRAMES, self._needed):
            return None
        past = self._past.of_class(self.class_id, now.number)
        fits = [(track.fit(self._mean_waiting, now), track.last_heard, track) for track in self.tracks + past]
        fit, _, best = max(fits, key=lambda fit: fit[:2], default=(0.0, 0, None))
        if best is None or fit == 0.0:
            return None
        if self._waiting[0].number - best.last_heard > AGAIN_FRAMES:
            best.begin_again(self._waiting[0])
        if best in past:
            self._past.drop(best)
            self._join(best)
        return best

    def _new(self) -> Track | None:
        """A track of the waiting frames, when there are enough of them."""
        if len(self._waiting) < self._needed:
            return None
        track = Track(self.class_id, self._waiting[0], self._settings)
        self._join(track)
        return track

    def _join(self, track: Track) -> None:
        self.tracks.append(track)
        if len(self.tracks) > MOST_KIN:
            left = min(self.tracks[:-1], key=_last_heard)
            self.tracks.remove(left)
            self._past.keep([left])


def _heard_as_another(moment: Moment) -> bool:
    """Whether another class is heard at the place of a lobe: a mask lets some of other sounds through."""
    frame, here_deg = moment.frame, lateral_peak_deg(lateral(moment.posterior))
    others = [slot for slot in np.flatnonzero(frame.slot_class != EMPTY) if slot != moment.slot]
    places = (frame.azimuth_posterior[slot] for slot in others if frame.activity[slot] > ANOTHER_ACTIVITY)
    return any(abs(lateral_peak_deg(lateral(place)) - here_deg) <= ANOTHER_DEG for place in places)


def _last_heard(track: Track) -> int:
    return track.last_heard
