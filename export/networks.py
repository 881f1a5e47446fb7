"""Where trained networks come from: registered loaders, so that the exporter knows no trainer."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer
from torch import nn

from earshot.runtime.errors import EarshotError, InputError, UsageError

ENTRY_POINT_GROUP = "earshot.networks"
NAMES_WEIGHTS = Path("names") / "model.safetensors"
"""Where a checkpoint has a names network."""


class Networks(Protocol):
    """The networks of one checkpoint, on the CPU.

    Attributes
    ----------
    semantic, spatial : nn.Module
        Streaming encoders: `initial_state()` and `step(...)`.
    projector : nn.Module
        From pooled features to embeddings of the language model's width.
    llm : nn.Module
        Hugging Face causal language model.
    tokenizer_path : Path
        Its `tokenizer.json`.

    Notes
    -----
    `names`, an nn.Module or None, may be among them (`names_of`): samples [1, 15600] in, logits [1, 61] and trust [1] out.
    """

    @property
    def semantic(self) -> nn.Module: ...

    @property
    def spatial(self) -> nn.Module: ...

    @property
    def projector(self) -> nn.Module: ...

    @property
    def llm(self) -> nn.Module: ...

    @property
    def tokenizer_path(self) -> Path: ...


def names_of(networks: Networks) -> nn.Module | None:
    """The names network of a checkpoint; many have none."""
    found: nn.Module | None = getattr(networks, "names", None)
    return found


def load_networks(checkpoint: Path, loader: str = "default") -> Networks:
    """Turn a checkpoint into networks.

    Parameters
    ----------
    checkpoint : Path
        Directory that a training stage wrote.
    loader : str
        Name in the entry point group `earshot.networks`.

    Raises
    ------
    InputError
        When the checkpoint is missing or unusable.
    UsageError
        When no such loader is installed.
    """
    if not checkpoint.is_dir():
        raise InputError(f"{checkpoint}: no such checkpoint; give a directory that 'earshot train' wrote")
    entries = _loaders()
    if loader not in entries:
        known = ", ".join(sorted(entries)) or "none is installed; pip install 'earshot[train]'"
        raise UsageError(f"no loader named {loader!r} for checkpoints; known: {known}")
    try:
        networks: Networks = entries[loader].load()(checkpoint)
    except (EarshotError, ImportError):  # says what is wrong; a missing extra
        raise
    except Exception as error:  # a damaged file can make libraries that read it fail in any way
        raise InputError(f"{checkpoint}: not a usable checkpoint ({_in_one_line(error)})") from error
    _demand_tokenizer(networks.tokenizer_path)
    if (checkpoint / NAMES_WEIGHTS).is_file() and names_of(networks) is None:
        raise InputError(
            f"{checkpoint / NAMES_WEIGHTS}: the loader {loader!r} does not read it; move it away to export without"
        )
    return networks


def _demand_tokenizer(path: Path) -> None:
    """It is only needed when the encoders have been made: minutes later."""
    try:
        Tokenizer.from_buffer(path.read_bytes())
    except Exception as error:  # tokenizers raises nothing more special
        reason = error.strerror if isinstance(error, OSError) else _in_one_line(error)
        raise InputError(f"{path}: no tokenizer can be read ({reason}); take another checkpoint") from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _loaders() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group=ENTRY_POINT_GROUP)}
