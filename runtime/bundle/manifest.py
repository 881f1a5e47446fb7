"""What a bundle says about itself: the model of `manifest.json`, schema version 1.

Only the description lives here. Whether the files on disk keep what it promises is for `verify.py` to say;
writing a manifest is the exporter's work.
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Self

SCHEMA_VERSION: Literal[1] = 1
CLASS_COUNT = 61

MANIFEST_NAME = "manifest.json"
SPATIAL_NAME = "spatial.onnx"
SEMANTIC_NAME = "semantic.onnx"
PROJECTOR_NAME = "projector.onnx"
NAMES_NAME = "names.onnx"
LLM_NAME = "llm.gguf"
MODEL_CARD_NAME = "MODEL_CARD.md"

#: Every file that a bundle must have but the manifest itself.
BUNDLE_FILES: tuple[str, ...] = (SPATIAL_NAME, SEMANTIC_NAME, PROJECTOR_NAME, LLM_NAME, MODEL_CARD_NAME)
#: Files that it may have; no others are accepted.
OPTIONAL_FILES: tuple[str, ...] = (NAMES_NAME,)

ShortText = Annotated[str, Field(min_length=1, max_length=200)]
LongText = Annotated[str, Field(min_length=1, max_length=4000)]
BundleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
BundleVersion = Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+-]{0,63}$")]
LabelKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_().,' -]{0,79}$")]


class _Part(BaseModel):
    """Common settings: unknown keys, NaN and later changes are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(_Part):
    """Fingerprint of one file of the bundle."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Lower-case hexadecimal SHA-256 of the whole file."""
    size: Annotated[int, Field(ge=1, le=64 * 2**30)]
    """Length in bytes."""


class FeatureSettings(_Part):
    """Features the networks were trained on; the defaults are what this runtime computes."""

    sample_rate_hz: Annotated[int, Field(ge=8000, le=48000)] = 16000
    n_fft: Annotated[int, Field(ge=64, le=8192)] = 512
    """Window of the STFT in samples."""
    hop: Annotated[int, Field(ge=1, le=8192)] = 320
    """Step of the STFT in samples."""
    n_mels: Annotated[int, Field(ge=1, le=512)] = 64
    stft_frames_per_encoder_frame: Annotated[int, Field(ge=1, le=16)] = 2
    encoder_frames_per_token: Annotated[int, Field(ge=1, le=100)] = 10
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 25
    """Most audio tokens that one question may look back on."""


class LanguageModel(_Part):
    """What the GGUF file holds."""

    architecture: Literal["llama", "qwen2"]
    hidden: Annotated[int, Field(ge=32, le=32768)]
    """Width of an embedding, which is also the width of the projector's output."""
    context: Annotated[int, Field(ge=64, le=1 << 20)]
    """Longest context in tokens that the model was trained for."""
    quantization: ShortText
    """Name of the weight format, for example `Q8_0`."""


class Measured(_Part):
    """Figures measured at export; the names are free, the unit belongs in the name (`azimuth_error_deg`)."""

    accuracy: dict[ShortText, float] = Field(default_factory=dict)
    speed: dict[ShortText, float] = Field(default_factory=dict)


class Manifest(_Part):
    """`manifest.json`.

    Raises
    ------
    pydantic.ValidationError
        On construction, when anything is missing, unknown or out of range.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: BundleName
    version: BundleVersion
    created_by: Annotated[dict[ShortText, ShortText], Field(min_length=1, max_length=64)]
    """Tool name -> version that wrote this bundle, for example `{"earshot": "0.1.0", "torch": "2.13.0"}`."""
    files: dict[str, FileEntry]
    licences: Annotated[dict[ShortText, LongText], Field(min_length=1, max_length=64)]
    """What is licensed (`weights`, `ESC-50`, ...) -> licence and note."""
    labels: tuple[LabelKey, ...]
    """Class keys; the index is the class id. Sorted, without repetition."""
    features: FeatureSettings = FeatureSettings()
    llm: LanguageModel
    measured: Measured = Measured()
    slots: Annotated[int, Field(ge=1, le=16)] = 4
    """Sources that the spatial network follows at once."""

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names of its files, those that every bundle has first."""
        return tuple(name for name in (*BUNDLE_FILES, *OPTIONAL_FILES) if name in self.files)

    @field_validator("labels")
    @classmethod
    def _labels_are_a_table(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(labels) != CLASS_COUNT:
            raise ValueError(f"{CLASS_COUNT} class keys are needed, not {len(labels)}")
        if list(labels) != sorted(set(labels)):
            raise ValueError("class keys must be sorted and without repetition")
        return labels

    @model_validator(mode="after")
    def _files_are_the_expected_ones(self) -> Self:
        missing = sorted(set(BUNDLE_FILES) - set(self.files))
        unknown = sorted(set(self.files) - {*BUNDLE_FILES, *OPTIONAL_FILES})
        for name in unknown:
            kind = "does not belong in a bundle" if is_plain_name(name) else "is a path, not a plain file name"
            raise ValueError(f"files: {name[:80]!r} {kind}")
        if missing:
            raise ValueError(f"files: no entry for {', '.join(missing)}")
        return self


def is_plain_name(name: str) -> bool:
    """Whether a name stays in its directory on every system: no folder, drive, `..` or absolute path."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return len(posix.parts) == len(windows.parts) == 1 and not windows.drive and name not in ("", ".", "..")
