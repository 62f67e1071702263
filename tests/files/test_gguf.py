from __future__ import annotations

import struct
from pathlib import Path

import pytest

from promptlab.errors import EngineError
from promptlab.files.gguf import check_header


def header(version: int = 3, tensors: int = 10, keys: int = 20, magic: bytes = b"GGUF") -> bytes:
    return struct.pack("<4sIQQ", magic, version, tensors, keys)


@pytest.mark.parametrize("data", [header(), header(2), header(tensors=0, keys=0), header() + b"more" * 100])
def test_good_headers(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    check_header(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"GG", "it ends after 2 bytes"),
        (header()[:23], "it ends after 23 bytes"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"\n <HTML lang=en>", "it is a web page"),
        (b"PK\x03\x04rest of a zip file", "it is a zip file"),
        (b"version https://host/spec/v1\noid sha256:00", "a Git LFS pointer"),
        (b'{"error": "not found"}', "it looks like JSON"),
        (b"<?xml version='1.0'?>", "it is an XML file"),
        (b"\x1f\x8b\x08", "it is a gzip file"),
        (b"tjgg" + bytes(20), "older than GGUF"),
        (bytes(64), r"it begins with b'\x00\x00\x00\x00', not with 'GGUF'"),
        (header(1), "its version is 1"),
        (header(4), "its version is 4"),
        (header(tensors=1_000_001), "it claims 1,000,001 tensors"),
        (header(keys=2**64 - 1), "and 18,446,744,073,709,551,615 keys"),
    ],
)
def test_bad_headers(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(EngineError) as caught:
        check_header(path)
    assert str(caught.value).startswith(f"{path}: is not a usable GGUF file: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_what_cannot_be_read(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "m")
    with pytest.raises(EngineError, match="cannot be read"):
        check_header(tmp_path / "m")
