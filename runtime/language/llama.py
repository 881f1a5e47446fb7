"""The few things asked of llama.cpp's C interface that its own Python layer does not give.

Batches that carry vectors instead of tokens, a cancel flag, and silence. Only `llm.py` and the exporter's
quantizer use it.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

BATCH = 512
"""Most tokens in one step of llama.cpp; longer prompts take several."""

_C_LIBRARY = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
_WARNING = 3  # ggml_log_level: 1 debug, 2 info, 3 warning, 4 error, 5 continuation
_last_messages: deque[str] = deque(maxlen=8)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_message(level: int, text: bytes, _data: Any) -> None:
    """Keep warnings and errors for our own error message; nothing goes to the terminal."""
    if level >= _WARNING:
        _last_messages.append(text.decode("utf-8", "replace").strip())


def silence_llama_log() -> None:
    """Send llama.cpp's log to a short memory instead of stderr."""
    _last_messages.clear()
    lib.llama_log_set(_keep_message, ctypes.c_void_p(None))


def last_llama_message() -> str:
    """First of the last lines llama.cpp complained with, or a stand-in."""
    return _last_messages[0] if _last_messages else "no reason given"


class CancelFlag:
    """A flag that llama.cpp asks for while it computes; lives as long as what asks.

    llama.cpp asks at each node of its graph, some thousand times an answer. A Python function would take the interpreter from
    hearing as often, so the C library's own ``strlen`` answers: the flag is a text of no character or of one.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(_C_LIBRARY.strlen, lib.ggml_abort_callback)
        self.data = ctypes.addressof(self._text)

    def set(self) -> None:
        """Ask the running computation to stop; safe from any thread."""
        self._text[0] = b"\1"

    def clear(self) -> None:
        """Allow computing again."""
        self._text[0] = b"\0"

    def is_set(self) -> bool:
        """Whether a stop has been asked for."""
        return bool(self._text.value)


class Batch:
    """A reusable llama.cpp batch for one sequence, of tokens or of vectors."""

    def __init__(self, capacity: int, width: int = 0) -> None:
        """Allocate for `capacity` positions; `width` > 0 makes it a batch of vectors of that many floats."""
        self.capacity = capacity
        self._width = width
        self._batch = lib.llama_batch_init(capacity, width, 1)

    def fill_tokens(self, tokens: Sequence[int], position: int, sequence: int) -> Any:
        """The batch holding `tokens` from `position` on; logits only at the last one."""
        for i, token in enumerate(tokens):
            self._batch.token[i] = token
        return self._place(len(tokens), position, sequence)

    def fill_vectors(self, vectors: NDArray[np.float32], position: int, sequence: int) -> Any:
        """The batch holding float32 `vectors` [n, width] from `position` on; logits only at the last one."""
        flat = np.ascontiguousarray(vectors, np.float32)
        ctypes.memmove(self._batch.embd, flat.ctypes.data, flat.nbytes)
        return self._place(len(vectors), position, sequence)

    def _place(self, count: int, position: int, sequence: int) -> Any:
        batch = self._batch
        batch.n_tokens = count
        for i in range(count):
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = i == count - 1
        return batch

    def free(self) -> None:
        """Give the memory back; the batch must not be used afterwards."""
        lib.llama_batch_free(self._batch)


def make_context(model: Any, n_context: int, n_threads: int, flag: CancelFlag, exact: bool) -> Any:
    """A context of two sequences, or None.

    Parameters
    ----------
    model : pointer
    n_context : int
        Tokens of both sequences together; what they share counts once.
    n_threads : int
    flag : CancelFlag
        Must outlive the context.
    exact : bool
        Float32 cache and no flash attention.
    """
    params = lib.llama_context_default_params()
    params.n_ctx = n_context
    params.n_batch = params.n_ubatch = min(BATCH, n_context)
    params.n_seq_max = 2
    params.kv_unified = True  # both sequences share cells: copying the audio costs nothing
    params.n_threads = params.n_threads_batch = n_threads
    params.offload_kqv = params.op_offload = False
    params.no_perf = True
    params.abort_callback, params.abort_callback_data = flag.callback, flag.data
    if exact:
        params.type_k = params.type_v = lib.GGML_TYPE_F32
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return lib.llama_init_from_model(model, params)


def tokenize(vocab: Any, text: str) -> list[int]:
    """Token ids of a text; control tokens spelled out in it become single ids."""
    data = text.encode("utf-8")
    buffer = (lib.llama_token * (len(data) + 2))()
    count = lib.llama_tokenize(vocab, data, len(data), buffer, len(buffer), False, True)
    return list(buffer[:count])


def token_bytes(vocab: Any, token: int) -> bytes:
    """What a token is written as; control tokens as their name."""
    buffer = ctypes.create_string_buffer(128)
    length = lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, True)
    if length < 0:
        buffer = ctypes.create_string_buffer(-length)
        length = lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, True)
    return buffer.raw[:length]


def metadata(model: Any) -> dict[str, str]:
    """Scalar metadata of a loaded GGUF as text."""
    out = {}
    buffer = ctypes.create_string_buffer(1024)
    for i in range(lib.llama_model_meta_count(model)):
        lib.llama_model_meta_key_by_index(model, i, buffer, len(buffer))
        key = buffer.value.decode("utf-8", "replace")
        lib.llama_model_meta_val_str_by_index(model, i, buffer, len(buffer))
        out[key] = buffer.value.decode("utf-8", "replace")
    return out
