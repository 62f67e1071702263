"""What llama.cpp writes down of one sequence, for a context with another number of streams.

A state (`llama_state_seq_get_data`) can be read only by a context with as many streams as the one that wrote it, though
all but one of them are empty in it. This rewrites the count. Format: `llama_kv_cache::state_write` in llama.cpp's
src/llama-kv-cache.cpp, as of the version that pyproject.toml pins: a head of 8 bytes, then for each cache (a model with
sliding windows has two) the number of streams, and for each stream the number of its cells; where there are any, the
cells' positions and sequences, then the keys and values of each layer.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

HEAD = 8
"""Bytes of a magic number and a sequence id."""
CELL = 12
"""Bytes of a position, a count of sequences that is 1, and a sequence id."""

Data = npt.NDArray[np.uint8]


def with_streams(data: Data, streams: int) -> Data | None:
    """The same state for a context of so many streams; None when it is of a kind that cannot be read here."""
    parts: list[Data] = [data[:HEAD]]
    try:
        at = HEAD
        while at < len(data):
            at, cells = _cache(data, at)
            # The one stream with cells comes first; a reader puts them where it wants them.
            counts = 0 if cells is None else streams - 1
            parts.append(_words(streams))
            parts += [_words(*[0] * streams)] if cells is None else [cells, _words(*[0] * counts)]
    except (struct.error, ValueError):
        return None
    return np.concatenate(parts)


def _cache(data: Data, at: int) -> tuple[int, Data | None]:
    """Where a cache ends, and its only stream that has cells, if one has."""
    cells: Data | None = None
    (streams,), at = _read("<I", data, at)
    for _ in range(streams):
        start = at
        (count,), at = _read("<I", data, at)
        if count:
            if cells is not None:
                raise ValueError("cells in two streams")
            at = _stream(data, at, count)
            cells = data[start:at]
    return at, cells


def _stream(data: Data, at: int, count: int) -> int:
    """Where a stream's cells end."""
    sequences = data[at + 4 : at + count * CELL : CELL]
    if len(sequences) != count or not (sequences == 1).all():
        raise ValueError("cells of another shape")
    at += count * CELL
    (transposed, layers), at = _read("<II", data, at)
    if transposed > 1:
        raise ValueError("not the two numbers that were expected")
    for _ in range(layers):
        (_, row), at = _read("<iQ", data, at)
        at += row * count
    for _ in range(layers):
        if transposed:
            (_, size, rows), at = _read("<iII", data, at)
            at += size * rows * count
        else:
            (_, row), at = _read("<iQ", data, at)
            at += row * count
    if at > len(data):
        raise ValueError("it ends too early")
    return at


def _read(form: str, data: Data, at: int) -> tuple[tuple[int, ...], int]:
    size = struct.calcsize(form)
    return struct.unpack(form, data[at : at + size].tobytes()), at + size


def _words(*values: int) -> Data:
    return np.frombuffer(struct.pack(f"<{len(values)}I", *values), np.uint8)
