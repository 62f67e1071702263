"""Patterns and schemas as the automaton follows them, byte by byte, without a model."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from typing import Any

import jsonschema
import llguidance
import pytest

from promptlab.core import pattern
from promptlab.core.constraint import Constraint, read_answer
from promptlab.core.gbnf.match import misfit
from promptlab.engine import grammar
from promptlab.engine.example import example
from promptlab.errors import EngineError
from tests.core.test_gbnf import ARITHMETIC, BOMBS, CHESS, GRAMMARS, JSON

BYTES = llguidance.LLTokenizer("byte")


def takes(constraint: Constraint, text: str) -> bool:
    """Whether an answer may be this text and end there."""
    return follows(grammar.compiled(BYTES, constraint), text)


def follows(matcher: llguidance.LLMatcher, text: str) -> bool:
    ids = list(text.encode())
    return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()


PATTERNS: list[tuple[str, list[str], list[str]]] = [
    ("^a|b$", ["a", "b"], ["ab", "", "a$"]),
    ("(^a)", ["a"], ["aa"]),
    ("(?m)^a$", ["a"], ["a\n", "a\na"]),
    ("^$", [""], ["a"]),
    (r"\Aa\Z", ["a"], ["a\n"]),
    ("yes|yes sir", ["yes", "yes sir"], ["yes ", "ye"]),
    ("[[a]", ["[", "a"], ["[[a]"]),
    ("[a&&b]", ["a", "&", "b"], ["ab"]),
    (r"[a\-\-b]", ["-", "a"], ["c"]),
    ("x{,3}", ["", "xxx"], ["xxxx", "x{,3}"]),
    ("x{2", ["x{2"], ["xx"]),
    ("a*?b", ["b", "aab"], ["a"]),
    ("a.b", ["axb", "a\rb"], ["a\nb"]),
    ("(?s)a.b", ["a\nb"], ["ab"]),
    ("(?i)straße[A-C]", ["STRAßEa"], ["straßed"]),
    ("(?:(?i:A)b)+", ["abAb"], ["aB"]),
    ("(?x) a  b # c", ["ab"], ["a b"]),
    (r"\d{2}", ["12", "٣٤"], ["1", "½½"]),
    (r"\w+", ["é_1½"], ["a b", "a-b"]),
    (r"\s", [" ", "\x1c", "\u00a0"], ["a"]),
    (r"[^\s\d]+", ["a-"], ["a a", "1"]),
    (r"[\W\d]+", ["!1"], ["a"]),
    (r"[-\]^&~a-c]+", ["-]^&~b"], ["d"]),
    (r"é\"/\\\n", ['é"/\\\n'], ['é"/\n']),
    (r"(?P<x>\d)(?:\$\^)", ["1$^"], ["1"]),
    ("[\x00-\U0010ffff]", ["\x00", "a", "\U0010ffff"], ["", "ab"]),
]


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # Python's, about `[[` and `&&`
@pytest.mark.parametrize(("text", "good", "bad"), PATTERNS)
def test_a_pattern_means_what_it_means_to_python(text: str, good: list[str], bad: list[str]) -> None:
    for answer in good + bad:
        assert (re.fullmatch(text, answer) is not None) == (answer in good), answer
        assert takes(Constraint("regex", text), answer) == (answer in good), answer


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
@pytest.mark.parametrize("text", [text for text, *_ in PATTERNS])
def test_an_example_of_a_pattern_matches_it(text: str) -> None:
    assert re.fullmatch(text, pattern.shortest(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a^b", "only at its beginning"),
        ("a$b", "only at its beginning"),
        ("a$\n", "only at its beginning"),
        ("(?:^a)*", "only at its beginning"),
        (r"\bword", "word boundaries"),
        ("(?=a)b", "ahead or behind"),
        ("(?<!a)b", "ahead or behind"),
        (r"(a)\1", "back to a group"),
        ("a*+a", "possessive"),
        ("(?>a)b", "atomic"),
        (r"(?a)\w", "flags"),
        (r"(?a:\w)", "flags"),
        ("(a{1000}){1000}", "too large"),
        ("(" * 100 + "a" + ")" * 100, "groups in each other"),
        ("(" * 900 + "a" + ")" * 900, "groups in each other"),
        ("(", "not a pattern"),
        ("\ud800", "half a character"),
    ],
)
def test_a_pattern_that_cannot_be_followed_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pattern.translate(text)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({}, ["1", '{"a": [1, 2]}', "null"], ["", "{'a': 1}", '{"a":1}', '{ "a": 1}', "[1,2]", "[1]\n"]),
        ({"x-guidance": {"whitespace_flexible": True}, "type": "array"}, ["[1, 2]"], ["[1,2]", "[ 1, 2]"]),
        ({"x-guidance": {"whitespace_pattern": " *"}, "type": "array"}, ["[1, 2]"], ["[1,2]", "[ 1, 2]"]),
        ({"enum": ["<|im_end|>", 1]}, ['"<|im_end|>"', "1"], ["<|im_end|>"]),
        ({"type": "string", "pattern": "^a|b$"}, ['"a"', '"ax"', '"xb"'], ['"xx"']),
        ({"type": "integer", "multipleOf": 7, "minimum": 10}, ["14", "700"], ["7", "15"]),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": False}, ["[1]"], ["[1, 2]"]),
        (
            {"properties": {"$schema": True}, "additionalProperties": False, "type": "object"},
            ['{"$schema": 1}'],
            ["{,}"],
        ),
    ],
)
def test_a_schema_is_followed_in_the_style_of_json_dumps(schema: Any, good: list[str], bad: list[str]) -> None:
    for answer in good + bad:
        assert takes(Constraint("schema", schema), answer) == (answer in good), answer


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint("choices", ["a b", "c"]),
        Constraint("regex", r"[A-Z]\d{3,}(x|yy)?"),
        Constraint("grammar", CHESS),
        Constraint("grammar", JSON),
        Constraint("grammar", 'root ::= "(" root ")" | [^a]{2,3}'),
        Constraint("schema", {}),
        Constraint("schema", {"type": "integer", "minimum": 5, "multipleOf": 3}),
        Constraint("schema", {"type": "number", "exclusiveMaximum": -4}),
        Constraint("schema", {"type": ["string", "null"], "minLength": 2}),
        Constraint("schema", {"$ref": "#/$defs/t", "$defs": {"t": {"type": "string", "pattern": "^[a-f]{4}$"}}}),
        Constraint("schema", {"anyOf": [{"const": 1}, {"const": 2}]}),
        Constraint("schema", {"allOf": [{"required": ["a"]}, {"properties": {"a": {"enum": [4]}}, "required": ["b"]}]}),
        Constraint("schema", {"type": "array", "items": {"type": "boolean"}, "minItems": 2}),
    ],
    ids=str,
)
def test_an_example_fits_its_constraint(constraint: Constraint) -> None:
    if constraint.kind == "schema":
        jsonschema.Draft202012Validator.check_schema(constraint.value)
    for seed in range(3):
        read_answer(example(constraint, seed), constraint)
    assert takes(constraint, example(constraint, 0))


# --- grammars --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "good", "bad"), GRAMMARS)
def test_a_grammar_is_followed_as_it_is_checked(text: str, good: list[str], bad: list[str]) -> None:
    assert [answer for answer in good + bad if takes(Constraint("grammar", text), answer)] == good


LETTERS = "abéè"
"""The last two begin with the same byte."""


def random_part(luck: random.Random, names: list[str], depth: int = 0) -> str:
    kind = luck.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return luck.choice(names)
    if kind < 4:
        return '"' + "".join(luck.choices(LETTERS, k=luck.randint(0, 3))) + '"'
    if kind < 6:
        return luck.choice(["[", "[^"]) + "".join(sorted(luck.sample(LETTERS, luck.randint(1, 3)))) + "]"
    return f"({random_options(luck, names, depth + 1)}){luck.choice(['', '*', '+', '?', '{2}', '{0,2}', '{1,}'])}"


def random_options(luck: random.Random, names: list[str], depth: int = 0) -> str:
    parts = [[random_part(luck, names, depth) for _ in range(luck.randint(1, 3))] for _ in range(luck.randint(1, 3))]
    return " | ".join(map(" ".join, parts))


def test_what_is_followed_is_what_fits_whatever_the_grammar() -> None:
    """Two readings that share nothing but the tree: one of them takes the longest of what may come."""
    compared = circular = 0
    for seed in range(250):
        luck = random.Random(seed)
        names = ["root", "r1", "r2"][: luck.randint(1, 3)]
        text = "\n".join(f"{name} ::= {random_options(luck, names)}" for name in names)
        try:
            matcher = grammar.compiled(BYTES, Constraint("grammar", text))
        except EngineError:  # rules that never end
            continue
        circular += "T1:" in grammar.source(Constraint("grammar", text))
        for _ in range(25):
            answer = "".join(luck.choices(LETTERS, k=luck.randint(0, 7)))
            assert follows(matcher.deep_copy(), answer) == (misfit(text, answer) is None), (text, answer)
            compared += 1
    assert compared > 2_000
    assert circular > 60


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_a_grammar_that_is_a_bomb_is_followed_or_refused(text: str) -> None:
    try:
        grammar._try(json.dumps(["grammar", text]))
        grammar.compiled(BYTES, Constraint("grammar", text))
    except EngineError as error:
        assert len(str(error)) < 250  # noqa: PT017  (whether it is refused is not what is asked)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("root ::= x\nx ::= [a-z] y | [.]\ny ::= [a-z] x | [,]", "ab" * 1_000 + "."),
        (ARITHMETIC, "(" * 200 + "a" + ")" * 200 + "=1\n"),
        (JSON, '{"a": ' + "[" * 300 + "1" + "]" * 300 + "}"),
    ],
    ids=range(3),
)
def test_long_answers_of_recursive_grammars_are_followed(text: str, answer: str) -> None:
    assert takes(Constraint("grammar", text), answer)


def test_a_wrong_grammar_says_where() -> None:
    with pytest.raises(EngineError, match=r"^grammar, line 1, column 10: there is no rule 'x'$"):
        grammar.compiled(BYTES, Constraint("grammar", "root ::= x"))


def test_a_panic_of_the_library_is_an_error_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As its Rust code raises it."""

    def panic(*_: Any, **__: Any) -> None:
        raise PanicException("byte index 100 is not a char boundary")

    monkeypatch.setattr(llguidance, "LLMatcher", type("M", (), {"__new__": panic, "grammar_from_regex": str}))
    with pytest.raises(EngineError, match="char boundary"):
        grammar.compiled(BYTES, Constraint("choices", ["a"]))


def test_a_worker_loads_it_only_when_it_is_asked_to() -> None:
    code = "import promptlab.engine.worker, promptlab.engine.fake, sys; print('llguidance' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
