"""Grounded reasoning: evidence lines name the sounds that hearing has found, each once.

A small language model likes to find what it is asked for: of an absent dog it writes where the dog is. What hearing has told of, or has
found when it was asked by name, is known before it writes; so a line of evidence can begin with one of these names only
(constrained decoding; Geng et al., EMNLP 2023), and with each only once, since all that was heard of a class is one object. Which of them
it believes in, what it says about them, and the answer, remain its own.
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
        self._line_end = tokenize("\n")[-1]
        self._asked: Path = tuple(tokenize(ASKED))
        self._lines: list[Path] = [tuple(tokenize(f"{name} |")) for name in dict.fromkeys(names)]
        self._nothing: Path = tuple(tokenize(f"{NOTHING_HEARD}\n"))
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
        *before, line = self._split(written)
        if line[: len(self._asked)] == self._asked:
            self._over = True  # the evidence ends where the question is repeated
            return None
        begins = (*(path for path in self._lines if not _is_told(path, before)), self._nothing, self._asked)
        open_paths = [path for path in begins if path[: len(line)] == line and len(path) > len(line)]
        return sorted({path[len(line)] for path in open_paths}) or None

    def _split(self, written: Sequence[int]) -> list[Path]:
        """Tokens by lines; the last one is empty or not yet ended."""
        lines: list[list[int]] = [[]]
        for token in written:
            if token == self._line_end:
                lines.append([])
            else:
                lines[-1].append(token)
        return [tuple(line) for line in lines]


def _is_told(begin: Path, lines: Sequence[Path]) -> bool:
    """Whether one of these lines begins so."""
    return any(line[: len(begin)] == begin for line in lines)
