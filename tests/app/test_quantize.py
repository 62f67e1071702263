"""Variants of a model by quantising it, with a stub in the place of llama.cpp's quantiser."""

from __future__ import annotations

import hashlib
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.app.lab import Lab
from promptlab.app.quantize import Order, Step, Variant, carry_out, order
from promptlab.engine import quantize as quantiser
from promptlab.errors import EngineError, ModelMissing, NotFound, StoreError, UsageError
from promptlab.files.gguf_header import QUANTIZATIONS
from promptlab.files.models import read_models
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.registry import user_file
from tests.files.ggufkit import STRING, U32, typed
from tests.files.test_gguf_header import model_with, tensor


def file_of(kind: str) -> bytes:
    """What the stub makes: two tensors of the type that the kind is called, one that stays as it is."""
    number = next(number for number, name in QUANTIZATIONS.items() if name.lower() == kind)
    type = {"q4_1": 3, "q4_0": 2, "q8_0": 8, "f16": 1}[kind]
    facts = [("general.file_type", typed(U32, number)), ("general.name", typed(STRING, "A model"))]
    tensors = [tensor("a", 64, 4, kind=type), tensor("b", 64, kind=type), tensor("c", 64)]
    return model_with(facts, tensors)


class Stub:
    """In the place of the quantiser."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails: BaseException | None = None
        self.extra = b""

    def __call__(self, source: Path, target: Path, kind: str, parameters: int, tell: quantiser.Tell) -> None:
        target.write_bytes(b"half")
        tell(0, 3)
        if self.fails:
            raise self.fails
        self.made.append(kind)
        target.write_bytes(file_of(kind) + self.extra)


@pytest.fixture
def stub(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The stub, and an entry `parent` whose file is there."""
    put(lab, file_of("q4_1"))
    made = Stub()
    monkeypatch.setattr(quantiser, "quantize", made)
    return made


def put(lab: Lab, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    model_file(sha256).write_bytes(data)
    text = (lab.root / "models.yaml").read_text().split("  parent:")[0]
    entry = f"    title: A parent (Q4_1)\n    license: mit\n    sha256: {sha256}\n    context: 99\n"
    more = "    options: {top_k: 3}\n    chat_template: plain\n    tags: [small]\n    kv_type: q8_0\n"
    (lab.root / "models.yaml").write_text(f"{text}  parent:\n{entry}{more}")
    return sha256


def made(lab: Lab, *kinds: str, project: bool = False) -> list[Variant]:
    return list(carry_out(lab, wanted(lab, *kinds, project=project), lambda step: None))


def wanted(lab: Lab, *kinds: str, project: bool = False) -> Order:
    return order(lab, "parent", kinds, project=project)


def nothing_is_left(kind: str = "q8_0") -> bool:
    sha256 = hashlib.sha256(file_of(kind)).hexdigest()
    return not model_file(sha256).exists() and not list((cache_dir() / "downloads").iterdir())


def test_variants_have_their_file_and_an_entry_like_the_parents(lab: Lab, stub: Stub) -> None:
    four, eight = made(lab, "q4_0", "Q8_0", "q4_0")
    assert stub.made == ["q4_0", "q8_0"]
    parent, model = lab.models["parent"], lab.models["parent-q8_0"]
    sha256 = hashlib.sha256(file_of("q8_0")).hexdigest()
    same = {each: getattr(parent, each) for each in ("license", "context", "options", "chat_template", "tags")}
    assert {each: getattr(model, each) for each in same} == same
    assert (model.kv_type, model.base, model.base_sha256) == ("q8_0", "parent", parent.sha256)
    assert (model.sha256, model.bytes) == (sha256, len(file_of("q8_0")))
    assert model.title == "A parent: Q8_0 (2 tensors), F32 (1), from Q4_1"
    assert model_file(sha256).read_bytes() == file_of("q8_0")
    assert [(each.name, each.how) for each in (four, eight)] == [("parent-q4_0", "made"), ("parent-q8_0", "made")]
    assert eight.registry == str(user_file())
    assert set(read_models(user_file())) == {"parent-q4_0", "parent-q8_0"}
    assert not list((cache_dir() / "downloads").iterdir())


def test_in_the_projects_file(lab: Lab, stub: Stub) -> None:
    before = (lab.root / "models.yaml").read_text()
    made(lab, "q8_0", project=True)
    assert (lab.root / "models.yaml").read_text().startswith(before)
    assert not user_file().exists()
    assert lab.registry.origin("parent-q8_0") == "project"


def test_what_is_there_is_not_made_again_and_what_has_lost_its_file_is(lab: Lab, stub: Stub) -> None:
    (first,) = made(lab, "q8_0")
    (again,) = made(lab, "q8_0")
    assert again == replace(first, how="was there already", registry=None)
    assert stub.made == ["q8_0"]
    Path(first.path).unlink()
    (third,) = made(lab, "q8_0")
    assert third == replace(first, how="made again", registry=None)
    assert Path(first.path).is_file()


def test_another_llama_cpp_may_make_another_file(lab: Lab, stub: Stub) -> None:
    (first,) = made(lab, "q8_0")
    Path(first.path).unlink()
    stub.extra = b"other"
    with pytest.raises(UsageError, match="its entry has another hash than what"):
        made(lab, "q8_0")
    assert nothing_is_left()
    assert not model_file(hashlib.sha256(file_of("q8_0") + b"other").hexdigest()).exists()


@pytest.mark.parametrize("change", ["license: mit\n    base: alpha", "license: mit", "license: mit\n    base: parent"])
def test_a_name_that_something_else_has(lab: Lab, stub: Stub, change: str) -> None:
    path = lab.root / "models.yaml"
    path.write_text(path.read_text() + f"  parent-q8_0:\n    {change}\n")
    with pytest.raises(UsageError, match="there is an entry parent-q8_0 already"):
        wanted(lab, "q4_0", "q8_0")
    assert not stub.made


def test_a_parent_that_has_changed_has_other_variants(lab: Lab, stub: Stub) -> None:
    made(lab, "q8_0")
    put(lab, file_of("f16"))
    with pytest.raises(UsageError, match="is not parent as quantised here"):
        made(lab, "q8_0")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineError("no")])
def test_where_it_ends_early_nothing_is_left(lab: Lab, stub: Stub, error: BaseException) -> None:
    stub.fails = error
    with pytest.raises(type(error)):
        made(lab, "q8_0")
    assert nothing_is_left()
    assert not user_file().exists()
    stub.fails = None
    assert made(lab, "q8_0")[0].how == "made"


def test_whoever_is_told_may_stop_it_while_it_is_hashed(lab: Lab, stub: Stub) -> None:
    def stop(step: Step) -> None:
        if step.phase == "hash":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(carry_out(lab, wanted(lab, "q8_0"), stop))
    assert nothing_is_left()


def test_without_an_entry_there_is_no_file(lab: Lab, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise StoreError("the disk is full")

    monkeypatch.setattr("promptlab.app.quantize.edit", full)
    with pytest.raises(StoreError, match="the disk is full"):
        made(lab, "q8_0")
    assert nothing_is_left()


def test_a_disk_without_room(lab: Lab, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 90, 10))
    with pytest.raises(StoreError, match="bytes, but only 10 are free in"):
        made(lab, "q8_0")
    assert not stub.made


@pytest.mark.parametrize(
    ("name", "kinds", "error", "reason"),
    [
        ("parent", ("q8_0", "q9_9"), UsageError, "there is no type 'q9_9'. There are q4_0, q4_1,"),
        ("parent", (" ,",), UsageError, "no type is named"),
        ("none", ("q8_0",), NotFound, "there is no model 'none'"),
        ("gamma", ("q8_0",), ModelMissing, "`promptlab models pull gamma`"),
        ("alpha", ("q8_0",), EngineError, "it names no architecture"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(
    lab: Lab, stub: Stub, name: str, kinds: tuple[str, ...], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error) as caught:
        order(lab, name, kinds, project=False)
    assert reason in str(caught.value)
    assert not stub.made


def test_a_model_behind_a_server_has_no_file(lab: Lab, stub: Stub) -> None:
    path = lab.root / "models.yaml"
    path.write_text(path.read_text() + "  far:\n    license: mit\n    server: http://127.0.0.1:1/v1\n")
    with pytest.raises(UsageError, match="behind a server"):
        order(lab, "far", ["q8_0"], project=False)


def test_the_warning_is_for_what_is_quantised_already(lab: Lab, stub: Stub) -> None:
    assert wanted(lab, "q8_0").warning.startswith("parent is Q4_1 already: what that lost stays lost")
    put(lab, file_of("f16"))
    assert wanted(lab, "q8_0").warning == ""
