"""What a document of `earshot profile` must hold for others to build on: a file from elsewhere may hold anything."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class Machine(_Part):
    """What it was measured on."""

    cores: int = Field(ge=1)
    memory_mb: float = Field(default=0.0, ge=0)


class Bundle(_Part):
    """Which model it was measured with."""

    name: str
    version: str
    llm: str
    size_mb: float
    fingerprint: str


class Spread(_Part):
    """Percentiles of a time, milliseconds."""

    p50_ms: float = Field(gt=0)
    p95_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)


class EstimatedStage(_Part):
    """Mean time of a stage on a board that is not here, milliseconds."""

    ms: float = Field(ge=0)


class Memory(_Part):
    """Of the listener, megabytes."""

    high_water_mb: float = Field(ge=0)


class ProfileDocument(_Part):
    """A profile, measured (`machine`, `hearing` and the times of answers are there) or estimated (`stages` are).

    Older ones do not say which bundle.
    """

    kind: Literal["measured", "ESTIMATE"]
    board: str
    stages: dict[str, dict[str, Any]]
    hop_s: float = Field(gt=0)
    machine: Machine | None = None
    bundle: Bundle | None = None
    hearing: Spread | None = None
    memory: Memory | None = None
    first_token_s: float | None = Field(default=None, ge=0)
    answer_s: float | None = Field(default=None, ge=0)
    notes: list[str] = Field(default_factory=list)
    runs: dict[str, Annotated[list[float], Field(min_length=1)]] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "ESTIMATE":
            for stage in self.stages.values():
                EstimatedStage.model_validate(stage)
            if "hearing" not in self.stages:
                raise ValueError("stages: hearing is missing")
            if self.board == "host":
                raise ValueError("board: host is measured, not estimated")
            return self
        for name in ("machine", "hearing", "first_token_s", "answer_s"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} is missing")
        return self
