"""Watches what a command does to the world: sockets, files written, processes started, modules imported.

For tests of promises like "never connects anywhere" and "never writes sound". Python's own doings are seen
through an audit hook; files that native code writes are seen because the command runs in an empty home.

    seen = watch(["bundle", "verify", "--bundle", str(bundle)], tmp_path)
    assert seen.code == 0
    assert_offline_and_traceless(seen)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".raw", ".pcm", ".npy", ".npz", ".aiff", ".opus")

_WATCHER = """
import json, os, sys
seen = {"connections": [], "written": [], "processes": []}
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

def hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        seen["connections"].append(event + " " + repr(arguments[1:]))
    elif event in LOOKUPS:
        seen["connections"].append(event + " " + repr(arguments))
    elif event == "open":
        path, mode, flags = arguments
        writes = bool(set("wax+") & set(mode)) if isinstance(mode, str) else bool((flags or 0) & WRITING)
        if writes and str(path) != os.devnull and not isinstance(path, int):
            seen["written"].append(os.fsdecode(path))
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"):
        seen["processes"].append(repr(arguments[:2]))

report = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
sys.addaudithook(hook)
code = 1
try:
    from earshot.runtime.interfaces.cli import main
    main(sys.argv[2:])
except SystemExit as leaving:
    code = leaving.code
finally:
    seen["modules"] = sorted(sys.modules)
    os.write(report, json.dumps(seen).encode())
sys.exit(code)
"""


@dataclass(frozen=True)
class Seen:
    """What a command did.

    Attributes
    ----------
    code : int
        Exit code.
    connections : tuple of str
        Sockets connected or bound, names looked up.
    written : tuple of str
        Files that Python opened for writing.
    left_behind : tuple of str
        Files found afterwards in the command's home, folder or temporary folder, whoever wrote them.
    processes : tuple of str
        Processes started; what those do is not seen.
    modules : frozenset of str
        Modules imported at the end.
    """

    code: int
    stdout: str
    stderr: str
    connections: tuple[str, ...]
    written: tuple[str, ...]
    left_behind: tuple[str, ...]
    processes: tuple[str, ...]
    modules: frozenset[str]


def watch(arguments: list[str], folder: Path, stdin: str = "", timeout_s: float = 120.0) -> Seen:
    """Run `earshot ARGUMENTS` in an empty home under `folder` and tell what it did."""
    home, report = folder / "watched-home", folder / "watched.json"
    home.mkdir()
    places = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "USERPROFILE")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", _WATCHER, str(report), *arguments],
        env={**os.environ, **places, "OMP_NUM_THREADS": "1"},
        cwd=home,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    seen = json.loads(report.read_text())
    return Seen(
        code=done.returncode,
        stdout=done.stdout,
        stderr=done.stderr,
        connections=tuple(seen["connections"]),
        written=tuple(seen["written"]),
        left_behind=tuple(sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())),
        processes=tuple(seen["processes"]),
        modules=frozenset(seen["modules"]),
    )


def assert_offline(seen: Seen) -> None:
    """No socket was connected or bound and no name looked up."""
    assert seen.connections == ()


def assert_no_audio_written(seen: Seen) -> None:
    """No file that could hold sound was written by anyone."""
    for path in (*seen.written, *seen.left_behind):
        assert not path.lower().endswith(AUDIO_SUFFIXES), path


def assert_offline_and_traceless(seen: Seen) -> None:
    """The command did not touch the network and left no file at all."""
    assert_offline(seen)
    assert seen.written == ()
    assert seen.left_behind == ()


_IMPORTER = """
import importlib, json, pkgutil, sys
forbidden, tried = tuple(sys.argv[1].split(",")), []

class Guard:
    def find_spec(self, name, path=None, target=None):
        if any(name == f or name.startswith(f + ".") for f in forbidden):
            tried.append(name)
            raise ModuleNotFoundError(f"{name} is forbidden here", name=name)
        return None

sys.meta_path.insert(0, Guard())
imported = []
for package in sys.argv[2:]:
    root = importlib.import_module(package)
    imported.append(package)
    for module in pkgutil.walk_packages(getattr(root, "__path__", []), package + "."):
        importlib.import_module(module.name)
        imported.append(module.name)
print(json.dumps({"tried": tried, "imported": imported}))
"""


def import_everything(packages: list[str], forbidden: list[str]) -> tuple[list[str], list[str]]:
    """Import packages with all their submodules in another process where some modules are refused.

    Returns
    -------
    imported, tried : list of str
        Modules imported, and the forbidden ones that were asked for.
    """
    command = [sys.executable, "-c", _IMPORTER, ",".join(forbidden), *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    return document["imported"], document["tried"]
