"""What is said to and by the server: every JSON body, checked on the way in and described in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from earshot.runtime.interfaces.asking import Timing
from earshot.runtime.language.prompt import MAX_CHOICE_CHARS, MAX_QUESTION_CHARS
from earshot.runtime.scene.sources import SourceEstimate

QuestionText = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS, pattern=r"\S")]
Choice = Annotated[str, Field(min_length=1, max_length=MAX_CHOICE_CHARS, pattern=r"\S")]
Choices = Annotated[list[Choice], Field(min_length=2, max_length=8)]


class AskBody(BaseModel):
    """A question about the last 10 seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    question: QuestionText
    choices: Choices | None = None
    think: bool | None = None


class AskCommand(AskBody):
    """The same over the WebSocket; `id` comes back with everything about this question."""

    id: str | None = Field(default=None, max_length=64)


class CancelCommand(BaseModel):
    """Stop a question, or all of this client without `id`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str | None = Field(default=None, max_length=64)


class WatchAddCommand(BaseModel):
    """Look out for something, for all clients, until it is removed or the listener ends."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: str = Field(min_length=1, max_length=300, description='"when a dog barks behind me"')


class WatchListCommand(BaseModel):
    """Tell what is looked out for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WatchRemoveCommand(BaseModel):
    """Look out for something no more."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    watch: int = Field(ge=1, description="Number, as `watches` tells it.")


class Command(BaseModel):
    """One WebSocket message from a client."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    command: Literal["ask", "cancel", "watch.add", "watch.list", "watch.remove"]
    data: dict[str, Any] = Field(default_factory=dict)


class UncertaintyBody(BaseModel):
    """One standard deviation of a place: half axes of an ellipse. What the networks say, not a calibrated error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    azimuth_deg: float = Field(ge=0, description="Across, as an angle.")
    across_m: float = Field(ge=0)
    along_m: float = Field(ge=0, description="Along the line of sight.")


class ClassBody(BaseModel):
    """One kind that a source may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="AudioSet-ontology name.")
    probability: float = Field(ge=0, le=1, description="Those of all classes add up to 1.")


class TrackBody(BaseModel):
    """One source that sounds now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    track: int = Field(ge=1, description="Keeps its number for life.")
    label: str = Field(description="AudioSet-ontology name.")
    name: str = Field(description="Noun as answers use it.")
    heard_as: str = Field(description='The noun, with a second one where the kind is doubtful: "dog, or cat".')
    place: str = Field(description="Direction and distance in words.")
    active: bool
    confidence: float = Field(ge=0, le=1)
    azimuth_deg: float = Field(ge=-180, le=180, description="0 = front, positive = left.")
    elevation_deg: float = Field(ge=-90, le=90)
    distance_m: float = Field(gt=0)
    spread_deg: float = Field(ge=0, description="Circular standard deviation of the azimuth.")
    front_back_ambiguous: bool
    onset_s: float
    last_heard_s: float
    classes: list[ClassBody] = Field(description="The three likeliest kinds, the likeliest first.")
    room_azimuth_deg: float | None = Field(
        default=None, ge=-180, le=180, description="Direction in the room; only where the yaw of the head is known."
    )
    uncertainty: UncertaintyBody | None


class SceneBody(BaseModel):
    """What sounds now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_s: float = Field(ge=0, description="Seconds since stream start.")
    state: str = Field(
        description="idle, starting, listening, lagging, deaf, reconnecting, playing, ended or failed.",
    )
    yaw_deg: float | None = Field(
        ge=-180, le=180, description="Where the head looks, positive = left; null if unknown."
    )
    tracks: list[TrackBody]
    findings: list[str] = Field(description="What is wrong with the ears, or with what tells the yaw of the head.")


class AnswerBody(BaseModel):
    """An answer: the JSON of `earshot ask --json`, doubts even when there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    answer: str
    choice: int | None
    reasoning: str
    sources: list[SourceEstimate]
    timing: Timing
    doubts: list[str] = Field(
        description="Sounds of which front and back, or the distance, are not certain, where the answer depends on it, and sounds that it is about "
        "though nobody named them; not the model's words."
    )


class HearingBody(BaseModel):
    """How long hearing takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_s: float = Field(description="By the algorithm, without the time to compute.")
    effort: Literal["full", "half", "hearing-only"] = Field(
        description="What this machine can do now: everything; every second frame; every third, and no answers.",
    )
    threads: int | None = Field(
        description="Of the encoders, as the self-test at the start chose; null for a recording."
    )
    self_test_load: float | None = Field(description="What it found: time to hear every frame re length of the sound.")
    resting: bool = Field(description="Nothing is to be heard; the encoders rest until something is.")
    processing_p50_s: float
    processing_p95_s: float
    load: float = Field(description="Time to hear re length of the sound; above 1 the listener falls behind.")


class AnswersBody(BaseModel):
    """How long answers take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waiting: int
    answered: int
    first_token_s: float | None
    answer_s: float | None


class HealthBody(BaseModel):
    """Whether the listener hears, and how the server does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["ok", "degraded", "down"] = Field(description="Hears; hears with trouble; hears nothing.")
    source: str
    state: str
    state_text: str
    frames: int = Field(ge=0, description="Frames of 40 ms heard; grows while it hears.")
    heard_s: float
    uptime_s: float
    hearing: HearingBody
    answers: AnswersBody
    findings: list[str]
    clients: int
    clients_dropped: int = Field(description="Because they read too slowly.")
    events_lost: int = Field(description="Between the hearing and the server, because the server was too slow.")
    version: str


class ErrorBody(BaseModel):
    """What went wrong, in one line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: str
