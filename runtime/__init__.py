"""The product: hears a binaural stream, keeps a scene, answers questions. numpy, onnxruntime and llama.cpp only; never torch.

`Listener`, `Scene` and `Answer` are the Python interface; they are loaded when they are first asked for, so that
`earshot --help` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
