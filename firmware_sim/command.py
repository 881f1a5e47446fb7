"""`earshot simulate`: a hearable that is not there, for trying the listener without hardware."""

from __future__ import annotations

import json as json_module
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.faults import KIND_INFO, Schedule
from earshot.firmware_sim.hearable import Hearable
from earshot.firmware_sim.radio import Radio
from earshot.firmware_sim.scenario import Scenario, load_scenario, shipped_scenarios
from earshot.firmware_sim.senders import Sender, sender_for
from earshot.runtime.audio.endpoint import Endpoint, parse_endpoint
from earshot.runtime.audio.packets import Kind, PacketDecoder
from earshot.runtime.audio.source import Pacer
from earshot.runtime.errors import UsageError

app = typer.Typer(add_completion=False, help="A hearable that is not there.")


@app.command()
def simulate(
    scenario: Annotated[str | None, typer.Argument(help="TOML file or name of a shipped scenario.")] = None,
    to: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT, udp://HOST:PORT, ws://HOST:PORT or pty:PATH.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Factor on true time: 4 plays four times as fast.")] = 1.0,
    fast: Annotated[bool, typer.Option(help="As fast as the listener takes it.")] = False,
    seed: Annotated[int | None, typer.Option(help="In place of the scenario's; 0 or more.", min=0)] = None,
    shown: Annotated[bool, typer.Option("--show", help="Only show what would happen.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the shipped scenarios.")] = False,
    board: Annotated[str | None, typer.Option(help="Instead: will this board keep up? Needs --profile.")] = None,
    profile: Annotated[Path | None, typer.Option(help="With --board: output of earshot profile --json.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Simulated time: with --board, 10; with --endurance, the whole scenario.")
    ] = None,
    ask_every: Annotated[float, typer.Option(help="With --board: seconds from question to question; 0: none.")] = 30.0,
    threads: Annotated[int, typer.Option(help="With --board: threads of the language model.", min=1)] = 1,
    idle_w: Annotated[float, typer.Option(help="With --board: power when idle, watts.")] = 0.0,
    core_w: Annotated[float, typer.Option(help="With --board: power of each busy core, watts.")] = 0.0,
    kelvin_per_w: Annotated[float, typer.Option(help="With --board: warming of the processor, K/W.")] = 0.0,
    check: Annotated[
        bool, typer.Option("--check", help="With --board host: listen for real and compare; needs no profile.")
    ] = False,
    battery_wh: Annotated[float, typer.Option(help="With --board: battery, watt hours.")] = 0.0,
    faults: Annotated[
        bool,
        typer.Option("--fault-table", help="Instead: each fault by itself, what is told and what directions suffer."),
    ] = False,
    codecs: Annotated[
        bool,
        typer.Option("--codec-table", help="Instead: what Bluetooth codecs do to directions; needs --data."),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="With --codec-table: rendered stems (earshot synth stems --split validation).")
    ] = None,
    clips: Annotated[int, typer.Option(help="With --codec-table: clips to hear.", min=2)] = 80,
    endurance: Annotated[
        bool,
        typer.Option("--endurance", help="Instead: hear the scenario as fast as it goes, judge memory and faults."),
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Model bundle of --fault-table, --codec-table and --endurance; the built-in one by default."),
    ] = None,
) -> None:
    """Render a scenario, pass it through microphones, device and radio, and send it to a listener."""
    if listed:
        _list()
        return
    if board is not None:
        from earshot.firmware_sim import board_check, board_report  # simpy, which a hearable does not need

        asking = board_report.Asking(10.0 if minutes is None else minutes, ask_every, threads)
        if check:
            board_check.show_check(board, asking)
        else:
            board_report.show_board(board, profile, asking, (idle_w, core_w), kelvin_per_w, battery_wh)
        return
    if faults:
        from earshot.firmware_sim import fault_table  # the encoders, which a hearable does not need

        fault_table.show_fault_table(bundle)
        return
    if codecs:
        from earshot.firmware_sim import codec_table

        codec_table.show_codec_table(data, clips, bundle)
        return
    if scenario is None:
        raise UsageError(f"which scenario? a TOML file or one of {', '.join(shipped_scenarios())}")
    loaded = load_scenario(scenario, seed)
    if endurance:
        from earshot.firmware_sim.endurance import show_endurance

        show_endurance(loaded if minutes is None else loaded.beginning(_seconds(minutes, loaded)), bundle)
        return
    _show_schedule(loaded)
    if shown:
        return
    if to is None:
        raise UsageError("where to? add --to tcp://127.0.0.1:9000 and listen with --source tcp://127.0.0.1:9000")
    _stream(loaded, parse_endpoint(to), Pacer("fast" if fast else "real", speed))


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
    pacer.start()
    schedule = scenario.schedule()
    radio = Radio(scenario.link, schedule, scenario.seed)
    sender = sender_for(endpoint)
    untaken = 0
    try:
        typer.echo(f"waiting for a listener: earshot listen --source {endpoint.text}", err=True)
        if not sender.wait_for_listener(threading.Event().is_set):
            return
        for time_s, data in _messages(scenario, schedule, radio, endpoint):
            pacer.wait_for(time_s)
            untaken += not _sent(sender, data)
    finally:
        sender.close()
    document = {"scenario": scenario.title, "duration_s": scenario.duration_s, "faults": len(schedule.faults)}
    typer.echo(json_module.dumps({**document, **radio.done, "untaken": untaken}))


def _sent(sender: Sender, data: bytes) -> bool:
    return not data or sender.send(data)


def _messages(
    scenario: Scenario, schedule: Schedule, radio: Radio, endpoint: Endpoint
) -> Iterator[tuple[float, bytes]]:
    """Time and bytes of what the listener gets: packets, or the bare samples in them."""
    bare = endpoint.wire.format == "s16le"
    if bare and endpoint.wire.rate != scenario.device.sample_rate_hz:
        rate_hz = scenario.device.sample_rate_hz
        raise UsageError(f"{endpoint.text}: this device samples at {rate_hz} Hz; write rate={rate_hz}")
    if bare and endpoint.wire.channels != 2:
        raise UsageError(f"{endpoint.text}: this device has 2 channels; write channels=2")
    for arrival in radio.carry(Hearable(scenario, schedule).packets()):
        yield arrival.time_s, _bare_samples(arrival.data) if bare else arrival.data


def _bare_samples(data: bytes) -> bytes:
    decoder = PacketDecoder()
    found = decoder.feed(data) + decoder.flush()
    return b"".join(packet.payload for packet in found if packet.header.kind == Kind.AUDIO)
