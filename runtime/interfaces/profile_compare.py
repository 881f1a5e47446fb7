"""Two documents of `earshot profile` side by side: what became slower or bigger beyond the noise of the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from earshot.runtime.errors import InputError
from earshot.runtime.interfaces.profile_document import ProfileDocument

MIN_CHANGE = 0.05
"""Smaller changes of a median are never marked, however alike the runs are."""
_MACHINE = ("system", "processor", "cores")

Verdict = Literal["regression", "improvement", "same"]


@dataclass(frozen=True)
class Change:
    """One figure then and now.

    Attributes
    ----------
    name : str
        Dotted, as in `runs` of the document. All figures are better when smaller.
    old, new : float
        Medians over the runs.
    ratio : float or None
        New over old; None when the old one is zero.
    verdict : "regression", "improvement" or "same"
        Same also when the runs overlap.
    """

    name: str
    old: float
    new: float
    ratio: float | None
    verdict: Verdict


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Compare the figures that both documents have.

    A change counts when all runs of one document lie beyond all runs of the other and the medians differ by more than
    5 %. A figure with a single run on a side has no spread to judge by: it is called the same.
    """
    before, now = old["runs"], new["runs"]
    return [judge(name, before[name], now[name]) for name in now if name in before]


def judge(name: str, old: Sequence[float], new: Sequence[float]) -> Change:
    """What became of one figure; both sides have at least one run."""
    before, now = float(np.median(old)), float(np.median(new))
    verdict: Verdict = "same"
    if min(len(old), len(new)) > 1 and abs(now - before) > MIN_CHANGE * before:
        if min(new) > max(old):
            verdict = "regression"
        elif max(new) < min(old):
            verdict = "improvement"
    return Change(name, before, now, now / before if before > 0 else None, verdict)


def read_document(path: Path, needs_runs: bool = True) -> dict[str, Any]:
    """The last line of a file, as `earshot profile > FILE` writes it.

    Parameters
    ----------
    path : Path
    needs_runs : bool
        Whether it must have been measured; an estimate has no runs.

    Raises
    ------
    InputError
        When it is no document of `earshot profile`, or has no runs to compare.
    """
    remedy = "give the output of: earshot profile --json"
    try:
        document = json.loads(path.read_text(encoding="utf-8").strip().splitlines()[-1])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except (ValueError, IndexError, RecursionError) as error:
        raise InputError(f"{path}: its last line is no JSON; {remedy}") from error
    try:
        ProfileDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise InputError(f"{path}: is no profile ({said}); {remedy}") from error
    if needs_runs and document.get("runs") is None:
        raise InputError(f"{path}: holds no runs of a profile; {remedy}")
    return dict(document)


def other_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """A warning when the documents come from different machines, or None."""
    before, now = (document.get("machine", {}) for document in (old, new))
    if all(before.get(key) == now.get(key) for key in _MACHINE):
        return None
    named = (f"{m.get('processor', 'unknown')} with {m.get('cores', '?')} cores" for m in (before, now))
    return f"different machines: {' then, '.join(named)} now; the changes are not those of the program"


def other_bundle(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """A warning when the documents come from different models, or None; older documents do not say which."""
    before, now = (document.get("bundle") for document in (old, new))
    if before is None or now is None or before["fingerprint"] == now["fingerprint"]:
        return None
    named = (f"{b['name']} {b['version']} ({b['llm']}, {b['size_mb']:.1f} MB)" for b in (before, now))
    return f"different models: {' then, '.join(named)} now"
