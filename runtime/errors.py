"""Errors that a user sees: one line that says what is wrong, where, and what would work; and the exit code."""

from __future__ import annotations


class EarshotError(Exception):
    """Base of every error with a message meant for the user.

    Attributes
    ----------
    exit_code : int
        Process exit code: 2 wrong use, 3 bad input, 4 bundle rejected, 5 device problem.
    """

    exit_code = 1


class UsageError(EarshotError):
    """The command or call was used wrongly."""

    exit_code = 2


class InputError(EarshotError):
    """An input file or stream cannot be used."""

    exit_code = 3


class BundleError(EarshotError):
    """A model bundle is missing, damaged or not trustworthy."""

    exit_code = 4


class DeviceError(EarshotError):
    """An audio device is missing or failed."""

    exit_code = 5
