"""What can be said to `earshot simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ScenarioName = Annotated[str | None, typer.Argument(help="TOML file or name of a shipped scenario.")]
To = Annotated[str | None, typer.Option(help="tcp://HOST:PORT, udp://HOST:PORT, ws://HOST:PORT or pty:PATH.")]
Speed = Annotated[float, typer.Option(help="Factor on true time: 4 plays four times as fast.")]
Fast = Annotated[bool, typer.Option(help="As fast as the listener takes it.")]
Seed = Annotated[int | None, typer.Option(help="In place of the scenario's; 0 or more.", min=0, max=2**32 - 1)]
Shown = Annotated[bool, typer.Option("--show", help="Only show what would happen.")]
Listed = Annotated[bool, typer.Option("--list", help="List the shipped scenarios.")]
Minutes = Annotated[
    float | None, typer.Option(help="Simulated time: with --board, 10; of a scenario, the whole of it.")
]

BoardName = Annotated[str | None, typer.Option(help="Instead: will this board keep up? Needs --profile.")]
Profile = Annotated[Path | None, typer.Option(help="With --board: output of earshot profile --json.")]
AskEvery = Annotated[float, typer.Option(help="With --board: seconds from question to question; 0: none.")]
Threads = Annotated[int, typer.Option(help="With --board: threads of the language model.", min=1)]
IdleW = Annotated[float, typer.Option(help="With --board: power when idle, watts.")]
CoreW = Annotated[float, typer.Option(help="With --board: power of each busy core, watts.")]
KelvinPerW = Annotated[float, typer.Option(help="With --board: warming of the processor, K/W.")]
BatteryWh = Annotated[float, typer.Option(help="With --board: battery, watt hours.")]
Check = Annotated[
    bool, typer.Option("--check", help="With --board host: listen for real and compare; needs no profile.")
]

FaultTable = Annotated[
    bool, typer.Option("--fault-table", help="Instead: each fault by itself, what is told and what directions suffer.")
]
CodecTable = Annotated[
    bool, typer.Option("--codec-table", help="Instead: what Bluetooth codecs do to directions; needs --data.")
]
Data = Annotated[
    Path | None, typer.Option(help="With --codec-table: rendered stems (earshot synth stems --split validation).")
]
Clips = Annotated[int, typer.Option(help="With --codec-table: clips to hear.", min=2)]
Endurance = Annotated[
    bool, typer.Option("--endurance", help="Instead: hear the scenario as fast as it goes, judge memory and faults.")
]
Bundle = Annotated[
    Path | None,
    typer.Option(help="Model bundle of --fault-table, --codec-table and --endurance; the built-in one by default."),
]
