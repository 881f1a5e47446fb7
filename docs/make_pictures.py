"""Draws the pictures of the README: the demo scene as the built-in model hears it. Usage: python docs/make_pictures.py

The web radar needs a Chromium (CHROMIUM names one) and the extra `dev`; without them its old picture stays.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from earshot.runtime.demo.scene import render_demo

OUT = Path(__file__).parent / "images"
PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ROUNDS = 100
"""The browser may take its time to start."""
MARKS = "document.querySelectorAll('.mark').length"


def main() -> None:
    """Write images/scene.png and images/radar.png."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        audio, longer = Path(folder) / "demo.wav", Path(folder) / "kitchen.wav"
        soundfile.write(audio, render_demo().T, 16_000)
        soundfile.write(longer, np.tile(render_demo(), (1, ROUNDS)).T, 16_000)
        subprocess.run([*PROGRAM, "render", str(audio), "--out", str(OUT / "scene.png")], check=True)
        if CHROMIUM is not None:
            draw_radar(longer, OUT / "radar.png")


def draw_radar(audio: Path, out: Path) -> None:
    """The web radar in the middle of a scene, with a question answered."""
    command = [*PROGRAM, "serve", "--source", audio.name, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=audio.parent) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            photograph(found[0], out)
        finally:
            server.terminate()


def photograph(address: str, out: Path) -> None:
    """The page in a real browser, once it has something to show."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 760}, color_scheme="dark")
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector("#health dd")
        page.wait_for_timeout(20_000)  # so that the timeline has something to show
        page.fill("#question", "Where is the bird?")
        page.press("#question", "Enter")
        page.wait_for_selector("#answers .answer")
        page.wait_for_function(f"() => {MARKS} >= 1")
        page.screenshot(path=out, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
