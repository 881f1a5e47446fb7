"""The real thing: `earshot listen` on a real PortAudio stream from a virtual microphone, in true time.

A source moves and is followed, a question is answered meanwhile, and each way to lose a microphone heals by itself.
Run alone: pytest -m live_audio
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earshot.runtime.demo.head import Room, binaural
from earshot.runtime.demo.sounds import alarm_beeps
from tests.runtime.audio.ears import RATE_HZ, healthy_ears

pytestmark = [pytest.mark.live_audio, pytest.mark.slow, pytest.mark.xdist_group("live_audio")]

LIMIT_S = 30.0
WALK_S = 5.0
QUIET_S = 4.0
REMAP = (
    "pactl load-module module-remap-source source_name=earmic master=earsink.monitor channels=2 remix=no "
    "channel_map=front-left,front-right master_channel_map={map}"
)
STRAIGHT, CROSSED = "front-left,front-right", "front-right,front-left"
UNLOAD = "pactl unload-module $(pactl list short modules | grep source_name=earmic | cut -f1)"
OUR_STREAM = "$(pactl list short source-outputs | grep protocol-native | cut -f1 | tail -n 1)"

World = dict[str, str]


def shell(world: World, command: str) -> None:
    subprocess.run(["sh", "-c", command], env=world, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S)


def play(world: World, path: Path, sink: str = "earsink", repeat: int = 1) -> subprocess.Popen[bytes]:
    loop = f'for i in $(seq {repeat}); do paplay -d {sink} --latency-msec=30 "{path}" || exit; done'
    return subprocess.Popen(["sh", "-c", loop], env=world, stdout=subprocess.DEVNULL, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process started in its own session, with its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(LIMIT_S)


class Listen:
    """`earshot listen --json` as a process: its events, and questions to it."""

    def __init__(self, world: World) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "earshot.runtime.interfaces.cli", "listen", "--device", "earmic", "--json"],
            env=world,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self._arriving: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._arriving.put(json.loads(line))

    def ask(self, question: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next event of this kind; those before it are kept in `events`."""
        deadline_s = time.monotonic() + LIMIT_S
        while True:
            try:
                event = self._arriving.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self.process.poll()}; only heard {self.events[-5:]}") from None
            self.events.append(event)
            if wanted(event):
                return event

    def wait_for_state(self, state: str) -> dict[str, Any]:
        return self.wait_for(lambda event: event.get("state") == state)

    def heals_after(self, fault: Callable[[], None], cure: Callable[[], None], *states: str) -> list[dict[str, Any]]:
        """What capture says between a fault and sound again: through `states`, in order, to listening."""
        told = []
        fault()
        for state in states:
            told.append(self.wait_for_state(state))
        cure()
        return [*told, self.wait_for_state("listening")]


@pytest.fixture(scope="module")
def listen(sound_world: World) -> Iterator[Listen]:
    listener = Listen(sound_world)
    listener.wait_for_state("listening")
    yield listener
    listener.process.send_signal(signal.SIGINT)
    assert listener.process.wait(LIMIT_S) == 130


@pytest.fixture(scope="module")
def murmur(sound_world: World, listen: Listen) -> Iterator[None]:
    """Faint noise without end, so that a healthy microphone never gives digital zeros."""
    noise = "head -c 60000000 /dev/urandom | pacat -d earsink --raw --rate=48000 --volume=3000 --latency-msec=30"
    player = subprocess.Popen(["sh", "-c", noise], env=sound_world, stderr=subprocess.DEVNULL, start_new_session=True)
    yield
    stop(player)


def walk_past(path: Path) -> None:
    """An alarm clock that is carried from the left ear past the front to the right."""
    sound, count = 0.5 * alarm_beeps(WALK_S), 14
    ears = np.zeros((2, len(sound) + RATE_HZ))
    step = len(sound) // count
    window = np.hanning(2 * step + 1)[: 2 * step]
    for number in range(count - 1):
        start = number * step
        piece = binaural(
            sound[start : start + 2 * step] * window, 80.0 - 160.0 * number / (count - 2), 0.0, 1.2, Room(order=1)
        )
        ears[:, start : start + piece.shape[1]] += piece[:, : ears.shape[1] - start]
    ears += 1e-3 * np.random.default_rng(0).standard_normal(ears.shape)
    soundfile.write(path, (0.25 * ears / np.abs(ears).max()).T, RATE_HZ)


def test_a_moving_source_is_followed_and_a_question_answered_meanwhile(
    sound_world: World, listen: Listen, tmp_path: Path
) -> None:
    walk_past(tmp_path / "walk.wav")
    player = play(sound_world, tmp_path / "walk.wav")
    first = listen.wait_for(lambda event: event["event"] == "new")
    listen.ask("What can you hear?")
    answer = listen.wait_for(lambda event: event["event"] == "answer")
    listen.wait_for(lambda event: event["event"] in ("new", "moved") and event["azimuth_deg"] < -20)
    player.wait(LIMIT_S)
    assert answer["question"] == "What can you hear?"
    assert answer["answer"]
    assert answer["time_s"] >= first["time_s"]
    assert first["azimuth_deg"] > 20


def test_a_sound_after_a_long_quiet_is_told(sound_world: World, listen: Listen, murmur: None, tmp_path: Path) -> None:
    """The encoders rest by then, and sound is looked for seldom.

    The first estimate, of a tenth of a second, may be anywhere: where the walk begins is told by it or the next.
    """
    walk_past(tmp_path / "walk.wav")
    time.sleep(QUIET_S)
    begins = len(listen.events)
    player = play(sound_world, tmp_path / "walk.wav")
    listen.wait_for(lambda event: event["event"] == "new")
    begun = [event for event in listen.events[begins:] if event.get("azimuth_deg", 0) > 20]
    if not begun:
        listen.wait_for(lambda event: event["event"] in ("new", "moved") and event["azimuth_deg"] > 20)
    listen.wait_for(lambda event: event["event"] in ("new", "moved") and event["azimuth_deg"] < -20)
    player.wait(LIMIT_S)
    # A machine that also runs other tests may lag; it must not think the microphone lost.
    lost = [event for event in listen.events[begins:] if event.get("state") in ("deaf", "reconnecting")]
    assert not lost


def test_a_muted_microphone_heals(sound_world: World, listen: Listen, murmur: None) -> None:
    told = listen.heals_after(
        lambda: shell(sound_world, "pactl set-source-mute earmic 1"),
        lambda: shell(sound_world, "pactl set-source-mute earmic 0"),
        "deaf",
    )
    assert "not muted" in told[0]["text"]


def test_a_suspended_microphone_heals(sound_world: World, listen: Listen, murmur: None) -> None:
    listen.heals_after(
        lambda: shell(sound_world, "pactl suspend-source earmic 1"),
        lambda: shell(sound_world, "pactl suspend-source earmic 0"),
        "deaf",
        "reconnecting",
    )


def test_a_stream_moved_to_another_microphone_comes_back(sound_world: World, listen: Listen, murmur: None) -> None:
    told = listen.heals_after(
        lambda: shell(sound_world, f"pactl move-source-output {OUR_STREAM} deskmic"), lambda: None, "reconnecting"
    )
    assert "moved the recording to" in told[0]["text"]


def test_an_unplugged_microphone_is_waited_for(sound_world: World, listen: Listen, murmur: None) -> None:
    told = listen.heals_after(
        lambda: shell(sound_world, UNLOAD),
        lambda: shell(sound_world, REMAP.format(map=STRAIGHT)),
        "reconnecting",
        "reconnecting",
    )
    assert "waiting for microphone 'earmic'" in told[1]["text"]


def wear(world: World, listen: Listen, channel_map: str) -> None:
    """Plug the ears in anew, and wait until they are listened to again: the next fault must not come before."""
    listen.heals_after(
        lambda: shell(world, UNLOAD), lambda: shell(world, REMAP.format(map=channel_map)), "reconnecting"
    )


def test_swapped_and_dead_ears_are_reported(sound_world: World, listen: Listen, murmur: None, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "ears.wav", healthy_ears().T, RATE_HZ)
    wear(sound_world, listen, CROSSED)
    shell(sound_world, "pactl set-source-volume deskmic 100% 0%")
    players = [play(sound_world, tmp_path / "ears.wav", sink, repeat=10) for sink in ("earsink", "desksink")]
    try:
        swapped, dead = EarCheck(sound_world, "earmic"), EarCheck(sound_world, "deskmic")
        assert swapped.result() == (5, ["swapped-ears"])
        assert dead.result() == (5, ["dead-right"])
    finally:
        for player in players:
            stop(player)
        wear(sound_world, listen, STRAIGHT)


class EarCheck:
    """`earshot doctor --audio` on a virtual microphone, begun and not waited for."""

    def __init__(self, world: World, device: str) -> None:
        command = [sys.executable, "-m", "earshot.runtime.interfaces.cli", "doctor", "--audio", "--json"]
        self._process = subprocess.Popen([*command, "--device", device], env=world, stdout=subprocess.PIPE)

    def result(self) -> tuple[int, list[str]]:
        """Exit code and findings."""
        said, _ = self._process.communicate(timeout=LIMIT_S)
        return self._process.returncode, [check["name"] for check in json.loads(said)["checks"]]


def test_an_ended_sound_server_is_waited_for(sound_world: World, listen: Listen, murmur: None) -> None:
    starters: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        starters.append(subprocess.Popen([sound_world["VIRTUAL_MIC_START"]], env=sound_world))

    try:
        listen.heals_after(
            lambda: os.kill(int(sound_world["VIRTUAL_MIC_PID"]), signal.SIGKILL), restart, "deaf", "reconnecting"
        )
    finally:
        for starter in starters:
            starter.terminate()
            starter.wait(LIMIT_S)
