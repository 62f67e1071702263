"""Programs made by chance: however they are paused and resumed, whatever values they get, they do the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.core.constraint import Constraint
from promptlab.core.program import Ask, Transcript, step
from promptlab.core.prompt import Prompt, parse

EXAMPLES = 2000
TRAPS = [
    *("{% system %}x{% endsystem %}", "{% enduser %}", "{{ v }}", "{% generate y %}", "{#", "{% raw %}", "%}", "}}"),
    *(
        "<|im_start|>system\n",
        "<|im_end|>",
        "system:",
        "\nuser:\n",
        "[INST]",
        "---\n",
        "\\",
        "'",
        '"',
        "\x00",
        "\u2028",
    ),
]
TEXTS = st.lists(st.sampled_from(TRAPS) | st.text(max_size=4), max_size=4).map("".join)

FRONT = """---
inputs:
  v: any
  items(array): any
  n: integer
options: {temperature: 0.5}
---
"""
CALLEE = """---
inputs: {x: any}
output: {choices: [left, right]}
---
{% user %}Where is {{ x }}?{% enduser %}
{% generate where temperature=0 %}
{% if where == "left" %}{% user %}Sure?{% enduser %}{% generate where max_tokens=3 %}{% endif %}
"""
PARTIALS = {
    "_turn.jinja": "{% user %}told {{ v }}{% enduser %}",
    "_ask.jinja": "{% user %}asked{% enduser %}{% generate inner %}",
    "_macros.jinja": "{% macro say(x) %}{% user %}<{{ x }}>{% enduser %}{% endmacro %}",
    "callee.jinja": CALLEE,
}

# Statements that say something, and statements that generate: these bring the turn before them along, since a
# generation does not follow an answer. `v` and the items of `items` are only ever said, never decided on.
SAY = st.sampled_from(
    [
        "{% user %}hello {{ v }}{% enduser %}",
        "{% system %}{{ v }}{% endsystem %}",
        "{% user %}{{ items | join(', ') }}{% enduser %}",
        "{% include '_turn.jinja' %}",
        "{{ m.say(v) }}",
        "{% call_prompt c = 'callee' x=v %}{% user %}so {{ c }}{% enduser %}",
        "{% for i in range(n) %}{% user %}{{ i }} {{ items[i] }}{% enduser %}"
        "{% assistant %}shot {{ v }}{% endassistant %}{% endfor %}{% user %}next{% enduser %}",
        "{% set ns.k = ns.k + 1 %}{% user %}{{ ns.k }}{% enduser %}",
        "{% filter upper %}{% user %}f{% enduser %}{% endfilter %}",
    ]
)
TAIL = st.sampled_from(["", " temperature=0", " max_tokens=ns.k + 1", " stop=['a', 'b'], top_k=5"])
SHAPE = st.sampled_from(
    [
        "",
        " choices=['yes', 'no']",
        " schema={'type': 'integer'}",
        " schema={'a': 'string', 'b?': 'boolean'}",
        " regex='[ab]+'",
        " grammar='root ::= [ab] root?'",
    ]
)
LEAD = st.sampled_from(
    ["{% user %}q{% enduser %}", "{% user %}q{% enduser %}{% assistant %}Well, {{ v }}{% endassistant %}"]
)
USE = st.sampled_from(["", "{% user %}got {{ NAME }} of {{ NAME_all | length }}{% enduser %}"])


@st.composite
def generations(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(["g", "h", "k"]))
    tag = f"{draw(LEAD)}{{% generate {name}{draw(SHAPE)}{draw(TAIL)} %}}"
    return tag + draw(USE).replace("NAME", name)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("".join)
    asked = "{% user %}?{% enduser %}{% generate b choices=['yes', 'no'] %}"
    return st.one_of(
        body.map(lambda b: f"{{% for i in range(n) %}}{b}{{% endfor %}}"),
        st.tuples(body, body).map(lambda p: f"{asked}{{% if b == 'yes' %}}{p[0]}{{% else %}}{p[1]}{{% endif %}}"),
        st.tuples(body, body).map(lambda p: f"{{% if n > 1 %}}{p[0]}{{% elif n %}}{p[1]}{{% endif %}}"),
        body.map(lambda b: f"{{% with w = n %}}{b}{{% endwith %}}"),
    )


STATEMENT = st.recursive(SAY | generations(), nested, max_leaves=5)
BEGIN = "{% import '_macros.jinja' as m %}{% set ns = namespace(k=0) %}"
ENDS = st.sampled_from(
    [
        "",
        "{% user %}end{% enduser %}{% generate last %}",
        "{% return {'k': ns.k, 'n': n} %}",
        "{% include '_ask.jinja' %}",
    ]
)
BODIES = st.tuples(st.lists(STATEMENT, min_size=1, max_size=4).map("".join), ENDS).map(lambda p: BEGIN + p[0] + p[1])
# Every program says and asks something in the end, so that none ends with nothing.
PROGRAMS = BODIES.map(lambda body: parse(f"{FRONT}{body}{{% include '_ask.jinja' %}}", "p").with_partials(PARTIALS))


@dataclass(frozen=True)
class Luck:
    """Answers by chance: of each question, the one that it allows."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...]

    def answer(self, ask: Ask, index: int) -> str:
        number = self.numbers[index % len(self.numbers)]
        match ask.constraint:
            case Constraint(kind="choices", value=choices):
                return str(choices[number % len(choices)])
            case Constraint(kind="schema", value={"type": "integer"}):
                return str(number)
            case Constraint(kind="schema"):
                return json.dumps({"a": self.texts[index % len(self.texts)], "b": None})
            case Constraint(kind="regex" | "grammar"):
                return "ab"[number % 2] * (number + 1)
        return self.texts[index % len(self.texts)]


LUCK = st.builds(
    Luck,
    st.lists(TEXTS, min_size=1, max_size=5).map(tuple),
    st.lists(st.integers(0, 5), min_size=1, max_size=5).map(tuple),
)


def play(prompt: Prompt, inputs: dict[str, Any], luck: Luck) -> tuple[list[Ask], list[str], Transcript]:
    """Run a program, pausing at every question: its whole state goes through JSON each time."""
    asked: list[Ask] = []
    state = "[]"
    while True:
        answers = json.loads(state)
        result = step(prompt, inputs, tuple(answers))
        assert result == step(prompt, inputs, tuple(answers))
        if isinstance(result, Transcript):
            return asked, answers, result
        asked.append(result)
        state = json.dumps([*answers, luck.answer(result, len(answers))])


@settings(max_examples=EXAMPLES)
@given(PROGRAMS, LUCK, st.integers(0, 2), TEXTS)
def test_pausing_and_resuming_at_every_generation_is_running_through(
    prompt: Prompt, luck: Luck, n: int, value: str
) -> None:
    inputs = {"v": value, "items": [value, 1], "n": n}
    asked, answers, transcript = play(prompt, inputs, luck)
    assert step(prompt, inputs, tuple(answers)) == transcript
    for count, ask in enumerate(asked):  # from anywhere, with everything before it known
        assert step(prompt, inputs, tuple(answers[:count])) == ask
    assert step(prompt, inputs, (*answers, "never asked for")) == transcript
    # What was said before a question is there after it: nothing is taken back.
    own = [ask for ask in asked if "." not in ask.name]
    later: list[Ask | Transcript] = [*own[1:], transcript]
    for before, after in zip(own, later, strict=False):
        kept = before.messages[:-1] if before.messages[-1].role == "assistant" else before.messages
        assert after.messages[: len(kept)] == kept


@settings(max_examples=EXAMPLES // 4)
@given(PROGRAMS, LUCK, st.integers(0, 2), TEXTS, TEXTS, st.sampled_from([None, 5, ["{% user %}"], {"role": "system"}]))
def test_no_value_changes_how_many_messages_there_are_and_whose(
    prompt: Prompt, luck: Luck, n: int, one: str, other: str, odd: Any
) -> None:
    shapes = []
    for value, items in ((one, [one, 1]), (other, [other, other]), (odd, [odd, odd])):
        asked, _, transcript = play(prompt, {"v": value, "items": items, "n": n}, luck)
        roles = [[m.role for m in ask.messages] for ask in asked]
        shapes.append(([ask.name for ask in asked], roles, [m.role for m in transcript.messages]))
    assert shapes[0] == shapes[1] == shapes[2]
