"""The short form of whole schemas, by cases that stand in a file: most are those that dotprompt publishes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core import yamltext
from promptlab.core.schema import MAX_DEPTH, SchemaError, check, check_schema, picoschema, read_field, type_name

FILE = Path(__file__).with_name("picoschema.yaml")
CASES: list[dict[str, Any]] = yamltext.read(FILE.read_text("utf-8"), file=FILE.name).value
GOOD = [case for case in CASES if "expect" in case]
BAD = [case for case in CASES if "error" in case]


def test_each_case_has_one_outcome_and_a_name_of_its_own() -> None:
    assert len(GOOD) + len(BAD) == len(CASES) == len({case["name"] for case in CASES}) >= 60
    assert all(("expect" in case) != ("error" in case) for case in CASES)


@pytest.mark.parametrize("case", GOOD, ids=[case["name"] for case in GOOD])
def test_a_schema_means(case: dict[str, Any]) -> None:
    schema = picoschema(case["schema"], case.get("named"))
    assert schema == case["expect"]
    assert check_schema(schema) is None
    # What it means passes through unchanged, unless it is an object, which says so by its type.
    if "type" in schema:
        assert picoschema(schema) == schema


@pytest.mark.parametrize("case", BAD, ids=[case["name"] for case in BAD])
def test_a_schema_is_wrong(case: dict[str, Any]) -> None:
    with pytest.raises(SchemaError) as caught:
        picoschema(case["schema"], case.get("named"))
    assert str(caught.value).startswith(case["error"])
    assert caught.value.path == tuple(case.get("path", ()))
    assert "\n" not in str(caught.value)


def test_nothing_that_was_given_is_changed() -> None:
    values = ["a", "b"]
    named = {"Weight": {"type": "number"}}
    schema = picoschema({"x?(enum, pick)": values, "y?": "Weight, of it"}, named)
    assert schema["properties"]["x"]["enum"] == ["a", "b", None]
    assert values == ["a", "b"]
    assert named == {"Weight": {"type": "number"}}


def test_a_field_that_may_be_left_out_may_be_null_but_an_input_may_only_be_left_out() -> None:
    assert read_field("a?", "integer").schema == {"type": "integer"}
    assert read_field("a?(array)", "integer").schema == {"type": "array", "items": {"type": "integer"}}
    inside = read_field("a?", {"b?": "integer", "c?(enum)": ["x"], "d?": {"type": "string", "enum": ["y"]}})
    assert inside.schema["properties"] == {
        "b": {"type": ["integer", "null"]},
        "c": {"enum": ["x", None]},
        "d": {"type": ["string", "null"], "enum": ["y", None]},
    }
    assert check({"b": None, "c": None, "d": None}, inside.schema) is None
    assert check({}, inside.schema) is None


def test_a_wildcard_stands_among_fields_but_not_among_inputs() -> None:
    assert read_field("a", {"(*)": "integer", "b": "string"}).schema == {
        "type": "object",
        "properties": {"b": {"type": "string"}},
        "required": ["b"],
        "additionalProperties": {"type": "integer"},
    }
    with pytest.raises(SchemaError, match=r"^inputs are named: \(\*\) can stand only among the fields of an object$"):
        read_field("(*)", "string")


@pytest.mark.parametrize("key", ["a", "a(object)", "a(array)"])
def test_depth_is_bounded(key: str) -> None:
    spec: Any = "string"
    for _ in range(MAX_DEPTH + 1):
        spec = {key: spec}
    with pytest.raises(SchemaError, match="is nested deeper than 50 levels"):
        picoschema({key: spec})
    with pytest.raises(SchemaError, match="is nested deeper than 50 levels"):
        read_field("x", {key: spec})


@pytest.mark.parametrize(
    "key",
    ["a(array," + " " * 200_000 + "x", "a" + " " * 200_000 + "(", "?" * 200_000 + "(", "(" * 200_000, " " * 200_000],
)
def test_a_long_key_takes_no_time(key: str) -> None:
    begin = time.monotonic()
    with pytest.raises(SchemaError) as caught:
        picoschema({key: "string"})
    assert time.monotonic() - begin < 1
    assert len(str(caught.value)) < 200


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["string", "any, x", "null"]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.text(max_size=4)
                | st.sampled_from(["type", "enum", "properties", "(*)", "a?", "b(array)", "c?(enum, x)"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_is_written_is_a_schema_or_a_schema_error(spec: Any) -> None:
    try:
        schema = picoschema(spec)
    except SchemaError:
        return
    assert isinstance(schema, dict)
    assert type_name(schema)


NAMES: list[tuple[dict[str, Any], str]] = [
    ({"type": "object"}, "object"),
    (picoschema({"name": "string", "age?": "integer"}), "{name: string, age?: integer}"),
    (picoschema({"a?(array)": "string", "b?(enum)": ["x", "y"]}), '{a?: array of string, b?: "x" | "y"}'),
    (picoschema({"a(array)": {"b": "string"}}), "{a: array of {b: string}}"),
    (picoschema({"a": {"b?": {"c": "any"}}}), "{a: {b?: {c: any}}}"),
    (picoschema({"a": "string", "(*)": "number"}), "{a: string, (*): number}"),
    ({"type": ["string", "null"]}, "string?"),
    ({"type": ["null", "string"]}, "string?"),
    ({"type": ["array", "null"], "items": {"type": "string"}}, "(array of string)?"),
    ({"type": ["object", "null"], "properties": {"a": {"type": "null"}}, "required": ["a"]}, "{a: null}?"),
    ({"type": ["string", "integer", "null"]}, "string | integer | null"),
    ({"type": []}, "any"),
    ({"enum": ["a", None]}, '"a" | null'),
    ({"const": "é"}, '"é"'),
    ({"const": None}, "null"),
    ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}, "string | array of integer"),
    ({"oneOf": [True, {"type": "string"}]}, "any | string"),
    ({"$ref": "#/$defs/a"}, "any"),
    ({"properties": 5, "type": "object"}, "object"),
    ({"properties": {"a": 5}, "required": 5, "type": "object"}, "{a?: any}"),
    (
        picoschema({f"field_{n}": "string" for n in range(9)}),
        "{field_0: string, field_1: string, field_2: string, field_3: string, field_4: string, field_5: string, …}",
    ),
    (picoschema({"a": {"b": {"c": {"d": {"e": "string"}}}}}), "{a: {b: {c: {d: {e: …}}}}}"),
]


@pytest.mark.parametrize(("schema", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_type_has_a_name_for_a_reader(schema: dict[str, Any], name: str) -> None:
    assert type_name(schema) == name
