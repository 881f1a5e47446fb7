"""What other packages add to `earshot profile`: estimates for boards, and alternatives to measure beside ours.

They come from the entry point group `earshot.profiling`, so that the runtime imports neither. `board` is called
with the name of the board, the bundle and the samples, `alternatives` with the bundle and the samples; both return
a document.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from earshot.runtime.errors import UsageError

ENTRY_POINT_GROUP = "earshot.profiling"
BOARD_MODELS = {
    "pi4": "Raspberry Pi 4",
    "pi5": "Raspberry Pi 5",
    "zero2w": "Raspberry Pi Zero 2",
    "rk3588": "RK3588",
}
"""How the device tree of a board names it, in part."""
BOARDS = ("host", *BOARD_MODELS)


class NotSetUpError(UsageError):
    """What an estimate needs is not set up on this machine; nothing else is wrong."""


def is_here(board: str, model: str) -> bool:
    """Whether this machine is that board, by the `model` of its device tree or processor."""
    return board == "host" or BOARD_MODELS[board].lower() in model.lower()


def load_added(name: str, option: str) -> Any:
    """The function that another package registered.

    Raises
    ------
    NotSetUpError
        When there is none.
    """
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            return entry.load()
    raise NotSetUpError(f"{option}: not part of this installation; install earshot again")


def estimate(board: str, bundle: Path, samples: Any) -> dict[str, Any]:
    """Estimate the profile of a board that is not here."""
    document: dict[str, Any] = load_added("board", f"--board {board}")(board, bundle, samples)
    return document


def alternatives(bundle: Path, samples: Any) -> dict[str, Any]:
    """Measure what one would take instead."""
    document: dict[str, Any] = load_added("alternatives", "--alternatives")(bundle, samples)
    return document
