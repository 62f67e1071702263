from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.schema import (
    SchemaError,
    check,
    check_schema,
    from_text,
    read_field,
    shorten,
    takes_text,
    type_name,
)

STRING = {"type": "string"}

FIELDS: list[tuple[str, Any, tuple[str, dict[str, Any], bool]]] = [
    ("a", "string", ("a", {"type": "string"}, True)),
    ("a?", "string", ("a", {"type": "string"}, False)),
    ("a", "integer, how many", ("a", {"type": "integer", "description": "how many"}, True)),
    ("a", "  number ,  a, b ", ("a", {"type": "number", "description": "a, b"}, True)),
    ("a", "boolean,", ("a", {"type": "boolean"}, True)),
    ("a", "null", ("a", {"type": "null"}, True)),
    ("a", "any, whatever", ("a", {"description": "whatever"}, True)),
    ("a", "any", ("a", {}, True)),
    ("A_1", "string", ("A_1", {"type": "string"}, True)),
    ("a(array)", "string", ("a", {"type": "array", "items": {"type": "string"}}, True)),
    ("a?(array, of words)", "string", ("a", {"type": "array", "items": STRING, "description": "of words"}, False)),
    ("a( array ,  x (y)  )", "any", ("a", {"type": "array", "items": {}, "description": "x (y)"}, True)),
    ("a(enum)", ["x", 1, None], ("a", {"enum": ["x", 1, None]}, True)),
    ("a(enum, pick)", ["x"], ("a", {"enum": ["x"], "description": "pick"}, True)),
    ("a", {"type": "enum", "enum": ["x"]}, ("a", {"enum": ["x"]}, True)),
    ("a", {"enum": ["x"], "default": "x"}, ("a", {"enum": ["x"], "default": "x"}, False)),
    ("a", {"type": "any", "default": 1}, ("a", {"default": 1}, False)),
    ("a", {"type": "string", "default": ""}, ("a", {"type": "string", "default": ""}, False)),
    ("a", {"type": "string", "default": None}, ("a", {"type": "string", "default": None}, False)),
    ("a", {"type": ["string", "null"]}, ("a", {"type": ["string", "null"]}, True)),
    ("a", {"anyOf": [STRING]}, ("a", {"anyOf": [STRING]}, True)),
    ("a", {"const": 5}, ("a", {"const": 5}, True)),
    ("a", {"type": "string", "minLength": 2}, ("a", {"type": "string", "minLength": 2}, True)),
    (
        "a",
        {"x": "string", "y?": "integer"},
        (
            "a",
            {
                "type": "object",
                "properties": {"x": {"type": "string"}, "y": {"type": ["integer", "null"]}},
                "required": ["x"],
                "additionalProperties": False,
            },
            True,
        ),
    ),
    (
        "a(object, point)",
        {"x(array)": "integer"},
        (
            "a",
            {
                "type": "object",
                "properties": {"x": {"type": "array", "items": {"type": "integer"}}},
                "required": ["x"],
                "additionalProperties": False,
                "description": "point",
            },
            True,
        ),
    ),
]


@pytest.mark.parametrize(("key", "spec", "expected"), FIELDS)
def test_a_field_becomes_json_schema(key: str, spec: Any, expected: tuple[str, dict[str, Any], bool]) -> None:
    field = read_field(key, spec)
    assert (field.name, field.schema, field.required) == expected
    assert check_schema(field.schema) is None


BAD_FIELDS: list[tuple[str, Any, str, tuple[str | int, ...]]] = [
    ("a b", "string", "'a b' is not a name", ()),
    ("1a", "string", "'1a' is not a name", ()),
    ("", "string", "'' is not a name", ()),
    ("a-b", "string", "'a-b' is not a name", ()),
    ("a??", "string", "'a??' is not a name", ()),
    ("é", "string", "'é' is not a name", ()),
    ("a\n", "string", "'a\\n' is not a name", ()),
    ("a(list)", "string", "'a(list)': after a name, in brackets, may stand array, object, enum", ()),
    ("a(array)?", "string", "'a(array)?' is not a name", ()),
    ("a", "strnig", "'strnig' is not a type: use one of string, integer", ()),
    ("a", "", "'' is not a type", ()),
    ("a", "array", "'array' is not a type", ()),
    ("a", None, "a type is a word (string, integer, …) or a mapping", ()),
    ("a", 5, "a type is a word", ()),
    ("a", ["string"], "a type is a word", ()),
    ("a", {"type": "strnig"}, "'strnig' is not a type: use one of string, integer, number", ("type",)),
    ("a", {"type": 5}, "5 is not a type", ("type",)),
    ("a", {"type": {"x": 1}}, "{'x': 1} is not a type", ("type",)),
    ("a", {"type": "enum"}, "an enum needs its values", ()),
    ("a", {"type": "enum", "enum": "abc"}, "an enum needs a list of values", ("enum",)),
    ("a", {"enum": 5}, "an enum needs a list of values", ("enum",)),
    ("a", {"type": "string", "enum": []}, "an enum needs a list of values", ("enum",)),
    ("a(enum)", "x, y", "an enum needs a list of values", ()),
    ("a(enum)", [], "an enum needs a list of values", ()),
    ("a(object)", "string", "an object needs a mapping of its fields", ()),
    ("a", {"x": {"y": "strnig"}}, "'strnig' is not a type", ("x", "y")),
    ("a(array)", {"x y": "string"}, "'x y' is not a name", ("x y",)),
    ("a", {"x": {"type": "whole"}}, "'whole' is not a type", ("x", "type")),
]


@pytest.mark.parametrize(("key", "spec", "message", "path"), BAD_FIELDS)
def test_a_bad_type_is_told_with_the_way_to_it(key: str, spec: Any, message: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        read_field(key, spec)
    assert str(caught.value).startswith(message)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "key", ["a(array," + " " * 200_000 + "x", "a(" + " " * 200_000, "a(array," + ")" * 200_000 + "x"]
)
def test_a_long_key_takes_no_time(key: str) -> None:
    begin = time.monotonic()
    with pytest.raises(SchemaError) as caught:
        read_field(key, "string")
    assert time.monotonic() - begin < 1  # was cubic: 6 s for 1,000 spaces
    assert len(str(caught.value)) < 200


CHECKS: list[tuple[Any, dict[str, Any], str | None]] = [
    ("x", STRING, None),
    (5, STRING, "5 is not of type 'string'"),
    (True, {"type": "integer"}, "True is not of type 'integer'"),
    (1.0, {"type": "integer"}, None),
    (1, {"type": "number"}, None),
    (None, {}, None),
    ([1, "x"], {"type": "array", "items": {"type": "integer"}}, "[1]: 'x' is not of type 'integer'"),
    ({"a": {"b": [0]}}, {"properties": {"a": {"properties": {"b": {"items": STRING}}}}}, "['a']['b'][0]: 0 is not of"),
    ({"z": 1}, {"additionalProperties": False}, "Additional properties are not allowed ('z' was unexpected)"),
    ("x", {"enum": ["y"]}, "'x' is not one of ['y']"),
    ("a\nb", {"maxLength": 1}, "'a\\nb' is too long"),
    ("x" * 5000, {"maxLength": 1}, "'" + "x" * 100),
    ("x", {"$ref": "#/$defs/no"}, "its schema refers to something that is not in it"),
    ("x", {"$ref": "#"}, "its schema cannot be applied"),
    ("x", {"$ref": "#/x", "x": 5}, "its schema cannot be applied"),
    ("x", {"$ref": "#/$defs/a", "$defs": {"a": STRING}}, None),
    (5, {"$ref": "#/$defs/a", "$defs": {"a": STRING}}, "5 is not of type 'string'"),
    (10**400, {"multipleOf": 0.1}, "its schema cannot be applied"),
]


@pytest.mark.parametrize(("value", "schema", "expected"), CHECKS, ids=range(len(CHECKS)))
def test_a_value_against_a_schema(value: Any, schema: dict[str, Any], expected: str | None) -> None:
    reason = check(value, schema)
    if expected is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.startswith(expected)
        assert "\n" not in reason
        assert len(reason) < 300


@pytest.mark.parametrize(
    ("schema", "start"),
    [
        ({"type": "strnig"}, "not a JSON Schema: 'strnig' is not valid"),
        ({"minLength": "x"}, "not a JSON Schema: 'x' is not of type 'integer'"),
        ({"multipleOf": 0}, "not a JSON Schema: 0 is less than"),
        ({"pattern": "("}, "not a JSON Schema: '(' is not a 'regex'"),
        ({"properties": {"a": 5}}, "not a JSON Schema: 5 is not of type"),
    ],
)
def test_an_unsound_schema(schema: dict[str, Any], start: str) -> None:
    reason = check_schema(schema)
    assert reason is not None
    assert reason.startswith(start)


def test_a_reference_to_the_network_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("asked the network"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        for schema in (
            {"$ref": address},
            {"$dynamicRef": address},
            {"$id": address, "$ref": "other.json"},
            {"properties": {"a": {"$ref": address}}},
            {"$schema": address, "type": "string"},
        ):
            check_schema(schema)
            check({"a": 1}, schema)
        assert (
            check(1, {"$ref": address}) == f"its schema refers to something that is not in it: Unresolvable: {address}"
        )
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_reference_to_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "yes.json").write_text("{}")
    reason = check(1, {"$ref": (tmp_path / "yes.json").as_uri()})
    assert reason is not None
    assert reason.startswith("its schema refers to something that is not in it")


TYPED: list[tuple[str, dict[str, Any], Any]] = [
    ("5", STRING, "5"),
    ("", STRING, ""),
    ('"x"', STRING, '"x"'),
    ("5", {}, "5"),
    ("x", {"enum": ["x", "y"]}, "x"),
    ("5", {"enum": ["x", 5]}, 5),
    ("5", {"type": "integer"}, 5),
    ("5.5", {"type": "number"}, 5.5),
    ("1e3", {"type": "number"}, 1000.0),
    ("true", {"type": "boolean"}, True),
    ("null", {"type": "null"}, None),
    ('["a", 1]', {"type": "array"}, ["a", 1]),
    ('{"a": null}', {"type": "object"}, {"a": None}),
    ('"x"', {"type": ["string", "null"]}, "x"),
    ('"x"', {"anyOf": [STRING]}, "x"),
]


@pytest.mark.parametrize(("text", "schema", "value"), TYPED)
def test_typed_text_is_read_by_its_type(text: str, schema: dict[str, Any], value: Any) -> None:
    read = from_text(text, schema)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "schema", "message"),
    [
        ("x", {"type": "integer"}, "wants integer, as JSON; got 'x'"),
        ("", {"type": "boolean"}, "wants true or false, as JSON; got ''"),
        ("True", {"type": "boolean"}, "wants true or false, as JSON; got 'True'"),
        ("NaN", {"type": "number"}, "wants number, as JSON; got 'NaN'"),
        ("-Infinity", {"type": "number"}, "wants number, as JSON; got '-Infinity'"),
        ("1e999", {"type": "number"}, "wants number, as JSON; got '1e999'"),
        ("[" * 100_000, {"type": "array"}, "wants array, as JSON; got '" + "[" * 59 + "…'"),
        ("9" * 5000, {"type": "integer"}, "wants integer, as JSON; got '" + "9" * 59 + "…'"),
        ("z", {"enum": ["é", 1]}, "wants one of \"é\", 1, as JSON; got 'z'"),
        ("x", {"enum": 5, "anyOf": []}, "wants a value, as JSON; got 'x'"),
    ],
)
def test_typed_text_that_is_no_value(text: str, schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        from_text(text, schema)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("schema", "name", "text"),
    [
        ({}, "any", True),
        (STRING, "string", True),
        ({"type": "integer"}, "integer", False),
        ({"enum": ["a", "b"]}, '"a" | "b"', True),
        ({"enum": ["a", 1]}, '"a" | 1', False),
        ({"type": ["string", "null"]}, "string?", False),
        ({"type": "array", "items": {"type": "array", "items": STRING}}, "array of array of string", False),
        ({"type": "array"}, "array", False),
        ({"type": "array", "items": {"enum": 5}}, "array of any", False),
    ],
)
def test_a_type_has_a_name_and_a_way_to_be_typed(schema: dict[str, Any], name: str, text: bool) -> None:
    assert (type_name(schema), takes_text(schema)) == (name, text)


@given(st.text(), st.integers(1, 100))
def test_shorten_keeps_to_its_limit(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


@given(
    st.text(max_size=30),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
        max_leaves=6,
    ),
)
def test_whatever_stands_in_a_file_is_a_field_or_a_schema_error(key: str, spec: Any) -> None:
    try:
        field = read_field(key, spec)
    except SchemaError:
        return
    assert type_name(field.schema)
    assert isinstance(takes_text(field.schema), bool)
