"""`earshot simulate`: a hearable that is not there, for trying the listener without hardware."""

from __future__ import annotations

import json as json_module
import threading
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim import options as given
from earshot.firmware_sim.faults import KIND_INFO
from earshot.firmware_sim.radio import Radio
from earshot.firmware_sim.scenario import Scenario, load_scenario, shipped_scenarios
from earshot.firmware_sim.senders import Sender, sender_for
from earshot.firmware_sim.source import arrivals_of
from earshot.runtime.audio.endpoint import Endpoint, parse_endpoint
from earshot.runtime.audio.packets import Kind, PacketDecoder
from earshot.runtime.audio.source import Pacer
from earshot.runtime.errors import UsageError

app = typer.Typer(add_completion=False, help="A hearable that is not there.")


@app.command()
def simulate(
    scenario: given.ScenarioName = None, to: given.To = None, speed: given.Speed = 1.0, fast: given.Fast = False,
    seed: given.Seed = None, shown: given.Shown = False, listed: given.Listed = False,
    board: given.BoardName = None, profile: given.Profile = None, minutes: given.Minutes = None,
    ask_every: given.AskEvery = 30.0, threads: given.Threads = 1, idle_w: given.IdleW = 0.0, core_w: given.CoreW = 0.0,
    kelvin_per_w: given.KelvinPerW = 0.0, check: given.Check = False, battery_wh: given.BatteryWh = 0.0,
    faults: given.FaultTable = False, codecs: given.CodecTable = False, data: given.Data = None, clips: given.Clips = 80,
    endurance: given.Endurance = False, bundle: given.Bundle = None,
) -> None:  # fmt: skip
    """Render a scenario, pass it through microphones, device and radio, and send it to a listener."""
    if board is None and (check or profile is not None):
        raise UsageError(f"{'--check' if check else '--profile'} is only for --board, as --board host")
    if listed:
        _list()
    elif board is not None:
        from earshot.firmware_sim import board_check, board_report  # simpy, which a hearable does not need

        asking = board_report.Asking(10.0 if minutes is None else minutes, ask_every, threads)
        if check:
            board_check.show_check(board, asking)
        else:
            board_report.show_board(board, profile, asking, (idle_w, core_w), kelvin_per_w, battery_wh)
    elif faults:
        from earshot.firmware_sim import fault_table  # the encoders, which a hearable does not need

        fault_table.show_fault_table(bundle)
    elif codecs:
        from earshot.firmware_sim import codec_table

        codec_table.show_codec_table(data, clips, bundle)
    else:
        loaded = _loaded(scenario, seed)
        if minutes is not None:
            loaded = loaded.beginning(_seconds(minutes, loaded))
        if endurance:
            from earshot.firmware_sim.endurance import show_endurance

            show_endurance(loaded, bundle)
        else:
            _play(loaded, shown, to, Pacer("fast" if fast else "real", speed))


def _loaded(name: str | None, seed: int | None) -> Scenario:
    if name is None:
        raise UsageError(f"which scenario? a TOML file or one of {', '.join(shipped_scenarios())}")
    return load_scenario(name, seed)


def _play(scenario: Scenario, shown: bool, to: str | None, pacer: Pacer) -> None:
    """Show what will happen, and unless that is all, send it."""
    _show_schedule(scenario)
    if shown:
        return
    if to is None:
        raise UsageError("where to? add --to tcp://127.0.0.1:9000 and listen with --source tcp://127.0.0.1:9000")
    _stream(scenario, parse_endpoint(to), pacer)


def _seconds(minutes: float, scenario: Scenario) -> float:
    longest = scenario.duration_s / 60
    if not 0 < minutes <= longest:
        raise UsageError(f"--minutes {minutes:g}: this scenario has {longest:g}; from above 0 to that work")
    return 60 * minutes


def _list() -> None:
    table = Table("scenario", "seconds", "what")
    for name in shipped_scenarios():
        loaded = load_scenario(name)
        table.add_row(name, f"{loaded.duration_s:.0f}", loaded.title)
    Console().print(table)


def _show_schedule(scenario: Scenario) -> None:
    """What will go wrong, and when."""
    console = Console()
    console.print(f"{scenario.title or 'scenario'}: {scenario.duration_s:.0f} s, {len(scenario.sources)} sources")
    faults = scenario.schedule().faults
    if not faults:
        return
    table = Table("from s", "to s", "fault", "strength", "meaning")
    for fault in faults:
        meaning = KIND_INFO[fault.kind].meaning
        strength = f"{fault.value:.3g}" if meaning else ""
        table.add_row(f"{fault.start_s:.1f}", f"{fault.end_s:.1f}", fault.kind, strength, meaning)
    console.print(table)


def _stream(scenario: Scenario, endpoint: Endpoint, pacer: Pacer) -> None:
    """Send it all; ends with one JSON document."""
    _check_wire(scenario, endpoint)
    pacer.start()
    schedule = scenario.schedule()
    radio = Radio(scenario.link, schedule, scenario.seed)
    sender = sender_for(endpoint)
    untaken = 0
    try:
        typer.echo(f"waiting for a listener: earshot listen --source {endpoint.text}", err=True)
        if not sender.wait_for_listener(threading.Event().is_set):
            return
        for time_s, data in _messages(scenario, radio, endpoint):
            pacer.wait_for(time_s)
            untaken += not _sent(sender, data)
    finally:
        sender.close()
    document = {"scenario": scenario.title, "duration_s": scenario.duration_s, "faults": len(schedule.faults)}
    typer.echo(json_module.dumps({**document, **radio.done, "untaken": untaken}))


def _sent(sender: Sender, data: bytes) -> bool:
    return not data or sender.send(data)


def _check_wire(scenario: Scenario, endpoint: Endpoint) -> None:
    """What an address says of bare samples must be true; known before a listener is waited for."""
    if endpoint.wire.format != "s16le":
        return
    rate_hz = scenario.device.sample_rate_hz
    if endpoint.wire.rate != rate_hz:
        raise UsageError(f"{endpoint.text}: this device samples at {rate_hz} Hz; write rate={rate_hz}")
    if endpoint.wire.channels != 2:
        raise UsageError(f"{endpoint.text}: this device has 2 channels; write channels=2")


def _messages(scenario: Scenario, radio: Radio, endpoint: Endpoint) -> Iterator[tuple[float, bytes]]:
    """Time and bytes of what the listener gets: packets, or the bare samples in them."""
    bare = endpoint.wire.format == "s16le"
    for arrival in arrivals_of(scenario, radio):
        yield arrival.time_s, _bare_samples(arrival.data) if bare else arrival.data


def _bare_samples(data: bytes) -> bytes:
    decoder = PacketDecoder()
    found = decoder.feed(data) + decoder.flush()
    return b"".join(packet.payload for packet in found if packet.header.kind == Kind.AUDIO)
