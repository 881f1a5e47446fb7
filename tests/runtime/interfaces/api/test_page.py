"""The web radar in a real browser: it loads, marks move, a question is answered, and it comes back by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earshot.runtime.audio.source import ArraySource
from earshot.runtime.hearing.tracks import TrackSnapshot
from earshot.runtime.interfaces.api.settings import ApiSettings
from earshot.runtime.labels import class_id
from earshot.runtime.listener import Listener, Note
from earshot.runtime.scene.changes import TrackChange
from tests.runtime.hearing.sounds import noise
from tests.runtime.interfaces.api.conftest import TOKEN, Served, running, serving, until

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium here (CHROMIUM names one)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page whose every error and refused resource is kept in `troubles`."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("console", lambda said: page.troubles.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()


def walking(bundle: Path) -> Listener:
    """Noise that goes from the left to the right and back, in true time, for two minutes."""
    sound = noise(120.0, 0.1, 0.1)
    side = 0.9 * np.sin(2 * np.pi * np.arange(sound.shape[1]) / (16_000 * 6.0))
    sound *= np.stack([1 + side, 1 - side]).astype(np.float32)
    return Listener(ArraySource(sound, pace="real"), bundle=bundle)


def test_the_page_shows_the_scene_moves_its_marks_and_answers(whole_bundle: Path, page: Any) -> None:
    with walking(whole_bundle) as listener, running(listener, ApiSettings(port=0)) as served:
        page.goto(served.url)
        page.wait_for_selector(".mark")
        places = "[...document.querySelectorAll('.mark')].map(m => m.getAttribute('transform')).join()"
        before = page.evaluate(places)
        assert until(lambda: page.evaluate("+document.querySelector('.mark .doubt')?.getAttribute('rx') > 0"))
        assert until(lambda: page.evaluate(places) != before)
        assert until(lambda: page.evaluate("/left|right/.test(document.getElementById('sources').textContent)"))
        assert until(lambda: page.evaluate("document.getElementById('spoken').textContent.length > 0"))
        page.fill("#question", "What can you <b>hear</b>?")
        page.press("#question", "Enter")
        assert until(
            lambda: page.evaluate("/\\(\\d.*ms\\)/.test(document.querySelector('#answers .answer').textContent)")
        )
        assert page.text_content("#answers .question") == "What can you <b>hear</b>?"
        assert page.locator("#answers b").count() == 0
        assert "frames" in page.text_content("#health")
        page.wait_for_selector("#timeline .line", state="attached")
        screenshot = os.environ.get("EARSHOT_SCREENSHOT")
        if screenshot:
            page.wait_for_timeout(5000)
            page.screenshot(path=screenshot, full_page=True)
        assert page.troubles == []


def test_what_the_listener_says_is_never_markup(served: Served, page: Any) -> None:
    page.goto(served.url)
    page.wait_for_selector("#health dd")
    served.server.hub.tell(Note("<img src=x onerror=alert(1)><script>document.title='owned'</script>", 1.0))
    assert until(lambda: page.evaluate("document.getElementById('events').textContent.includes('<img')"))
    assert page.locator("#events img, #events script").count() == 0
    assert page.title() == "Earshot"


def test_a_doubtful_kind_and_side_are_said(served: Served, page: Any) -> None:
    page.goto(served.url)
    page.wait_for_selector("#health dd")
    probability = np.zeros(61)
    probability[[class_id("dog"), class_id("cat")]] = 0.4, 0.35
    place = (150.0, 0.0, 2.0, 10.0, True, 0.0, 1.0, np.zeros(36))
    track = TrackSnapshot(7, class_id("dog"), True, 0.4, *place, class_probability=probability)
    served.server.hub.tell(TrackChange("new", 1.0, track))
    said = "dog, or cat: about 30 degrees to your left, in front or behind, about 2 metres away"
    assert until(lambda: page.evaluate("(text) => document.getElementById('events').textContent.includes(text)", said))


def test_it_comes_back_by_itself(whole_bundle: Path, page: Any) -> None:
    with walking(whole_bundle) as listener:
        with running(listener, ApiSettings(port=0)) as first:
            port = first.port
            page.goto(first.url)
            page.wait_for_selector(".mark")
        assert until(lambda: page.evaluate("document.getElementById('state').textContent === 'disconnected'"))
        assert page.locator(".mark").count() == 0
        with running(listener, ApiSettings(port=port)):
            page.wait_for_selector(".mark")
            assert page.text_content("#state") == "playing"


def test_it_asks_for_the_token_or_takes_it_from_the_address(whole_bundle: Path, page: Any) -> None:
    with serving(whole_bundle, ApiSettings(port=0, token=TOKEN)) as served:
        page.goto(served.url)
        page.wait_for_selector("#token")
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_selector("#health dd")
        assert page.locator("#entry").is_hidden()
        page.evaluate("sessionStorage.clear()")
        page.goto("about:blank")
        page.goto(f"{served.url}/#token={TOKEN}")
        page.wait_for_selector("#health dd")
        assert "token" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_is_used_by_keyboard(scheme: str, served: Served, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, color_scheme=scheme, has_touch=True)
    page = context.new_page()
    page.goto(served.url)
    page.wait_for_selector("#health dd")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "ask"
    assert page.evaluate("[...document.querySelectorAll('input')].every(i => i.labels.length > 0)")
    assert page.evaluate(_CONTRAST) >= 4.5
    context.close()


_CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement), parse = (name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    const lin = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2];
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const names = ["--ink", "--dim", "--accent", "--good", "--warn", "--bad"];
  return Math.min(...names.map((name) => ratio(parse(name), parse("--card"))));
}"""
