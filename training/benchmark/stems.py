"""The stems that benchmarks are made of: of what training never hears, and a word where they are not."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from earshot.training.synthesis.dataset import Shard, open_shards, splits_of

console = Console(stderr=True, soft_wrap=True)


def open_stems(data: Path) -> list[Shard]:
    """Open the shards of a benchmark; of training scenes it is said that a score on them says nothing of new sounds.

    Raises
    ------
    InputError
        There is none, or one is damaged.
    """
    shards = open_shards(data)
    if "train" in splits_of(shards):
        console.print(
            f"warning: {data} holds training scenes: scores on what training heard say nothing of new sounds; for those: "
            "earshot synth stems FOLDER --split validation",
            markup=False,
        )
    return shards
