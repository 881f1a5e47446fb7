"""Weights and settings of networks on disk: safetensors and JSON, written whole, read with an error that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from earshot.runtime.errors import InputError
from earshot.training.files import replace_file, replace_text


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a ``.safetensors`` file."""

    def write(part: Path) -> None:
        part.touch()
        mode = part.stat().st_mode
        save_file(dict(tensors), part, metadata)
        part.chmod(mode)  # the library's files are for their owner only

    replace_file(path, write)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a ``.safetensors`` file.

    Raises
    ------
    FileNotFoundError
        There is none.
    InputError
        It is damaged.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: damaged, no weights can be read ({error}); take another checkpoint") from error
    return tensors


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path, whole: bool = True) -> None:
    """Give a network the weights of a file; if not `whole`, the file may lack some.

    Raises
    ------
    InputError
        They are those of another network.
    """
    try:
        network.load_state_dict(dict(tensors), strict=whole)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: the weights of another network ({reason})") from error


def save_settings(settings: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file."""
    replace_text(path, json.dumps(dict(settings), indent=1, default=str))


def load_settings(path: Path) -> dict[str, Any]:
    """Read a JSON file.

    Raises
    ------
    FileNotFoundError
        There is none.
    InputError
        It is damaged.
    """
    try:
        settings: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged, no settings can be read ({error}); take another checkpoint") from error
    return settings
