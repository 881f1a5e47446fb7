"""The runtime stays light, offline and silent on disk."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.runtime.bundle.making import make_bundle
from tests.runtime.isolation import (
    Seen,
    assert_no_audio_written,
    assert_offline,
    assert_offline_and_traceless,
    import_everything,
    watch,
)

HEAVY = ["torch", "onnx", "transformers", "earshot.training", "earshot.export", "earshot.firmware_sim"]


def test_no_module_of_the_runtime_asks_for_torch_onnx_training_or_export() -> None:
    imported, tried = import_everything(["earshot.runtime"], HEAVY)
    assert tried == []
    assert {"earshot.runtime.audio.file", "earshot.runtime.interfaces.commands.doctor"} <= set(imported)


def test_the_import_guard_sees_a_forbidden_import() -> None:
    with pytest.raises(AssertionError, match="onnxruntime is forbidden"):
        import_everything(["onnxruntime"], ["onnxruntime"])


@pytest.mark.parametrize("what", ["verify", "show"])
def test_bundle_commands_are_offline_and_leave_nothing(tmp_path: Path, what: str) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    before = {path: path.stat().st_mtime_ns for path in bundle.iterdir()}
    seen = watch(["bundle", what, "--bundle", str(bundle)], tmp_path)
    assert seen.code == 0, seen.stderr
    assert_offline_and_traceless(seen)
    assert_no_audio_written(seen)
    assert seen.processes == ()
    assert {path: path.stat().st_mtime_ns for path in bundle.iterdir()} == before


def test_a_bundle_is_verified_without_any_native_loader(tmp_path: Path) -> None:
    seen = watch(["bundle", "verify", str(make_bundle(tmp_path / "bundle"))], tmp_path)
    assert {"onnxruntime", "llama_cpp", "onnx", "gguf"} & seen.modules == set()


def test_the_watch_itself_sees_sockets_and_files(tmp_path: Path) -> None:
    """A watch that sees nothing would make every promise come true."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=server.accept, daemon=True).start()
    module = tmp_path / "spy.py"
    module.write_text(
        "import socket, earshot.runtime.interfaces.registry as registry\n"
        "def spy():\n"
        f"    socket.create_connection(('127.0.0.1', {server.getsockname()[1]})).close()\n"
        "    open('heard.wav', 'wb').close()\n"
        "registry._runtime_target = lambda name: spy\n"
    )
    seen = _watch_with(module, tmp_path)
    server.close()
    with pytest.raises(AssertionError):
        assert_offline(seen)
    with pytest.raises(AssertionError):
        assert_no_audio_written(seen)
    assert seen.left_behind == ("heard.wav",)


def _watch_with(module: Path, folder: Path) -> Seen:
    """Watch `earshot demo` with a module imported before it."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"exec(open({str(module)!r}).read())\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        return watch(["demo"], folder)


def test_help_is_fast_and_loads_no_engine(tmp_path: Path) -> None:
    seen = watch(["--help"], tmp_path)
    assert seen.code == 0
    engines = {"onnxruntime", "llama_cpp", "numpy", "soundfile", "soxr", "pydantic", "torch"}
    assert engines & seen.modules == set()


def test_help_takes_less_than_half_a_second_of_processor_time() -> None:
    code = (
        "import os, subprocess, sys\n"
        "c = [sys.executable, '-m', 'earshot.runtime.interfaces.cli', '--help']\n"
        "subprocess.run(c, stdout=subprocess.DEVNULL, check=True)\n"
        "t = os.times(); print(t.children_user + t.children_system)\n"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.5
