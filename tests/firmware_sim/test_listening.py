"""`earshot listen --source sim:...` as a user runs it, on tiny networks and on the shipped ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from earshot.firmware_sim.scenario import shipped_scenarios
from earshot.runtime.interfaces import cli
from tests.runtime.whole_bundle import write_whole_bundle

SCENARIO = """
duration_s = 5.0
[[sources]]
label = "rain"
level_db = -20.0
path = [{ azimuth_deg = 60.0, distance_m = 1.5 }]
[[faults]]
kind = "loss"
start_s = 1.0
duration_s = 1.0
value = 0.5
[[faults]]
kind = "stall"
start_s = 3.0
duration_s = 1.5
"""


def test_listen_hears_a_simulated_device_and_tells_what_is_wrong_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").mkdir()
    bundle = write_whole_bundle(tmp_path / "bundle")
    (tmp_path / "bad.toml").write_text(SCENARIO, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    source = f"sim:{tmp_path / 'bad.toml'}"
    code = cli.run(["listen", "--source", source, "--speed", "10", "--bundle", str(bundle), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    text = captured.out
    events = [json.loads(line) for line in text.splitlines()]
    told = " ".join(event.get("text", "") for event in events)
    for words in ("hearing sim:", "lost on the way", "no sound has come", "sound is back"):
        assert words in told


@pytest.mark.parametrize("name", shipped_scenarios())
def test_every_shipped_scenario_is_heard_by_the_shipped_bundle(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code = cli.run(["listen", "--source", f"sim:{name}?seconds=4", "--speed", "1000", "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert any("hearing sim:" in event.get("text", "") for event in events)


@pytest.mark.parametrize(
    ("spec", "help_"),
    [
        ("kitchen?second=3", "unknown option 'second'; write it as sim:kitchen?seconds=20"),
        ("kitchen?seconds=61", "from above 0 to 60 work"),
        ("kitchen?seconds=some", "from above 0 to 60 work"),
    ],
)
def test_a_wrong_option_is_one_line(spec: str, help_: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["listen", "--source", f"sim:{spec}"]) == 2
    assert help_ in capsys.readouterr().err
