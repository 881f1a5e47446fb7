"""Inputs by name: whole names before parts, card numbers do not count, one channel is not two ears."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.portaudio import InputDevice, choose_rate, find_input, list_inputs, quiet_stderr
from earshot.runtime.errors import DeviceError
from tests.runtime.audio.fake_portaudio import Card, FakePortAudio


def device(name: str, channels: int = 2, index: int = 0, default: bool = False) -> InputDevice:
    return InputDevice(index, name, "ALSA", channels, 48_000, default)


def test_a_card_number_that_changed_does_not_matter() -> None:
    again = [device("HDA Intel: ALC (hw:0,0)"), device("In-Ear USB: Audio (hw:3,0)", index=7)]
    assert find_input(again, "In-Ear USB: Audio (hw:1,0)").index == 7
    assert find_input(again, "in-ear usb").index == 7


def test_a_whole_name_wins_over_a_part() -> None:
    assert find_input([device("ears, old"), device("Ears", index=1)], "ears").index == 1


def test_the_same_device_under_two_host_systems_is_no_doubt() -> None:
    assert find_input([device("Ears", 1), device("Ears", 2, index=4)], "ears").index == 4


@pytest.mark.parametrize(
    ("devices", "name", "words"),
    [
        ([], None, "no audio input found"),
        ([device("a")], None, "no default audio input; name one with --device: 'a'"),
        ([device("a"), device("b")], "c", "no audio input is called 'c'; there are: 'a', 'b'"),
        ([device("USB one"), device("USB two")], "usb", "fits several audio inputs: 'USB one', 'USB two'"),
        ([device("headset", 1)], "headset", "one channel only; a direction needs two ears"),
        ([device("headset", 1, default=True)], None, "one channel only"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(devices: list[InputDevice], name: str | None, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find_input(devices, name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_inputs_that_cannot_be_read_from_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    sounddevice = FakePortAudio(Card("ears"))
    monkeypatch.setattr(sounddevice, "query_hostapis", lambda: [{"name": "Windows DirectSound"}])
    assert list_inputs(sounddevice) == []


@given(
    st.lists(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), min_size=1, unique_by=str.casefold
    )
)
def test_every_listed_name_finds_its_own_device(names: list[str]) -> None:
    devices = [device(name, index=k) for k, name in enumerate(names)]
    assert [find_input(devices, name).index for name in names] == list(range(len(names)))


@pytest.mark.parametrize(
    ("rates", "own", "chosen"),
    [((44_100, 48_000), 44_100, 48_000), ((16_000, 44_100), 44_100, 44_100), ((8_000,), 8_000, 8_000)],
)
def test_the_rate_falls_back_to_what_the_device_takes(rates: tuple[int, ...], own: int, chosen: int) -> None:
    sounddevice = FakePortAudio(Card("ears", rates_hz=rates, default_rate_hz=own))
    (found,) = list_inputs(sounddevice)
    assert choose_rate(sounddevice, found) == chosen


def test_a_device_that_takes_no_rate_is_refused() -> None:
    sounddevice = FakePortAudio(Card("ears", rates_hz=()))
    with pytest.raises(DeviceError, match="check that no other program holds it"):
        choose_rate(sounddevice, list_inputs(sounddevice)[0])


def test_native_noise_is_kept_off_the_terminal_and_ours_comes_back(tmp_path: Path) -> None:
    kept = os.dup(2)
    with (tmp_path / "terminal").open("wb") as terminal:
        os.dup2(terminal.fileno(), 2)
        try:
            with quiet_stderr():
                os.write(2, b"ALSA lib confmisc.c")
            os.write(2, b"ours")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    assert (tmp_path / "terminal").read_bytes() == b"ours"
