"""Running a program on an emulated 64-bit ARM core and counting its instructions, with QEMU's user-mode emulator.

The environment (user-land, wheels, counting plugin) is made by `firmware_sim/boards/setup_aarch64.sh`. An emulator has
no caches and no pipeline: it tells how many instructions were executed, never how long they would take.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.profile_added import NotSetUpError

ENVIRONMENT_VARIABLE = "EARSHOT_AARCH64"
SETUP_SCRIPT = "firmware_sim/boards/setup_aarch64.sh"
LIMIT_S = 1800.0
_PARTS = ("rootfs/usr/bin/python3", "site/numpy", "site/onnxruntime", "libcount.so")
_BASIC = "fp asimd evtstrm crc32 cpuid"
_MODERN = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Core:
    """A kind of ARM core.

    Attributes
    ----------
    name : str
        As the emulator calls it.
    part, variant, revision : int
        What the core says of itself in /proc/cpuinfo.
    features : str
        Its instruction sets there; libraries choose their kernels by them.
    llama : str
        Folder of the llama.cpp build for it.
    """

    name: str
    part: int
    variant: int
    revision: int
    features: str
    llama: str

    def cpuinfo(self) -> str:
        """/proc/cpuinfo of four such cores."""
        return "".join(
            f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: {self.variant:#x}\nCPU part\t: {self.part:#x}\n"
            f"CPU revision\t: {self.revision}\n\n"
            for number in range(4)
        )


CORES: dict[str, Core] = {
    core.name: core
    for core in (
        Core("cortex-a53", 0xD03, 0, 4, _BASIC, "llama-armv8.0"),
        Core("cortex-a72", 0xD08, 0, 3, _BASIC, "llama-armv8.0"),
        Core("cortex-a76", 0xD0B, 4, 1, _MODERN, "llama-armv8.2"),
    )
}
"""The Raspberry Pi 4's processor leaves out the cryptographic instructions of its core."""


@dataclass(frozen=True)
class Emulation:
    """What an emulated program did.

    Attributes
    ----------
    output : str
        Its standard output.
    regions : dict of list of int
        Instructions of every passage through each region that it marked, by region number.
    total : int
        Instructions in all, from start to end.
    """

    output: str
    regions: dict[int, list[int]]
    total: int


def parse_counts(text: str) -> tuple[dict[int, list[int]], int]:
    """Read what the counting plugin wrote: passages by region, and the total.

    Raises
    ------
    ValueError
        For anything else, and for a text that breaks off before the total.
    """
    regions: dict[int, list[int]] = {}
    total = None
    for line in text.splitlines():
        match line.split():
            case ["region", number, count]:
                regions.setdefault(int(number), []).append(int(count))
            case ["total", count]:
                total = int(count)
            case _:
                raise ValueError(f"not a line of the counting plugin: {line!r}")
    if total is None:
        raise ValueError("the counts break off: the emulated program did not end properly")
    return regions, total


def find_environment(directory: Path | None = None) -> Path:
    """The aarch64 environment of this machine.

    Raises
    ------
    NotSetUpError
        When the emulator or a part of the environment is missing; says which.
    """
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    folder = directory or (Path(given) if given else Path.home() / ".cache" / "earshot" / "aarch64")
    missing = [part for part in _PARTS if not (folder / part).exists()]
    if shutil.which("qemu-aarch64") is None:
        missing.insert(0, "the program qemu-aarch64")
    if missing:
        raise NotSetUpError(
            f"no aarch64 environment in {folder} (missing: {missing[0]}); set it up with: {SETUP_SCRIPT}"
        )
    return folder


def emulate(
    environment: Path, core: Core, arguments: Sequence[str], stdin: bytes = b"", paths: Sequence[Path] = ()
) -> Emulation:
    """Run the environment's Python and count.

    Parameters
    ----------
    environment : Path
        From `find_environment`.
    core : Core
    arguments : sequence of str
        For Python.
    stdin : bytes
    paths : sequence of Path
        Where it finds modules besides the environment's own.

    Raises
    ------
    UsageError
        When the program fails or takes more than half an hour.
    """
    cpuinfo = environment / "rootfs/proc/cpuinfo"
    cpuinfo.parent.mkdir(exist_ok=True)
    cpuinfo.write_text(core.cpuinfo())
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        command = _command(environment, core, counts, arguments)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                env=_variables(environment, core, paths),
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"the emulated {core.name} took more than {LIMIT_S / 60:.0f} minutes") from error
        if done.returncode != 0:
            last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
            raise UsageError(f"the emulated {core.name} failed with status {done.returncode}: {last[:200]}")
        regions, total = parse_counts(counts.read_text())
    return Emulation(done.stdout.decode(), regions, total)


def _command(environment: Path, core: Core, counts: Path, arguments: Sequence[str]) -> list[str]:
    plugin = f"{environment / 'libcount.so'},out={counts}"
    root = str(environment / "rootfs")
    python = str(environment / "rootfs/usr/bin/python3")
    return ["qemu-aarch64", "-cpu", core.name, "-plugin", plugin, "-L", root, python, *arguments]


def _variables(environment: Path, core: Core, paths: Sequence[Path]) -> dict[str, str]:
    """Few variables, so that counts do not depend on the user's."""
    llama = str(environment / core.llama)
    return {
        "PATH": os.environ.get("PATH", "/usr/bin"),
        "PYTHONPATH": os.pathsep.join(map(str, (environment / "site", *paths))),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LLAMA_CPP_LIB_PATH": llama,
        "QEMU_SET_ENV": f"LD_LIBRARY_PATH={llama}",
    }
