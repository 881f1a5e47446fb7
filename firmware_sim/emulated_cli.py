"""The whole `earshot` command on an emulated core: does it run there, and does it answer as it does here?

    python -m earshot.firmware_sim.emulated_cli pi4 ask scene.wav "Where is the dog?" --json

Needs the environment of `boards/setup_aarch64.sh --language`. Slow: an emulated core is some fifty times slower.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from earshot import runtime
from earshot.firmware_sim.emulator import CORES, SETUP_SCRIPT, Emulation, emulate, find_environment
from earshot.firmware_sim.estimate import CALIBRATIONS
from earshot.runtime.errors import EarshotError, UsageError

_MODULE = "earshot.runtime.interfaces.cli"


def run_command(board: str, arguments: Sequence[str]) -> Emulation:
    """Run `earshot ARGUMENTS` on the core of a board.

    Parameters
    ----------
    board : str
        Key of `CALIBRATIONS`.
    arguments : sequence of str
        Paths in them are those of this machine.

    Returns
    -------
    Emulation
        Its standard output, and the instructions in all.

    Raises
    ------
    UsageError
        For an unknown board, without an environment that can answer, or when the command fails there.
    """
    if board not in CALIBRATIONS:
        raise UsageError(f"{board}: not known; one of {', '.join(CALIBRATIONS)}")
    environment, core = find_environment(), CORES[CALIBRATIONS[board].core]
    if not (environment / core.llama).is_dir():
        raise UsageError(f"no llama.cpp for {core.name} in {environment}; set it up with: {SETUP_SCRIPT} --language")
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "earshot"
        package.mkdir()
        (package / "runtime").symlink_to(Path(next(iter(runtime.__path__))).resolve())
        return emulate(environment, core, ["-m", _MODULE, *arguments], paths=[Path(folder)])


def main() -> int:
    """Run what the command line says; returns the exit code."""
    if len(sys.argv) < 3:
        sys.stderr.write(f"usage: {Path(__file__).stem} {'|'.join(CALIBRATIONS)} COMMAND [ARGUMENT ...]\n")
        return UsageError.exit_code
    try:
        done = run_command(sys.argv[1], sys.argv[2:])
    except EarshotError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(done.output)
    sys.stderr.write(f"{done.total / 1e9:.2f} G instructions in all\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
