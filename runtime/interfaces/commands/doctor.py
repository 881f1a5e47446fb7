"""`earshot doctor`: is everything here that the listener needs, and does it work on this processor?

Native libraries are imported in processes of their own: one that was built for another processor dies of an
illegal instruction, and a doctor must survive the patients. `--audio` looks at the two ears instead.
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
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from earshot.runtime.audio.yaw_endpoint import parse_yaw
from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.errors import BundleError, DeviceError, EarshotError, UsageError
from earshot.runtime.interfaces.config import ListenConfig, default_path, read_config

Verdict = Literal["ok", "warning", "problem"]

_IMPORT_LIMIT_S = 60.0
_COMFORTABLE, _POSSIBLE = 0.5, 0.9
"""Parts of real time that hearing may take: with room for the answers, and just keeping up."""
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
    audio: Annotated[bool, typer.Option("--audio", help="Check both ears for three seconds instead.")] = False,
    device: Annotated[str | None, typer.Option(help="With --audio: name of the microphone.")] = None,
    source: Annotated[Path | None, typer.Option(help="With --audio: a recording instead of the microphone.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the JSON document.")] = False,
) -> None:
    """Check this installation: libraries, processor, model, speed; with --audio the microphones."""
    if not audio and (device is not None or source is not None):
        raise UsageError("--device and --source belong to --audio; give it as well")
    checks: list[Check] = []
    for check in examine_audio(device, source, quiet=json) if audio else examine(bundle):
        checks.append(check)
        if not json:
            typer.echo(f"{check.verdict:<9}{check.name:<15} {check.text}")
    typer.echo(json_module.dumps(report(checks)))
    raise typer.Exit(next((check.exit_code for check in checks if check.verdict == "problem"), 0))


def report(checks: list[Check]) -> dict[str, object]:
    """The JSON document of a list of checks."""
    return {
        "ok": all(check.verdict != "problem" for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def examine(bundle: Path | None) -> Iterator[Check]:
    """Run all checks of the installation, each given as soon as it is done."""
    yield _check_python()
    yield _check_processor()
    broken = False
    for library in LIBRARIES:
        check = check_library(library)
        broken = broken or check.verdict == "problem"
        yield check
    check, settings = _check_configuration()
    yield check
    check, directory = _check_bundle(bundle or settings.bundle)
    yield check
    if directory is not None and not broken:
        yield check_speed(directory)
    yield _check_inputs()


def examine_audio(device: str | None, source: Path | None, quiet: bool = False) -> Iterator[Check]:
    """Record three seconds and check both ears.

    Raises
    ------
    UsageError
        When both a device and a file are named.
    EarshotError
        When there is no sound to judge.
    """
    from earshot.runtime.audio.file import FileSource
    from earshot.runtime.audio.microphone import MicrophoneSource
    from earshot.runtime.interfaces.ear_session import SNAP_REQUEST, examine_ears, record

    if device is not None and source is not None:
        raise UsageError("--device and --source name two sources; leave one out")
    audio = MicrophoneSource(device) if source is None else FileSource(source)
    if source is None and not quiet:
        typer.echo(SNAP_REQUEST)
    recording = record(audio)
    findings = examine_ears(recording)
    for finding in findings:
        code = DeviceError.exit_code if finding.severity == "problem" else 0
        yield Check(finding.id, finding.severity, finding.text, code)
    if not any(finding.severity == "problem" for finding in findings):
        length_s = recording.samples.shape[1] / 16_000
        yield Check("ears", "ok", f"two working ears ({length_s:.1f} s, {recording.level_db:.0f} dB re full scale)")


def _check_python() -> Check:
    own = f"earshot {_version('earshot')}, Python {platform.python_version()}"
    text = f"{own} on {platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores"
    return Check("python", "ok", text)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"


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
    from earshot.runtime.audio.portaudio import load_sounddevice

    try:
        load_sounddevice()
    except DeviceError as error:
        return str(error)
    return "PortAudio was not found"


def _check_configuration() -> tuple[Check, ListenConfig]:
    """Whether `earshot listen` takes the configuration, and what it says; the defaults when it says nothing."""
    try:
        settings = read_config().listen
        if settings.yaw is not None:
            parse_yaw(settings.yaw)
        place = default_path()
    except UsageError as error:
        return Check("configuration", "problem", str(error), exit_code=UsageError.exit_code), ListenConfig()
    text = str(place) if place.exists() else f"none at {place}; 'earshot init' writes one"
    return Check("configuration", "ok", text), settings


def _check_bundle(bundle: Path | None) -> tuple[Check, Path | None]:
    try:
        path, manifest = verified_bundle(bundle)
    except EarshotError as error:
        return Check("bundle", "problem", str(error), exit_code=BundleError.exit_code), None
    return Check("bundle", "ok", f"{manifest.name} {manifest.version} in {path}"), path


def check_speed(bundle: Path) -> Check:
    """Time hearing in another process and say whether this machine keeps up."""
    figures, trouble = _ask_python("-m", "earshot.runtime.interfaces.selftest", str(bundle))
    if figures is None:
        return Check("speed", "problem", f"hearing does not run: {trouble}", exit_code=BundleError.exit_code)
    return judge_speed(float(figures["realtime_factor"]))


def judge_speed(realtime_factor: float) -> Check:
    """What a real-time factor means, with advice."""
    text = f"hearing takes {realtime_factor:.1%} of one core"
    if realtime_factor <= _COMFORTABLE:
        return Check("speed", "ok", text)
    advice = "'earshot profile' shows where the time goes"
    if realtime_factor <= _POSSIBLE:
        return Check("speed", "warning", f"{text}, answers will be late; end other programs; {advice}")
    text = f"{text}, more than this machine has; end other programs, take a smaller bundle or a faster board"
    return Check("speed", "problem", f"{text}; {advice}", exit_code=DeviceError.exit_code)


def _check_inputs() -> Check:
    show = "import json; from earshot.runtime.interfaces.commands.devices import input_devices as d; print(json.dumps(d()))"
    inputs, trouble = _ask_python("-c", show)
    if inputs is None:
        return Check("inputs", "warning", f"no live sound: {trouble}")
    stereo = [item["name"] for item in inputs if item["channels"] >= 2]
    if not stereo:
        return Check("inputs", "warning", "no stereo input; connect two ear microphones for live sound")
    return Check("inputs", "ok", f"{len(stereo)} with two channels: {', '.join(stereo)}"[:200])


def _ask_python(*arguments: str) -> tuple[Any, str]:
    """Run Python in another process; what its last line says as JSON, or None and what went wrong."""
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, timeout=_IMPORT_LIMIT_S, check=False
        )
        if done.returncode == 0:
            return json_module.loads(done.stdout.splitlines()[-1]), ""
    except subprocess.TimeoutExpired:
        return None, f"it takes more than {_IMPORT_LIMIT_S:.0f} s"
    except (ValueError, IndexError):
        return None, "it answers nonsense"
    if done.returncode < 0:
        return None, f"it crashes (signal {-done.returncode})"
    last = (done.stderr.strip().splitlines() or ["it fails without a word"])[-1]
    return None, last.rpartition("Error: ")[2][:200]
