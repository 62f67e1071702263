from __future__ import annotations

import struct
from pathlib import Path

import pytest

from promptlab.errors import EngineError
from promptlab.files.gguf import read_shape
from promptlab.files.gguf_header import MAX_FACT, MAX_TEMPLATE, read_header
from tests.files.ggufkit import STRING, U32, gguf, text, typed

BASE = [("general.architecture", typed(STRING, "llama")), ("llama.block_count", typed(U32, 2))]


def tensor(name: str, *dimensions: int, kind: int = 0) -> bytes:
    sizes = b"".join(struct.pack("<Q", size) for size in dimensions)
    return text(name) + struct.pack("<I", len(dimensions)) + sizes + struct.pack("<IQ", kind, 0)


def model_with(pairs: list[tuple[str, bytes]], tensors: list[bytes], claimed: int | None = None) -> bytes:
    data = gguf([*BASE, *pairs])
    count = struct.pack("<Q", len(tensors) if claimed is None else claimed)
    return data[:8] + count + data[16:] + b"".join(tensors)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    return path


def test_everything_that_people_want_to_know(tmp_path: Path) -> None:
    facts = [
        ("general.name", typed(STRING, "A model")),
        ("general.license", typed(STRING, "mit")),
        ("general.file_type", typed(U32, 15)),
        ("tokenizer.ggml.model", typed(STRING, "gpt2")),
        ("tokenizer.ggml.pre", typed(STRING, "smollm")),
        ("tokenizer.chat_template", typed(STRING, "{{ messages }}")),
    ]
    path = write(tmp_path, model_with(facts, [tensor("a", 100, 20), tensor("b", 7), tensor("c")]))
    header = read_header(path)
    assert (header.name, header.license, header.quantization) == ("A model", "mit", "Q4_K_M")
    assert (header.tokenizer, header.chat_template) == ("gpt2 smollm", "{{ messages }}")
    assert header.parameters == 100 * 20 + 7 + 1
    assert header.shape == read_shape(path)


def test_the_types_of_its_tensors(tmp_path: Path) -> None:
    kinds = [0, 8, 8, 14, 8, 0, 999]
    header = read_header(write(tmp_path, model_with([], [tensor(f"t{i}", 9, kind=k) for i, k in enumerate(kinds)])))
    assert header.tensors == (("Q8_0", 3), ("F32", 2), ("Q6_K", 1), ("type 999", 1))
    assert header.tensor_types == "Q8_0 (3 tensors), F32 (2), Q6_K (1), type 999 (1)"
    assert (header.parameters, header.largest) == (63, 9)


def test_a_file_may_say_nothing(tmp_path: Path) -> None:
    header = read_header(write(tmp_path, model_with([], [])))
    assert (header.name, header.license, header.quantization, header.tokenizer, header.chat_template) == ("",) * 5
    assert (header.parameters, header.tensors, header.tensor_types) == (0, (), "")


def test_an_unknown_quantization_is_told_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, model_with([("general.file_type", typed(U32, 999))], []))
    assert read_header(path).quantization == "file type 999"


def test_long_texts_are_cut_and_what_follows_is_read(tmp_path: Path) -> None:
    facts = [
        ("general.name", typed(STRING, "n" * 5000)),
        ("tokenizer.chat_template", typed(STRING, "t" * (MAX_TEMPLATE + 5))),
        ("general.license", typed(STRING, "mit")),
    ]
    header = read_header(write(tmp_path, model_with(facts, [])))
    assert (len(header.name), len(header.chat_template), header.license) == (MAX_FACT, MAX_TEMPLATE, "mit")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (model_with([], [tensor("a", 3)], claimed=2), "it ends in the middle of its metadata"),
        (model_with([], [tensor("a", *[2] * 9)]), "its tensor a has 9 dimensions"),
        (model_with([], [tensor("a", 1 << 40, 1 << 40)]), "it claims 1.2e+24 parameters"),
        (model_with([], [tensor("a", kind=i) for i in range(100)]), "its tensors are of more than 64 types"),
        (model_with([("general.file_type", typed(STRING, "x"))], [])[:60], "it ends in the middle"),
        (b"<html>", "it is a web page"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(EngineError) as caught:
        read_header(write(tmp_path, data))
    assert reason in caught.value.message
    assert "\n" not in caught.value.message


def test_numbers_where_texts_belong_are_ignored(tmp_path: Path) -> None:
    facts = [("general.name", typed(U32, 5)), ("general.file_type", typed(STRING, "x"))]
    header = read_header(write(tmp_path, model_with(facts, [])))
    assert (header.name, header.quantization) == ("", "")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        read_header(tmp_path / "gone.gguf")
