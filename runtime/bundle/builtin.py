"""Which bundle is meant: the one asked for, that of the environment, or that which came with the package."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from earshot.runtime.bundle.manifest import MANIFEST_NAME, Manifest
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.errors import BundleError

BUNDLE_VARIABLE = "EARSHOT_BUNDLE"


def builtin_bundle_dir() -> Path:
    """Directory of the bundle that came with the package, whether it is there or not."""
    return Path(str(resources.files("earshot.runtime.bundle"))) / "default"


def default_bundle_dir() -> Path:
    """Directory of the bundle to use when none is named: `EARSHOT_BUNDLE`, else the built-in one.

    Raises
    ------
    BundleError
        When it is not there.
    """
    named = os.environ.get(BUNDLE_VARIABLE, "")
    if named:
        return _existing(Path(named), f"named by {BUNDLE_VARIABLE}")
    builtin = builtin_bundle_dir()
    if not (builtin / MANIFEST_NAME).is_file():
        raise BundleError(
            "no model: this installation has no built-in bundle; "
            f"name one with --bundle DIR or {BUNDLE_VARIABLE}, or make one with 'earshot export'"
        )
    return builtin


def bundle_dir(option: Path | str | None = None) -> Path:
    """Directory of the bundle to use: what `--bundle` names, else `default_bundle_dir()`.

    Raises
    ------
    BundleError
        When it is not there.
    """
    return default_bundle_dir() if option is None else _existing(Path(option), "named by --bundle")


def verified_bundle(option: Path | str | None = None) -> tuple[Path, Manifest]:
    """Find the bundle to use and verify it.

    Raises
    ------
    BundleError
        When it is missing or refused.
    """
    directory = bundle_dir(option)
    return directory, verify_bundle(directory)


def _existing(path: Path, origin: str) -> Path:
    try:
        directory = path.expanduser()
    except RuntimeError:  # nobody of that name, or no home
        directory = path
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        raise BundleError(f"bundle {directory} ({origin}) {what}; give the directory that holds {MANIFEST_NAME}")
    return directory
