"""Recipes: what becomes int8 for which board, and what stays float."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Format = Literal["float32", "int8", "int8-static"]
"""Number formats of an encoder. int8: matrix products, activations scaled anew in every step. int8-static: convolutions as
well, activations scaled as calibration scenes made them."""

QUANTIZED_AS: dict[str, tuple[Format, ...]] = {
    "semantic": ("int8", "int8-static"),
    "spatial": ("int8", "int8-static"),
    "names": ("int8-static",),
}
"""Smaller formats of the graphs that hear, in the order in which they are decided on. The matrix products of the names network are
its spectrum and its head, which stay float: without its convolutions nothing is left."""

Encoding = Literal["auto", "float32", "int8", "int8-static"]
"""The fastest format that passes the gates; float32 whatever it costs; one of the others or nothing."""


@dataclass(frozen=True)
class Recipe:
    """How the graphs that hear are made for a board.

    Attributes
    ----------
    board : str
    operators : tuple of str
        Kinds of node whose weights become int8 when activations are scaled anew in every step. Convolutions never: their
        dynamic form is slower everywhere.
    calibrated : tuple of str
        Kinds of node that become int8 when scales are fixed beforehand. Both ways a weight has a scale for each output
        channel.
    keep_float : tuple of str
        Patterns of node names that stay float all the same.
    reduce_range : bool
        Weights in 7 bits: x86 without VNNI adds products in 16 bits, and full ones overflow.
    uncounted : Format
        What is kept, if it passes the gate, when the board's speed cannot be found out here.
    """

    board: str
    operators: tuple[str, ...] = ("MatMul", "Gemm")
    calibrated: tuple[str, ...] = ("MatMul", "Gemm", "Conv")
    keep_float: tuple[str, ...] = (
        "*heads/Gemm",
        "*classify/Gemm",
        "*/log_mel/*",
        "*/trunk/layers/layers.0/*",
        "*/head/Gemm",
    )
    reduce_range: bool = False
    uncounted: Format = "float32"

    def is_planned(self, operator: str, name: str, static: bool = False) -> bool:
        """Whether a node with constant weights is to become int8, by scales of each step or by fixed ones."""
        operators = self.calibrated if static else self.operators
        return operator in operators and not any(fnmatchcase(name, pattern) for pattern in self.keep_float)


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
"""The heads stay float: they are small, and their errors are those of class, direction and distance themselves. Of the names network
so do the spectrum, whose logarithm makes much of what is quiet, and the first convolution, which alone reads it."""

HOST_BOARDS = ("x86",)
"""Boards whose speed is that of the machine the export runs on; others are counted on an emulated core."""
