"""What the tags of the language do beyond plain generations: constraints, outputs, an answer begun, calls."""

# The tables are easier to read with a case on a line.
# ruff: noqa: E501
from __future__ import annotations

from typing import Any

import pytest

from promptlab.core import tape
from promptlab.core.constraint import Constraint
from promptlab.core.program import Ask, Message, Transcript, references, step
from promptlab.core.prompt import Prompt, parse
from promptlab.errors import RenderError, SourceError

CHOICES = Constraint("choices", ["yes", "no"])
U, A = "{% user %}", "{% enduser %}"


def make(body: str, front: str = "", **files: str) -> Prompt:
    source = f"---\n{front}\n---\n{body}" if front else body
    return parse(source, "p").with_partials({name.replace("__", "."): text for name, text in files.items()})


def ask(prompt: Prompt, *answers: str, **inputs: Any) -> Ask:
    result = step(prompt, inputs, answers)
    assert isinstance(result, Ask)
    return result


def end(prompt: Prompt, *answers: str, **inputs: Any) -> Transcript:
    result = step(prompt, inputs, answers)
    assert isinstance(result, Transcript)
    return result


def error(prompt: Prompt, *answers: str, **inputs: Any) -> str:
    with pytest.raises((RenderError, SourceError)) as caught:
        step(prompt, inputs, answers)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- constraints -----------------------------------------------------------------------------------------------------

OBJECT = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}},
    "required": ["name"],
    "additionalProperties": False,
}
CONSTRAINTS: list[tuple[str, Constraint | None]] = [
    ("", None),
    ("choices=['yes', 'no']", CHOICES),
    ("choices=('yes', 'no'), temperature=0", CHOICES),
    ("choices=words", CHOICES),
    ("regex='[0-9]{4}'", Constraint("regex", "[0-9]{4}")),
    (r"""grammar='root ::= "a\\n" | [0-9]'""", Constraint("grammar", r'root ::= "a\n" | [0-9]')),
    ("schema={'type': 'integer', 'minimum': 3}", Constraint("schema", {"type": "integer", "minimum": 3})),
    ("schema={'name': 'string', 'age?': 'integer'}", Constraint("schema", OBJECT)),
    ("schema='any'", Constraint("schema", {})),
]


@pytest.mark.parametrize(("tag", "expected"), CONSTRAINTS, ids=lambda x: str(x)[:30])
def test_a_tag_says_what_its_answer_must_be(tag: str, expected: Constraint | None) -> None:
    prompt = make("q{% generate g " + tag + " %}", "inputs: {words(array): string}")
    assert ask(prompt, words=["yes", "no"]).constraint == expected


BAD_CONSTRAINTS = [
    ("choices=[]", "choices wants a list of texts, such as ['yes', 'no']; got []"),
    ("choices='yes'", "choices wants a list of texts"),
    ("choices=[1]", "choices wants a list of texts"),
    ("choices=['']", "choices wants up to 1,000 texts, each of 1 to 2,000 characters"),
    ("choices=['a'] * 1001", "choices wants up to 1,000 texts"),
    ("choices=['a', 'b', 'a']", "choices has 'a' twice"),
    ("choices=oops", "'oops' is undefined"),
    ("choices=range", "choices= gives a function that is not plain data"),
    ("regex=''", "regex wants a pattern of 1 to 2,000 characters; got ''"),
    ("regex=5", "regex wants a pattern"),
    ("regex='('", "regex is not a pattern: missing ), unterminated subpattern at position 0"),
    ("regex='(?=a)'", "regex cannot "),
    ("regex='(?<!a)b'", "regex cannot look ahead or behind"),
    (r"regex='(a)\\1'", "regex cannot "),
    ("regex='(?P<x>a)(?P=x)'", "regex cannot "),
    ("grammar=5", "grammar wants the text of a GBNF grammar, such as 'root ::= [0-9]+'; got 5"),
    ("grammar='root ::= x'", "grammar, line 1, column 10: there is no rule 'x'"),
    ("grammar='x ::= [a]'", "grammar has no rule `root`"),
    ("grammar='root ::= [a]', schema='any'", "schema= and grammar= exclude each other"),
    ("schema=5", "schema: "),
    ("schema='whole'", "schema: 'whole' is not a type"),
    ("schema={'a': 'whole'}", "schema: "),
    ("schema={'type': 'object', 'properties': 5}", "not a JSON Schema: 5 is not of type 'object'"),
    ("choices=['a'], regex='a'", "choices= and regex= exclude each other"),
]


@pytest.mark.parametrize(("tag", "start"), BAD_CONSTRAINTS, ids=[tag for tag, _ in BAD_CONSTRAINTS])
def test_what_cannot_be_asked_for(tag: str, start: str) -> None:
    assert error(make("q\n{% generate g " + tag + " %}")).startswith(f"p.jinja:2: {start}")


def test_the_same_key_twice() -> None:
    assert error(make("q{% generate g top_k=1 top_k=2 %}")) == "p.jinja:1:2: top_k= stands here a second time"


ANSWERS: list[tuple[str, str, Any]] = [
    ("choices=['yes', 'no']", "yes", "yes"),
    ("regex='[0-9]+'", "42", "42"),
    ("grammar='root ::= [0-9]+ [a-c]?'", "42b", "42b"),
    ("schema={'name': 'string', 'age?': 'integer'}", '{"name": "Ada", "age": null}', {"name": "Ada", "age": None}),
    ("schema={'type': 'array'}", "[1, 2.5]", [1, 2.5]),
    ("schema='any'", '"x"', "x"),
]


@pytest.mark.parametrize(("tag", "text", "value"), ANSWERS, ids=[text for _, text, _ in ANSWERS])
def test_an_answer_becomes_a_value(tag: str, text: str, value: Any) -> None:
    prompt = make(
        U
        + "q"
        + A
        + "{% generate g "
        + tag
        + " %}"
        + U
        + "{{ g | tojson }} {{ g_all | length }}"
        + A
        + "{% generate h %}"
    )
    asked = ask(prompt, text)
    assert asked.messages[1] == Message("assistant", text)  # the conversation keeps the text as it was
    done = end(prompt, text, "ok")
    assert done.answers == {"g": value, "h": "ok"}
    assert end(make("q{% generate g " + tag + " %}"), text).output == value


BAD_ANSWERS = [
    ("choices=['yes', 'no']", "ye", "is none of the choices: 'ye'"),
    ("regex='[0-9]{4}'", "12", "does not match '[0-9]{4}': '12'"),
    ("grammar='root ::= [0-9]{4}'", "12", "ends too early for its grammar: '12'"),
    ("grammar='root ::= [0-9]{4}'", "12a4", "leaves its grammar at character 3: '12a4'"),
    ("schema={'type': 'array'}", "[1, 2", "is not JSON: '[1, 2'"),
    ("schema={'type': 'array'}", "[NaN]", "is not JSON: '[NaN]'"),
    ("schema={'type': 'array'}", "{}", "does not fit its schema: {} is not of type 'array'"),
    ("schema={'type': 'integer', 'maximum': 5}", "7", "does not fit its schema: 7 is greater than the maximum of 5"),
]


@pytest.mark.parametrize(("tag", "text", "reason"), BAD_ANSWERS, ids=[text for _, text, _ in BAD_ANSWERS])
def test_an_answer_that_is_not_what_it_must_be(tag: str, text: str, reason: str) -> None:
    told = error(make("q\n{% generate g " + tag + " %}"), text)
    assert told == f"p.jinja:2: the answer to g {reason}. Was it cut off, by max_tokens or by a stop text?"


# --- output ----------------------------------------------------------------------------------------------------------

YES_NO = "output: {choices: [yes, no]}"
G, H = "{% generate g %}", "{% generate h %}"
TURN = U + "more" + A
# For each body, with one answer after the other, whether `output:` holds for what it asks.
LASTS: list[tuple[str, list[bool]]] = [
    ("q", [True]),
    ("q" + G, [True]),
    (U + "q" + A + G + TURN + H, [False, True]),
    (U + "q" + A + G + "{% if g == 'yes' %}" + TURN + H + "{% endif %}", [True, True]),
    (U + "q" + A + G + "{% if g == 'yes' %}" + TURN + H + "{% else %}" + TURN + "{% generate i %}{% endif %}", [False, True]),
    (U + "q" + A + G + "{% for x in [1] %}" + TURN + H + "{% endfor %}", [True, True]),
    (U + "q" + A + G + "{% with %}" + TURN + H + "{% endwith %}", [False, True]),
    (U + "q" + A + "{% generate g temperature=0 %}" + U + "bye" + A, [True]),
    (U + "q" + A + G + "{% return g %}", [False]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "holds"), LASTS, ids=range(len(LASTS)))
def test_output_holds_for_what_can_be_the_last_generation(body: str, holds: list[bool]) -> None:
    prompt = make(body, YES_NO)
    asked = [ask(prompt, *["yes"] * i).constraint == CHOICES for i in range(len(holds))]
    assert asked == holds
    assert end(prompt, *["yes"] * len(holds)).output == "yes"


def test_a_tag_wins_over_output() -> None:
    prompt = make("q{% generate g choices=['a', 'yes'] %}", YES_NO)
    assert ask(prompt).constraint == Constraint("choices", ["a", "yes"])
    assert error(prompt, "a") == "p.jinja: the output is none of the choices: 'a'"


OUTPUTS: list[tuple[str, str, list[str], Any]] = [
    ("output: json", "q", ['{"a": [1]}'], {"a": [1]}),
    ("output: {schema: {a: integer}}", "q", ['{"a": 1}'], {"a": 1}),
    ("output: {schema: {a: integer}}", "{% return {'a': 1} %}", [], {"a": 1}),
    ("output: {schema: integer}", "q{% generate g %}{% return g | length %}", ["four"], 4),
    ("output: text", "q", ["x"], "x"),
    ("output:\n  grammar: |\n    root ::= [a-c]+\n", "q", ["abc"], "abc"),
    ("output: {grammar: 'root ::= [a-c]+'}", "q{% generate g %}{% return g ~ 'a' %}", ["abc"], "abca"),
]


@pytest.mark.parametrize(("front", "body", "answers", "output"), OUTPUTS, ids=[f"{o[0]} {o[1][:12]}" for o in OUTPUTS])
def test_outputs(front: str, body: str, answers: list[str], output: Any) -> None:
    assert end(make(body, front), *answers).output == output


def test_what_is_returned_must_be_what_output_says() -> None:
    told = error(make("{% return {'a': 'x'} %}", "output: {schema: {a: integer}}"))
    assert told == "p.jinja: the output does not fit its schema: ['a']: 'x' is not of type 'integer'"


def test_what_is_returned_must_fit_the_grammar_of_output() -> None:
    front = "output: {grammar: 'root ::= [a-c]+'}"
    assert error(make("{% return 'abd' %}", front)) == "p.jinja: the output leaves its grammar at character 3: 'abd'"
    assert error(make("{% return 5 %}", front)) == "p.jinja: the output is no text: 5"


def test_the_grammar_of_output_holds_for_the_last_generation() -> None:
    front = "output:\n  grammar: |\n    root ::= [a-c]+\n"
    assert ask(make("q", front)).constraint == Constraint("grammar", "root ::= [a-c]+\n")


def test_a_grammar_may_stand_in_a_set_block() -> None:
    body = '{% set g %}\nroot ::= "a\\n"\n  "b"{1,2} # }\n{% endset %}' + U + "q" + A + "{% generate x grammar=g %}"
    told = error(make(body))
    assert told.endswith(": grammar, line 2, column 3: here a rule begins, with its name")
    made = make(body.replace('\\n"\n', '\\n"'))
    assert ask(made).constraint == Constraint("grammar", 'root ::= "a\\n"  "b"{1,2} # }\n')
    assert end(made, "a\nbb").output == "a\nbb"


@pytest.mark.parametrize(
    ("front", "shown"),
    [
        ("output: text", "p() -> text"),
        ("output: {grammar: 'root ::= [a]'}", "p() -> text"),
        ("output: json", "p() -> json"),
        ("output: {schema: {type: array, items: {type: string}}}", "p() -> array of string"),
        (YES_NO, 'p() -> "yes" | "no"'),
    ],
)
def test_the_signature_says_what_comes_out(front: str, shown: str) -> None:
    assert make("q", front).signature == shown


# --- an answer that has begun ----------------------------------------------------------------------------------------

PREFILL = U + "q" + A + "{% assistant %} It is {% endassistant %}"


def test_an_assistants_block_before_a_generation_is_gone_on_with() -> None:
    prompt = make(PREFILL + G + U + "[{{ g }}]" + A + H)
    assert ask(prompt).messages == (Message("user", "q"), Message("assistant", "It is"))
    then = ask(prompt, " so.").messages
    assert then == (Message("user", "q"), Message("assistant", "It is so."), Message("user", "[ so.]"))
    assert end(prompt, " so.", "x").answers == {"g": " so.", "h": "x"}


def test_the_generation_at_the_end_goes_on_too() -> None:
    assert ask(make(PREFILL)).messages[-1] == Message("assistant", "It is")
    assert end(make(PREFILL), " so").messages[-1] == Message("assistant", "It is so")


def test_of_several_blocks_only_the_last_is_gone_on_with() -> None:
    body = PREFILL + "{% assistant %}b{% endassistant %}" + G
    assert [m.content for m in end(make(body), "c").messages] == ["q", "It is", "bc"]


def test_an_answer_is_not_gone_on_with() -> None:
    told = error(make(PREFILL + G + "\n" + H), "x")
    assert told == "p.jinja:2: {% generate %} right after an answer: put a {% user %} block between them"


# --- calls -----------------------------------------------------------------------------------------------------------

SUMMARISE = "---\ninputs: {text: string, words: {type: integer, default: 9}}\noptions: {max_tokens: 5, stop: [x]}\n---\nSay {{ text }} in {{ words }} words."
TWICE = (
    U + "a {{ x }}" + A + "{% generate one %}" + U + "b" + A + "{% generate two temperature=0 %}{% return [one, two] %}"
)


def test_a_call_runs_another_prompt_and_binds_what_it_gives() -> None:
    body = (
        "{% call_prompt short = 'sum/marise' text=article, words=3 %}" + U + "Judge {{ short }} {{ short_all }}" + A + G
    )
    prompt = make(body, "inputs: {article: string}\noptions: {temperature: 0.1, stop: [y]}").with_partials(
        {"sum/marise.jinja": SUMMARISE}
    )
    first = ask(prompt, article="rain")
    assert first == Ask("short.output", (Message("user", "Say rain in 3 words."),), {"max_tokens": 5, "stop": ["x"]})
    second = ask(prompt, "wet", article="rain")
    assert second == Ask("g", (Message("user", "Judge wet ['wet']"),), {"temperature": 0.1, "stop": ["y"]})
    done = end(prompt, "wet", "fine", article="rain")
    assert (done.answers, done.output) == ({"short": "wet", "g": "fine"}, "fine")
    assert [m.role for m in done.messages] == ["user", "assistant"]


def test_a_call_may_take_several_answers_and_return_data() -> None:
    prompt = make("{% call_prompt c = 't' x=1 %}{{ c | tojson }}").with_partials(
        {"t.jinja": "---\ninputs: {x: integer}\n---\n" + TWICE}
    )
    assert ask(prompt, "1").name == "c.two"
    assert ask(prompt, "1").messages == (Message("user", "a 1"), Message("assistant", "1"), Message("user", "b"))
    assert ask(prompt, "1").options == {"temperature": 0}
    assert ask(prompt, "1", "2") == Ask("output", (Message("user", '["1", "2"]'),), {})


def test_calls_in_a_loop_and_text_around_them() -> None:
    body = "{% for t in ['a', 'b'] %}{% call_prompt s = 's' text=t %}{{ s }}.{% endfor %} {{ s_all }}"
    prompt = make(body).with_partials({"s.jinja": SUMMARISE})
    assert ask(prompt, "A", "B").messages == (Message("user", "A.B. ['A', 'B']"),)


def test_only_calls_ask_nothing_themselves() -> None:
    prompt = make("{% call_prompt s = 's' text='t' %}\n", YES_NO).with_partials({"s.jinja": SUMMARISE})
    assert end(prompt, "yes").output == "yes"
    assert end(prompt, "yes").messages == ()
    assert error(prompt, "maybe") == "p.jinja: the output is none of the choices: 'maybe'"


def test_programs_keep_their_names_roles_and_outputs_apart() -> None:
    callee = "---\n" + YES_NO + "\n---\n{% include '_own' %}{% generate g %}"
    files = {"c.jinja": callee, "_own": "{% system %}s{% endsystem %}" + U + "inner" + A}
    prompt = make("{% set h = 1 %}{% call_prompt d = 'c' %}loose {{ d }}{{ h }}").with_partials(files)
    assert ask(prompt).constraint == CHOICES
    assert ask(prompt, "no").messages == (Message("user", "loose no1"),)
    assert ask(prompt, "no").constraint is None


def test_a_prompt_may_call_itself_as_deep_as_is_allowed() -> None:
    body = "---\ninputs: {n: integer}\n---\n{% if n > 0 %}{% call_prompt r = 'p' n=n-1 %}{% return r + 1 %}{% endif %}{% return 0 %}"
    prompt = parse(body, "p").with_partials({"p.jinja": body})
    assert end(prompt, n=tape.MAX_CALLS).output == tape.MAX_CALLS
    assert "calls prompts more than 8 deep; does one call itself without an end?" in error(prompt, n=tape.MAX_CALLS + 1)


CALL_ERRORS = [
    (
        "\n{% call_prompt s = 's' %}",
        "p.jinja:2: s: the input 'text' is missing. It takes s(text: string, words: integer = 9) -> text",
    ),
    ("\n{% call_prompt s = 's' text=5 %}", "p.jinja:2: s: the input 'text': 5 is not of type 'string'"),
    ("\n{% call_prompt s = 's' text='a' zork=1 %}", "p.jinja:2: s: there is no input 'zork'"),
    ("\n{% call_prompt s = 's' text=oops %}", "p.jinja:2: 'oops' is undefined"),
    (
        "\n{% call_prompt s = 's' text=range %}",
        "p.jinja:2: the input 'text' of s gives a function that is not plain data",
    ),
    ("\n{% call_prompt s = 'no' %}", "p.jinja:2: calls 'no', which is not there"),
    ("\n{% call_prompt s = name %}", "p.jinja:2:1: call_prompt takes a literal name"),
    ("\n{% call_prompt s = '../s' %}", "p.jinja:2:1: '../s' is not the name of a prompt"),
    ("\n{% call_prompt s = '_s' %}", "p.jinja:2:1: '_s' is not the name of a prompt"),
    ("\n{% call_prompt 's' %}", "p.jinja:2:1: expected token 'name', got 'string'"),
    ("\n{% call_prompt _s = 's' %}", "p.jinja:2:1: a call cannot be called '_s'"),
    (
        "{% user %}\n{% call_prompt s = 's' text='a' %}{% enduser %}",
        "p.jinja:2: {% call_prompt %} stands inside {% user %}",
    ),
    ("{% set s = 1 %}{% call_prompt s = 's' text='a' %}", "p.jinja:1:1: 's' is a generation and cannot be set"),
    ("{% call_prompt s = 'bad' %}", "bad.jinja:4: 'oops' is undefined"),
    ("{% call_prompt s = 'syntax' %}", "syntax.jinja:1:1: Encountered unknown tag 'zork'."),
    ("{% call_prompt s = 'front' %}", "front.jinja:2:1: 'zork' is not a key of a prompt file"),
]
CALLED = {
    "s.jinja": SUMMARISE,
    "bad.jinja": "---\ndescription: x\n---\n{{ oops }}",
    "syntax.jinja": "{% zork %}",
    "front.jinja": "---\nzork: 1\n---\n",
}


@pytest.mark.parametrize(("body", "start"), CALL_ERRORS, ids=range(len(CALL_ERRORS)))
def test_what_is_wrong_with_a_call(body: str, start: str) -> None:
    assert error(make(body).with_partials(CALLED)).startswith(start)


def test_an_answer_of_a_callee_names_the_callee() -> None:
    prompt = make("{% call_prompt s = 'c' %}").with_partials({"c.jinja": "---\n" + YES_NO + "\n---\nq{% generate g %}"})
    assert error(prompt, "maybe").startswith("c.jinja:4: the answer to g is none of the choices: 'maybe'.")


def test_caps_count_callers_and_callees_together(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = make("{% for t in range(9) %}{% call_prompt s = 's' text=t | string %}{% endfor %}").with_partials(CALLED)
    monkeypatch.setattr(tape, "MAX_GENERATIONS", 3)
    assert error(prompt, *"abcd").startswith("s.jinja: generates more than 3 times")
    monkeypatch.setattr(tape, "MAX_GENERATIONS", 99)
    monkeypatch.setattr(tape, "MAX_MESSAGES", 5)
    assert error(prompt, *"abcdefghi").startswith("s.jinja: makes more than 5 messages")


def test_the_hash_covers_what_is_called() -> None:
    prompt = make("{% call_prompt s = 's' text='t' %}")
    assert prompt.with_partials({"s.jinja": "a"}).hash != prompt.with_partials({"s.jinja": "b"}).hash


def test_calls_are_references() -> None:
    found = references("{% call_prompt a = 'x/y' %}\n{% include '_p' %}{% call_prompt b = 'x/y' %}", "f")
    assert [(r.kind, r.name, r.line) for r in found] == [("call", "x/y", 1), ("include", "_p", 2)]


# --- what templates cannot do ----------------------------------------------------------------------------------------


def test_a_default_is_the_same_in_every_rendering() -> None:
    callee = "---\ninputs: {o: {type: object, default: {n: 0}}}\n---\n{{ o | tojson }} {{ DO }}"
    for change in ("dict.update(o, {'n': 5})", "o.update({'n': 5})", "dict(o).update({'n': 5})", "o.pop('n')"):
        prompt = make("{% call_prompt c = 's' %}").with_partials({"s.jinja": callee.replace("DO", change)})
        assert "unsafe" in error(prompt) or "has no attribute" in error(prompt)
    prompt = make("{% call_prompt c = 's' %}").with_partials({"s.jinja": callee.replace("{{ DO }}", "")})
    assert [ask(prompt).messages for _ in range(2)] == [(Message("user", '{"n": 0}'),)] * 2


@pytest.mark.parametrize(
    "reach",
    [
        "dict.mro()",
        "dict['x']",
        "cycler.next",
        "namespace.__class__",
        "[dict] | map(attribute='mro') | list",
        "joiner.x",
    ],
)
def test_no_class_is_within_reach(reach: str) -> None:
    assert "p.jinja:1: " in error(make("{{ " + reach + " }}"))


NO_TEXT = [
    "'x: ' ~ [1] | map('string')",
    "['a'.upper]",
    "{'k': [1] | map('string')}",
    "[[1] | map('string')] | join(', ')",
    "'a'.upper | string",
    "('a'.upper, 1) | pprint",
]


@pytest.mark.parametrize("expression", NO_TEXT)
def test_only_plain_data_gets_into_a_text(expression: str) -> None:
    assert "is not plain data: call it with (), or make it a list with | list" in error(
        make("{{ " + expression + " }}")
    )


def test_joined_and_shown_data_is_as_it_was() -> None:
    body = "{{ ['a', 1] | join('-') }} {{ [{'k': 'b'}] | join(attribute='k') }} {{ 1 ~ none ~ [2] }} {{ {'a': 1} | pprint }} {{ 5 | string }}"
    assert ask(make(body)).messages[0].content == "a-1 b 1None[2] {'a': 1} 5"


@pytest.mark.parametrize(
    "body",
    [
        U + "q" + A + G + "{% include '_v' %}",
        U + "q" + A + G + "{% for i in [1] %}{% include '_w' %}{% endfor %}",
        "{% import '_m' as m %}" + U + "q" + A + G + "{{ m.more() }}",
        "{% macro more() %}{{ caller() }}"
        + TURN
        + H
        + "{% endmacro %}"
        + U
        + "q"
        + A
        + G
        + "{% call more() %}{% endcall %}",
    ],
)
def test_output_holds_for_nothing_that_something_unseen_follows(body: str) -> None:
    files = {
        "_v": TURN + H,
        "_w": "{% include '_v' %}",
        "_m": "{% macro more() %}" + TURN + H + "{% endmacro %}",
    }
    prompt = make(body, YES_NO).with_partials(files)
    assert ask(prompt).constraint is None
    assert ask(prompt, "anything").constraint is None
    assert error(prompt, "anything", "maybe") == "p.jinja: the output is none of the choices: 'maybe'"
    assert end(prompt, "anything", "yes").output == "yes"


def test_a_partial_before_the_last_generation_changes_nothing() -> None:
    prompt = make("{% include '_v' %}" + TURN + G, YES_NO).with_partials({"_v": TURN + H})
    assert [ask(prompt).constraint, ask(prompt, "x").constraint] == [None, CHOICES]


@pytest.mark.parametrize("around", ["macro m()", "set x", "filter upper", "call n()"])
def test_without_roles_nothing_is_asked_where_text_is_kept_back(around: str) -> None:
    body = f"{{% macro n() %}}{{{{ caller() }}}}{{% endmacro %}}hello\n{{% {around} %}}a{{% generate g %}}{{% end{around.split()[0]} %}}"
    assert error(make(body)).startswith("p.jinja:2:")
    assert "inside a macro, or a set, filter or call block: put what is said into role tags" in error(make(body))


def test_the_list_of_all_answers_is_empty_before_the_first() -> None:
    body = (
        U + "{{ g_all | length }}" + A + "{% for i in range(n) %}" + G + U + "x" + A + "{% endfor %}{% return g_all %}"
    )
    assert end(make(body, "inputs: {n: integer}"), n=0).output == []
    assert end(make(body, "inputs: {n: integer}"), "a", "b", n=2).output == ["a", "b"]


def test_include_without_context_is_refused() -> None:
    prompt = make(U + "\n{% include '_a' without context %}" + A).with_partials({"_a": "x"})
    assert error(prompt).startswith("p.jinja:2:1: include cannot be `without context` here")
