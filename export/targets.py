"""Recipes: what becomes int8 for which board, and what stays float."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Encoding = Literal["auto", "float32", "int8"]
"""The faster one that passes the gates; float32 whatever it costs; int8 or nothing."""


@dataclass(frozen=True)
class Recipe:
    """How the encoders are made for a board.

    Attributes
    ----------
    board : str
    operators : tuple of str
        Kinds of node whose weights become int8, one scale per output channel; activations are scaled anew in every
        step, so nothing needs calibration. Convolutions never: their dynamic form is slower everywhere.
    keep_float : tuple of str
        Patterns of node names that stay float all the same.
    reduce_range : bool
        Weights in 7 bits: x86 without VNNI adds products in 16 bits, and full ones overflow.
    uncounted : "float32" or "int8"
        What is kept when the board's speed cannot be found out here.
    """

    board: str
    operators: tuple[str, ...] = ("MatMul", "Gemm")
    keep_float: tuple[str, ...] = ("*heads/Gemm", "*classify/Gemm")
    reduce_range: bool = False
    uncounted: Literal["float32", "int8"] = "float32"

    def is_planned(self, operator: str, name: str) -> bool:
        """Whether a node with constant weights is to become int8."""
        return operator in self.operators and not any(fnmatchcase(name, pattern) for pattern in self.keep_float)


RECIPES: dict[str, Recipe] = {
    recipe.board: recipe
    for recipe in (
        Recipe("x86", reduce_range=True),
        Recipe("pi4"),
        Recipe("pi5"),
        Recipe("zero2w"),
        Recipe("rk3588"),
    )
}
"""The heads stay float: they are small, and their errors are those of class, direction and distance themselves."""

HOST_BOARDS = ("x86",)
"""Boards whose speed is that of the machine the export runs on; others are counted on an emulated core."""
