from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from promptlab.core.case import Assertion, Case, CaseSet, vars_id
from promptlab.core.casefile import MAX_PROBLEMS
from promptlab.errors import Problem, SourceError
from promptlab.files import cases, references
from promptlab.files.cases import FORMATS, MAX_ASSERTS, case_files, read_cases
from promptlab.files.paths import shipped_library

FULL = """\
description: Everything that there is.
defaultTest:
  vars: {tone: dry, city: Rome}
  assert:
    - {type: icontains, value: blue}
  threshold: 0.5
  metadata: {owner: me, kind: sky}
tests:
  - id: first
    description: The first one.
    vars: {question: Why?, tone: warm}
    assert:
      - {type: not-contains, value: red, weight: 2, metric: colours}
      - {type: levenshtein, value: sky, threshold: 5}
    threshold: 1
    metadata: {kind: colour}
  - vars: {question: How?}
  - id: 3
"""
BLUE = Assertion("icontains", "blue")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A library, beside which lies what must not be read."""
    (tmp_path / "library" / "seeds").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("a secret")
    return tmp_path / "library"


def read(root: Path, text: str | bytes, name: str = "s.yaml") -> CaseSet:
    path = root / "seeds" / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_cases(path, f"seeds/{name}", root)


def problems(root: Path, text: str | bytes, name: str = "s.yaml") -> list[str]:
    with pytest.raises(SourceError) as caught:
        read(root, text, name)
    return [str(problem) for problem in caught.value.problems]


# --- what is read


def test_a_full_file(root: Path) -> None:
    shared = {"tone": "dry", "city": "Rome"}
    owner = {"owner": "me"}
    assert read(root, FULL) == CaseSet(
        name="s",
        file="seeds/s.yaml",
        description="Everything that there is.",
        places=((9, 5), (17, 5), (18, 5)),
        cases=(
            Case(
                id="first",
                description="The first one.",
                vars={"tone": "warm", "city": "Rome", "question": "Why?"},
                asserts=(
                    BLUE,
                    Assertion("not-contains", "red", weight=2.0, metric="colours"),
                    Assertion("levenshtein", "sky", 5.0),
                ),
                threshold=1.0,
                metadata=owner | {"kind": "colour"},
            ),
            Case(
                id=vars_id(shared | {"question": "How?"}),
                vars=shared | {"question": "How?"},
                asserts=(BLUE,),
                threshold=0.5,
                metadata=owner | {"kind": "sky"},
            ),
            Case(id="3", vars=shared, asserts=(BLUE,), threshold=0.5, metadata=owner | {"kind": "sky"}),
        ),
    )


def test_the_three_formats_say_the_same(root: Path) -> None:
    yaml = """\
        - id: a
          description: d
          vars: {q: "x, y"}
          assert: [{type: icontains-any, value: [b, c], metric: m}, {type: equals, value: z, metric: m}]
          threshold: 0.5
          metadata: {topic: sky}
        - vars: {q: ""}
        """
    jsonl = """\
        {"id": "a", "description": "d", "vars": {"q": "x, y"}, "threshold": 0.5, "metadata": {"topic": "sky"}, \
"assert": [{"type": "icontains-any", "value": ["b", "c"], "metric": "m"}, \
{"type": "equals", "value": "z", "metric": "m"}]}

        {"vars": {"q": ""}}
        """
    csv = """\
        q,__id,__description,__expected,__expected2,__metric,__threshold,__metadata:topic
        "x, y",a,d,"icontains-any:b,c",z,m,0.5,sky
        "",,,,,,,sun
        """
    found = [
        read(root, "\n".join(line.strip() if n != "s.yaml" else line for line in text.splitlines()), n)
        for n, text in {"s.yaml": yaml, "s.jsonl": jsonl, "s.csv": csv}.items()
    ]
    assert found[0].cases == found[1].cases
    assert found[0].cases[0] == found[2].cases[0]
    assert [case.id for case in found[0].cases] == ["a", vars_id({"q": ""})] == [case.id for case in found[2].cases]
    assert [each.typed for each in found] == [False, False, True]
    assert [each.places[1][0] for each in found] == [7, 3, 3]


@pytest.mark.parametrize(
    ("name", "text"), [("s.yaml", "- vars: {a: é}"), ("s.jsonl", '{"vars": {"a": "é"}}'), ("s.csv", "a\né")]
)
def test_a_byte_order_mark_is_no_part_of_the_text(root: Path, name: str, text: str) -> None:
    assert read(root, b"\xef\xbb\xbf" + text.encode(), name).cases[0].vars == {"a": "é"}


def test_a_case_without_an_id_gets_one_from_its_vars(root: Path) -> None:
    (root / "seeds" / "t.txt").write_text("one")
    found = read(
        root, "defaultTest: {vars: {b: 2}}\ntests:\n  - vars: {a: file://t.txt}\n  - vars: {a: file://t.txt, b: 3}\n"
    )
    assert [case.id for case in found.cases] == [vars_id({"a": "one", "b": 2}), vars_id({"b": 3, "a": "one"})]


def test_values_keep_their_types(root: Path) -> None:
    found = read(root, "- vars: {n: 3, x: 1.5, on: true, none: null, list: [a, {b: c}], text: '3', yes: no}")
    assert found.cases[0].vars == {
        "n": 3,
        "x": 1.5,
        "on": True,
        "none": None,
        "list": ["a", {"b": "c"}],
        "text": "3",
        "yes": "no",
    }


# --- references


def test_a_reference_is_the_text_of_a_file(root: Path) -> None:
    (root / "seeds" / "texts").mkdir()
    (root / "seeds" / "texts" / "a.txt").write_bytes("\ufeffHé\n\n".encode())
    (root / "prompts").mkdir()
    (root / "prompts" / "x.jinja").write_text("x")
    (root / "seeds" / "link.txt").symlink_to(root / "prompts" / "x.jinja")
    found = read(
        root,
        "defaultTest: {vars: {c: file://link.txt}}\n"
        "tests: [{vars: {a: file://texts/a.txt, b: file://../prompts/x.jinja, d: [file://kept], e: ' file://kept'}}]",
    )
    assert found.cases[0].vars == {"a": "Hé\n\n", "b": "x", "c": "x", "d": ["file://kept"], "e": " file://kept"}


def test_what_is_expected_is_data_where_a_file_holds_data(root: Path) -> None:
    files = {"s.json": '{"type": "object"}', "s.yml": "type: array\n", "t.txt": "line\nline\n", "w.json": '["a", "b"]'}
    for name, text in files.items():
        (root / "seeds" / name).write_text(text)
    found = read(
        root,
        "- assert:\n"
        "    - {type: is-json, value: file://s.json}\n"
        "    - {type: is-json, value: file://s.yml}\n"
        "    - {type: equals, value: file://t.txt}\n"
        "    - {type: contains-any, value: file://w.json}\n",
    )
    assert [each.value for each in found.cases[0].asserts] == [
        {"type": "object"},
        {"type": "array"},
        "line\nline",
        ["a", "b"],
    ]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("file://nope.txt", "file://nope.txt is not there"),
        ("file://../../secret.txt", "file://../../secret.txt is outside the library"),
        ("file://out.txt", "file://out.txt is outside the library"),
        ("file://far/secret.txt", "file://far/secret.txt is outside the library"),
        ("file:///etc/hostname", "file:///etc/hostname: after file:// comes a path from the folder of this file"),
        ("file://", "file://: after file:// comes a path from the folder of this file"),
        ("file://x.py", "file://x.py is code, and case files run none"),
        ("file://x.py:check", "file://x.py:check is code, and case files run none"),
        ("file://lib/x.js", "file://lib/x.js is code, and case files run none"),
        ("file://texts", "file://texts is not a regular file"),
        ("file://pipe", "file://pipe is not a regular file"),
        ("file://loop", "file://loop is a link that leads in a circle"),
        ("file://latin.txt", "file://latin.txt is not UTF-8 text, in line 2"),
        ("file://large.txt", "file://large.txt is larger than 1,048,576 bytes"),
        ("file://a\0b", "file://a\0b cannot be the name of a file"),
        ("file://" + "x" * 300, "cannot be read: File name too long"),
        ("file://s.yaml/x", "file://s.yaml/x cannot be read: Not a directory"),
    ],
)
def test_what_may_not_be_read_is_told_at_the_variable(root: Path, reference: str, reason: str) -> None:
    seeds = root / "seeds"
    (seeds / "x.py").write_text("raise SystemExit")
    (seeds / "out.txt").symlink_to(root.parent / "secret.txt")
    (seeds / "far").symlink_to(root.parent)
    (seeds / "loop").symlink_to("loop")
    (seeds / "texts").mkdir()
    os.mkfifo(seeds / "pipe")
    (seeds / "latin.txt").write_bytes(b"a\n\xe9")
    (seeds / "large.txt").write_bytes(b"x" * (1024 * 1024 + 1))
    text = f"- vars:\n    a: {json.dumps(reference)}\n- assert: [{{type: equals, value: {json.dumps(reference)}}}]"
    found = problems(root, text)
    assert [problem.partition(" ")[0] for problem in found] == ["seeds/s.yaml:2:5:", "seeds/s.yaml:3:27:"]
    assert all(problem.endswith(reason) for problem in found)


def test_data_that_cannot_be_read_is_told_in_its_own_file_and_once(root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "s.json").write_text('{"type":\n "object",\n "type": 1}')
    (root / "data" / "s.yaml").write_text("a: &x 1\n")
    each = "assert: [{type: is-json, value: file://../data/s.json}, {type: is-json, value: file://../data/s.yaml}]"
    assert problems(root, f"- {each}\n- {each}\n- {{id: 1, idd: 2}}\n") == [
        "seeds/s.yaml:3:11: 'idd' is not a key here; there are vars, assert, threshold, metadata, id, description",
        "data/s.json:3:2: the key 'type' stands here a second time",
        "data/s.yaml:1:4: YAML: anchors (&x) are not allowed here; write the value out",
    ]


def test_files_that_are_referred_to_have_a_limit_together(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MAX_TOTAL", 10)
    for name in "ab":
        (root / "seeds" / name).write_text("123456")
    assert read(root, "- {id: 1, vars: {x: file://a, y: file://a, z: file://a}}").cases[0].vars["z"] == "123456"
    assert problems(root, "- vars: {x: file://a, y: file://b}") == [
        "seeds/s.yaml:1:23: up to here, the files that are referred to have more than 10 bytes"
    ]


# --- what is wrong


def test_every_problem_at_once_and_in_its_place(root: Path) -> None:
    text = """\
        descripton: x
        defaultTest: {id: 3, assert: [{type: 1}], threshold: -1}
        tests:
          - 3
          - {vars: {"a b": 1}, assert: icontains}
          - assert: [a, {value: 3}, {type: equals, wieght: 2, value: x}, {type: equals, value: x, weight: -1}]
            threshold: 3
          - {id: x, vars: [1]}
          - id: y
          - id: y
            vars: {a: 1}
          - id: ""
          - id: true
          - description: 3
            metadata: x
          - vars: {a: 1}
          - vars: {a: 1}
        """
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    assert problems(root, "\n".join(lines)) == [
        "seeds/s.yaml:1:1: 'descripton' is not a key here; there are description, defaultTest, tests",
        "seeds/s.yaml:2:15: 'id' is not a key here; there are vars, assert, threshold, metadata",
        "seeds/s.yaml:2:32: type should be a valid string",
        "seeds/s.yaml:2:43: threshold should be greater than or equal to 0",
        "seeds/s.yaml:4:5: a test is a mapping of vars, assert, threshold, metadata, id, description",
        "seeds/s.yaml:5:13: 'a b' is not the name of a variable: letters, digits and _",
        "seeds/s.yaml:5:24: assert should be a valid list",
        "seeds/s.yaml:6:14: an assertion is a mapping of type, value, threshold, weight, metric, provider",
        "seeds/s.yaml:6:17: type is missing",
        "seeds/s.yaml:6:44: 'wieght' is not a key here; there are type, value, threshold, weight, metric, provider",
        "seeds/s.yaml:6:91: weight should be greater than or equal to 0",
        "seeds/s.yaml:7:5: threshold should be less than or equal to 1",
        "seeds/s.yaml:8:13: vars should be a valid mapping",
        "seeds/s.yaml:10:5: the id 'y' stands here a second time, first at seeds/s.yaml:9:5",
        "seeds/s.yaml:12:5: an id has 1 to 200 characters, none of them a control character",
        "seeds/s.yaml:13:5: id should be a valid string",
        "seeds/s.yaml:14:5: description should be a valid string",
        "seeds/s.yaml:15:5: metadata should be a valid mapping",
        "seeds/s.yaml:17:5: has the vars of the case at seeds/s.yaml:16:5, and no id that would tell them apart",
    ]


def test_problems_of_the_other_formats_have_places_too(root: Path) -> None:
    assert problems(
        root,
        '{"id": 1, "vars": {"a": NaN}}\n\n {"assert": [{"type": "equals", "threshold": "x"}]}\n{"id": 1}\n{"id": "1"}',
        "s.jsonl",
    ) == [
        "seeds/s.jsonl:1:20: holds a number that is too large, or NaN",
        "seeds/s.jsonl:3:33: threshold should be a valid number",
        "seeds/s.jsonl:5:2: the id '1' stands here a second time, first at seeds/s.jsonl:4:1",
    ]
    assert problems(root, 'a,b,__id,__threshold\nx,"file://no\n",i,\ny,z,i,7\nv\n', "s.csv") == [
        "seeds/s.csv:2:3: file://no\n is not there",
        "seeds/s.csv:4:7: threshold should be less than or equal to 1",
        "seeds/s.csv:5:1: has 1 cell, and the header has 4",
    ]


def test_checks_say_what_is_wrong_with_an_assertion(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Assertion] = []

    def problem(assertion: Assertion, vars: object = None) -> str | None:
        seen.append(assertion)
        return "is not blue" if assertion.value == "red" else None

    monkeypatch.setattr("promptlab.core.checks.problem", problem)
    (root / "seeds" / "red.txt").write_text("red\n")
    text = """\
defaultTest: {assert: [{type: equals, value: red}]}
tests:
  - assert:
      - {type: equals, value: blue}
      - {type: contains, value: file://red.txt, threshold: 1}
      - {type: contains, value: file://no.txt}
"""
    assert problems(root, text) == [
        "seeds/s.yaml:1:24: is not blue",
        "seeds/s.yaml:5:9: is not blue",
        "seeds/s.yaml:6:26: file://no.txt is not there",
    ]
    assert seen == [Assertion("equals", "red"), Assertion("equals", "blue"), Assertion("contains", "red", 1.0)]


def test_what_is_filled_in_must_be_a_variable_of_the_case(root: Path) -> None:
    text = """\
defaultTest: {vars: {a: 1}, assert: [{type: icontains, value: "{{ a }} {{ b }}"}]}
tests:
  - {vars: {b: 2}, assert: [{type: icontains, value: "{{ b }}"}, {type: icontains, value: "{{ c }}"}]}
  - {vars: {c: 3}, assert: [{type: icontains, value: "{{ c }}"}]}
  - {vars: {b: file://no.txt}, assert: [{type: icontains, value: "{{ c }}"}]}
"""
    no_c, no_b, gone = problems(root, text)
    assert no_c.startswith("seeds/s.yaml:3:66: ")
    assert no_b.startswith("seeds/s.yaml:4:5: with its vars, of defaultTest, ")
    assert ("{{ c }}" in no_c, "{{ b }}" in no_b) == (True, True)
    assert gone == "seeds/s.yaml:5:13: file://no.txt is not there"


def test_where_what_is_shared_is_wrong_nothing_is_said_of_what_it_would_have_filled_in(root: Path) -> None:
    text = """\
defaultTest: {vars: {"a b": 1, c: 2}, assert: [{type: icontains, value: "{{ c }}"}]}
tests:
  - {id: 1, assert: [{type: icontains, value: "{{ c }}"}]}
  - {id: 1}
"""
    assert problems(root, text) == [
        "seeds/s.yaml:1:22: 'a b' is not the name of a variable: letters, digits and _",
        "seeds/s.yaml:4:6: the id '1' stands here a second time, first at seeds/s.yaml:3:5",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "- assert: [{type: icontain, value: x}]",
        "- assert: [{type: icontains}]",
        "- assert: [{type: regex, value: '('}]",
        "- assert: [{type: contains-any, value: {a: 1}}]",
        "- assert: [{type: is-json, value: {type: objekt}}]",
    ],
)
def test_assertions_that_make_no_sense_are_refused(root: Path, text: str) -> None:
    (problem,) = problems(root, text)
    assert problem.startswith("seeds/s.yaml:1:12: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.yaml", ""),
        ("s.yaml", "[]"),
        ("s.yaml", "description: x\ntests: []"),
        ("s.jsonl", "\n \n"),
        ("s.csv", "a\n\n"),
    ],
)
def test_a_file_without_cases_is_an_error(root: Path, name: str, text: str) -> None:
    (problem,) = problems(root, text, name)
    assert problem.startswith(f"seeds/{name}:")
    assert problem.endswith("there are no cases in it")


def test_tests_are_needed(root: Path) -> None:
    assert problems(root, "description: x") == ["seeds/s.yaml:1:1: tests is missing"]
    assert problems(root, "tests: {a: 1}") == ["seeds/s.yaml:1:1: tests should be a valid list"]
    assert problems(root, "just text") == [
        "seeds/s.yaml:1:1: a case file is a mapping of description, defaultTest, tests"
    ]


def test_many_problems_are_told_up_to_a_number(root: Path) -> None:
    found = problems(root, "\n".join("- {ids: 1}" for _ in range(1000)))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "seeds/s.yaml: there are more problems"
    keys = ", ".join(f"k{i}: 1" for i in range(1000))
    assert len(problems(root, f"- {{{keys}}}")) == MAX_PROBLEMS + 1


def test_there_are_limits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MAX_CASES", 2)
    assert problems(root, "[{id: 1}, {id: 2}, {id: 3}]") == ["seeds/s.yaml:1:20: there are more than 2 cases"]
    assert problems(root, '{"id":1}\n{"id":2}\n{"id":3}', "s.jsonl") == [
        "seeds/s.jsonl:3:1: there are more than 2 cases"
    ]
    many = ", ".join("{type: equals, value: x}" for _ in range(MAX_ASSERTS))
    assert len(read(root, f"- {{id: 1, assert: [{many}]}}").cases[0].asserts) == MAX_ASSERTS
    assert problems(root, f"defaultTest: {{assert: [{many}]}}\ntests: [{{assert: [{{type: equals, value: y}}]}}]") == [
        f"seeds/s.yaml:2:9: has more than {MAX_ASSERTS} assertions, with those of defaultTest"
    ]
    monkeypatch.setattr(cases, "MAX_BYTES", 10)
    assert problems(root, "- {id: 1} #") == ["seeds/s.yaml: is larger than 10 bytes"]


def test_what_cases_share_counts_in_each_of_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MAX_SIZE", 5 * 1024 * 1024)
    (root / "seeds" / "t.txt").write_text("x" * 1_000_000)
    rows = "\n".join(f"  - {{id: {i}}}" for i in range(8))
    for key in ("vars", "metadata"):
        value = "file://t.txt" if key == "vars" else "x" * 1_000_000
        assert problems(root, f"defaultTest: {{{key}: {{t: {value}}}}}\ntests:\n{rows}") == [
            "seeds/s.yaml:8:5: up to here the cases take 256 MiB, with all that they share and refer to; split the file"
        ]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path, out: path.symlink_to(out), "is outside the library"),
        (lambda path, out: path.mkdir(), "is not a regular file"),
        (lambda path, out: os.mkfifo(path), "is not a regular file"),
        (lambda path, out: path.symlink_to(path.name), "is a link that leads in a circle"),
        (lambda path, out: None, "is not there"),
        (lambda path, out: path.write_bytes(b"a: b\nc: \xff"), "is not UTF-8 text"),
    ],
    ids=["link", "folder", "pipe", "loop", "nothing", "bytes"],
)
def test_a_case_file_is_a_text_file_in_the_library(root: Path, make: object, reason: str) -> None:
    path = root / "seeds" / "s.yaml"
    assert callable(make)
    make(path, root.parent / "secret.txt")
    with pytest.raises(SourceError) as caught:
        read_cases(path, "seeds/s.yaml", root)
    place = ":2:4" if "UTF-8" in reason else ""
    assert str(caught.value) == f"seeds/s.yaml{place}: {reason}"


def test_other_suffixes_are_no_case_files(root: Path) -> None:
    assert problems(root, "[]", "s.json") == [
        "seeds/s.json: is not a case file: their names end in .yaml, .yml, .jsonl, .csv"
    ]


# --- seeds/


def test_case_files_are_those_right_in_seeds(root: Path) -> None:
    for name in ("b.yaml", "a.csv", "c.jsonl", "d.yml", "README.md", ".hidden.yaml", "x.json"):
        (root / "seeds" / name).write_text("")
    (root / "seeds" / "deep").mkdir()
    (root / "seeds" / "deep" / "e.yaml").write_text("")
    assert [path.name for path in case_files(root)] == ["a.csv", "b.yaml", "c.jsonl", "d.yml"]
    assert case_files(root / "seeds") == []


def test_seeds_that_lead_out_are_not_looked_into(root: Path) -> None:
    (root.parent / "out.yaml").write_text("- {}")
    (root / "seeds").rmdir()
    (root / "seeds").symlink_to(root.parent)
    with pytest.raises(SourceError, match="is a link that leads out of the library"):
        case_files(root)


# --- whatever it is


SHIPPED = {path.name: path.read_bytes() for path in case_files(shipped_library())}
SHIPPED |= {
    "x.csv": b'q,__expected,__expected1,__threshold,__metadata:k\n"a, ""b""\nc",icontains:blue,"is-json:{}",0.5,k\n',
    "x.jsonl": b'{"id": "a", "vars": {"q": [{"y": 1.5}]}, "assert": [{"type": "equals", "value": "\\u00e9"}]}\n{}\n',
}
PIECES = [b'"', b"'", b"\n", b",", b":", b"{", b"}", b"[", b"-", b"\\", b"\x00", b"\xff", b"\xed\xa0\x80", b"9" * 400]
PIECES += [
    b"file://",
    b"NaN",
    b"&a ",
    b"*a",
    b"!!x ",
    b"1e999",
    b"[" * 1000,
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"__id",
    b"\r",
]


def holds(root: Path, data: bytes, name: str) -> None:
    found: CaseSet | None = None
    wrong: tuple[Problem, ...] = ()
    try:
        found = read(root, data, name)
    except SourceError as error:
        wrong = error.problems
    if found is not None:
        assert len({case.id for case in found.cases}) == len(found.cases) == len(found.places) > 0
        return
    assert 1 <= len(wrong) <= MAX_PROBLEMS + 1
    assert all(problem.message and problem.line >= 0 and problem.column >= 0 for problem in wrong)
    if data.isascii():
        lines = data.count(b"\n") + data.count(b"\r") + 1
        assert all(problem.line <= lines for problem in wrong if problem.file == f"seeds/{name}")


fuzz = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, database=None
)


@fuzz
@given(data=st.binary(max_size=300), suffix=st.sampled_from(list(FORMATS)))
@example(data=b"", suffix=".csv")
@example(data=b'"', suffix=".csv")
def test_any_bytes_are_cases_or_an_error(root: Path, data: bytes, suffix: str) -> None:
    holds(root, data, f"s{suffix}")


@fuzz
@given(data=st.data())
def test_a_real_file_with_something_wrong_in_it_is_cases_or_an_error(root: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SHIPPED)))
    text = SHIPPED[name]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 20)))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=3))
        text = text[:start] + piece + text[end:]
    holds(root, text, name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("file://s.yaml"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "vars", "assert", "type", "value", "threshold", "weight", "metadata", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@fuzz
@given(tests=st.lists(VALUES, max_size=4), shared=VALUES)
def test_any_data_is_cases_or_an_error(root: Path, tests: list[object], shared: object) -> None:
    holds(root, json.dumps({"defaultTest": shared, "tests": tests}).encode(), "s.yaml")
    holds(root, "\n".join(map(json.dumps, tests)).encode(), "s.jsonl")
