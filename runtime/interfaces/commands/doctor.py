"""`earshot doctor`: is everything here that the listener needs, and does it work on this processor?

Native libraries are imported in processes of their own: one that was built for another processor dies of an
illegal instruction, and a doctor must survive the patients.
"""

from __future__ import annotations

import json as json_module
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.errors import BundleError, DeviceError, EarshotError

Verdict = Literal["ok", "warning", "problem"]

_IMPORT_LIMIT_S = 60.0
_WANTED_X86 = ("avx2", "fma", "f16c")
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Library:
    """A native library: the module, the distribution it comes in, and whether the listener needs it."""

    module: str
    distribution: str
    needed: bool = True


LIBRARIES = (
    Library("numpy", "numpy"),
    Library("onnxruntime", "onnxruntime"),
    Library("llama_cpp", "llama-cpp-python"),
    Library("soundfile", "soundfile"),
    Library("soxr", "soxr"),
    Library("sounddevice", "sounddevice", needed=False),
)


@dataclass(frozen=True)
class Check:
    """One line of the report; a problem has the exit code that fits it."""

    name: str
    verdict: Verdict
    text: str
    exit_code: int = 0


def doctor(
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Bundle directory to verify.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the JSON document.")] = False,
) -> None:
    """Check this installation: libraries, processor, model, audio."""
    checks: list[Check] = []
    for check in examine(bundle):
        checks.append(check)
        if not json:
            typer.echo(f"{check.verdict:<9}{check.name:<14}{check.text}")
    typer.echo(json_module.dumps(report(checks)))
    raise typer.Exit(next((check.exit_code for check in checks if check.verdict == "problem"), 0))


def report(checks: list[Check]) -> dict[str, object]:
    """The JSON document of a list of checks."""
    return {
        "ok": all(check.verdict != "problem" for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def examine(bundle: Path | None) -> Iterator[Check]:
    """Run all checks, each given as soon as it is done."""
    yield _check_python()
    yield _check_processor()
    for library in LIBRARIES:
        yield check_library(library)
    yield _check_bundle(bundle)


def _check_python() -> Check:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Check("python", "ok", text)


def _check_processor() -> Check:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return Check("processor", "ok", f"{platform.machine()}, no special instructions needed")
    flags = cpu_flags(_CPUINFO.read_text(errors="replace")) if _CPUINFO.exists() else None
    if flags is None:
        return Check("processor", "ok", "x86-64; its instruction sets cannot be read on this system")
    missing = [flag for flag in _WANTED_X86 if flag not in flags]
    if missing:
        remedy = "build llama-cpp-python with CMAKE_ARGS=-DGGML_NATIVE=ON if it crashes"
        return Check("processor", "warning", f"x86-64 without {', '.join(missing)}; {remedy}")
    wide = ", ".join(flag for flag in ("avx512f", "avx512_vnni", "avx_vnni") if flag in flags)
    return Check("processor", "ok", f"x86-64 with {', '.join(_WANTED_X86)}{', ' + wide if wide else ''}")


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Instruction sets in the text of /proc/cpuinfo."""
    lines = (line for line in cpuinfo.splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").partition(":")[2].split())


def check_library(library: Library) -> Check:
    """Import a library in another process and say how that went."""
    show = f"from importlib.metadata import version; print(version({library.distribution!r}))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {library.module}; {show}"],
            capture_output=True,
            text=True,
            timeout=_IMPORT_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _unwell(library, f"its import takes more than {_IMPORT_LIMIT_S:.0f} s; install it again")
    if done.returncode == 0:
        return Check(library.module, "ok", done.stdout.split()[-1])
    return _unwell(library, _diagnosis(library, done.returncode, done.stderr))


def _unwell(library: Library, text: str) -> Check:
    if library.needed:
        return Check(library.module, "problem", text, exit_code=1)
    return Check(library.module, "warning", text)


def _diagnosis(library: Library, code: int, stderr: str) -> str:
    again = f"pip install --force-reinstall --no-binary {library.distribution} {library.distribution}"
    if code == -signal.SIGILL:
        return f"built for another processor (illegal instruction); build it here: {again}"
    if code < 0:
        return f"crashes at import (signal {-code}); build it here: {again}"
    if f"No module named '{library.module}'" in stderr:
        return f"not installed; pip install {library.distribution}"
    if "PortAudio" in stderr:
        return _portaudio_remedy()
    return (stderr.strip().splitlines() or ["import failed"])[-1][:200]


def _portaudio_remedy() -> str:
    from earshot.runtime.interfaces.commands.devices import load_sounddevice

    try:
        load_sounddevice()
    except DeviceError as error:
        return str(error)
    return "PortAudio was not found"


def _check_bundle(bundle: Path | None) -> Check:
    try:
        path, manifest = verified_bundle(bundle)
    except EarshotError as error:
        return Check("bundle", "problem", str(error), exit_code=BundleError.exit_code)
    return Check("bundle", "ok", f"{manifest.name} {manifest.version} in {path}")
