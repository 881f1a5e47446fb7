"""The listener's objects as the JSON that clients get."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from earshot.runtime.audio.capture import CaptureEvent
from earshot.runtime.hearing.effort import Effort
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import TrackSnapshot
from earshot.runtime.interfaces.asking import Timing
from earshot.runtime.language.questions import Reply
from earshot.runtime.listener import EffortChange, Listener, Note
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.now import Scene, name_of, names_of, words_of
from earshot.runtime.scene.watches import WatchRule
from earshot.runtime.scene.watching import Alert

_TROUBLED = ("starting", "lagging")
_DOWN = ("idle", "deaf", "reconnecting", "failed", "ended")


def event(name: str, data: dict[str, Any]) -> str:
    """One WebSocket message."""
    return json.dumps({"event": name, "data": data}, ensure_ascii=False, separators=(",", ":"))


def track_document(track: TrackSnapshot) -> dict[str, Any]:
    """A track with its noun, that with the doubt about it, and its place in words."""
    return {**track.as_dict(), "name": name_of(track), "heard_as": names_of(track), "place": words_of(track)}


def tracks_document(tracks: Iterable[TrackSnapshot], scene: Scene) -> list[dict[str, Any]]:
    """The tracks that sound, with how sure their places are as far as the scene knows."""
    return [{**track_document(track), "uncertainty": scene.uncertainty(track)} for track in tracks if track.active]


def scene_document(scene: Scene) -> dict[str, Any]:
    """As `SceneBody`."""
    return {**scene.as_dict(), "tracks": tracks_document(scene.tracks, scene)}


def change_document(change: TrackChange) -> dict[str, Any]:
    """Data of the events new, moved and ended."""
    return {"time_s": round(change.time_s, 1), **track_document(change.track)}


def note_document(note: Note) -> dict[str, Any]:
    """Data of the event note."""
    return {"time_s": round(note.time_s, 1), "text": note.text}


def capture_document(captured: CaptureEvent) -> dict[str, Any]:
    """Data of the event capture."""
    return {"time_s": round(captured.time_s, 1), "state": captured.state.value, "text": captured.text}


def effort_document(change: EffortChange) -> dict[str, Any]:
    """Data of the event effort."""
    return {"time_s": round(change.time_s, 1), "effort": change.effort.value, "text": change.text}


def alert_document(alert: Alert) -> dict[str, Any]:
    """Data of the event watch."""
    told = {"time_s": round(alert.time_s, 1), "watch": alert.rule.text, "text": alert.text}
    return {**told, "track": track_document(alert.track)}


def watches_document(watches: dict[int, WatchRule]) -> list[dict[str, Any]]:
    """What is looked out for."""
    return [{"watch": number, "text": rule.text, "words": rule.words} for number, rule in watches.items()]


def answer_document(id_: str, reply: Reply) -> dict[str, Any]:
    """As `AnswerBody`."""
    matter, answer = reply.matter, reply.answer
    timing = Timing(
        audio_s=round(matter.audio_s, 2),
        hearing_s=round(matter.hearing_s, 4),
        first_token_s=round(answer.first_token_s, 4),
        answer_s=round(answer.answer_s, 4),
    )
    return {
        "id": id_,
        "answer": answer.text,
        "choice": answer.choice,
        "reasoning": answer.reasoning,
        "doubts": list(answer.doubts),
        "sources": [source.model_dump() for source in matter.sources],
        "timing": timing.model_dump(),
    }


def health_document(listener: Listener, since_s: float) -> dict[str, Any]:
    """As `HealthBody`, without what only the server knows.

    Parameters
    ----------
    listener : Listener
    since_s : float
        `time.monotonic()` at the start of the server.
    """
    scene = listener.scene
    last = listener.answering.last
    return {
        "status": _status(scene, listener.effort),
        "source": listener.name,
        "state": scene.state,
        "state_text": listener.state_text,
        "frames": listener.frames,
        "heard_s": round(listener.heard_s, 1),
        "uptime_s": round(time.monotonic() - since_s, 1),
        "hearing": {
            "latency_s": round(Hearing.latency_s, 3),
            "effort": listener.effort.value,
            "threads": None if listener.holding is None else listener.holding.threads,
            "self_test_load": None if listener.holding is None else round(listener.holding.load, 4),
            "resting": listener.resting,
            **listener.load_figures().as_dict(),
        },
        "answers": {
            "waiting": listener.answering.waiting,
            "answered": listener.answering.answered,
            "first_token_s": None if last is None else round(last.first_token_s, 4),
            "answer_s": None if last is None else round(last.answer_s, 4),
        },
        "findings": list(scene.findings),
        "version": version(),
    }


def version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("earshot")
    except metadata.PackageNotFoundError:
        return "unknown"


def _status(scene: Scene, effort: Effort) -> str:
    if scene.state in _DOWN:
        return "down"
    troubled = scene.findings or scene.state in _TROUBLED or effort is not Effort.FULL
    return "degraded" if troubled else "ok"
