"""Grounded reasoning: evidence lines may only name sounds that hearing has found.

A small language model likes to find what it is asked for: of an absent dog it writes where the dog is. What hearing has told of, or has
found when it was asked by name, is known before it writes; so a line of evidence can begin with one of these names only
(constrained decoding; Geng et al., EMNLP 2023). What it says about them, and the answer, remain its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from earshot.runtime.language.prompt import ASKED, NOTHING_HEARD

Path = tuple[int, ...]


class Grounding:
    """Which tokens may come next in a reasoning.

    Parameters
    ----------
    tokenize : callable
        Text -> token ids.
    names : iterable of str
        Spoken names of the sounds that hearing has found.
    """

    def __init__(self, tokenize: Callable[[str], Sequence[int]], names: Iterable[str]) -> None:
        lines = [f"{name} |" for name in dict.fromkeys(names)]
        self._line_end = tokenize("\n")[-1]
        self._asked: Path = tuple(tokenize(ASKED))
        self._begins: list[Path] = [*(tuple(tokenize(line)) for line in (*lines, f"{NOTHING_HEARD}\n")), self._asked]
        self._over = False

    def __call__(self, written: Sequence[int]) -> list[int] | None:
        """Ids of the tokens that may come next, None for all.

        Parameters
        ----------
        written : sequence of int
            Tokens of the reasoning so far.
        """
        if self._over:
            return None
        line = self._line(written)
        if line[: len(self._asked)] == self._asked:
            self._over = True  # the evidence ends where the question is repeated
            return None
        open_paths = [path for path in self._begins if path[: len(line)] == line and len(path) > len(line)]
        return sorted({path[len(line)] for path in open_paths}) or None

    def _line(self, written: Sequence[int]) -> Path:
        """Tokens since the last end of a line."""
        ends = [place for place, token in enumerate(written) if token == self._line_end]
        return tuple(written[ends[-1] + 1 if ends else 0 :])
