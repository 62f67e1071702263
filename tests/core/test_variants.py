from __future__ import annotations

import pytest

from promptlab.core.job import Model
from promptlab.core.variants import families, in_circles, root, variants

ONE, OTHER, THIRD = "11" * 32, "22" * 32, "33" * 32


def entries(*models: Model) -> dict[str, Model]:
    return {model.name: model for model in models}


def test_a_base_is_followed_to_its_end() -> None:
    models = entries(Model("a", ONE), Model("b", OTHER, base="a"), Model("c", THIRD, base="b"))
    assert [root(models, name) for name in "abc"] == ["a", "a", "a"]
    assert families(models, "abc") == (("a", "b", "c"),)


def test_the_common_base_need_not_be_compared_nor_be_there() -> None:
    models = entries(Model("b", ONE, base="a"), Model("c", OTHER, base="a"), Model("d", THIRD))
    assert families(models, ["d", "c", "b"]) == (("c", "b"),)
    assert variants(models) == {"b": ("c",), "c": ("b",), "d": ()}


@pytest.mark.parametrize(
    "other",
    [
        Model("b", ONE, chat_template="plain"),
        Model("b", ONE, kv_type="q8_0"),
        Model("b", ONE, layout={"flash_attention": True}),
    ],
)
def test_one_hash_in_another_packaging_is_a_family(other: Model) -> None:
    assert families(entries(Model("a", ONE), other), "ab") == (("a", "b"),)


def test_one_hash_in_one_packaging_is_not_told_as_another_packaging() -> None:
    models = entries(Model("a", ONE), Model("b", ONE, options={"temperature": 0.1}))
    assert families(models, "ab") == ()
    assert variants(models)["a"] == ("b",)


def test_models_without_a_hash_have_nothing_in_common() -> None:
    assert families(entries(Model("a", None), Model("b", None, kv_type="q8_0")), "ab") == ()


def test_a_hash_joins_what_bases_keep_apart() -> None:
    models = entries(
        Model("a", ONE), Model("b", OTHER, base="a"), Model("x", ONE, kv_type="q8_0"), Model("y", THIRD, base="x")
    )
    assert families(models, ["b", "y"]) == (("b", "y"),)


def test_the_hash_of_a_base_tells_where_its_name_is_of_another_library() -> None:
    models = entries(Model("a", ONE), Model("b", OTHER, base="elsewhere", base_sha256=ONE))
    assert families(models, "ab") == (("a", "b"),)


def test_unknown_names_and_one_alone_are_no_family() -> None:
    models = entries(Model("a", ONE), Model("b", OTHER, base="a"))
    assert families(models, ["a", "a", "z"]) == ()


def test_circles_are_found_and_do_not_hang() -> None:
    models = entries(Model("a", ONE, base="b"), Model("b", OTHER, base="a"), Model("c", THIRD, base="a"))
    models |= entries(Model("d", None, base="d"), Model("e", None, base="gone"))
    assert in_circles(models) == ["a", "b", "d"]
    assert root(models, "a") == root(models, "b") == root(models, "c") == "a"
    assert root(models, "d") == "d"


def test_a_very_long_row_of_bases_is_followed_once() -> None:
    count = 20_000
    models = entries(*(Model(f"m{i}", f"{i:064}", base=f"m{i + 1}", base_sha256=f"{i + 1:064}") for i in range(count)))
    assert root(models, "m0") == f"m{count}"
    assert families(models, ["m0", f"m{count - 1}"]) == (("m0", f"m{count - 1}"),)
    assert in_circles(models) == []
    models[f"m{count}"] = Model(f"m{count}", None, base="m0")
    assert len(in_circles(models)) == count + 1
