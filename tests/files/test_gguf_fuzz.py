"""The reader of GGUF headers against files that were made to break it: it always ends, with a header or one line.

100,000 files: headers of real shape (those of the default models too, where they are on disk), with bytes, counts and
lengths changed, cut, repeated, joined; and what hypothesis makes up. What a file costs is counted in reads and bytes of
memory, not timed. A file that breaks the reader is named by a number: `broken(SEEDS, NUMBER)` makes it again.
"""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.errors import EngineError
from promptlab.files.gguf import read_shape
from promptlab.files.gguf_header import MAX_TEMPLATE, Header, read_header
from promptlab.files.models import read_models
from promptlab.files.paths import model_file, shipped_library
from tests.files.ggufkit import ARRAY, F32, STRING, U8, U32, U64, gguf, many, model, text, typed
from tests.files.test_gguf_header import model_with, tensor

MUTATED, MADE_UP, WHOLE = 98_960, 1_000, 40
BATCH = 9_896
MEMORY = 4 << 20
"""Bytes that the reader may hold of any of these files."""
WATCHED = 10
"""Of so many files, the memory of one is watched: that takes much longer than to read it."""
ITEMS, TENSORS = 12, 20
"""What is kept of each list and of the tensors of a real header: with all of them, a file takes 50 times as long."""
SMALL = (0, 1, 2, 8, 9, 12, 13, 63, 64, 65, 255, 4096, 4097, 65_535, 65_536, 1 << 20, (1 << 31) - 1, 1 << 31, 2**32 - 1)
LARGE = (*SMALL, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, 2**64 - 1)
SIZES = (0, 0, 0, 1 << 20, 10**8, 1 << 40)
"""By how much a file claims to be longer than what can be read of it."""


class Counted(io.BytesIO):
    """A file in memory that can be asked only so often, and only for so much at once."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.left = len(data) + 100

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 <= size <= MAX_TEMPLATE, "a read of any size"
        self._spend()
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._spend()
        return super().seek(min(offset, 1 << 62), whence)  # a file on disk takes no more either

    def _spend(self) -> None:
        self.left -= 1
        assert self.left >= 0, "more reads than there are bytes: perhaps it does not end"


class File:
    """In the place of a path: it takes long to write so many files to a disk."""

    def __init__(self, data: bytes, more: int = 0) -> None:
        self._data = data
        self._size = len(data) + more

    def open(self, mode: str, buffering: int = -1) -> Counted:
        return Counted(self._data)

    def stat(self) -> Any:
        return type("Found", (), {"st_size": self._size})

    def __str__(self) -> str:
        return "made.gguf"


def read(data: bytes, more: int = 0) -> Header | None:
    """Read a file as the program does. None where it is refused, in one line."""
    file: Any = File(data, more)
    try:
        header = read_header(file)
    except EngineError as error:
        assert "\n" not in error.message  # noqa: PT017
        assert len(error.message) < 500  # noqa: PT017
        return None
    assert header.shape == read_shape(file)
    assert header.shape.kv_per_token >= 0
    return header


# --- what is changed


class Seed:
    """A header that can be read, and where in it numbers stand that say how much follows, or of what kind it is."""

    def __init__(self, data: bytes, places: Sequence[int] = (8, 16)) -> None:
        self.data = data
        self.places = tuple(place for place in places if place + 8 <= len(data))


class Shortened:
    """A real header with its lists cut short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 24
        _, _, tensors, keys = struct.unpack_from("<4sIQQ", data)
        self._out = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, min(tensors, TENSORS), keys))
        self.places = [8, 16]
        for _ in range(keys):
            self._text()
            self._value()
        for _ in range(min(tensors, TENSORS)):
            self._text()
            self.places.append(len(self._out))
            (dimensions,) = struct.unpack("<I", self._take(4))
            self._take(8 * dimensions + 12)

    def seed(self) -> Seed:
        return Seed(bytes(self._out), self.places)

    def _take(self, count: int, *, keep: bool = True) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        self._out += taken if keep else b""
        return taken

    def _text(self, *, keep: bool = True) -> None:
        self.places += [len(self._out)] if keep else []
        (length,) = struct.unpack("<Q", self._take(8, keep=keep))
        self._take(length, keep=keep)

    def _value(self) -> None:
        self.places.append(len(self._out))
        (kind,) = struct.unpack("<I", self._take(4))
        if kind == STRING:
            self._text()
        elif kind == ARRAY:
            self._array()
        else:
            self._take(_WIDTHS[kind])

    def _array(self) -> None:
        self.places.append(len(self._out))
        (kind,) = struct.unpack("<I", self._take(4))
        (count,) = struct.unpack("<Q", self._take(8, keep=False))
        self.places.append(len(self._out))
        self._out += struct.pack("<Q", min(count, ITEMS))
        for i in range(count):
            if kind == STRING:
                self._text(keep=i < ITEMS)
            else:
                self._take(_WIDTHS[kind], keep=i < ITEMS)


_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def real_headers() -> list[bytes]:
    """Those of the default models, as far as they are on disk; they take some megabytes."""
    found = []
    for each in read_models(shipped_library() / "models.yaml").values():
        if each.default and each.sha256 and model_file(each.sha256).is_file():
            with model_file(each.sha256).open("rb") as file:
                found.append(file.read(32 << 20))
    return found


@cache
def seeds() -> tuple[Seed, ...]:
    facts = [
        ("general.name", typed(STRING, "A model")),
        ("general.file_type", typed(U32, 15)),
        ("general.license", typed(STRING, "mit")),
        ("tokenizer.ggml.model", typed(STRING, "gpt2")),
        ("tokenizer.chat_template", typed(STRING, "{{ messages }}")),
        ("llama.attention.head_count_kv", many(U32, [2, 2])),
        ("tokenizer.ggml.scores", many(F32, [0.5] * 5)),
    ]
    tensors = [tensor("token_embd.weight", 64, 100, kind=8), tensor("norm", 64), tensor("out", 64, 100, 1, 1, kind=14)]
    made = [Seed(model()), Seed(model_with(facts, tensors))]
    return (*made, *(Shortened(data).seed() for data in real_headers()))


Change = Callable[[random.Random, bytearray, Seed], None]


def flip(draw: random.Random, data: bytearray, seed: Seed) -> None:
    for _ in range(draw.randint(1, 8)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def number(draw: random.Random, data: bytearray, seed: Seed) -> None:
    """At any place."""
    at = draw.randrange(len(data))
    data[at : at + 8] = struct.pack("<Q", draw.choice(LARGE))


def count(draw: random.Random, data: bytearray, seed: Seed) -> None:
    """Where a length, a number of things or a type stands."""
    at = draw.choice(seed.places)
    if draw.random() < 0.5:
        data[at : at + 4] = struct.pack("<I", draw.choice(SMALL))
    else:
        data[at : at + 8] = struct.pack("<Q", draw.choice(LARGE))


def nearly(draw: random.Random, data: bytearray, seed: Seed) -> None:
    """A length that is a little wrong."""
    at = draw.choice(seed.places)
    if at + 4 <= len(data):
        value = int.from_bytes(data[at : at + 4], "little") + draw.choice((-2, -1, 1, 2, 7))
        data[at : at + 4] = struct.pack("<I", value % 2**32)


def cut(draw: random.Random, data: bytearray, seed: Seed) -> None:
    del data[draw.randrange(len(data)) :]


def lose(draw: random.Random, data: bytearray, seed: Seed) -> None:
    at = draw.randrange(len(data))
    del data[at : at + draw.randint(1, 64)]


def repeat(draw: random.Random, data: bytearray, seed: Seed) -> None:
    at = draw.randrange(len(data))
    data[at:at] = data[at : at + draw.randint(1, 300)] * draw.randint(1, 4)


def join(draw: random.Random, data: bytearray, seed: Seed) -> None:
    other = draw.choice(seeds()).data
    at = draw.choice(seed.places)
    data[at:] = other[draw.randrange(len(other)) :]


def insert(draw: random.Random, data: bytearray, seed: Seed) -> None:
    at = draw.randrange(len(data))
    data[at:at] = draw.randbytes(draw.randint(1, 40))


CHANGES: tuple[Change, ...] = (flip, number, count, count, nearly, cut, lose, repeat, join, insert)


def broken(some: Sequence[Seed], name: int) -> tuple[bytes, int]:
    """The changed file of a number, and by how much it claims to be longer."""
    draw = random.Random(name)
    seed = draw.choice(some)
    data = bytearray(seed.data)
    for _ in range(draw.randint(1, 3)):
        draw.choice(CHANGES)(draw, data, seed)
        if not data:
            break
    return bytes(data), draw.choice(SIZES)


# --- the tests


def try_all(some: Sequence[Seed], names: range) -> int:
    """Read the changed files of these numbers; how many were taken for a header."""
    taken = 0
    for name in names:
        data, more = broken(some, name)
        watch = name % WATCHED == 0
        if watch:
            tracemalloc.start()
        try:
            taken += read(data, more) is not None
            if watch:
                assert tracemalloc.get_traced_memory()[1] < MEMORY
        except BaseException as error:
            error.add_note(f"the file broken(…, {name})")
            raise
        finally:
            tracemalloc.stop()
    return taken


def test_the_headers_that_are_changed_can_be_read() -> None:
    assert all(read(seed.data) for seed in seeds())


@pytest.mark.parametrize("first", range(0, MUTATED, BATCH))
def test_a_changed_header_is_read_or_refused(first: int) -> None:
    taken = try_all(seeds(), range(first, first + BATCH))
    assert 0 < taken < BATCH  # both come to pass


@pytest.mark.model
def test_so_is_a_whole_real_one() -> None:
    whole = [Seed(data[: 2 << 20]) for data in real_headers()]
    assert len(whole) == 2
    try_all(whole, range(WHOLE))


VALUES = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda n: typed(U64, n)),
    st.text(max_size=8).map(lambda s: typed(STRING, s)),
    st.lists(st.integers(0, 255), max_size=4).map(lambda ns: many(U8, ns)),
    st.lists(st.text(max_size=3), max_size=4).map(lambda ss: many(STRING, ss)),
    st.tuples(st.sampled_from(SMALL), st.sampled_from(LARGE)).map(lambda n: struct.pack("<IIQ", ARRAY, *n)),
    st.binary(max_size=24),
)
NAMES = ("architecture", "name", "file_type")
KEYS = st.one_of(
    st.sampled_from([f"general.{name}" for name in NAMES]),
    st.sampled_from(["x.block_count", "x.attention.head_count", "x.context_length", "tokenizer.ggml.tokens"]),
    st.text(max_size=6),
)
TENSORS_OF = st.lists(
    st.tuples(st.text(max_size=4), st.lists(st.sampled_from(LARGE), max_size=9), st.sampled_from(SMALL)).map(
        lambda t: tensor(t[0], *t[1], kind=t[2])
    ),
    max_size=4,
)


@settings(max_examples=MADE_UP, deadline=None)
@given(
    pairs=st.lists(st.tuples(KEYS, VALUES), max_size=8),
    tensors=TENSORS_OF,
    lies=st.tuples(st.sampled_from((None, *LARGE)), st.sampled_from((None, *LARGE))),
    lost=st.integers(0, 60),
)
def test_anything_is_read_or_refused(
    pairs: list[tuple[str, bytes]], tensors: list[bytes], lies: tuple[int | None, int | None], lost: int
) -> None:
    named = [("general.architecture", typed(STRING, "x")), ("x.block_count", typed(U32, 2))]
    keys, claimed = lies
    data = gguf([*named, *pairs], keys=keys)
    data = data[:8] + struct.pack("<Q", len(tensors) if claimed is None else claimed) + data[16:] + b"".join(tensors)
    read(data[: max(len(data) - lost, 0)])


@pytest.mark.parametrize("count", [0, 1, 23, 24, 63, 64])
def test_the_beginning_of_anything(count: int) -> None:
    for start in (b"GGUF", b"GGUF\3\0\0\0", text("a"), bytes(8), b"\xff" * 8):
        read((start + bytes(range(64)))[:count])
