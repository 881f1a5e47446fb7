"""The language model on llama.cpp: audio vectors in, greedy or sampled text out, cancellable.

Two key-value sequences: `_AUDIO` keeps text before the audio and the audio itself, `_WORK` is a copy of
it that a question is appended to. A second question about the same audio only pays for its own tokens.
One object = one context = one thread at a time; only `cancel()` may be called from another.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import BundleError, EarshotError, UsageError
from earshot.runtime.language.llama import (
    BATCH,
    Batch,
    CancelFlag,
    last_llama_message,
    make_context,
    metadata,
    silence_llama_log,
    token_bytes,
    tokenize,
)
from earshot.runtime.language.sampling import Generation, pick

MAX_CONTEXT = 4096
"""Longer contexts in the GGUF are cut to this: a question needs a few hundred tokens, and memory is dear."""

Float32 = NDArray[np.float32]
_AUDIO, _WORK = 0, 1
_VECTOR_BATCH = 32
_ALL_FLOAT32 = "0"
"""Value of `general.file_type` (GGUF specification) when every tensor is float32."""


class CancelledError(EarshotError):
    """The answer was cancelled; the context stays usable."""


class LanguageModel:
    """A GGUF causal language model that takes audio embeddings.

    Parameters
    ----------
    gguf_path : Path or str
        Model file, already verified.
    n_threads : int
        Compute threads. One is best beside other work: waiting threads spin.
    exact : bool, optional
        Keep the cache in float32 and flash attention off. With weights in float32 the logits are then those of any other processor
        or implementation to about 1e-5, and so are the words; with smaller weights nothing is gained, for llama.cpp rounds what
        meets them. By default where all weights are float32.
    """

    def __init__(self, gguf_path: Path | str, n_threads: int = 1, exact: bool | None = None) -> None:
        self.path = Path(gguf_path)
        self._n_threads = n_threads
        self._exact = exact
        self._flag = CancelFlag()
        self._model: Any = None
        self._context: Any = None
        self._audio_key: tuple[str, bytes] | None = None
        self._audio_length = 0
        self._position = 0

    def load(self) -> None:
        """Map the file and make the context. Slow, and the only step that may fail for a bad file.

        Raises
        ------
        BundleError
            When llama.cpp cannot load the file.
        """
        if self._context is not None:
            return
        silence_llama_log()
        lib.llama_backend_init()
        params = lib.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = lib.llama_model_load_from_file(str(self.path).encode(), params) if self.path.is_file() else None
        if not self._model:
            raise BundleError(f"{self.path}: not a usable language model ({last_llama_message()}); export it again")
        self._read_model()
        exact = self.metadata.get("general.file_type") == _ALL_FLOAT32 if self._exact is None else self._exact
        self._context = make_context(self._model, self.context, self._n_threads, self._flag, exact)
        if not self._context:
            raise BundleError(f"{self.path}: no context could be made ({last_llama_message()})")
        self._memory = lib.llama_get_memory(self._context)
        self._tokens = Batch(BATCH)
        self._vectors = Batch(_VECTOR_BATCH, self.hidden)

    def _read_model(self) -> None:
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.n_vocab = int(lib.llama_vocab_n_tokens(self._vocab))
        self.hidden = int(lib.llama_model_n_embd(self._model))
        self.context = min(int(lib.llama_model_n_ctx_train(self._model)), MAX_CONTEXT)
        self.metadata = metadata(self._model)
        self.eos = int(lib.llama_vocab_eos(self._vocab))
        control = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNUSED
        attributes = (int(lib.llama_vocab_get_attr(self._vocab, i)) for i in range(self.n_vocab))
        self._unwritable = np.array([bool(a & control) for a in attributes])
        self._pieces: dict[int, bytes] = {}

    def close(self) -> None:
        """Free the model; `load()` makes it usable again."""
        if self._context is not None:
            self._tokens.free()
            self._vectors.free()
            lib.llama_free(self._context)
            lib.llama_model_free(self._model)
        self._context = self._model = self._audio_key = None

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`; control tokens spelled out in it become single ids, nothing is added."""
        return tokenize(self._vocab, text)

    def token_id(self, text: str) -> int:
        """Id of the one token that `text` is.

        Raises
        ------
        BundleError
            When it is several: the tokenizer lacks it.
        """
        tokens = self.tokenize(text)
        if len(tokens) != 1:
            raise BundleError(f"{self.path}: the tokenizer has no token {text}; export it again")
        return tokens[0]

    def token_bytes(self, token: int) -> bytes:
        """UTF-8 bytes of a token; may be part of a character. Control tokens give their name."""
        if token not in self._pieces:
            self._pieces[token] = token_bytes(self._vocab, token)
        return self._pieces[token]

    def detokenize(self, tokens: Iterable[int]) -> str:
        """Text of some tokens."""
        return b"".join(self.token_bytes(t) for t in tokens).decode("utf-8", "replace")

    def cancel(self) -> None:
        """Stop the running computation as soon as possible; callable from any thread."""
        self._flag.set()

    def reset_cancel(self) -> None:
        """Forget a cancel that came too early or too late."""
        self._flag.clear()

    def begin(self, prefix: str, embeddings: Float32, suffix: str, reserve: int = 0) -> int:
        """Put a prompt into the working sequence: text | audio vectors | text.

        The part up to the end of the audio is kept; a following call with the same one only computes
        `suffix`.

        Parameters
        ----------
        prefix, suffix : str
            Text before and after the audio.
        embeddings : ndarray, float32 [n, hidden]
            Audio vectors; n may be 0.
        reserve : int
            Tokens that must remain free for the answer.

        Returns
        -------
        int
            Length of the prompt in tokens, audio included.

        Raises
        ------
        UsageError
            When the prompt and the reserve do not fit the context.
        CancelledError
            After `cancel()`.
        """
        suffix_tokens = self.tokenize(suffix)
        prefix_tokens = self.tokenize(prefix)
        total = len(prefix_tokens) + len(embeddings) + len(suffix_tokens)
        if total + reserve > self.context:
            raise UsageError(
                f"the question is too long: {len(suffix_tokens)} tokens, "
                f"{self.context - reserve - total + len(suffix_tokens)} fit beside the audio"
            )
        self._keep_audio(prefix, prefix_tokens, embeddings)
        lib.llama_memory_seq_rm(self._memory, _WORK, -1, -1)
        lib.llama_memory_seq_cp(self._memory, _AUDIO, _WORK, -1, -1)
        self._position = self._audio_length
        self.feed(suffix_tokens)
        return total

    def _keep_audio(self, prefix: str, prefix_tokens: Sequence[int], embeddings: Float32) -> None:
        """Compute the shared part of the prompt, unless it is there already."""
        vectors = np.ascontiguousarray(embeddings, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.hidden:
            raise ValueError(f"audio embeddings of shape {vectors.shape}: [n, {self.hidden}] needed")
        key = (prefix, vectors.tobytes())
        if key == self._audio_key:
            return
        self._audio_key = None
        lib.llama_memory_clear(self._memory, False)
        self._decode_tokens(prefix_tokens, 0, _AUDIO)
        for start in range(0, len(vectors), _VECTOR_BATCH):
            part = vectors[start : start + _VECTOR_BATCH]
            self._decode(self._vectors.fill_vectors(part, len(prefix_tokens) + start, _AUDIO))
        self._audio_length = len(prefix_tokens) + len(vectors)
        self._audio_key = key

    def feed(self, tokens: Sequence[int]) -> None:
        """Append tokens to the working sequence, as if the model had written them."""
        self._decode_tokens(tokens, self._position, _WORK)
        self._position += len(tokens)

    def _decode_tokens(self, tokens: Sequence[int], position: int, sequence: int) -> None:
        size = min(BATCH, self.context)
        for start in range(0, len(tokens), size):
            self._decode(self._tokens.fill_tokens(tokens[start : start + size], position + start, sequence))

    def _decode(self, batch: Any) -> None:
        """One llama.cpp step. After a cancel the cache is cut back by the next `begin`."""
        status = 2 if self._flag.is_set() else lib.llama_decode(self._context, batch)
        if status == 0:
            return
        if status == 2:
            raise CancelledError("the answer was cancelled")
        raise EarshotError(f"the language model failed with status {status} ({last_llama_message()})")

    def logits(self) -> Float32:
        """Logits after the last token of the working sequence: float32 [n_vocab], a copy."""
        pointer = lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (self.n_vocab,)).copy()

    def choose(self, letters: Sequence[str]) -> tuple[int, Float32]:
        """Which of some one-token texts the model would write next; nothing is appended.

        Parameters
        ----------
        letters : sequence of str
            Options; each must begin with a token of its own.

        Returns
        -------
        index : int
            The likeliest option.
        probabilities : ndarray, float32 [len(letters)]
            Softmax over the options alone.
        """
        first = [self.tokenize(letter)[0] for letter in letters]
        if len(set(first)) != len(first):
            raise ValueError(f"options {letters!r} do not begin with different tokens")
        logits = self.logits()[first]
        weights = np.exp(logits - logits.max())
        return int(logits.argmax()), weights / weights.sum()

    def log_likelihoods(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How likely the model would write each text next, in full; nothing is appended.

        Parameters
        ----------
        texts : sequence of str
            Continuations of the working sequence; none empty.

        Returns
        -------
        ndarray, float64 [len(texts)]
            Sums of the log probabilities of their tokens.

        Notes
        -----
        `logits` are those of the last text afterwards; call `begin` or `feed` before going on.
        """
        first, start = self.logits(), self._position
        sums = np.zeros(len(texts))
        for row, text in enumerate(texts):
            logits = first
            tokens = self.tokenize(text)
            for index, token in enumerate(tokens):
                sums[row] += _log_probability(logits, token)
                if index + 1 < len(tokens):
                    self.feed([token])
                    logits = self.logits()
            lib.llama_memory_seq_rm(self._memory, _WORK, start, -1)
            self._position = start
        return sums

    def generate(
        self,
        max_tokens: int,
        stop: Sequence[int] = (),
        on_text: Callable[[str], None] | None = None,
        temperature: float = 0.0,
        rng: np.random.Generator | None = None,
        allowed: Callable[[Sequence[int]], Sequence[int] | None] | None = None,
    ) -> Generation:
        """Continue the working sequence until a stop token or the limit.

        Control tokens other than `stop` are never written.

        Parameters
        ----------
        max_tokens : int
            Most tokens to write; the end of the context also ends it.
        stop : sequence of int
            Tokens that end it; they are not appended to the sequence.
        on_text : callable, optional
            Called with each piece of text as it comes (whole characters only).
        temperature : float
            0 = greedy; otherwise samples from the softmax of logits / temperature.
        rng : numpy Generator, optional
            Randomness for sampling; needed when `temperature` > 0.
        allowed : callable, optional
            Tokens written so far -> ids of those that may come next, None for all; `stop` may always come.

        Raises
        ------
        CancelledError
            After `cancel()`.
        """
        forbidden = self._unwritable.copy()
        forbidden[list(stop)] = False
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        tokens: list[int] = []
        pieces: list[str] = []
        for _ in range(min(max_tokens, self.context - self._position)):
            permitted = None if allowed is None else allowed(tokens)
            barred = forbidden if permitted is None else _all_but([*permitted, *stop], len(forbidden))
            token = pick(self.logits(), barred, temperature, rng)
            if token in stop:
                return Generation("".join(pieces), tuple(tokens), "stop", token)
            tokens.append(token)
            pieces.append(decoder.decode(self.token_bytes(token)))
            if on_text is not None and pieces[-1]:
                on_text(pieces[-1])
            self.feed([token])
        return Generation("".join(pieces), tuple(tokens), "length", None)


def _all_but(tokens: Sequence[int], count: int) -> NDArray[np.bool_]:
    """Bars every token of a vocabulary but some."""
    barred = np.ones(count, bool)
    barred[list(tokens)] = False
    return barred


def _log_probability(logits: Float32, token: int) -> float:
    """Log of the softmax of `logits` at one token."""
    shifted = logits.astype(np.float64) - float(logits.max())
    return float(shifted[token] - np.log(np.exp(shifted).sum()))
