"""What a GGUF file says of its model: by files made by hand, some of them to do harm, and by the default models."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlab.errors import EngineError
from promptlab.files import gguf as module
from promptlab.files.gguf import Shape, read_shape
from promptlab.files.models import present, read_models
from promptlab.files.paths import shipped_library
from tests.files.ggufkit import (
    ARRAY,
    BOOL,
    F32,
    I8,
    I32,
    I64,
    STRING,
    U8,
    U16,
    U32,
    U64,
    gguf,
    many,
    model,
    number,
    text,
    typed,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.gguf"


def shape(path: Path, data: bytes) -> Shape:
    path.write_bytes(data)
    return read_shape(path)


def refusal(path: Path, data: bytes) -> str:
    """Why a file is refused: what stands between the path and the advice."""
    with pytest.raises(EngineError) as caught:
        shape(path, data)
    message = str(caught.value)
    assert "\n" not in message
    before, after = f"{path}: is not a usable GGUF file: ", ". `promptlab models verify` compares it with its hash"
    assert message.startswith(before)
    assert message.endswith(after)
    return message.removeprefix(before).removesuffix(after)


def test_a_model(path: Path) -> None:
    data = model(attention__sliding_window=typed(U32, 512))
    assert shape(path, data) == Shape(
        architecture="llama",
        bytes=len(data),
        layers=4,
        context=2048,
        embedding=128,
        kv_heads=(2, 2, 2, 2),
        key_length=16,
        value_length=16,
        sliding_window=512,
        vocabulary=3,
        heads=8,
    )


@pytest.mark.parametrize(
    ("changes", "kv_per_token"),
    [
        ({}, 2 * (16 + 16) * 2 * 4),
        ({"attention__key_length": typed(U32, 40)}, 2 * (40 + 16) * 2 * 4),
        ({"attention__key_length": typed(U32, 24), "attention__value_length": typed(U32, 8)}, 2 * 32 * 2 * 4),
        ({"attention__head_count_kv": None}, 2 * 32 * 8 * 4),  # each head has its own
        ({"attention__head_count_kv": many(U32, [2, 0, 3, 0])}, 2 * 32 * 5),  # layers without attention
        ({"attention__head_count_kv": many(I32, [2, 2])}, 2 * 32 * 4),
        ({"attention__head_count_kv": many(U32, [1] * 9)}, 2 * 32 * 4),  # more than there are layers
        ({"attention__head_count": many(U32, [0, 8, 8, 8]), "attention__head_count_kv": None}, 2 * 32 * 24),
        ({"attention__head_count": None, "attention__head_count_kv": None}, 0),  # no attention at all
        ({"attention__head_count": typed(U32, 0), "attention__head_count_kv": None}, 0),
        ({"embedding_length": None, "attention__key_length": typed(U32, 16)}, 2 * 16 * 2 * 4),
    ],
)
def test_the_kv_cache_of_a_token(path: Path, changes: dict[str, bytes | None], kv_per_token: int) -> None:
    assert shape(path, model(**changes)).kv_per_token == kv_per_token


@pytest.mark.parametrize("kind", [U8, I8, U16, I32, U32, U64, I64])
def test_whole_numbers_of_any_type(path: Path, kind: int) -> None:
    assert shape(path, model(block_count=typed(kind, 7))).layers == 7


def test_the_architecture_may_come_last(path: Path) -> None:
    pairs = [("x.block_count", typed(U32, 3)), ("y.block_count", typed(U32, 5))]
    assert shape(path, gguf([*pairs, ("general.architecture", typed(STRING, "y"))])).layers == 5


def test_what_may_be_missing(path: Path) -> None:
    pairs = [("general.architecture", typed(STRING, "x")), ("x.block_count", typed(U32, 3))]
    assert shape(path, gguf(pairs)) == Shape("x", path.stat().st_size, 3, None, 0, (0, 0, 0), 0, 0, None, 0)


HUGE = (1 << 64) - 1
NAMED = ("general.architecture", typed(STRING, "x"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gguf([]), "it names no architecture"),
        (gguf([("general.architecture", typed(U32, 1))]), "it names no architecture"),
        (gguf([("general.architecture", typed(STRING, ""))]), "it names no architecture"),
        (gguf([("general.architecture", typed(STRING, "x" * 65))]), "it holds a name of 65 bytes"),
        (gguf([NAMED]), "it does not say that it has layers"),
        (gguf([NAMED, ("x.block_count", typed(U32, 5000))]), "it does not say that it has layers, up to 4,096"),
        (gguf([NAMED], keys=2), "it ends in the middle of its metadata"),
        (gguf([NAMED], keys=1_000_000), "it ends in the middle of its metadata"),
        (gguf([("k", struct.pack("<IQ", STRING, HUGE))]), "it ends in the middle of its metadata"),
        (gguf([("k", struct.pack("<IQ", STRING, 1 << 63))]), "it ends in the middle of its metadata"),
        (gguf([("k", struct.pack("<IIQ", ARRAY, U8, HUGE))]), "it ends in the middle of its metadata"),
        (gguf([("k", struct.pack("<IIQ", ARRAY, U64, HUGE))]), "it ends in the middle of its metadata"),
        (gguf([("k", struct.pack("<IIQ", ARRAY, STRING, HUGE))]), "its metadata hold more than 4,000,000 values"),
        (gguf([("k", struct.pack("<IIQ", ARRAY, STRING, 9))]), "it ends in the middle of its metadata"),
        (
            gguf([("k", struct.pack("<IIQQQ", ARRAY, STRING, 2, HUGE, 0))]),
            "it ends in the middle of its metadata",
        ),
        (
            gguf([("x.block_count", struct.pack("<IIQ", ARRAY, U32, HUGE))]),
            "its x.block_count is neither a whole number nor up to 4,096 of them",
        ),
        (gguf([("x.block_count", many(U32, []))]), "its x.block_count is neither"),
        (gguf([("x.block_count", many(STRING, ["a"]))]), "its x.block_count is neither"),
        (gguf([("x.block_count", typed(F32, 4.0))]), "its x.block_count is neither"),
        (gguf([("x.block_count", typed(BOOL, True))]), "its x.block_count is neither"),
        (gguf([("x.block_count", typed(I32, -4))]), "its x.block_count is beyond all measure: -4"),
        (gguf([("x.block_count", typed(U64, HUGE))]), "beyond all measure: 18,446,744,073,709,551,615"),
        (gguf([("x.block_count", typed(U32, 4))] * 2), "its key x.block_count stands twice"),
        (gguf([NAMED, NAMED]), "its key general.architecture stands twice"),
        (gguf([(f"x{i}.block_count", typed(U32, 4)) for i in range(65)]), "describe more than one model"),
        (gguf([("k", struct.pack("<I", 13))]), "its key k has a value of the unknown type 13"),
        (gguf([("k", struct.pack("<IIQ", ARRAY, ARRAY, 1))]), "its key k is a list of values of the unknown type 9"),
        (gguf([("k", struct.pack("<IIQ", ARRAY, 99, 1))]), "its key k is a list of values of the unknown type 99"),
        (gguf([("\x1b[2J" + "k" * 1000, struct.pack("<I", 13))]), "kkk… has a value of the unknown type 13"),
        (struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 65_536) + b"k" * 70_000, "it holds a name of 65,536 bytes"),
        (gguf([("k", typed(U8, 1))] * 250_001), "its metadata hold more than 4,000,000 values"),
    ],
)
def test_files_that_are_refused(path: Path, data: bytes, reason: str) -> None:
    said = refusal(path, data)
    assert reason in said
    assert "\x1b" not in said
    assert len(said) < 200


def test_wherever_it_is_cut_off_it_is_refused(path: Path) -> None:
    data = model()
    assert shape(path, data)
    for length in range(24, len(data)):
        assert refusal(path, data[:length]) == "it ends in the middle of its metadata"


def test_metadata_that_are_too_large_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_METADATA", 1000)
    long = gguf([("k", typed(STRING, "x" * 5000)), NAMED])
    listed = gguf([("k", many(STRING, ["x" * 5000, "y"])), NAMED])
    short = gguf([("k", many(STRING, ["x"] * 200)), NAMED])
    for data in (long, listed, short):
        assert refusal(path, data) == "its metadata are larger than 1,000 bytes"


def test_a_text_of_gigabytes_is_stepped_over_and_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + text("k") + struct.pack("<IQ", STRING, 1 << 40))
        file.truncate(1 << 41)  # takes no room on the disk
    with pytest.raises(EngineError, match="its metadata are larger than 268,435,456 bytes"):
        read_shape(path)


def test_a_long_text_in_a_list_is_stepped_over(path: Path) -> None:
    pairs = [("k", many(STRING, ["a", "x" * 10_000, "b"])), NAMED, ("x.block_count", typed(U32, 3))]
    assert shape(path, gguf(pairs)).layers == 3


def test_a_file_that_has_gone(path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be read: No such file"):
        read_shape(path)


VALUES = st.one_of(
    st.integers(0, HUGE).map(lambda n: typed(U64, n)),
    st.text(max_size=8).map(lambda s: typed(STRING, s)),
    st.lists(st.integers(0, 255), max_size=4).map(lambda ns: many(U8, ns)),
    st.binary(max_size=24),
)
KEYS = st.sampled_from(
    ["general.architecture", "x.block_count", "x.attention.head_count", "tokenizer.ggml.tokens", "k"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=8), cut=st.integers(0, 200))
def test_anything_is_read_or_refused(path: Path, pairs: list[tuple[str, bytes]], cut: int) -> None:
    data = gguf([NAMED, ("x.block_count", typed(U32, 2)), *pairs])
    path.write_bytes(data[: len(data) - cut])
    try:
        assert read_shape(path).kv_per_token >= 0
    except EngineError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_numbers_are_little_endian(path: Path) -> None:
    assert number(U32, 4) == b"\4\0\0\0"
    assert shape(path, model()).layers == 4


# --- against llama.cpp

CELLS = 512
PRINT = """
import ctypes, sys, llama_cpp as c
model = c.llama_model_load_from_file(sys.argv[1].encode(), c.llama_model_default_params())
p = c.llama_context_default_params()
p.n_ctx, p.n_seq_max, p.kv_unified, p.swa_full = int(sys.argv[2]) * 2, 2, False, True
assert c.llama_init_from_model(model, p)
vocabulary = c.llama_vocab_n_tokens(c.llama_model_get_vocab(model))
print(c.llama_model_n_layer(model), c.llama_model_n_ctx_train(model), c.llama_model_n_embd(model), vocabulary)
"""


@pytest.mark.model
def test_llama_cpp_takes_what_the_shape_says() -> None:
    models = [m for m in read_models(shipped_library() / "models.yaml").values() if m.default]
    assert models
    for each in models:
        path = present(each)
        assert path is not None
        read = read_shape(path)
        command = [sys.executable, "-c", PRINT, str(path), str(CELLS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert list(map(int, done.stdout.split())) == [read.layers, read.context, read.embedding, read.vocabulary]
        sizes = re.findall(r"KV buffer size = +([\d.]+) MiB", done.stderr)
        assert sum(map(float, sizes)) * (1 << 20) == pytest.approx(read.kv_per_token * CELLS * 2, rel=0.001)
