"""The `earshot` program: every way to fail is one line on stderr and the promised exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from earshot.runtime.errors import BundleError, DeviceError, EarshotError, InputError, UsageError
from earshot.runtime.interfaces import cli, registry, start
from tests.runtime.bundle.making import edit_manifest, make_bundle

PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Make `earshot demo` run a function of the test."""
    return lambda function: monkeypatch.setattr(registry, "_runtime_target", lambda name: function)


def failing(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("earshot: ")
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EarshotError("broken"), 1),
        (UsageError("broken"), 2),
        (InputError("broken"), 3),
        (BundleError("broken"), 4),
        (DeviceError("broken\nand [red]more"), 5),
    ],
)
def test_errors_for_people_are_one_line_and_their_exit_code(
    error: EarshotError, code: int, stand_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(failing(error))
    assert cli.run(["demo"]) == code
    assert "broken" in one_line(capsys)


@pytest.mark.parametrize(
    "touch", [Path.mkdir, lambda path: (path / "x").mkdir(), lambda path: path.rename(path.parent)]
)
def test_a_place_that_cannot_be_used_is_wrong_use_and_no_bug(
    touch: Callable[[Path], None], tmp_path: Path, stand_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine")
    stand_in(lambda: touch(tmp_path / "taken"))
    assert cli.run(["demo"]) == 2
    line = one_line(capsys)
    assert "taken" in line and "name another place" in line and "bug" not in line


def test_a_bug_is_one_line_with_the_way_to_see_more(stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(failing(KeyError("x")))
    assert cli.run(["demo"]) == 1
    assert "--debug" in one_line(capsys)
    assert cli.run(["demo"], debug=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_debug_is_understood_anywhere(stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(failing(ValueError("x")))
    for arguments in (["--debug", "demo"], ["demo", "--debug"]):
        with pytest.raises(SystemExit) as leaving:
            cli.main(arguments)
        assert leaving.value.code == 1
        assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130_and_one_line(stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(failing(KeyboardInterrupt()))
    assert cli.run(["demo"]) == 130
    assert one_line(capsys) == "earshot: interrupted\n"


def test_a_real_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    code = (
        "import time, earshot.runtime.interfaces.registry as r, earshot.runtime.interfaces.cli as c\n"
        "def wait():\n    print('ready', flush=True); time.sleep(60)\n"
        "r._runtime_target = lambda name: wait\n"
        "c.main(['demo'])\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert (program.returncode, err) == (130, "earshot: interrupted\n")


def test_ctrl_c_while_everything_is_being_imported_is_one_line() -> None:
    """It printed the traceback of an import half done."""
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from earshot.runtime.interfaces.start import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "earshot: interrupted\n")


def test_the_script_begins_where_ctrl_c_is_met() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="earshot")
    assert script.value == "earshot.runtime.interfaces.start:main"
    assert script.load() is start.main


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    code = (
        "import typer, earshot.runtime.interfaces.registry as r, earshot.runtime.interfaces.cli as c\n"
        "def talk():\n    for i in range(200000): typer.echo(i)\n"
        "r._runtime_target = lambda name: talk\n"
        "c.main(['demo'])\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b""
    assert program.wait(20) == 0


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_character_that_the_output_has_not_is_no_end(encoding: str) -> None:
    """A bird typed on a terminal that is not UTF-8 ended a listener that had run all day."""
    code = (
        "import typer, earshot.runtime.interfaces.registry as r, earshot.runtime.interfaces.cli as c\n"
        "from earshot.runtime.interfaces.line_output import Lines\n"
        "def talk():\n"
        "    typer.echo('a \\U0001f426 of caf\\udce9')\n"
        "    Lines(typer.get_text_stream('stdout', errors=None)).write('a \\U0001f426 of caf\\udce9')\n"
        "r._runtime_target = lambda name: talk\n"
        "c.main(['demo'])\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    bird = r"\U0001f426" if encoding == "latin-1" else "\U0001f426"
    assert done.stdout.decode().splitlines() == [rf"a {bird} of caf\udce9"] * 2


def test_what_a_command_returns_is_no_exit_code_unless_it_is_a_number(stand_in: Any) -> None:
    for returned, code in ((None, 0), ("text", 0), (True, 0), (3, 3)):
        stand_in(lambda value=returned: value)
        assert cli.run(["demo"]) == code


@pytest.mark.parametrize("arguments", [["nope"], ["--nope"], ["bundle", "verify", "--nope"], ["bundle", "nope"]])
def test_wrong_use_is_2_and_names_the_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert "--help'" in one_line(capsys)


def test_a_typing_error_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lisen"]) == 2
    assert "'listen'" in one_line(capsys)


def test_help_lists_every_command_in_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in registry.COMMANDS:
        assert f" {name} " in text


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"earshot {cli.version()}\n"


def test_a_command_that_is_not_there_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "_COMMANDS_PACKAGE", "earshot.runtime.nowhere")
    assert cli.run(["ask"]) == 2
    assert "not part of this installation" in one_line(capsys)


class Entry:
    """An entry point that loads as told."""

    module = "earshot.training.stages.command"

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self._error = name, error

    def load(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("name", "extra"), [("train", "train"), ("synth", "train"), ("bench", "train"), ("export", "export")]
)
def test_without_its_extra_a_command_says_which_to_install(
    name: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [Entry(name, ModuleNotFoundError("No module named 'torch'", name="torch"))]
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: entries)
    assert cli.run([name]) == 2
    line = one_line(capsys)
    assert f'pip install "earshot[{extra}]"' in line
    assert "torch" in line
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [])
    assert cli.run([name]) == 2
    assert f'pip install "earshot[{extra}]"' in one_line(capsys)


def test_a_package_missing_only_when_the_command_runs_is_explained_too(
    stand_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(failing(ModuleNotFoundError("No module named 'llama_cpp'", name="llama_cpp")))
    assert cli.run(["demo"]) == 2
    assert "llama_cpp" in one_line(capsys)


def test_an_import_bug_of_our_own_is_a_bug_not_a_missing_extra(
    stand_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(failing(ModuleNotFoundError("No module named 'earshot.runtime.x'", name="earshot.runtime.x")))
    assert cli.run(["demo"]) == 1
    assert "a bug" in one_line(capsys)


def test_bundle_verify_as_a_program(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    done = subprocess.run([*PROGRAM, "bundle", "verify", str(bundle)], capture_output=True, text=True, check=True)
    assert "tiny 0.0.1 is whole" in done.stdout
    with (bundle / "llm.gguf").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff")
    environment = {**os.environ, "EARSHOT_BUNDLE": str(bundle)}
    done = subprocess.run([*PROGRAM, "bundle", "verify"], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert "llm.gguf is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


def test_bundle_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    assert cli.run(["bundle", "verify", "--bundle", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert cli.run(["bundle", "show", str(bundle), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["labels"]) == 61
    assert cli.run(["bundle", "show", str(bundle)]) == 0
    assert "llama, width 64" in capsys.readouterr().out


def test_a_long_name_in_a_bundle_does_not_run_into_its_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    edit_manifest(bundle, licences={"of a part with a very long name": "free"})
    assert cli.run(["bundle", "show", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "licence of a part with a very long name free" in lines
    assert len({line.index(value) for line in lines for value in (str(bundle), "free") if line.endswith(value)}) == 1


def test_two_bundles_to_look_at_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, other = make_bundle(tmp_path / "whole"), tmp_path / "other"
    for what in ("show", "verify"):
        assert cli.run(["bundle", what, str(whole), "--bundle", str(other)]) == 2
        assert "leave one out" in one_line(capsys)


def test_what_a_bundle_says_has_no_power_over_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    edit_manifest(bundle, licences={"a\x1b[2J": "free\nfile llm.gguf  \x1b]0;owned\x07"})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.run(["bundle", "show", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\x07" not in shown
    assert r"free\nfile llm.gguf  \x1b]0;owned\x07" in shown


def test_an_error_has_no_power_over_the_terminal(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    stand_in(failing(InputError("gone\x1b[2J\x07.wav: no such file")))
    assert cli.run(["demo"]) == 3
    assert one_line(capsys) == "earshot: gone\\x1b[2J\\x07.wav: no such file\n"


@pytest.mark.parametrize("name", registry.COMMANDS)
def test_every_command_and_what_is_in_it_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in a help text were once taken for markup, and `listen --help` failed."""
    command = registry.load_command(name)
    for inner in ([], *([each] for each in getattr(command, "commands", {}))):
        assert cli.run([name, *inner, "--help"]) == 0, inner
        assert "Usage:" in capsys.readouterr().out
