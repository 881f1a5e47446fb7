"""Which microphone PulseAudio or PipeWire really gives us.

A sound server may move a stream to another microphone without telling PortAudio, and it makes two equal channels
of a mono microphone. Only the server knows; it is asked through its own tool `pactl`. Where there is none (other
systems, plain ALSA) nothing is known and nothing is claimed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_LIMIT_S = 2.0
_ENGLISH = {"LC_ALL": "C"}


@dataclass(frozen=True)
class PulseSource:
    """A microphone of the sound server: its stable name, what people call it, and its channels."""

    name: str
    description: str
    channels: int


def attached_source(process_id: int) -> PulseSource | None:
    """The microphone that a process records from; None when it is not known."""
    streams, sources = _ask("source-outputs"), _ask("sources")
    ours = [s for s in streams if s.get("properties", {}).get("application.process.id") == str(process_id)]
    if not ours:
        return None
    for source in sources:
        if source.get("index") == ours[-1].get("source"):
            return PulseSource(source["name"], source.get("description") or source["name"], _channels(source))
    return None


class PulseWatch:
    """Notices that something about recording has changed in the sound server, without asking it again and again."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def watching(self) -> bool:
        """Whether a sound server answers."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Begin to watch, or begin again when the server was gone; without `pactl` nothing happens."""
        if self.watching:
            return
        self.close()
        tool = shutil.which("pactl")
        if tool is None:
            return
        self._process = subprocess.Popen(
            [tool, "subscribe"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENGLISH},
        )
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)

    def changed(self) -> bool:
        """Whether a microphone or a recording has changed since the last call."""
        if self._process is None or self._process.stdout is None:
            return False
        said = b""
        with suppress(OSError):
            said = self._process.stdout.read() or b""
        return b"source" in said

    def close(self) -> None:
        """Stop watching; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _ask(what: str) -> list[dict[str, Any]]:
    """One list of the server; empty when it cannot be had."""
    tool = shutil.which("pactl")
    if tool is None:
        return []
    try:
        done = subprocess.run(
            [tool, "--format=json", "list", what],
            capture_output=True,
            timeout=_LIMIT_S,
            check=True,
            env={**os.environ, **_ENGLISH},
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _channels(source: dict[str, Any]) -> int:
    """Of a sample specification such as "s16le 2ch 48000Hz"; 2 when it cannot be read."""
    for word in str(source.get("sample_specification", "")).split():
        if word.endswith("ch") and word[:-2].isdigit():
            return int(word[:-2])
    return 2
