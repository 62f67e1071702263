"""A look at the beginning of a file before any C code parses it: is this a GGUF file at all, and how large a model?

The file may be anybody's. What is read of it is bounded: in bytes, in values, in what is kept; and nothing nests.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from promptlab.core.kv import KvTypes
from promptlab.core.schema import shorten
from promptlab.core.text import sanitize_line
from promptlab.errors import EngineError

MAX_TENSORS = 1_000_000
MAX_KEYS = 1_000_000
MAX_METADATA = 256 << 20
"""Bytes before the tensors. Vocabulary and merges of 262,144 tokens take about 15 MB."""
MAX_VALUES = 4_000_000
"""Keys and texts in them; each costs some time."""
MAX_NAME = 65_535
"""Bytes of a key: so says the format."""
MAX_LAYERS = 4096
MAX_KEPT = 64
"""Keys that are kept: an architecture has not nearly as many."""
MAX_NUMBER = 1 << 31
"""For heads, lengths and the like: far beyond any model."""
MAX_DIMENSIONS = 8
MAX_PARAMETERS = 10**15
MAX_TYPES = 64
"""Of tensors: the format has about 40."""
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of keys
_OTHERS = (
    (b"<!doctype html", "it is a web page"),
    (b"<html", "it is a web page"),
    (b"<?xml", "it is an XML file, perhaps a server's error message"),
    (b"{", "it looks like JSON, perhaps a server's error message"),
    (b"pk\x03\x04", "it is a zip file"),
    (b"\x1f\x8b", "it is a gzip file"),
    (b"version http", "it is a Git LFS pointer, not the file that it stands for"),
    (b"lmgg", "it is a model file of a kind older than GGUF"),
    (b"tjgg", "it is a model file of a kind older than GGUF"),
)


def check_header(path: Path) -> None:
    """Make sure that a file begins like a GGUF file of version 2 or 3.

    Raises EngineError with one line that says what is wrong.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    if reason := _reason(start):
        raise unusable(path, reason)


def unusable(path: Path, reason: str) -> EngineError:
    """The error that says why a file cannot be used, and what to do."""
    hint = "`promptlab models verify` compares it with its hash"
    return EngineError(f"{path}: is not a usable GGUF file: {reason}", hint=hint)


def _reason(start: bytes) -> str | None:
    if not start:
        return "it is empty"
    if start[:4] != b"GGUF"[: len(start)]:
        return _kind(start)
    if len(start) < _HEADER.size:
        return f"it ends after {len(start)} bytes"
    _, version, tensors, keys = _HEADER.unpack_from(start)
    if version not in (2, 3):
        return f"its version is {version}; only 2 and 3 can be read"
    if tensors > MAX_TENSORS or keys > MAX_KEYS:
        return f"it claims {tensors:,} tensors and {keys:,} keys"
    return None


def _kind(start: bytes) -> str:
    text = start.lstrip().lower()
    known = next((kind for magic, kind in _OTHERS if text.startswith(magic)), None)
    return known or f"it begins with {start[:4]!r}, not with 'GGUF'"


# --- what the metadata says ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file says of its model, as far as the memory that it needs depends on it."""

    architecture: str
    bytes: int
    """Of the file, so about what the weights take."""
    layers: int
    context: int | None
    """Tokens that it was trained for."""
    embedding: int
    kv_heads: tuple[int, ...]
    """Of each layer; 0 for a layer that keeps no cache."""
    key_length: int
    value_length: int
    sliding_window: int | None
    vocabulary: int
    """How many tokens there are."""
    heads: int = 0
    """Of attention, in the layer that has most."""

    @property
    def kv_per_token(self) -> int:
        """Bytes of KV cache, in halves of a float. Layers with a sliding window count in full: the engine keeps all."""
        return self.kv_bytes(KvTypes())

    def kv_bytes(self, types: KvTypes) -> int:
        """The same for a cache that is stored in another way."""
        heads = sum(self.kv_heads)
        return types.bytes(heads * self.key_length, heads * self.value_length)


def read_shape(path: Path) -> Shape:
    """Read the metadata of a file. Raises EngineError with one line that says what is wrong."""
    check_header(path)
    try:
        with path.open("rb", buffering=1 << 18) as file:
            size = path.stat().st_size
            return shape_of(Metadata(file, size).read(), size)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    except Broken as error:
        raise unusable(path, str(error)) from None


ARCHITECTURE = "general.architecture"
_TOKENS = "tokenizer.ggml.tokens"
_KEPT = frozenset(
    {
        "block_count",
        "context_length",
        "embedding_length",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.sliding_window",
    }
)
"""What is read, below the name of an architecture."""

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_FORMATS = {kind: struct.Struct("<" + code) for kind, code in _NUMBERS.items()}
_WHOLE = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
_STRING, _ARRAY = 8, 9
_U32, _U64 = _FORMATS[4], _FORMATS[10]
_TENSOR = struct.Struct("<IQ")  # the type of a tensor, and where it begins

Value = str | tuple[int, ...]
"""Numbers, one or several, or a text."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """What the list of a file's tensors comes to."""

    parameters: int
    """Numbers in all of them."""
    largest: int
    """Numbers in the largest: mostly the one that holds the vocabulary."""
    types: Mapping[int, int]
    """How many there are of each type, by the format's number for it."""


class Broken(Exception):
    """The metadata cannot be read; says why."""


class Metadata:
    """Goes through the keys and values of an open file once, and keeps the few that are wanted."""

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        texts: Mapping[str, int] | None = None,
        numbers: frozenset[str] = frozenset(),
    ) -> None:
        """`texts` are keys of texts that are wanted too, each with how many bytes of it are kept; `numbers` are keys of
        whole numbers.
        """
        self._texts = texts or {}
        self._numbers_too = numbers
        self._tensors = 0
        self._file = file
        self._left = min(size, MAX_METADATA)
        self._whole = size <= MAX_METADATA
        self._values = MAX_VALUES
        self._key = ""

    def read(self) -> dict[str, Value]:
        """The values that are wanted, by their keys. Raises Broken."""
        _, _, self._tensors, keys = _HEADER.unpack(self._bytes(_HEADER.size))
        found: dict[str, Value] = {}
        for _ in range(keys):
            self._count(16)  # it takes about as long as so many texts
            self._key = self._text(MAX_NAME)
            (kind,) = _U32.unpack(self._bytes(4))
            if (value := self._value(kind)) is None:
                continue
            if self._key in found:
                raise Broken(f"its key {self._shown} stands twice")
            if len(found) == MAX_KEPT:
                raise Broken(f"its metadata describe more than one model, up to {self._shown}")
            found[self._key] = value
        return found

    def tensors(self) -> Tensors:
        """Count the tensors, which are listed after the metadata. Raises Broken."""
        total = largest = 0
        types: dict[int, int] = {}
        for _ in range(self._tensors):
            self._count(4)
            self._key = self._text(MAX_NAME)
            (dimensions,) = _U32.unpack(self._bytes(4))
            if dimensions > MAX_DIMENSIONS:
                raise Broken(f"its tensor {self._shown} has {dimensions:,} dimensions")
            size = math.prod(struct.unpack(f"<{dimensions}Q", self._bytes(8 * dimensions)))
            kind, _ = _TENSOR.unpack(self._bytes(_TENSOR.size))
            total, largest = total + size, max(largest, size)
            types[kind] = types.get(kind, 0) + 1
            if len(types) > MAX_TYPES:
                raise Broken(f"its tensors are of more than {MAX_TYPES} types")
        if total > MAX_PARAMETERS:
            raise Broken(f"it claims {total:.1e} parameters")
        return Tensors(total, largest, types)

    def _value(self, kind: int) -> Value | None:
        """Read the value of a key, or step over it where it is not wanted."""
        wanted = self._key.partition(".")[2] in _KEPT or self._key in self._numbers_too
        if kind == _STRING:
            if self._key in self._texts:
                return self._beginning(self._texts[self._key])
            if self._key == ARCHITECTURE:
                return self._text(64)
            self._skip(self._length())
        elif kind == _ARRAY:
            return self._array(wanted)
        elif kind not in _FORMATS:
            raise Broken(f"its key {self._shown} has a value of the unknown type {kind}")
        elif wanted:
            return self._numbers(kind, 1)
        else:
            self._skip(_FORMATS[kind].size)
        return None

    def _array(self, wanted: bool) -> Value | None:
        (kind,) = _U32.unpack(self._bytes(4))
        count = self._length()
        if kind != _STRING and kind not in _FORMATS:  # an array of arrays llama.cpp does not read either
            raise Broken(f"its key {self._shown} is a list of values of the unknown type {kind}")
        if wanted:
            return self._numbers(kind, count)
        if kind == _STRING:
            self._skip_texts(count)
        else:
            self._skip(count * _FORMATS[kind].size)
        return (count,) if self._key == _TOKENS else None

    def _numbers(self, kind: int, count: int) -> tuple[int, ...]:
        if kind not in _WHOLE or not 0 < count <= MAX_LAYERS:
            raise Broken(f"its {self._shown} is neither a whole number nor up to {MAX_LAYERS:,} of them")
        data = self._bytes(count * _FORMATS[kind].size)
        values = struct.unpack(f"<{count}{_NUMBERS[kind]}", data)
        if not all(0 <= value <= MAX_NUMBER for value in values):
            raise Broken(f"its {self._shown} is beyond all measure: {max(values, key=abs):,}")
        return values

    def _text(self, longest: int) -> str:
        length = self._length()
        if length > longest:
            raise Broken(f"it holds a name of {length:,} bytes")
        return self._bytes(length).decode("utf-8", "replace")

    def _beginning(self, longest: int) -> str:
        length = self._length()
        kept = min(length, longest)
        text = self._bytes(kept).decode("utf-8", "replace")
        self._skip(length - kept)
        return text

    @property
    def _shown(self) -> str:
        return shorten(sanitize_line(self._key))

    def _length(self) -> int:
        return int(_U64.unpack(self._bytes(8))[0])

    def _skip_texts(self, count: int) -> None:
        """Step over texts: a vocabulary is a long list of short ones, so this loop is flat."""
        self._count(count)
        read, seek, unpack, left = self._file.read, self._file.seek, _U64.unpack, self._left
        for _ in range(count):
            head = read(8)
            if len(head) < 8:
                raise self._ended()
            (length,) = unpack(head)
            left -= 8 + length
            if left < 0:
                raise self._ended()
            if length < 4096:
                read(length)  # quicker than a seek
            else:
                seek(length, 1)
        self._left = left

    def _bytes(self, count: int) -> bytes:
        self._take(count)
        data = self._file.read(count)
        if len(data) < count:
            raise self._ended()
        return data

    def _skip(self, count: int) -> None:
        self._take(count)
        self._file.seek(count, 1)

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise self._ended()

    def _count(self, count: int) -> None:
        self._values -= count
        if self._values < 0:
            raise Broken(f"its metadata hold more than {MAX_VALUES:,} values")

    def _ended(self) -> Broken:
        if self._whole:
            return Broken("it ends in the middle of its metadata")
        return Broken(f"its metadata are larger than {MAX_METADATA:,} bytes")


def shape_of(found: Mapping[str, Value], size: int) -> Shape:
    """Take what the plan needs out of the values that were found. Raises Broken."""
    architecture = found.get(ARCHITECTURE)
    if not isinstance(architecture, str) or not architecture:
        raise Broken("it names no architecture")

    def numbers(name: str) -> tuple[int, ...] | None:
        value = found.get(f"{architecture}.{name}")
        return None if isinstance(value, str) else value

    def number(name: str) -> int | None:
        values = numbers(name)
        return max(values) if values else None

    layers = number("block_count")
    if layers is None or layers > MAX_LAYERS:
        raise Broken(f"it does not say that it has layers, up to {MAX_LAYERS:,} of them")
    embedding = number("embedding_length") or 0
    heads = numbers("attention.head_count") or (0,)
    # As llama.cpp: of a layer that has heads. A model without attention has none, and no cache of this kind.
    each = embedding // max(heads) if max(heads) else 0
    kv_heads = numbers("attention.head_count_kv") or heads
    tokens = found.get(_TOKENS)
    key_length, value_length = number("attention.key_length"), number("attention.value_length")
    return Shape(
        architecture=architecture,
        bytes=size,
        layers=layers,
        context=number("context_length"),
        embedding=embedding,
        kv_heads=(kv_heads * layers if len(kv_heads) == 1 else kv_heads)[:layers],
        key_length=each if key_length is None else key_length,
        value_length=each if value_length is None else value_length,
        sliding_window=number("attention.sliding_window"),
        vocabulary=tokens[0] if isinstance(tokens, tuple) else 0,
        heads=max(heads),
    )
