"""Opening what every listening command needs: a verified bundle and its encoders."""

from __future__ import annotations

from pathlib import Path

from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.hearing.encoders import Encoders


def open_encoders(bundle: Path | None) -> tuple[Path, Encoders]:
    """Verify a bundle, then load its encoders.

    Parameters
    ----------
    bundle : Path or None
        What `--bundle` names; None for the default bundle.

    Returns
    -------
    directory : Path
    encoders : Encoders
        Loaded.

    Raises
    ------
    BundleError
        If the bundle is missing or refused; nothing native is opened then.
    """
    directory, _ = verified_bundle(bundle)
    encoders = Encoders()
    encoders.load(directory)
    return directory, encoders
