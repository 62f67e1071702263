"""What `-m` means."""

from __future__ import annotations

import pytest

from promptlab.core.job import Model
from promptlab.errors import NotFound, UsageError
from promptlab.files.models import answering, select_models, tags_of

SERVER = "http://127.0.0.1:8080/v1"
MODELS = {
    model.name: model
    for model in (
        Model("smol-135m", None, tags=("small", "instruct")),
        Model("smol-360m", None, tags=("small",), default=True),
        Model("gemma", None, tags=("base",)),
        Model("vectors", None, tags=("small", "embedding")),
        Model("mine", None, tags=("served",), server=SERVER, trusted=True),
        Model("theirs", None, tags=("served",), server=SERVER),
    )
}


def chosen(*names: str) -> list[str]:
    return [model.name for model in select_models(MODELS, names)]


def asked(*names: str) -> list[str]:
    return [model.name for model in answering(MODELS, names)]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), ["smol-360m"]),
        (("tag:small",), ["smol-135m", "smol-360m", "vectors"]),
        (("smol*",), ["smol-135m", "smol-360m"]),
        (("smol-???m",), ["smol-135m", "smol-360m"]),
        (("[gm]*",), ["gemma", "mine"]),
        (("gemma,tag:small", "*360*"), ["gemma", "smol-135m", "smol-360m", "vectors"]),
        (("*",), list(MODELS)),
    ],
)
def test_names_tags_and_patterns(names: tuple[str, ...], found: list[str]) -> None:
    assert chosen(*names) == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smoll-135m", "there is no model 'smoll-135m'. Did you mean smol-135m"),
        (
            "tag:smal",
            "no model has the tag 'smal'. Did you mean tag:small? There are tag:small, tag:instruct, tag:base",
        ),
        ("tag:", "no model has the tag ''. There are tag:small"),
        ("smoll*", "no model's name is like 'smoll*'. "),
        ("Smol*", "no model's name is like 'Smol*'. "),
        ("[", "no model's name is like '['. "),
        ("tag:" + "x" * 100_000, "no model has the tag 'xxx"),
        ("*a" * 5_000, "no model's name is like '*a*a"),
    ],
)
def test_what_means_nothing_says_what_there_is(name: str, said: str) -> None:
    with pytest.raises(NotFound) as caught:
        chosen(name)
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 400


def test_without_tags_that_is_said() -> None:
    with pytest.raises(NotFound, match="There are no tags"):
        select_models({"a": Model("a", None)}, ["tag:x"])


def test_what_means_several_leaves_out_what_does_not_answer_or_may_not_be_asked() -> None:
    assert asked("tag:small") == ["smol-135m", "smol-360m"]
    assert asked("tag:served") == ["mine"]
    assert asked("*") == ["smol-135m", "smol-360m", "gemma", "mine"]


@pytest.mark.parametrize("names", [("theirs",), ("gemma,theirs",), ("th*",)])
def test_a_server_that_is_not_trusted_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        asked(*names)
    assert str(caught.value) == (
        f"theirs asks {SERVER}, and this library is not trusted. `promptlab trust` shows what it wants, and lets it"
    )


def test_a_model_for_vectors_that_is_named_is_refused() -> None:
    with pytest.raises(UsageError, match="vectors: tagged `embedding`"):
        asked("vectors,gemma")


def test_tags_stand_as_they_are_typed() -> None:
    assert tags_of(MODELS) == ["tag:small", "tag:instruct", "tag:base", "tag:embedding", "tag:served"]
