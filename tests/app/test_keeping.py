from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.app import compare
from promptlab.app.cases import load_cases
from promptlab.app.examples import draft_example, write_example
from promptlab.app.keeping import Holds, NewCase, answer_text, keep_case, proposed_id
from promptlab.app.lab import Lab
from promptlab.app.run import Request, Typed, prepare, records
from promptlab.app.stepping import case_sets, misfit, of_case, open_cases
from promptlab.core.record import Record, job_key
from promptlab.engine.fake import FakeEngine
from promptlab.errors import PromptlabError, UsageError

FACTS = """\
# All about the sky.
description: The sky.
defaultTest: {metadata: {kind: sky}}
tests:
  - id: blue   # the classic
    vars: {topic: blue}

  # Clouds come next.
  - id: clouds
    vars: {topic: clouds}
    assert:
      - type: equals
        value: |-
          white
          and soft

# What follows is for nobody.
"""


def ask(lab: Lab, engine: FakeEngine, prompt: str, answer: str, **inputs: Any) -> Record:
    engine.answer = lambda question, text: answer
    return records(prepare(lab, Request((prompt,), ("alpha",), inputs, log=False)))[0]


def keep(lab: Lab, record: Record, file: str, *, holds: Holds = "equals", id: str = "new") -> str:
    return keep_case(lab, record, NewCase(file, id, holds, answer_text(record)))


def seeds(lab: Lab, **files: str) -> Path:
    folder = lab.root / "seeds"
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(text.encode())
    return folder


# --- cases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("- vars: {topic: a}", "\n- id: new\n  vars: {topic: rain, audience: a child}\n"),
        ("-   id: a\n    vars: {topic: a}\n", "- id: new\n  vars: {topic: rain, audience: a child}\n"),
        ("tests:\n- {vars: {topic: a}}\n", "- id: new\n  vars: {topic: rain, audience: a child}\n"),
        (FACTS, "\n  - id: new\n    vars: {topic: rain, audience: a child}\n"),
    ],
)
def test_yaml_keeps_what_is_there_and_gets_a_test(lab: Lab, engine: FakeEngine, text: str, added: str) -> None:
    folder = seeds(lab, sky__yaml=text)
    assert keep(lab, ask(lab, engine, "explain", "Wet.", topic="rain"), "sky", holds="nothing") == "seeds/sky.yaml"
    assert (folder / "sky.yaml").read_text() == text + added


def test_a_test_stands_before_the_key_that_follows_and_its_comment(lab: Lab, engine: FakeEngine) -> None:
    text = "tests:\n  - vars: {topic: a}\n\n# Of all.\ndefaultTest: {threshold: 1}\n"
    folder = seeds(lab, sky__yml=text)
    keep(lab, ask(lab, engine, "explain", "Wet: #1.\n\n  And cold.", topic="rain"), "sky.yml")
    assert (folder / "sky.yml").read_text() == (
        "tests:\n  - vars: {topic: a}\n"
        "  - id: new\n    vars: {topic: rain, audience: a child}\n    assert:\n    - type: equals\n      value: |-\n"
        "        Wet: #1.\n\n          And cold.\n"
        "\n# Of all.\ndefaultTest: {threshold: 1}\n"
    )


HARD = [
    "plain",
    " leads and trails ",
    "quotes \" and ' and , commas",
    "no",
    "12:30",
    "- dash: [x] {y} #z",
    "two\nlines\n",
    "tab\tand \x1b[31m escape",
    "é 日本 \U0001f600 \u2028",
    "%YAML\n--- \n...\nx",
    "= 1 + 1",
]


@pytest.mark.parametrize("suffix", ["yaml", "jsonl", "csv"])
@pytest.mark.parametrize("text", HARD)
def test_what_is_kept_is_read_back_as_it_was(lab: Lab, engine: FakeEngine, suffix: str, text: str) -> None:
    """Into a new file, and then into that one."""
    record = ask(lab, engine, "explain", text, topic=text)
    holds: Holds = "nothing" if suffix == "csv" else "equals"  # CSV leaves out spaces around what is expected
    for id in ("one", "two"):
        keep(lab, record, f"hard.{suffix}", id=id, holds=holds)
    cases = load_cases(lab, [f"hard.{suffix}"])[0].cases
    assert [case.id for case in cases] == ["one", "two"]
    assert all(case.vars == {"topic": text, "audience": "a child"} for case in cases)
    if suffix != "csv":
        assert [case.asserts[0].value for case in cases] == [text, text]


def test_values_of_every_type(lab: Lab, engine: FakeEngine) -> None:
    (lab.root / "prompts" / "every.jinja").write_text(
        "---\ninputs:\n  n: integer\n  tags(array): string\n  who?: string\n  deep: boolean\noutput: json\n---\n{{ n }}"
    )
    record = ask(lab, engine, "every", '{"a": [1, null]}', n=3, tags=["x", "no"], deep=True)
    for suffix in ("yaml", "jsonl", "csv"):
        keep(lab, record, f"every.{suffix}", id="3")
        assert misfit(lab, "every", open_cases(lab, f"seeds/every.{suffix}"), 0) == ""
    assert load_cases(lab, ["every.yaml"])[0].cases[0].vars == {"n": 3, "tags": ["x", "no"], "deep": True}
    assert (lab.root / "seeds" / "every.csv").read_text().splitlines()[0] == "__id,n,tags,deep,__expected"


def test_line_ends_and_the_mark_of_a_spreadsheet_stay(lab: Lab, engine: FakeEngine) -> None:
    text = "\ufefftopic,audience,__id,__expected\r\nfog,a child,f,\r\n"
    folder = seeds(lab, sky__csv=text)
    keep(lab, ask(lab, engine, "explain", "Wet, cold.", topic="rain"), "sky.csv")
    added = 'rain,a child,new,"equals:Wet, cold."\r\n'
    assert (folder / "sky.csv").read_bytes().decode() == text + added


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("a.yaml", "tests: [{vars: {topic: a}}]\n", "a.yaml: its tests do not stand below each other"),
        ("a.yaml", "tests: [\n  {vars: {topic: a}}\n]\n", "a.yaml: its tests do not stand below each other"),
        ("a.yaml", "- vars: {topic: a}\n...\n", "a.yaml"),
        ("a.yaml", "- vars: {topic: |\n", "a.yaml:"),
        ("a.yaml", "- {id: new, vars: {topic: a}}\n", "has a case 'new' already"),
        ("a.yaml", "defaultTest: {vars: {x: 1}}\ntests:\n  - vars: {topic: a}\n", "there is no input 'x'"),
        ("a.csv", "topic,__id,__expected\na,b,\n", "a.csv has no column 'audience'"),
        ("a.csv", "topic,audience,__expected\na,b,\n", "a.csv has no column '__id'"),
        ("a.csv", "topic,audience,__id,x,__expected\na,b,c,d,\n", "has a column 'x', for which there is no value"),
        ("a.jsonl", "[1]\n", "a.jsonl:1:1: a test is a mapping"),
    ],
)
def test_a_file_that_cannot_take_it_stays_as_it_is(
    lab: Lab, engine: FakeEngine, file: str, text: str, why: str
) -> None:
    folder = seeds(lab, **{file.replace(".", "__"): text})
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        keep(lab, ask(lab, engine, "explain", "Wet.", topic="rain"), file)
    assert why in str(caught.value)
    assert (folder / file).read_text() == text


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (NewCase("../x", "a", "nothing", ""), "cannot be the name of a case file"),
        (NewCase("/etc/x.yaml", "a", "nothing", ""), "cannot be the name of a case file"),
        (NewCase(".x", "a", "nothing", ""), "cannot be the name of a case file"),
        (NewCase("x", "a\nb", "nothing", ""), "an id has"),
        (NewCase("x", "", "nothing", ""), "an id has"),
        (NewCase("x", "a", "equals", " "), "is empty"),
        (NewCase("x", "a", "icontains", "{{ topic }}"), "has {{ in it"),
        (NewCase("x", "a", "icontains", "file://x"), "begins with file://"),
        (NewCase("x", "a", "icontains", "dry"), "this answer would not pass"),
        (NewCase("x.csv", "a", "icontains", " wet"), "cannot be written there as it is"),
    ],
)
def test_what_cannot_be_kept_is_said_in_one_line(lab: Lab, engine: FakeEngine, wanted: NewCase, why: str) -> None:
    record = ask(lab, engine, "explain", "Wet.", topic="rain")
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        keep_case(lab, record, wanted)
    assert why in str(caught.value)
    assert not (lab.root / "seeds").exists()


def test_nothing_is_written_outside_or_to_what_is_read_only(lab: Lab, engine: FakeEngine, home: Path) -> None:
    record = ask(lab, engine, "explain", "Wet.", topic="rain")
    outside = home / "outside.yaml"
    outside.write_text("- vars: {topic: a}\n")
    folder = seeds(lab, locked__yaml="- vars: {topic: a}\n")
    (folder / "out.yaml").symlink_to(outside)
    (folder / "new.yaml").symlink_to(home / "not-there.yaml")
    for name in ("out", "new"):
        with pytest.raises(UsageError, match="link that leads out of the library"):
            keep(lab, record, name)
    assert outside.read_text() == "- vars: {topic: a}\n"
    assert not (home / "not-there.yaml").exists()
    with pytest.raises(UsageError, match="begins with file://"):
        keep(lab, ask(lab, engine, "explain", "Wet.", topic="file:///etc/passwd"), "locked")


def test_an_id_is_proposed() -> None:
    assert proposed_id({"n": 3, "question": "What is the capital of France?\n"}) == "what-is-the-capital-of-france"
    assert proposed_id({"n": 3}) == proposed_id({"n": 3}) != proposed_id({"n": 4})


# --- sets for a prompt -----------------------------------------------------------------------------------------------


def test_sets_that_fit_come_first(lab: Lab) -> None:
    seeds(
        lab,
        a__yaml="- vars: {claim: x}\n",
        b__yaml="tests: 1\n",
        c__csv="topic,x,__expected\na,1,icontains:{{ x }}\n",
        d__yaml="- vars: {audience: all}\n",
    )
    offers = case_sets(lab, "explain")
    assert [(each.name, each.fits) for each in offers] == [
        ("c.csv", True),
        ("a.yaml", False),
        ("d.yaml", False),
        ("b.yaml", False),
    ]
    assert [each.misfit for each in offers[1:3]] == ["gives claim, which explain does not take", "lacks topic"]
    assert "b.yaml" in offers[3].problem
    assert misfit(lab, "numbers/count", open_cases(lab, offers[1].file), 0) == (
        "there is no input 'claim'; the input 'n' is missing"
    )


# --- worked examples -------------------------------------------------------------------------------------------------


def test_an_example_stands_before_the_question(lab: Lab, engine: FakeEngine) -> None:
    record = ask(lab, engine, "explain", "It is wet.", topic="rain")
    example = draft_example(lab, record)
    path = lab.root / "prompts" / "explain.jinja"
    assert path.read_text() == example.old
    assert [line for line in example.changes if line.startswith(("+", "-"))] == [
        "+{% user %}Explain rain.{% enduser %}",
        "+{% assistant %}It is wet.{% endassistant %}",
    ]
    assert write_example(lab, example) == "prompts/explain.jinja"
    assert path.read_text() == example.new
    with pytest.raises(UsageError, match="has this example already"):
        draft_example(lab, record)


@pytest.mark.parametrize("text", [*HARD, "{{ x }} {% raw %}{% endraw %} {# {% user %} #}", "{", "{%", "a\r\nb\n  {% c"])
def test_nothing_in_an_example_is_taken_for_code(lab: Lab, engine: FakeEngine, text: str) -> None:
    record = ask(lab, engine, "explain", text, topic=text)
    write_example(lab, draft_example(lab, record))
    first = ask(lab, engine, "explain", "x", topic="snow").steps[0].messages
    assert [message.role for message in first] == ["system", "user", "assistant", "user"]
    assert [message.content for message in first[1:3]] == [f"Explain {text}.", text.strip()]


def test_a_begun_answer_is_part_of_the_example(lab: Lab, engine: FakeEngine) -> None:
    source = (
        "---\ninputs: {q: string}\n---\r\n{% user %}\r\n{{ q }}\r\n{% enduser %}{% assistant %}A:{% endassistant %}"
    )
    path = lab.root / "prompts" / "begun.jinja"
    path.write_bytes(source.encode())
    write_example(lab, draft_example(lab, ask(lab, engine, "begun", " yes", q="?")))
    added = "{% user %}?{% enduser %}\r\n{% assistant %}A: yes{% endassistant %}\r\n"
    assert path.read_bytes().decode() == source.replace("{% user %}", added + "{% user %}")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("Say {{ 1 }}.", "it has no role tags"),
        ("{% if 1 %}{% user %}a{% enduser %}{% endif %}", "stands in another tag or file"),
        ('{% include "_q.jinja" %}', "stands in another tag or file"),
        ("{% user %}a{% enduser %}{% if 1 %}{% user %}b{% enduser %}{% endif %}", "stands in another tag or file"),
        ("{% user %}a{% enduser %}{# {% user %} #}", "this line has more than a {% user %} tag"),
        ("{% system %}a{% endsystem %}", "is no question and answer"),
        ('{% call_prompt x = "explain" topic="a" %}', "the prompt that odd calls"),
    ],
)
def test_where_the_place_is_not_clear_it_says_why(lab: Lab, engine: FakeEngine, source: str, why: str) -> None:
    (lab.root / "prompts" / "_q.jinja").write_text("{% user %}q{% enduser %}")
    path = lab.root / "prompts" / "odd.jinja"
    path.write_text(source)
    with pytest.raises(PromptlabError, match=r"^[^\n]*$") as caught:
        draft_example(lab, ask(lab, engine, "odd", "b"))
    assert why in str(caught.value)
    assert path.read_text() == source


def test_a_file_that_has_changed_meanwhile_is_not_overwritten(lab: Lab, engine: FakeEngine) -> None:
    example = draft_example(lab, ask(lab, engine, "explain", "It is wet.", topic="rain"))
    path = lab.root / "prompts" / "explain.jinja"
    path.write_text(json.dumps("mine"))
    with pytest.raises(UsageError, match="has been changed meanwhile"):
        write_example(lab, example)
    assert path.read_text() == json.dumps("mine")


def test_a_read_only_file_is_refused(lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    example = draft_example(lab, ask(lab, engine, "explain", "It is wet.", topic="rain"))
    monkeypatch.setattr("promptlab.files.changing.os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UsageError, match=r"prompts/explain\.jinja is read-only"):
        write_example(lab, example)
    assert (lab.root / "prompts" / "explain.jinja").read_text() == example.old


def test_a_run_of_a_case_is_the_same_as_in_a_comparison(lab: Lab) -> None:
    seeds(lab, a__csv="topic,x,__expected\nrain,1,icontains:{{ x }}\nsnow,2,icontains:{{ x }}\n")
    cases = open_cases(lab, "a")
    compared = compare.prepare(lab, compare.Request(("explain",), ("a",), ("alpha",)))
    wanted = next(job for job in compared.jobs if job.inputs["topic"] == "snow")
    given = Request(("explain",), ("alpha",), {"topic": Typed("snow")})
    (job,) = prepare(lab, of_case(lab, given, cases, 1)).jobs
    assert job_key(job, None, None) == job_key(wanted, None, None)
    others = (replace(given, inputs={"topic": "rain"}), replace(given, inputs={"nothing": "snow"}))
    for other in others:
        assert of_case(lab, other, cases, 1) == other


def test_a_file_that_is_called_new_must_not_be_there(lab: Lab, engine: FakeEngine) -> None:
    text = "tests:\n  - {id: other, vars: {question: why}}\n"
    folder = seeds(lab, facts__yaml=text)
    record = ask(lab, engine, "explain", "Wet.", topic="rain")
    for name in ("facts", "facts.yaml"):
        with pytest.raises(UsageError, match=r"facts\.yaml is there already; choose it from the list, or call the new"):
            keep_case(lab, record, NewCase(name, "new", "nothing", "", new=True))
    assert (folder / "facts.yaml").read_text() == text
    keep_case(lab, record, NewCase("mine", "new", "nothing", "", new=True))
    assert [case.id for case in load_cases(lab, ["mine"])[0].cases] == ["new"]
