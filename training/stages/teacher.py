"""What a network trained on far more sounds makes of the training clips, for the semantic encoder to imitate.

A name says of a sound which of 61 it is; the embedding of a teacher also says what else it is like, so that a few thousand
clips teach more than their names do (distillation, arXiv 1503.02531). Only training clips are ever shown to the teacher.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.training.files import replace_file
from earshot.training.synthesis.events import SAMPLE_RATE_HZ, EventLibrary

DIMENSIONS = 64
Embed = Callable[[NDArray[np.float32], int], NDArray[np.float32]]
"""Mono samples [n] and their rate -> embedding [D]."""


def embed_clips(library: EventLibrary, embed: Embed, out: Path, told: Callable[[int, int], None]) -> int:
    """Write what a teacher makes of every clip of a library; returns how many there are.

    Parameters
    ----------
    library : EventLibrary
        Training clips; only recordings are embedded.
    embed : callable
        The teacher.
    out : Path
        `.npz` to write, as `Teacher` reads it.
    told : callable
        Is told how many clips are done, of how many.

    Raises
    ------
    InputError
        A clip cannot be read, or none is a recording.
    """
    keys = library.keys()
    clips = [clip for key in keys for clip in library.clips(key) if clip.path is not None]
    if not clips:
        raise InputError("no clip is a recording, so there is nothing to embed: list some with `earshot synth events`")
    rng = np.random.default_rng(0)
    embeddings = []
    for number, clip in enumerate(clips, 1):
        embeddings.append(embed(library.samples(clip, rng), SAMPLE_RATE_HZ))
        told(number, len(clips))
    out.parent.mkdir(parents=True, exist_ok=True)
    archive = io.BytesIO()  # into a file numpy writes under a name of its own where the suffix is another
    np.savez(archive, clip=[clip.name for clip in clips], embedding=np.stack(embeddings))
    replace_file(out, lambda part: part.write_bytes(archive.getbuffer()))
    return len(clips)


class Teacher:
    """Embeddings of clips by their name in a scene.

    Parameters
    ----------
    path : Path
        `.npz` with `clip`, names [N], and `embedding`, float [N, D].
    dimensions : int
        Principal components that are kept.

    Raises
    ------
    InputError
        The file cannot be read or does not hold the two arrays.
    """

    def __init__(self, path: Path, dimensions: int = DIMENSIONS) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                clips, embedding = file["clip"], np.asarray(file["embedding"], np.float64)
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise InputError(f"{path}: not the embeddings of a teacher ({error})") from error
        if embedding.ndim != 2 or len(clips) != len(embedding) or len(clips) <= dimensions:
            raise InputError(f"{path}: {clips.shape} clips and embeddings {embedding.shape} do not belong together")
        reduced = _principal(embedding, dimensions)
        self._vectors = {str(clip): vector for clip, vector in zip(clips, reduced, strict=True)}
        self._unknown = np.zeros(dimensions, np.float32)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return len(self._unknown)

    def __contains__(self, clip: str | None) -> bool:
        """Whether the teacher has heard a clip."""
        return clip in self._vectors

    def __call__(self, clip: str | None) -> NDArray[np.float32]:
        """Vector of length 1 for a clip, zeros for one the teacher has not heard."""
        vector: NDArray[np.float32] = self._vectors.get(clip or "", self._unknown)
        return vector


def _principal(embedding: NDArray[np.float64], dimensions: int) -> NDArray[np.float32]:
    """Standardised embeddings [N, D] in their first principal components, of length 1.

    Components are divided by the root of their spread: whitened fully, the last would be mostly noise; not at all, the first
    few would be nearly all there is.
    """
    centred = (embedding - embedding.mean(0)) / (embedding.std(0) + 1e-6)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    reduced = centred @ axes[:dimensions].T / np.sqrt(spread[:dimensions])
    length = np.linalg.norm(reduced, axis=1, keepdims=True)
    return np.asarray(reduced / (length + 1e-9), np.float32)
