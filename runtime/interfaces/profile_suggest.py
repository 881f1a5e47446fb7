"""Which hop, threads and number format a machine can hold, from what was measured on it, and why.

Pure rules over the document of `earshot profile`: no figure is made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMFORTABLE = 0.5
"""Hearing may take this part of a hop in 99 % of all cases: the rest is for answers and everything else."""
WORTHWHILE = 0.10
"""More threads or another number format must save this part of the time to be advised."""
FIRST_TOKEN_S, ANSWER_S = 0.5, 2.0
"""What feels prompt when one asks, seconds."""
_FAST_INT8 = {
    "asimddp": "dot-product instructions (asimddp)",
    "avx512_vnni": "dot-product instructions (VNNI)",
    "avx_vnni": "dot-product instructions (VNNI)",
}


@dataclass(frozen=True)
class Suggestion:
    """Advice.

    Attributes
    ----------
    hop_ms : float or None
        None when the machine cannot keep up with any hop that was tried.
    threads : int
        Of the language model.
    encoders : "float32" or "int8"
    why : tuple of str
        One sentence for each piece of advice.
    """

    hop_ms: float | None
    threads: int
    encoders: str
    why: tuple[str, ...]


def suggest(document: Mapping[str, Any], flags: frozenset[str]) -> Suggestion:
    """Advise from a document and the processor's instruction sets."""
    hop_ms, why_hop = suggest_hop(document["hop_sweep"])
    threads, why_threads = suggest_threads(document["threads"], int(document["machine"]["cores"]))
    encoders, why_encoders = suggest_encoders(document.get("alternatives"), flags)
    why_language = judge_language(float(document["first_token_s"]), float(document["answer_s"]))
    return Suggestion(hop_ms, threads, encoders, (why_hop, why_threads, why_encoders, why_language))


def suggest_hop(sweep: Sequence[Mapping[str, Any]]) -> tuple[float | None, str]:
    """The shortest hop in which hearing leaves room, for a shorter hop means earlier tracks."""
    tried = [hop for hop in sweep if hop["hops"]]
    for hop in tried:
        hop_ms, p99_ms = float(hop["hop_ms"]), float(hop["p99_ms"])
        if p99_ms <= COMFORTABLE * hop_ms and not hop["misses"]:
            part = f"99 % of the hops are heard within {p99_ms:.1f} ms, no deadline of {hop['hops']} was missed"
            return hop_ms, f"hop {hop_ms:.0f} ms: {part}"
    if not tried:
        return None, "hop: the sound is too short to judge; give a longer one"
    longest = tried[-1]
    figures = f"{longest['p99_ms']:.1f} ms of {longest['hop_ms']:.0f} ms in the worst 1 %, {longest['misses']} misses"
    return (
        None,
        f"hop: not even {longest['hop_ms']:.0f} ms leaves room ({figures}); end other programs or take a faster board",
    )


def suggest_threads(sweep: Sequence[Mapping[str, Any]], cores: int) -> tuple[int, str]:
    """The fewest threads that answer about as fast as any; hearing keeps a core of its own where there are two."""
    if len(sweep) < 2:
        return 1, "threads 1: no other count was measured; add --threads 1,2"
    allowed = [run for run in sweep if run["threads"] <= max(1, cores - 1)]
    if not allowed:
        return 1, f"threads 1: all that were measured would leave no core of {cores} to hearing"
    best_s = min(run["answer_s"] for run in allowed)
    chosen = min((run for run in allowed if run["answer_s"] <= best_s / (1 - WORTHWHILE)), key=lambda r: r["threads"])
    times = ", ".join(f"{run['threads']}: {run['answer_s']:.2f} s" for run in sweep)
    kept = "" if len(allowed) == len(sweep) else f"; with more than {max(1, cores - 1)} hearing would have no core left"
    return int(chosen["threads"]), f"threads {chosen['threads']}: an answer takes {times}{kept}"


def suggest_encoders(alternatives: Mapping[str, Any] | None, flags: frozenset[str]) -> tuple[str, str]:
    """Float or int8 matrix products: by measurement if there is one, else by the processor."""
    measured = (alternatives or {}).get("int8")
    if measured:
        saved = 1 - measured["int8_ms"] / measured["float32_ms"]
        chosen = "int8" if saved >= WORTHWHILE else "float32"
        figures = (
            f"a step of both takes {measured['float32_ms']:.3f} ms in float32, {measured['int8_ms']:.3f} ms in int8"
        )
        return chosen, f"encoders {chosen}: {figures} (speed only; 'earshot export' checks accuracy)"
    found = next((text for flag, text in _FAST_INT8.items() if flag in flags), None)
    if found is None:
        return "float32", "encoders float32: without dot-product instructions int8 is slower (not measured here)"
    return "float32", f"encoders float32: this processor has {found}, int8 may be faster; measure with --alternatives"


def judge_language(first_token_s: float, answer_s: float) -> str:
    """Whether the language model's own format holds."""
    figures = f"first token after {1e3 * first_token_s:.0f} ms, answer after {answer_s:.2f} s"
    if first_token_s <= FIRST_TOKEN_S and answer_s <= ANSWER_S:
        return f"language model as in the bundle: {figures}"
    return f"language model: {figures}; export it with --llm-quant Q4_K_M or take a smaller one"


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Instruction sets of this processor; empty where the system does not tell."""
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    named = (line for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(named, "").partition(":")[2].split())
