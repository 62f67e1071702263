"""`promptlab models quantize`."""

from __future__ import annotations

import json

import pytest

from promptlab.app.lab import Lab
from promptlab.cli.quantize import complete_type
from promptlab.files.registry import user_file
from tests.app.test_quantize import Stub, stub
from tests.conftest import Cli

__all__ = ["stub"]  # a fixture


def test_what_is_said(cli: Cli, lab: Lab, stub: Stub) -> None:
    result = cli("models", "quantize", "parent", "q4_0", "q8_0")
    assert (result.code, result.out) == (0, "")
    lines = [line.removeprefix("promptlab: ") for line in result.err.splitlines()]
    assert lines[0].startswith("parent is Q4_1 already: ")
    assert lines[1:3] == ["parent-q4_0: quantising", "parent-q4_0: hashing"]
    size = lab.models["parent-q4_0"].bytes
    title = "A parent: Q4_0 (2 tensors), F32 (1), from Q4_1"
    assert lines[3] == f"parent-q4_0: made: {size} B, {title}, written into {user_file()}"
    assert lines[-1] == "compare them: -m parent,parent-q4_0,parent-q8_0"
    again = cli("models", "quantize", "parent", "q4_0")
    assert again.code == 0
    assert f"parent-q4_0: was there already: {size} B, {title}\n" in again.err


def test_as_json(cli: Cli, lab: Lab, stub: Stub) -> None:
    (found,) = json.loads(cli("models", "quantize", "parent", "q8_0", "--json").out)
    model = lab.models["parent-q8_0"]
    assert (found["name"], found["sha256"], found["how"]) == (model.name, model.sha256, "made")
    assert (found["base"], found["base_sha256"]) == ("parent", lab.models["parent"].sha256)


@pytest.mark.parametrize(
    ("arguments", "code"), [(("parent", "q9"), 2), (("parent",), 2), (("none", "q8_0"), 2), (("alpha", "q8_0"), 1)]
)
def test_what_cannot_be_done_is_one_line(cli: Cli, stub: Stub, arguments: tuple[str, ...], code: int) -> None:
    result = cli("models", "quantize", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)


def test_interrupted(cli: Cli, stub: Stub) -> None:
    stub.fails = KeyboardInterrupt()
    assert cli("models", "quantize", "parent", "q8_0").code == 130


def test_completion() -> None:
    assert complete_type("Q5") == ["q5_0", "q5_1", "q5_k_s", "q5_k_m"]
