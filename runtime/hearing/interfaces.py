"""Inputs and outputs of the graphs of a bundle, as docs/architecture.md names them; what opens no graph can know them too."""

from __future__ import annotations

from collections.abc import Set

INTERFACES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "semantic": (frozenset({"features"}), frozenset({"logits", "embedding", "keys"})),
    "spatial": (
        frozenset({"features", "semantic_embedding", "semantic_keys", "slot_class", "slot_keep"}),
        frozenset(
            {
                "slot_activity",
                "slot_azimuth",
                "slot_direction",
                "slot_log_distance",
                "slot_level",
                "scene_embedding",
                "room_log_t60",
                "count_logits",
            }
        ),
    ),
    "projector": (frozenset({"semantic", "scene", "objects"}), frozenset({"embeddings"})),
    "names": (frozenset({"samples"}), frozenset({"logits", "trust"})),
}
"""All inputs without state, and the least outputs, by graph."""
NEWER_INPUTS = frozenset({"slot_claims"})
"""Inputs that graphs of older bundles lack: they are given to those that have them."""
OPTIONAL = frozenset({"names"})
"""Graphs that a bundle may lack."""
STATE, NEXT = "state.", "next."
"""How inputs and outputs that carry state begin."""


def interface_problem(graph: str, inputs: Set[str], outputs: Set[str]) -> str | None:
    """What is wrong with the inputs and outputs (states left out or not) of a graph, in a few words, or None."""
    found = {name for name in inputs if not name.startswith(STATE)}
    given = {name for name in outputs if not name.startswith(NEXT)}
    needed, least = INTERFACES[graph]
    if found - NEWER_INPUTS != needed:
        return f"inputs {sorted(found)} found, {sorted(needed)} needed"
    if not least <= given:
        return f"outputs {sorted(given)} found, {sorted(least)} needed"
    return None
