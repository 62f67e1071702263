"""GGUF files made by hand: a header and metadata, right or wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_CODES = dict(zip((U8, I8, U16, I16, U32, I32, F32, BOOL, U64, I64, F64), "BbHhIif?Qqd", strict=True))


def text(value: str | bytes) -> bytes:
    """A text as the format has it: its length, then its bytes."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def number(kind: int, value: float) -> bytes:
    """A number of a type."""
    return struct.pack("<" + _CODES[kind], value)


def typed(kind: int, value: float | str) -> bytes:
    """A value with its type before it."""
    return struct.pack("<I", kind) + (text(value) if isinstance(value, str) else number(kind, value))


def many(kind: int, values: Iterable[float | str]) -> bytes:
    """A list of values of a type, with its own type before it."""
    parts = [text(v) if isinstance(v, str) else number(kind, v) for v in values]
    return struct.pack("<IIQ", ARRAY, kind, len(parts)) + b"".join(parts)


def gguf(pairs: Iterable[tuple[str, bytes]], *, keys: int | None = None) -> bytes:
    """A file with this metadata; `keys` says how many there are, if that is to be a lie."""
    body = [text(key) + value for key, value in pairs]
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(body) if keys is None else keys) + b"".join(body)


def model(**changes: bytes | None) -> bytes:
    """A small model: 4 layers, 2 of 8 heads with a cache, of length 16; 3 tokens.

    A change of None leaves a key out; `__` in its name stands for a dot.
    """
    numbers: Mapping[str, bytes] = {
        "block_count": typed(U32, 4),
        "context_length": typed(U32, 2048),
        "embedding_length": typed(U32, 128),
        "attention.head_count": typed(U32, 8),
        "attention.head_count_kv": typed(U32, 2),
    }
    wanted = {**numbers, **{key.replace("__", "."): value for key, value in changes.items()}}
    return gguf(
        [
            ("general.architecture", typed(STRING, "llama")),
            ("general.name", typed(STRING, "A model")),
            *((f"llama.{key}", value) for key, value in wanted.items() if value is not None),
            ("tokenizer.ggml.tokens", many(STRING, ["a", "bc", ""])),
            ("tokenizer.ggml.scores", many(F32, [0.5] * 3)),
            ("tokenizer.ggml.add_bos_token", typed(BOOL, True)),
        ]
    )
