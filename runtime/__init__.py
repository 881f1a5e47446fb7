"""The product: hears a binaural stream, keeps a scene, answers questions. numpy, onnxruntime and llama.cpp only; never torch.

`Listener`, `Scene` and `Answer` are the Python interface; they are loaded when they are first asked for, so that
`earshot --help` stays fast.

ONNX Runtime 1.29 and later reports its use to its makers and keeps an identifier of the machine in the user's cache folder,
unless this variable forbids it before it is first imported. Nothing leaves the machine: here is before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from earshot.runtime.language.answerer import Answer
    from earshot.runtime.listener import Listener
    from earshot.runtime.scene.now import Scene

__all__ = ["Answer", "Listener", "Scene"]


def __getattr__(name: str) -> Any:
    """The public names, at first use."""
    if name in __all__:
        from earshot.runtime import listener

        return getattr(listener, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
