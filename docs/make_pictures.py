"""Draws the pictures of the README: the demo scene as the built-in model hears it. Usage: python docs/make_pictures.py"""

import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

from earshot.runtime.demo.scene import render_demo

OUT = Path(__file__).parent / "images"


def main() -> None:
    """Write images/scene.png."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "demo.wav"
        soundfile.write(audio, render_demo().T, 16_000)
        command = [sys.executable, "-m", "earshot.runtime.interfaces.cli", "render", str(audio)]
        subprocess.run([*command, "--out", str(OUT / "scene.png")], check=True)


if __name__ == "__main__":
    main()
