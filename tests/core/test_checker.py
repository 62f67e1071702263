"""What is wrong with a prompt, found without a model: each kind of finding with its place, and what must not be said."""

# The tables are easier to read with a case on a line.
# ruff: noqa: E501
from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptlab.core.checker import Finding, check
from promptlab.core.program import Transcript, step
from promptlab.core.prompt import parse
from promptlab.core.tape import Tape

MAIN = "p.jinja"
U, A = "{% user %}", "{% enduser %}"
G, H = "{% generate g %}", "{% generate h %}"
IN = " (in what p.jinja includes)"
OUT = "; put it into {% user %} … {% enduser %}"
LITERAL = "include, import and extends take a literal name, so that a version's hash covers all that it uses"
ONLY = "but only files whose name begins with _ can be included, from inside prompts/"
OPTIONS = "temperature, top_k, top_p, min_p, repeat_penalty, max_tokens, stop, seed"
TYPES = "string, integer, number, boolean, null, any"

Files = dict[str, str]
Case = tuple[str, Files, list[str]]
"""What it is about, the files, and the findings as a reader sees them."""


def case(about: str, body: str, *expected: str, **files: str) -> Case:
    """A prompt `p`; in a file's name `__` stands for a dot."""
    return about, {MAIN: body, **{name.replace("__", "."): text for name, text in files.items()}}, list(expected)


def said(files: Files, file: str = MAIN) -> list[str]:
    found = check(file, files)
    assert found == check(file, files)
    assert all("\n" not in str(f) for f in found)
    return [str(f) for f in found]


def cases(table: list[Case]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize(("files", "expected"), [c[1:] for c in table], ids=[c[0] for c in table])


# --- names -----------------------------------------------------------------------------------------------------------

INPUTS = "---\ninputs: {a: string, n: integer}\n---\n"

NAMES = [
    case("nothing wrong", "hello"),
    case("an input", INPUTS + "{{ a }}{{ n }}"),
    case("undefined", "one\n  {{ oops }}", "p.jinja:2:6: 'oops' is undefined"),
    case("below front matter", INPUTS + "{{ a }}{{ n }}\n{{ oops }}", "p.jinja:5:4: 'oops' is undefined"),
    case("after CRLF", "a\r\n{{ x }}\r\n", "p.jinja:2:4: 'x' is undefined"),
    case("after a byte order mark", "\ufeff---\ninputs: {a: string}\n---\n{{ a }}{{ b }}", "p.jinja:4:11: 'b' is undefined"),
    case("not ASCII", "é {{ é }}", "p.jinja:1:6: 'é' is undefined"),
    case("a word before the tag", "x {{ x }}", "p.jinja:1:6: 'x' is undefined"),
    case("part of another word", "{{ xx is defined }}{{ x }}", "p.jinja:1:23: 'x' is undefined"),
    case("an attribute of the same name", INPUTS + "{{ n }}{{ a.x }}{{ x }}", "p.jinja:4:20: 'x' is undefined"),
    case("several at once, in order", "{{ x }}\n{{ z }} {{ y }}", "p.jinja:1:4: 'x' is undefined", "p.jinja:2:4: 'z' is undefined", "p.jinja:2:12: 'y' is undefined"),
    case("twice on a line, said once", "{{ x }}{{ x }}", "p.jinja:1:4: 'x' is undefined"),
    case("twice on two lines, said twice", "{{ x }}\n{{ x }}", "p.jinja:1:4: 'x' is undefined", "p.jinja:2:4: 'x' is undefined"),
    case("in each kind of expression", "{{ [a1, {'k': a2}, a3.b, a4[a5], a6(a7, k=a8), -a9, not b1, b2 ~ b3, b4 < b5, b6 if b7 else b8, b9 and c1, 1 + c2, (c3,), 1 in c4, 'x'[c5:c6]] }}",
         *(f"p.jinja:1:{column}: '{name}' is undefined" for name, column in [("a1", 5), ("a2", 15), ("a3", 20), ("a4", 26), ("a5", 29), ("a6", 34), ("a7", 37), ("a8", 43), ("a9", 49), ("b1", 57), ("b2", 61), ("b3", 66), ("b4", 70), ("b5", 75), ("b6", 79), ("b7", 85), ("b8", 93), ("b9", 97), ("c1", 104), ("c2", 112), ("c3", 117), ("c4", 128), ("c5", 136), ("c6", 139)])),
    case("in each kind of statement", "{% if s1 %}{% elif s2 %}{% endif %}\n{% for i in s3 if s4 %}{% endfor %}\n{% set v = s5 %}\n{% with w = s6 %}{% endwith %}\n{% filter truncate(s7) %}{% endfilter %}\nq{% generate g max_tokens=s8 %}\n{% return s9 %}",
         "p.jinja:1:7: 's1' is undefined", "p.jinja:1:20: 's2' is undefined", "p.jinja:2:13: 's3' is undefined", "p.jinja:2:19: 's4' is undefined", "p.jinja:3:12: 's5' is undefined", "p.jinja:4:13: 's6' is undefined", "p.jinja:5:20: 's7' is undefined", "p.jinja:6:27: 's8' is undefined", "p.jinja:7:11: 's9' is undefined"),
    case("what every template has", "{{ range(3) | list }}{{ dict(a=1) }}{% set c = cycler(1) %}{{ c.next() }}{% set j = joiner() %}{{ j() }}{% set s = namespace() %}"),
    case("what no prompt has", "{{ lipsum() }}", "p.jinja:1:4: 'lipsum' is undefined"),
    case("the generation that is added at the end has no name", "{{ output }}", "p.jinja:1:4: 'output' is undefined"),
    # asking whether there is one
    case("is defined", "{{ x is defined }}{{ x is not defined }}{{ x is undefined }}"),
    case("default", "{{ x | default('a') }}{{ x | d('a') | upper }}{{ (x | default([])) | length }}"),
    case("default of a part is no excuse", "{{ x.y | default('a') }}", "p.jinja:1:4: 'x' is undefined"),
    case("default of what a filter made is no excuse", "{{ x | upper | default('a') }}", "p.jinja:1:4: 'x' is undefined"),
    case("the default itself", "{{ x | default(y) }}", "p.jinja:1:16: 'y' is undefined"),
    case("other filters and tests do not ask", "{{ x | upper }}\n{{ x is string }}", "p.jinja:1:4: 'x' is undefined", "p.jinja:2:4: 'x' is undefined"),
    case("made where it was missing", "{% if x is not defined %}{% set x = 1 %}{% endif %}{{ x }}"),
    # filters and tests
    case("no such filter", "\n{{ 'a' | zork }}", "p.jinja:2:10: there is no filter 'zork'"),
    case("a filter that is taken away", "{{ [1] | random }}", "p.jinja:1:10: there is no filter 'random'"),
    case("no such filter of a block", "{% filter zork %}a{% endfilter %}", "p.jinja:1:11: there is no filter 'zork'"),
    case("no such filter of a set block", "{% set x | zork %}a{% endset %}{{ x }}", "p.jinja:1:12: there is no filter 'zork'"),
    case("no such test", "{{ 'a' is zork }}", "p.jinja:1:11: there is no test 'zork'"),
    case("no such filter where nothing comes", "{% if false %}{{ 1 | zork }}{% endif %}q", "p.jinja:1:22: there is no filter 'zork'"),
    case("a name in a filter's arguments", "{{ 'a' | replace('a', x) }}{{ 3 is divisibleby(y) }}", "p.jinja:1:23: 'x' is undefined", "p.jinja:1:48: 'y' is undefined"),
]  # fmt: skip


@cases(NAMES)
def test_names(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


SCOPES = [
    case("set", "{% set x = 1 %}{{ x }}"),
    case("before it is set", "{{ x }}{% set x = 1 %}", "p.jinja:1:4: 'x' is undefined"),
    case("set from itself", "{% set x = x %}q", "p.jinja:1:12: 'x' is undefined"),
    case("set several", "{% set x, (y, z) = 1, (2, 3) %}{{ x }}{{ y }}{{ z }}"),
    case("set block", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}\n{{ y }}", "p.jinja:2:4: 'y' is undefined"),
    case("set in a branch", "{% if true %}{% set x = 1 %}{% endif %}{{ x }}"),
    case("set in the other branch", "{% if true %}{% set x = 1 %}{% else %}\n{{ x }}{% endif %}", "p.jinja:2:4: 'x' is undefined"),
    case("set in an elif, used in the next", "{% if 1 %}{% elif 2 %}{% set x = 1 %}{% elif 3 %}\n{{ x }}{% else %}{% endif %}{{ x }}", "p.jinja:2:4: 'x' is undefined"),
    case("a role tag is a scope", U + "{% set x = 1 %}{{ x }}" + A + "\n" + U + "{{ x }}" + A, "p.jinja:2:14: 'x' is undefined"),
    case("a role tag sees what is around it", "{% set x = 1 %}" + U + "{{ x }}" + A),
    case("a loop is a scope", "{% for i in [1] %}{% set x = i %}{{ x }}{% endfor %}\n{{ x }}\n{{ i }}\n{{ loop.index }}", "p.jinja:2:4: 'x' is undefined", "p.jinja:3:4: 'i' is undefined", "p.jinja:4:4: 'loop' is undefined"),
    case("a round does not have what another set", "{% for i in [1, 2] %}{% if loop.first %}{% set x = 1 %}{% else %}\n{{ x }}{% endif %}{% endfor %}q", "p.jinja:2:4: 'x' is undefined"),
    case("a loop's else", "{% for i in [] %}{% else %}\n{{ i }}{{ loop.index }}{% endfor %}", "p.jinja:2:4: 'i' is undefined", "p.jinja:2:11: 'loop' is undefined"),
    case("a loop's filter", "{% for i in [1] if i > j %}{{ i }}{% endfor %}q", "p.jinja:1:24: 'j' is undefined"),
    case("a loop over itself", "{% for i in i %}{% endfor %}q", "p.jinja:1:13: 'i' is undefined"),
    case("a recursive loop", "{% for i in [1] recursive %}{{ loop([]) }}{{ i }}{% endfor %}"),
    case("the outer loop", "{% for i in [1] %}{% set o = loop %}{% for j in [1] %}{{ o.index }}{{ i }}{% endfor %}\n{{ j }}{% endfor %}", "p.jinja:2:4: 'j' is undefined"),
    case("with", "{% with x = 1, y = 2 %}{{ x }}{{ y }}{% set z = 1 %}{% endwith %}\n{{ x }}{{ z }}", "p.jinja:2:4: 'x' is undefined", "p.jinja:2:11: 'z' is undefined"),
    case("with does not see itself", "{% with x = 1, y = x %}{{ y }}{% endwith %}", "p.jinja:1:9: 'x' is undefined"),
    case("a filter block is a scope", "{% filter upper %}{% set y = 1 %}{{ y }}{% endfilter %}\n{{ y }}", "p.jinja:2:4: 'y' is undefined"),
    case("autoescape is none", "{% autoescape true %}{% set x = 1 %}{{ x }}{% endautoescape %}"),
    case("namespace", "{% set ns = namespace(k=1) %}{% for i in [1] %}{% set ns.k = ns.k + i %}{% endfor %}{{ ns.k }}"),
    case("no namespace", "{% set ns.k = 1 %}q", "p.jinja:1:8: 'ns' is undefined"),
    case("a block is a scope", "{% block b %}{% set x = 1 %}{{ x }}{% endblock %}\n{{ x }}", "p.jinja:2:4: 'x' is undefined"),
]  # fmt: skip


@cases(SCOPES)
def test_scopes(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


MACROS = [
    case("a macro", "{% macro m(a, b=1) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{{ caller() }}{% endmacro %}{{ m(1) }}"),
    case("before it is there", "{{ m() }}{% macro m() %}{% endmacro %}", "p.jinja:1:4: 'm' is undefined"),
    case("outside it", "{% macro m(x) %}{% endmacro %}\n{{ x }}\n{{ caller() }}{{ varargs }}", "p.jinja:2:4: 'x' is undefined", "p.jinja:3:4: 'caller' is undefined", "p.jinja:3:18: 'varargs' is undefined"),
    case("undefined in a macro that nobody calls", "{% macro m() %}\n{{ x }}{% endmacro %}q", "p.jinja:2:4: 'x' is undefined"),
    case("what is set later may be there when it is called", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}"),
    case("what it sets stays in it", "{% macro m() %}{% set x = 1 %}{{ x }}{% endmacro %}\n{{ m() }}{{ x }}", "p.jinja:2:13: 'x' is undefined"),
    case("a default", "{% macro m(a=x) %}{{ a }}{% endmacro %}q", "p.jinja:1:14: 'x' is undefined"),
    case("itself", "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}"),
    case("a call block", "{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(v) m() %}{{ v }}{{ x }}{% endcall %}\n{{ v }}", "p.jinja:1:72: 'x' is undefined", "p.jinja:2:4: 'v' is undefined"),
    case("a call block's call", "{% call zork(y) %}{% endcall %}", "p.jinja:1:9: 'zork' is undefined", "p.jinja:1:14: 'y' is undefined"),
    # imports
    case("import", "{% import '_m' as m %}{{ m.a() }}", _m="{% macro a() %}hi{% endmacro %}"),
    case("import binds one name", "{% import '_m' as m %}\n{{ a() }}", "p.jinja:2:4: 'a' is undefined", _m="{% macro a() %}hi{% endmacro %}"),
    case("from", "{% from '_m' import a, b as c %}{{ a() }}{{ c }}\n{{ b }}", "p.jinja:2:4: 'b' is undefined", _m="{% macro a() %}hi{% endmacro %}{% set b = 1 %}"),
    case("from, what is not there", "{% from '_m' import a, zork, b as c %}{{ a() }}{{ c() }}", "p.jinja:1:24: imports 'zork', which _m does not define", "p.jinja:1:30: imports 'b', which _m does not define", _m="{% macro a() %}hi{% endmacro %}"),
    case("an import does not see inputs", INPUTS + "{{ a }}{{ n }}{% import '_m' as m %}{{ m.f() }}", f"_m:1:19: 'a' is undefined{IN}", _m="{% macro f() %}{{ a }}{% endmacro %}"),
    case("with context it does", "---\ninputs: {a: string}\n---\n{% import '_m' as m with context %}{{ m.f() }}", f"_m:2:4: 'oops' is undefined{IN}", _m="{% macro f() %}{{ a }}\n{{ oops }}{% endmacro %}"),
    case("from with context too", "---\ninputs: {a: string}\n---\n{% from '_m' import f with context %}{{ f() }}", _m="{% macro f() %}{{ a }}{% endmacro %}"),
    case("what stands around macros in an import", "{% import '_m' as m %}q", f"_m:1:4: 'x' is undefined{IN}", _m="{{ x }}{% set y = 1 %}{% macro f() %}{{ y }}{% endmacro %}"),
]  # fmt: skip


@cases(MACROS)
def test_macros_and_imports(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


PARTIALS = [
    case("sees what is there", INPUTS + "{{ a }}{{ n }}{% set x = 1 %}{% for i in [1] %}{% include '_a' %}{% endfor %}", _a="{{ a }}{{ x }}{{ i }}"),
    case("undefined there", "q{% include '_a' %}", f"_a:2:4: 'x' is undefined{IN}", _a="one\n{{ x }}"),
    case("without context", INPUTS + "{{ a }}{{ n }}{% include '_a' without context %}", "p.jinja:4:1: include cannot be `without context` here: use import, or a macro", _a="{{ a }}"),
    case("what it sets stays there", "{% include '_a' %}{{ x }}", "p.jinja:1:22: 'x' is undefined", _a="{% set x = 1 %}{{ x }}"),
    case("twice, and through another, said once", "{% include '_a' %}{% include '_a' %}{% include '_b' %}", f"_a:1:4: 'z' is undefined{IN}", _a="{{ z }}", _b="{% include '_a' %}"),
    case("only one of its places gives the name", "{% with z = 1 %}{% include '_a' %}{% endwith %}{% include '_a' %}", f"_a:1:4: 'z' is undefined{IN}", _a="{{ z }}"),
    case("several files, in order of their names", "{{ z }}{% include '_b' %}{% include '_a' %}", f"_a:1:4: 'y' is undefined{IN}", f"_a:2:4: 'x' is undefined{IN}", f"_b:1:4: 'w' is undefined{IN}", "p.jinja:1:4: 'z' is undefined", _a="{{ y }}\n{{ x }}", _b="{{ w }}"),
    case("one of several, each as it is there", "{% include ['_a', '_b'] %}", f"_b:1:4: 'z' is undefined{IN}", _b="{{ z }}"),
    # extends
    case("extends", "{% extends '_b' %}{% block q %}{{ super() }}{{ self.q }}{% endblock %}", _b="{% block q %}base{% endblock %}"),
    case("undefined in a block", "{% extends '_b' %}{% block q %}\n{{ x }}{% endblock %}", "p.jinja:2:4: 'x' is undefined", _b="{% block q %}base{% endblock %}"),
    case("undefined in the base", "{% extends '_b' %}", f"_b:1:4: 'x' is undefined{IN}", _b="{{ x }}"),
    case("undefined in a base's block that is not replaced", "{% extends '_b' %}", f"_b:1:17: 'x' is undefined{IN}", _b="{% block q %}{{ x }}{% endblock %}"),
    case("what the child sets is in its blocks and in the base", "{% extends '_b' %}{% set x = 1 %}{% block q %}{{ x }}{% endblock %}", _b="{{ x }}{% block q %}{% endblock %}"),
    case("a block's name is free for a variable elsewhere", "{% extends '_b' %}{% block q %}{% set x = 1 %}{{ x }}{% endblock %}", f"_b:1:31: 'x' is undefined{IN}", _b="{% block q %}{% endblock %}{{ x }}"),
    # files that cannot be
    case("missing", "\nq{% include '_no' %}", "p.jinja:2:14: includes '_no', which is not in prompts/"),
    case("missing from a partial", "q{% include '_a' %}", "_a:2:12: includes '_no', which is not in prompts/", _a="\n{% import '_no' as n %}"),
    case("missing, but it may", "{% include '_no' ignore missing %}{% include ['_no', '_a'] %}", _a="x"),
    case("each kind", "{% import '_a' as a %}\n{% from '_b' import b %}\n{% extends '_c' %}", "p.jinja:1:12: includes '_a', which is not in prompts/", "p.jinja:2:10: includes '_b', which is not in prompts/", "p.jinja:3:13: includes '_c', which is not in prompts/"),
    case("not literal", "{% set f = '_a' %}\n{% include f %}\n{% import f as m %}\n {% from f ~ 'x' import y %}\n{% extends f %}\n{% include ['_a', f] %}", f"p.jinja:2:4: {LITERAL}", f"p.jinja:3:4: {LITERAL}", f"p.jinja:4:5: {LITERAL}", f"p.jinja:5:4: {LITERAL}", f"p.jinja:6:4: {LITERAL}"),
    case("not a partial", "q{% include 'b.jinja' %}\n{% include '../_a' %}\n{% include '/_a' %}\n{% include 'x/y' %}\n{% include '_x/y' %}{% include 'x/_a' %}", f"p.jinja:1:14: includes 'b.jinja', {ONLY}", f"p.jinja:2:13: includes '../_a', {ONLY}", f"p.jinja:3:13: includes '/_a', {ONLY}", f"p.jinja:4:13: includes 'x/y', {ONLY}", f"p.jinja:5:13: includes '_x/y', {ONLY}", b__jinja="x", **{"x/_a": "x"}),
    case("syntax there, and the rest", "q{% include '_a' %}{% include '_b' %}\n{{ x }}", "_a:2:2: Encountered unknown tag 'zork'.", f"_b:1:4: 'y' is undefined{IN}", "p.jinja:2:4: 'x' is undefined", _a="\n {% zork %}", _b="{{ y }}"),
    # files that include each other
    case("itself", "q{% include '_a' %}", "_a:2:13: includes itself without an end: _a → _a", _a="\n{% include '_a' %}"),
    case("each other", "q{% include '_a' %}", "_b:1:13: includes itself without an end: _a → _b → _a", _a="{% include '_b' %}", _b="{% include '_a' %}"),
    case("by extends and import", "{% extends '_a' %}", "_b:1:13: includes itself without an end: _a → _b → _a", _a="{% import '_b' as b %}x", _b="{% include '_a' %}"),
    case("by from", "q{% import '_a' as a %}", "_a:1:10: includes itself without an end: _a → _a", _a="{% from '_a' import x %}{% set x = 1 %}"),
    case("extends itself", "{% extends '_a' %}", "_a:1:13: includes itself without an end: _a → _a", _a="{% extends '_a' %}"),
    case("two ways to one file are no loop", "{% include '_a' %}{% include '_b' %}", _a="{% include '_c' %}", _b="{% include '_c' %}", _c="x"),
]  # fmt: skip


@cases(PARTIALS)
def test_partials(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


# --- generations and calls -------------------------------------------------------------------------------------------

BEFORE = "is used before it has been generated"
MORE = U + "more" + A

GENERATIONS = [
    case("used after", "q" + G + "{{ g }}{{ g_all }}"),
    case("used before", "q\n{{ g }}{{ g_all }}" + G, f"p.jinja:2:4: 'g' {BEFORE}"),
    case("in its own tag", "q{% generate g\n  max_tokens=g %}", f"p.jinja:2:14: 'g' {BEFORE}"),
    case("of another name", "q" + G + "\n{{ g }}{{ h }}", "p.jinja:2:11: 'h' is undefined"),
    case("asking is no use", "q{{ g is defined }}{{ g | default('') }}{{ (g_all | default([])) | length }}" + G),
    case("made in a branch", "q{% if true %}" + G + "{% endif %}{{ g }}"),
    case("made in the other branch", "q{% if true %}" + G + "{% else %}\n{{ g }}{% endif %}", f"p.jinja:2:4: 'g' {BEFORE}"),
    case("made by an earlier round", "{% for i in [1, 2] %}{% if i > 1 %}{{ g }}{% endif %}q" + G + "{% endfor %}{{ g_all }}"),
    case("made by an earlier round, deeper", "{% for i in [1, 2] %}{% for j in [1] %}{% if i > 1 %}{{ g }}{% endif %}{% endfor %}{% if i %}q" + G + "{% endif %}{% endfor %}"),
    case("made by an outer loop's earlier round", "{% for i in [1, 2] %}{% for j in [1] %}{% if i > 1 %}" + U + "{{ h }}" + A + "{% endif %}{% endfor %}" + MORE + H + "{% endfor %}"),
    case("the loop's list comes first", "q{% for c in g %}{% endfor %}" + G, f"p.jinja:1:14: 'g' {BEFORE}"),
    case("before the loop that makes it", "{{ g }}{% for i in [1] %}q" + G + "{% endfor %}", f"p.jinja:1:4: 'g' {BEFORE}"),
    case("in a macro anything may have been made", "{% macro m() %}{{ g }}{% endmacro %}q" + G + "{{ m() }}"),
    case("a macro may make it", "{% macro m() %}" + U + "q" + A + G + "{% endmacro %}{{ m() }}" + U + "{{ g }}" + A),
    case("a call block may make it", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}" + U + "q" + A + G + "{% endcall %}" + U + "{{ g }}" + A),
    case("before the macro is there", U + "{{ g }}" + A + "{% macro m() %}" + G + "{% endmacro %}", f"p.jinja:1:14: 'g' {BEFORE}"),
    case("a partial makes it", "q{% include '_a' %}{{ g }}", _a=G),
    case("an import makes it", U + "q" + A + "{% import '_a' as a %}" + U + "{{ g }}" + A, _a=G),
    case("before the partial", "q{{ g }}{% include '_a' %}", f"p.jinja:1:5: 'g' {BEFORE}", _a=G),
    case("used in a partial, before", "q{% include '_a' %}" + G, f"_a:1:4: 'g' {BEFORE}{IN}", _a="{{ g }}"),
    case("a block that is replaced may make it", "{% extends '_b' %}{% block b %}" + U + "q" + A + G + "{% endblock %}", _b="{% block b %}{% endblock %}" + U + "{{ g }}" + A),
    case("by a call", "{% call_prompt c = 's' %}{{ c }}{{ c_all }}", s__jinja="q"),
    case("before the call", "{{ c }}{% call_prompt c = 's' %}", f"p.jinja:1:4: 'c' {BEFORE}", s__jinja="q"),
    # names that are taken
    case("every way to set it", "{% set g = 1 %}\n{% for g_all in [1] %}{% endfor %}\n{% macro g() %}{% endmacro %}\n{% macro m(g) %}{% endmacro %}\n{% import '_a' as g %}\n{% from '_a' import k as g %}\n{% with g = 1 %}{% endwith %}\n{% set x, g = 1, 2 %}\n{% set g %}{% endset %}q" + G,
         *(f"p.jinja:{line}:{column}: '{name}' is a generation and cannot be set" for line, column, name in [(1, 8, "g"), (2, 8, "g_all"), (3, 10, "g"), (4, 12, "g"), (5, 19, "g"), (6, 26, "g"), (7, 9, "g"), (8, 11, "g"), (9, 8, "g")]), _a="{% set k = 1 %}"),
    case("set in a partial", "q{% include '_a' %}" + G, f"_a:2:8: 'g' is a generation and cannot be set{IN}", _a="\n{% set g = 1 %}"),
    case("an input too", "---\ninputs: {g: string}\n---\nq" + G + "{{ g }}", "p.jinja:2:10: g is both an input and a generation; rename one of them"),
    case("an input and the list of all", "---\ninputs: {g_all: string}\n---\nq" + G + "{{ g_all }}", "p.jinja:2:10: g_all is both an input and a generation; rename one of them"),
    case("an input, and a generation in a partial", "---\ninputs: {a: string, g: string}\n---\n{{ a }}{% include '_a' %}{{ g }}", "p.jinja:2:21: g is both an input and a generation; rename one of them", _a=G),
    case("a generation and the list of all", MORE + G + MORE + "\n{% generate g_all %}", "p.jinja:2:13: g_all is a generation, and the list of all answers to g; rename one of them"),
]  # fmt: skip


@cases(GENERATIONS)
def test_generations(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


TAGS = [
    case("what is right", "q{% generate g temperature=0, top_k=1 top_p=0.5, stop=['a'], seed=0 choices=['a', 'b'] %}"),
    case("each option out of range", "q{% generate g temperature=-1, top_k=1.5 top_p=0 min_p=2\n repeat_penalty=0 max_tokens=0, stop=['a', 5], seed=none %}",
         "p.jinja:1:16: temperature wants a number from 0 to 100; got -1", "p.jinja:1:32: top_k wants a whole number from 0 to 1000000; got 1.5", "p.jinja:1:42: top_p wants a number above 0 up to 1; got 0", "p.jinja:1:50: min_p wants a number from 0 to 1; got 2", "p.jinja:2:2: repeat_penalty wants a number above 0 up to 100; got 0", "p.jinja:2:19: max_tokens wants a whole number from 1 to 1000000; got 0", "p.jinja:2:33: stop wants a text or a list of up to 16 texts, each of 1 to 256 characters; got ['a', 5]", "p.jinja:2:48: seed wants a whole number from 0 to 4294967294; got None"),
    case("no such option", "q{% generate g zork=1 %}", f"p.jinja:1:16: 'zork' is not an option; there are {OPTIONS}"),
    case("no such option, whatever its value", INPUTS + "{{ a }}\n{% generate g zork=n %}", f"p.jinja:5:15: 'zork' is not an option; there are {OPTIONS}"),
    case("values that are not written out", INPUTS + "{{ a }}q{% generate g max_tokens=n choices=n temperature=n / 2 stop=[a] %}"),
    case("a value that is computed of what is written out", "q{% generate g max_tokens=1 - 1 %}", "p.jinja:1:16: max_tokens wants a whole number from 1 to 1000000; got 0"),
    case("in a partial", "q{% include '_a' %}", "_a:3:3: max_tokens wants a whole number from 1 to 1000000; got 0", _a="\n{% generate g\n  max_tokens=0 %}"),
    case("in a macro and in a branch", "q{% macro m() %}{% generate g max_tokens=0 %}{% endmacro %}\n{% if false %}{% generate h max_tokens=-1 %}{% endif %}", "p.jinja:1:20: {% generate %} inside a macro, or a set, filter or call block: put what is said into role tags, or else it is said after the answer", "p.jinja:1:31: max_tokens wants a whole number from 1 to 1000000; got 0", "p.jinja:2:29: max_tokens wants a whole number from 1 to 1000000; got -1"),
    case("choices", "q\n{% generate g choices=[] %}q\n{% generate h choices='yes' %}q\n{% generate i choices=['a', 'b', 'a'] %}q\n{% generate j choices=[''] %}", "p.jinja:2:15: choices wants a list of texts, such as ['yes', 'no']; got []", "p.jinja:3:15: choices wants a list of texts, such as ['yes', 'no']; got 'yes'", "p.jinja:4:15: choices has 'a' twice", "p.jinja:5:15: choices wants up to 1,000 texts, each of 1 to 2,000 characters"),
    case("regex", "q\n{% generate g regex='(' %}q\n{% generate h regex='(?=a)' %}q\n{% generate i regex=5 %}", "p.jinja:2:15: regex is not a pattern: missing ), unterminated subpattern at position 0", "p.jinja:3:15: regex cannot look ahead or behind", "p.jinja:4:15: regex wants a pattern of 1 to 2,000 characters; got 5"),
    case("grammar", "q\n{% generate g grammar='root ::= x' %}q\n{% generate h grammar='root ::= [a' %}q\n{% generate i grammar='root ::= (\n[a] y\n)' %}q\n{% generate j grammar=5 %}q{% generate k grammar='root ::= [a]' %}", "p.jinja:2:15: grammar, line 1, column 10: there is no rule 'x'", "p.jinja:3:15: grammar, line 1, column 10: this [ is not closed", "p.jinja:4:15: grammar, line 2, column 5: there is no rule 'y'", "p.jinja:7:15: grammar wants the text of a GBNF grammar, such as 'root ::= [0-9]+'; got 5"),
    case("schema", "q\n{% generate g schema='whole' %}q\n{% generate h schema={'type': 'object', 'properties': 5} %}q\n{% generate i schema={'a': 'string'} %}", f"p.jinja:2:15: schema: 'whole' is not a type: use one of {TYPES}, or fields; named schemas are not supported", "p.jinja:3:15: not a JSON Schema: 5 is not of type 'object'"),
    case("schema that is not written out", INPUTS + "{{ a }}q{% generate g schema={'x': n} %}"),
    case("two constraints", "q{% generate g temperature=0 choices=['a'] regex='a' %}", "p.jinja:1:30: choices= and regex= exclude each other"),
    case("two constraints that are not written out", INPUTS + "{{ a }}\n{% generate g choices=n regex=n %}", "p.jinja:5:15: choices= and regex= exclude each other"),
    # what the parser says
    case("no name", "q\n  {% generate %}", "p.jinja:2:3: expected token 'name', got 'end of statement block'"),
    case("a name that is a word", "q{% generate loop %}", "p.jinja:1:2: a generation cannot be called 'loop'"),
    case("a key twice", "q{% generate g top_k=1 top_k=2 %}", "p.jinja:1:2: top_k= stands here a second time"),
    case("an unknown tag", "q\n\n {% zork %}{{ x }}", "p.jinja:3:2: Encountered unknown tag 'zork'."),
    case("an unknown tag behind another", "{{ zork }}{# zork #}{%- zork %}---", "p.jinja:1:21: Encountered unknown tag 'zork'."),
    case("an unknown tag behind one that begins so", "{% set a %}{% endset %}{% seta %}", "p.jinja:1:24: Encountered unknown tag 'seta'."),
    case("an unknown tag that stands there twice", "{{ x }}{% zork %}{% zork %}", "p.jinja:1:1: Encountered unknown tag 'zork'."),
    case("a word too many behind another tag", "{{ x }}{{ x zork }}", "p.jinja:1:8: expected token 'end of print statement', got 'zork'"),
    case("a role that is not closed", U + "q", "p.jinja:1:1: Unexpected end of template. Jinja was looking for the following tags: 'enduser'. The innermost block that needs to be closed is 'user'."),
    case("two blocks of a name", "{% block a %}x{% endblock %}\n{% block a %}y{% endblock %}", "p.jinja:2:1: block 'a' defined twice"),
]  # fmt: skip


@cases(TAGS)
def test_tags(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


CALLEE = "---\ninputs: {x: string, n: {type: integer, default: 1}, 'o?': string}\n---\n{{ x }}{{ n }}{{ o }}"
TAKES = "It takes s(x: string, n: integer = 1, o?: string) -> text"
CALLS: list[Case] = [
    case("what is right", "{% call_prompt c = 's' x='a', n=2 o='b' %}", s__jinja=CALLEE),
    case("what is not written out", INPUTS + "{% call_prompt c = 's' x=n n=a %}", s__jinja=CALLEE),
    case("missing", "\n{% call_prompt c = 's' %}", f"p.jinja:2:21: the input 'x' of s is missing. {TAKES}", s__jinja=CALLEE),
    case("unknown, and missing", "{% call_prompt c = 's' zork=1 %}", f"p.jinja:1:21: the input 'x' of s is missing. {TAKES}", f"p.jinja:1:24: s has no input 'zork'. {TAKES}", s__jinja=CALLEE),
    case("unknown, whatever its value", INPUTS + "{% call_prompt c = 's' x=a zork=n %}", f"p.jinja:4:28: s has no input 'zork'. {TAKES}", s__jinja=CALLEE),
    case("of the wrong type, each on its line", "{% call_prompt c = 's' x=1\n  n='b',\n  o=5 %}", "p.jinja:1:24: the input 'x' of s: 1 is not of type 'string'", "p.jinja:2:3: the input 'n' of s: 'b' is not of type 'integer'", "p.jinja:3:3: the input 'o' of s: 5 is not of type 'string'", s__jinja=CALLEE),
    case("none is no text", "{% call_prompt c = 's' x=none %}", "p.jinja:1:24: the input 'x' of s: None is not of type 'string'", s__jinja=CALLEE),
    case("undefined", "{% call_prompt c = 's' x=y %}", "p.jinja:1:26: 'y' is undefined", s__jinja=CALLEE),
    case("in a partial", "{% include '_a' %}", f"_a:2:25: s has no input 'zork'. {TAKES}", _a="\n{% call_prompt c = 's'  zork=1, x='' %}", s__jinja=CALLEE),
    case("in a macro that nobody calls", "{% macro m() %}{% call_prompt c = 's' x=1 %}{% endmacro %}q", "p.jinja:1:39: the input 'x' of s: 1 is not of type 'string'", s__jinja=CALLEE),
    case("not there", "{% call_prompt c = 'x/no' %}", "p.jinja:1:21: calls 'x/no', which is not in prompts/"),
    case("a partial is no prompt", "{% call_prompt c = '_s' %}", "p.jinja:1:1: '_s' is not the name of a prompt", _s="q"),
    case("there twice", "{% call_prompt c = 's' %}", "p.jinja:1:21: calls 's', which is both s.jinja and s.prompty; rename one of them", s__jinja="q", s__prompty="user:\nq"),
    case("cannot be read", "{% call_prompt c = 's' %}", "p.jinja:1:21: calls what cannot be read: s.jinja:2:2: YAML: a key must be a plain word or a string", s__jinja="---\n{[\n---\n"),
    case("not literal", "q\n{% call_prompt c = n %}", "p.jinja:2:1: call_prompt takes a literal name, so that a version's hash covers all that it uses"),
    case("a prompty file", "{% call_prompt c = 's' a=1 %}", "p.jinja:1:24: the input 'a' of s: 1 is not of type 'string'", s__prompty="---\nname: x\ninputs:\n  a: x\n---\nuser:\n{{ a }}\n"),
    case("itself", "---\ninputs: {n: integer}\n---\n{% call_prompt c = 'p' n='x' %}{{ n }}", "p.jinja:4:24: the input 'n' of p: 'x' is not of type 'integer'"),
    case("what is wrong in what is called is said there", "{% call_prompt c = 's' %}", s__jinja="{{ oops }}{% include '_no' %}"),
]  # fmt: skip


@cases(CALLS)
def test_calls(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


LOOSE = [
    case("no roles, no rule", "text {% if true %}text{% endif %}"),
    case("blanks", "\n  " + U + "q" + A + "\n\n\t"),
    case("before and after", "out\n" + U + "in" + A + "\n there", f"p.jinja:1:1: text outside the role tags: 'out'{OUT}", f"p.jinja:3:2: text outside the role tags: 'there'{OUT}"),
    case("several lines", U + "q" + A + "\n\n  hi\n  there  \n", f"p.jinja:3:3: text outside the role tags: 'hi there'{OUT}"),
    case("long", U + "q" + A + "\n" + "x" * 99, f"p.jinja:2:1: text outside the role tags: '{'x' * 59}…'{OUT}"),
    case("in branches and loops", U + "q" + A + "\n{% if true %}A{% elif 1 %}B{% else %}C{% endif %}\n{% for i in [1] %}D{% else %}E{% endfor %}\n{% with %}F{% endwith %}\n{% autoescape true %}G{% endautoescape %}",
         *(f"p.jinja:{line}:{column}: text outside the role tags: '{text}'{OUT}" for line, column, text in [(2, 14, "A"), (2, 27, "B"), (2, 38, "C"), (3, 19, "D"), (3, 30, "E"), (4, 11, "F"), (5, 22, "G")])),
    case("around a role in a loop", "{% for i in [1] %}" + U + "{% if i %}in{% endif %}" + A + "\n out{% endfor %}", f"p.jinja:2:2: text outside the role tags: 'out'{OUT}"),
    case("roles in a partial only", "out{% include '_a' %}", f"p.jinja:1:1: text outside the role tags: 'out'{OUT}", _a=U + "in" + A),
    case("roles in a macro only", "{% macro m() %}" + U + "in" + A + "{% endmacro %}{{ m() }}\nout", f"p.jinja:2:1: text outside the role tags: 'out'{OUT}"),
    case("roles in what is called only", "out{% call_prompt c = 's' %}", s__jinja=U + "in" + A),
    case("what is kept for later", "{% set x %}text{% endset %}{% macro m() %}text{% endmacro %}" + U + "{{ x }}{{ m() }}" + A),
    case("text of a partial that stands in a role", U + "{% include '_a' %}" + A, _a="text"),
    case("comments and raw", "{# out #}" + U + "q" + A + "{% raw %} {% endraw %}"),
    case("raw text", U + "q" + A + "\n{% raw %}{{ x }}{% endraw %}", f"p.jinja:2:10: text outside the role tags: '{{{{ x }}}}'{OUT}"),
]  # fmt: skip


@cases(LOOSE)
def test_text_outside_roles(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


# --- front matter ----------------------------------------------------------------------------------------------------

KEYS = "description, inputs, output, options, metadata"
FRONTS = [
    case("everything at once", "---\nzork: 1\ninputs: {a: whole, b: {type: integer, default: x}, c: string}\noptions: {temperature: 900}\noutput: {choices: []}\n---\n{{ a }}{{ oops }}\n{% generate g max_tokens=0 %}",
         f"p.jinja:2:1: 'zork' is not a key of a prompt file; there are {KEYS}", f"p.jinja:3:10: input a: 'whole' is not a type: use one of {TYPES}, or a JSON Schema", "p.jinja:3:20: input b: the default 'x' is not of type 'integer'", "p.jinja:3:20: warning: the input b is not used", "p.jinja:3:52: warning: the input c is not used", "p.jinja:4:11: temperature wants a number from 0 to 100; got 900", "p.jinja:5:10: output: choices wants a list of texts, such as ['yes', 'no']; got []", "p.jinja:7:11: 'oops' is undefined", "p.jinja:8:15: max_tokens wants a whole number from 1 to 1000000; got 0"),
    case("no YAML, and syntax", "---\n{[\n---\n{% zork %}", "p.jinja:2:2: YAML: a key must be a plain word or a string", "p.jinja:4:1: Encountered unknown tag 'zork'."),
    case("a list", "---\n- a\n---\nq", "p.jinja:2:1: the front matter is a mapping: `description: …`, `inputs: …`"),
    case("not closed", "---\ndescription: x\n{{ oops }}", "p.jinja:1:1: the front matter that begins here is not closed: put a line `---` after it"),
    case("a broken type, and syntax", "---\ninputs: {a: whole}\n---\nq\n{% zork %}", f"p.jinja:2:10: input a: 'whole' is not a type: use one of {TYPES}, or a JSON Schema", "p.jinja:5:1: Encountered unknown tag 'zork'."),
    case("a broken type is not undefined, too", "---\ninputs: {'a(list)': string}\n---\n{{ a }}", "p.jinja:2:10: input a(list): 'a(list)': after a name, in brackets, may stand array, object, enum"),
    case("defaults", "---\ninputs:\n  a: {type: string, default: 5}\n  b: {enum: [x, y], default: z}\n  c: {type: integer, minimum: 3, default: 1}\n  d: {type: integer, default: 1}\n---\n{{ a }}{{ b }}{{ c }}{{ d }}",
         "p.jinja:3:3: input a: the default 5 is not of type 'string'", "p.jinja:4:3: input b: the default 'z' is not one of ['x', 'y']", "p.jinja:5:3: input c: the default 1 is less than the minimum of 3"),
    case("a wrong grammar", "---\noutput:\n  grammar: |\n    root ::= a\n---\nq", "p.jinja:2:1: output: grammar, line 1, column 10: there is no rule 'a'"),
    case("no grammar", "---\noutput: {grammar: 5}\n---\nq", "p.jinja:2:1: output: grammar wants the text of a GBNF grammar, such as 'root ::= [0-9]+'; got 5"),
    case("no JSON Schema", "---\ninputs:\n  a: {type: integer, minimum: x}\noutput: {schema: {type: object, properties: 5}}\n---\n{{ a }}", "p.jinja:3:3: input a: not a JSON Schema: 'x' is not of type 'number'", "p.jinja:4:1: output: not a JSON Schema: 5 is not of type 'object'"),
    case("names that are taken", "---\ninputs: {loop: string, _x: string}\n---\n{{ _x }}{{ loop }}", "p.jinja:2:10: input loop: this is a word of the template language", "p.jinja:2:24: input _x: names that begin with _ are for promptlab"),
    case("a partial has none", "{% include '_a' %}", _a="---\nzork: 1\n---\n"),
]  # fmt: skip


@cases(FRONTS)
def test_front_matter(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


def unused(*names: str) -> list[str]:
    return [f"p.jinja:{'xabcdefgh'.index(name) + 2}:3: warning: the input {name} is not used" for name in names]


DECLARED = "---\ninputs:\n" + "".join(f"  {name}: any\n" for name in "abcdefgh") + "---\n"
UNUSED: list[Case] = [
    (about, {MAIN: DECLARED + body, **files}, unused(*rest))
    for about, body, rest, files in [
        ("all", "q", "abcdefgh", {}),
        ("in expressions", "{{ a }}{{ [b.x, c[d]] }}{% if e %}{% endif %}{% for i in f %}{% endfor %}{{ 1 | default(g) }}", "h", {}),
        ("in a partial only", "{% include '_x' %}", "bcdefgh", {"_x": "{{ a }}"}),
        ("in a partial of a partial, in a macro there", "{% include '_x' %}", "bcdefgh", {"_x": "{% import '_y' as y with context %}", "_y": "{% macro m() %}{{ a }}{% endmacro %}"}),
        ("in a macro that nobody calls, and in its default", "{% macro m(z=b) %}{{ a }}{% endmacro %}q", "cdefgh", {}),
        ("in a branch that is never taken", "{% if false %}{{ a }}{% endif %}q", "bcdefgh", {}),
        ("in what asks whether it is there", "{{ a is defined }}{{ b | default('') }}", "cdefgh", {}),
        ("in tags", "{% call_prompt x = 's' x=a %}q{% generate y max_tokens=b %}{% return c %}", "defgh", {"s.jinja": "---\ninputs: {x: any}\n---\n{{ x }}"}),
        ("in a block", "{% extends '_b' %}{% block q %}{{ a }}{% endblock %}", "cdefgh", {"_b": "{{ b }}{% block q %}{% endblock %}"}),
        ("in a namespace's name", "{% set a.x = 1 %}q", "bcdefgh", {}),
        ("in comments and texts: not used", "a {# b #}{{ 'c' }}{% raw %}{{ d }}{% endraw %}{{ {'e': 1}.f }}{{ dict(g=1) }}", "abcdefgh", {}),
        ("only as the names of a macro's and a loop's own", "{% macro m(a) %}{% endmacro %}{% for b in [1] %}{% endfor %}q", "abcdefgh", {}),
    ]
]  # fmt: skip


@cases(UNUSED)
def test_inputs_that_nothing_uses(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


def test_severities() -> None:
    found = check(MAIN, {MAIN: "---\ninputs: {a: any}\n---\n{{ b }}"})
    assert found == [
        Finding(MAIN, 2, 10, "the input a is not used", "warning"),
        Finding(MAIN, 4, 4, "'b' is undefined", "error"),
    ]


# --- other files -----------------------------------------------------------------------------------------------------

HEAD = "---\nname: x\ninputs:\n  - name: a\n    kind: string\n---\n"
PROMPTY: list[tuple[str, str, list[str]]] = [
    ("right", HEAD + "user:\n{{ a }}\n", []),
    ("undefined", HEAD + "system:\n{{ a }}\nuser:\n{{ oops }}\n", ["p.prompty:10:4: 'oops' is undefined"]),
    ("a filter", HEAD + "user:\n{{ a | zork }}\n", ["p.prompty:8:8: there is no filter 'zork'"]),
    ("what it refuses", "---\nzork: 1\n---\nuser:\n{% include 'x' %}\n",
     ["p.prompty:2:1: 'zork' is not a key of the front matter; there are name, displayName, description, metadata, model, inputs, outputs, tools, template, authors, tags, version", "p.prompty:5:1: {% include %}: a .prompty file has no partials"]),
    ("no YAML", "---\n{[\n---\nuser:\nq", ["p.prompty:2:2: YAML: a key must be a plain word or a string"]),
    ("an option", "---\nmodel:\n  options: {temperature: 900}\n---\nuser:\nq", ["p.prompty:3:13: temperature wants a number from 0 to 100; got 900"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [p[1:] for p in PROMPTY], ids=[p[0] for p in PROMPTY])
def test_prompty(text: str, expected: list[str]) -> None:
    assert said({"p.prompty": text}, "p.prompty") == expected


BY_ITSELF: list[tuple[str, str, list[str]]] = [
    ("names are checked where it is used", "{{ x }}{{ g }}", []),
    ("tags", "{% generate g max_tokens=0 %}{% call_prompt c = 'no' %}", ["_a:1:15: max_tokens wants a whole number from 1 to 1000000; got 0", "_a:1:50: calls 'no', which is not in prompts/"]),
    ("includes", "{% include '_no' %}\n{% include 'b' %}\n{% include x %}", ["_a:1:13: includes '_no', which is not in prompts/", f"_a:2:13: includes 'b', {ONLY}", f"_a:3:4: {LITERAL}"]),
    ("itself", "{% include '_a' %}", ["_a:1:13: includes itself without an end: _a → _a"]),
    ("syntax", "\n{% zork %}", ["_a:2:1: Encountered unknown tag 'zork'."]),
    ("text beside roles is judged where it is used", "text" + U + "q" + A, []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [p[1:] for p in BY_ITSELF], ids=[p[0] for p in BY_ITSELF])
def test_a_partial_by_itself(text: str, expected: list[str]) -> None:
    assert said({"_a": text}, "_a") == expected


# --- hostile texts ---------------------------------------------------------------------------------------------------

HOSTILE: list[tuple[str, Files]] = [
    ("ifs", {MAIN: "{% if 1 %}" * 2000 + "{% endif %}" * 2000}),
    ("loops", {MAIN: "{% for i in [1] %}" * 60 + "{% endfor %}" * 60}),
    ("brackets", {MAIN: "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"}),
    ("lists", {MAIN: "{{ " + "[" * 900 + "]" * 900 + " }}"}),
    ("a long sum", {MAIN: "{{ " + " + ".join(["1"] * 20000) + " }}"}),
    ("a long path", {MAIN: "{{ x" + ".a" * 20000 + " }}"}),
    ("filters", {MAIN: "{{ 1" + "|string" * 5000 + " }}"}),
    ("elifs", {MAIN: "{% if 1 %}" + "{% elif 2 %}x" * 3000 + "{% endif %}"}),
    ("a power", {MAIN: "{{ 9**9**9 }}{% generate g max_tokens=9**9**9 %}"}),
    ("a large list", {MAIN: "q{% generate g choices=['a' * 100000] * 100000 %}"}),
    ("NUL and half a character", {MAIN: "\x00{{ x }}\ud800{{ y }}\x00"}),
    ("line ends of all kinds", {MAIN: "a\r{{ x }}\rb\u2028{{ y }}\x0b{{ z }}\x85"}),
    ("line ends in names", {MAIN: "q{% include '_a\n\nb' %}{% include 'b\nc' %}{% generate g choices=['a\nb', 'a\nb'] regex='\n(' %}"}),
    ("line ends in keys", {MAIN: '---\n"a\\nb": 1\ninputs: {"a\\nb": string, "c\\u2028d": whole}\noptions: {"z\\nz": 1}\n---\nq'}),
    ("a line end in what is called", {MAIN: "q{% call_prompt x = 'a\nb' %}"}),
    ("a pattern", {MAIN: "q{% generate g regex='" + "(" * 300 + "a" + ")" * 300 + "' %}"}),
    ("many names", {MAIN: "\n".join(f"{{{{ x{i} }}}}" for i in range(3000))}),
    ("many macros", {MAIN: "".join(f"{{% macro m{i}() %}}{{{{ x }}}}{{% endmacro %}}" for i in range(1500))}),
    ("many partials", {MAIN: "".join(f"{{% include '_{i}' %}}" for i in range(199)), **{f"_{i}": f"{{% include '_{i + 1}' %}}" for i in range(198)}}),
    ("too large", {MAIN: "x" * 300_000}),
    ("what it calls is too large", {MAIN: "{% call_prompt c = 's' %}", "s.jinja": "x" * 300_000}),
]  # fmt: skip


@pytest.mark.parametrize("files", [h[1] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_hostile_texts_end_soon_and_in_one_line_each(files: Files) -> None:
    begin = time.process_time()
    found = check(MAIN, files)
    assert time.process_time() - begin < 5
    assert all(str(f).isprintable() for f in found)
    assert all(len(str(f)) < 600 for f in found)


PIECES = ["{%", "%}", "{{", "}}", "{#", "#}", "---\n", "user", "enduser", "generate", "x", "g", "=", "'", "[", "]", "|", "default", "is defined", "for", "in", "endfor", "set", "if", "endif", "include", "_a", "macro", "(", ")", "endmacro", "call_prompt", "s", "1", " ", "\n", "inputs: {x: string}\n", "block", "endblock", "extends", "\ud800"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join) | st.text(max_size=60))
@example("")
def test_arbitrary_text_is_checked_in_one_line_each(body: str) -> None:
    for file, text in ((MAIN, body), (MAIN, "---\n" + body), ("p.prompty", body), ("_a", body)):
        files = {"_a": "{{ x }}" + body, "s.jinja": body, file: text}
        assert all("\n" not in str(f) and f.line >= 0 and f.column >= 0 for f in check(file, files))


# --- against what programs do ----------------------------------------------------------------------------------------

# Programs of which each run is tried. A probe, `@7{{ x is sequence }}`, says whether a name has a value without failing
# where it has none, so each run goes on to its end. Conditions are independent of each other.
PROBE = re.compile(r"@(\d+)(True|False)")
PROBED = st.sampled_from(["x", "x", "y", "y", "g", "g", "h", "g_all", "i"])


class Maker:
    """Draws a program."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.probes = 0
        self.inputs: dict[str, list[Any]] = {}
        self.files: Files = {}

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def input(self, values: list[Any]) -> str:
        name = f"in{len(self.inputs)}"
        self.inputs[name] = values
        return name

    def body(self, role: bool, depth: int, loop: bool = False, partial: bool = False) -> str:
        return "".join(self.statement(role, depth, loop, partial) for _ in range(self.draw(st.integers(1, 3))))

    def probe(self, role: bool) -> str:
        self.probes += 1
        text = f"@{self.probes}{{{{ {self.draw(PROBED)} is sequence }}}}\n"
        return text if role else U + text + A + "\n"

    def statement(self, role: bool, depth: int, loop: bool, partial: bool) -> str:
        simple = ["probe", "probe", "set"] + ([] if role or (loop and partial) else ["generate"])
        nested = ["if", "with", "filter"] + ([] if role else ["role"]) + ([] if partial else ["include"])
        nested += ["for"] if len(self.inputs) < 3 else []
        kind = self.pick(*simple, *(nested if depth < 3 else []))
        if kind == "probe":
            return self.probe(role)
        if kind == "set":
            # It uses the name itself; see `test_a_name_keeps_its_value_until_it_is_set`.
            name = self.pick("x", "y")
            return f"{{% set {name} = {name} | default('s') %}}\n"
        if kind == "generate":  # a partial in a loop does not, see below
            return f"{U}q{A}{{% generate {self.pick('g', 'h')} %}}\n"
        if kind == "include":
            name = f"_a{len(self.files)}"
            self.files[name] = ""
            self.files[name] = self.body(role, depth + 1, loop, True)
            return f"{{% include '{name}' %}}\n"
        if kind == "for":
            name = self.input([[], ["a"], ["a", "b"]])
            return f"{{% for i in {name} %}}\n{self.body(role, depth + 1, True, partial)}{{% endfor %}}\n"
        if kind == "if" and len(self.inputs) < 3:
            name = self.input([[], ["a"], ["b"], ["a", "b"]] if loop else [[], ["a"]])
            other = f"{{% else %}}\n{self.body(role, depth + 1, loop, partial)}" if self.draw(st.booleans()) else ""
            test = f"{'i' if loop else repr('a')} in {name}"
            return f"{{% if {test} %}}\n{self.body(role, depth + 1, loop, partial)}{other}{{% endif %}}\n"
        begin, end = {
            "if": ("{% if true %}", "{% endif %}"),
            "with": ("{% with y = 's' %}", "{% endwith %}"),
            "filter": ("{% filter trim %}", "{% endfilter %}"),
            "role": (U, A),
        }[kind]
        return f"{begin}\n{self.body(role or kind == 'role', depth + 1, loop, partial)}{end}\n"


@st.composite
def programs(draw: st.DrawFn) -> tuple[Files, dict[str, list[Any]]]:
    maker = Maker(draw)
    body = maker.body(False, 0)
    front = "---\ninputs:\n" + "".join(f"  {name}: any\n" for name in maker.inputs) + "---\n"
    # All generations are named somewhere, so that they are never plain names; the last one makes each run end well.
    rest = f"{{% if false %}}{G}{H}{{% endif %}}{U}end{A}{{% generate last %}}"
    return {MAIN: front + body + rest, **maker.files}, maker.inputs


def seen(files: Files, inputs: dict[str, list[Any]]) -> dict[str, set[str]]:
    """What each probe has said in all runs."""
    prompt = parse(files[MAIN], "p").with_partials({k: v for k, v in files.items() if k != MAIN})
    found: dict[str, set[str]] = {}
    say = Tape.say

    def listen(self: Tape, role: str, content: str) -> None:
        for probe, value in PROBE.findall(content):
            found.setdefault(probe, set()).add(value)
        say(self, role, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tape, "say", listen)
        for values in itertools.product(*inputs.values()):
            assert isinstance(step(prompt, dict(zip(inputs, values, strict=True)), ("answer",) * 99), Transcript)
    return found


@settings(max_examples=300)
@given(programs())
def test_what_is_said_of_names_is_what_happens(program: tuple[Files, dict[str, list[Any]]]) -> None:
    files, inputs = program
    found = check(MAIN, files)
    assert all("is undefined" in f.message or BEFORE in f.message for f in found)
    places = {f.file: files[f.file].split("\n") for f in found}
    told = {number for f in found for number in re.findall(r"@(\d+)", places[f.file][f.line - 1])}
    happened = seen(files, inputs)
    never = {probe for probe, values in happened.items() if values == {"False"}}
    assert told & happened.keys() == never


# --- what was wrong once ---------------------------------------------------------------------------------------------

FALSE_ALARMS = [
    # What a test has asked for is there: partials that several prompts share are written so.
    case("guarded", "{% if x is defined %}{{ x }}{% endif %}q"),
    case("guarded in a shared partial", "{% include '_style' %}q", _style="{% if author is defined %}{{ author }}{% endif %}"),
    case("guarded by else", "{% if x is not defined %}q{% else %}{{ x }}{% endif %}"),
    case("guarded by and", "{% if x is defined and x %}y{% endif %}q"),
    case("guarded by or", "{% if x is not defined or x %}y{% endif %}q"),
    case("guarded by an if in an expression", "{{ x if x is defined else 'q' }}"),
    case("a guarded generation", "{% if g is defined %}{{ g }}{% endif %}q" + G),
    case("a default of a default", "{{ a | default(b) | default('c') }}"),
    # What a partial makes, a later round has.
    case("a partial in a loop makes it", "{% for i in [1, 2] %}{% if i > 1 %}" + U + "{{ g }}" + A + "{% endif %}{% include '_g' %}{% endfor %}", _g=U + "q" + A + G),
    case("a partial in a loop uses its own", "{% for i in [1, 2] %}{% include '_g' %}{% endfor %}", _g=U + "{% if i > 1 %}{{ g }}{% endif %}" + A + G),
    case("a partial in a macro makes it", "{% macro m() %}{% include '_g' %}{% endmacro %}{{ m() }}" + U + "{{ g }}" + A, _g=U + "q" + A + G),
    case("self makes it", "{{ self.b() }}" + U + "{{ g }}" + A + "{% block b %}" + U + "q" + A + G + "{% endblock %}"),
    # What blocks and modules see.
    case("a macro's default may use what comes before it", "{% macro m(b, a=b) %}{{ a }}{% endmacro %}{{ m(3) }}"),
    case("a block sees what the base sets", "{% extends '_b' %}{% block a %}{{ x }}{% endblock %}", _b="{% set x = 1 %}{% block a %}{% endblock %}"),
    case("a block sees the base's macros", "{% extends '_b' %}{% block a %}{{ m() }}{% endblock %}", _b="{% macro m() %}m{% endmacro %}{% block a %}{% endblock %}"),
    case("a scoped block sees the loop around it", "{% extends '_b' %}{% block a scoped %}{{ i }}{% endblock %}", _b="{% for i in [1] %}{% block a scoped %}{% endblock %}{% endfor %}"),
    case("a module has what it extends", "{% from '_a' import x %}{{ x }}", _a="{% extends '_b' %}", _b="{% set x = 1 %}"),
    case("a file that includes itself with an end", "{% set n = 2 %}{% include '_r' %}q", _r="{{ n }}{% set n = n - 1 %}{% if n > 0 %}{% include '_r' %}{% endif %}"),
    # Others.
    case("none for an input that may be left out", "{% call_prompt c = 's' x='a' o=none %}", s__jinja=CALLEE),
    case("text beside the blocks of a child comes out nowhere", "{% extends '_b' %}{% block a %}q{% endblock %}text", _b=U + "{% block a %}{% endblock %}" + A),
]  # fmt: skip


@cases(FALSE_ALARMS)
def test_no_false_alarm(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


SILENT = [
    case("a block that is not scoped does not see the loop", "{% for i in [1] %}{% block a %}{{ i }}{% endblock %}{% endfor %}q", "p.jinja:1:35: 'i' is undefined"),
    case("a partial does not see loop", "{% for i in [1] %}{% include '_a' %}{% endfor %}q", f"_a:1:4: 'loop' is undefined{IN}", _a="{{ loop.index }}"),
    case("nor does the filter of a loop", "{% for i in [1] if loop.first %}{{ i }}{% endfor %}q", "p.jinja:1:20: 'loop' is undefined"),
    case("a call block runs at once", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ x }}{% endcall %}{% set x = 1 %}", "p.jinja:1:61: 'x' is undefined"),
    case("no base to be super of", "{% block a %}{{ super() }}{% endblock %}q", "p.jinja:1:17: there is no parent block called 'a'"),
    case("none of several is there", "q{% include ['_a', '_b'] %}", "p.jinja:1:15: includes '_a', which is not in prompts/"),
    case("text in a block", "{% block a %}out{% endblock %}" + U + "q" + A, f"p.jinja:1:14: text outside the role tags: 'out'{OUT}"),
    case("text in a filter block", "{% filter upper %}out{% endfilter %}" + U + "q" + A, f"p.jinja:1:19: text outside the role tags: 'out'{OUT}"),
    case("text in a partial", "{% include '_a' %}" + U + "q" + A, f"_a:1:1: text outside the role tags: 'out'{OUT}", _a="out"),
    case("text in a base", "{% extends '_b' %}", f"_b:1:1: text outside the role tags: 'out'{OUT}", _b="out " + U + "q" + A),
    case("a text that is written as a value", U + "q" + A + "{{ 'out' }}", f"p.jinja:1:29: text outside the role tags: 'out'{OUT}"),
]  # fmt: skip


@cases(SILENT)
def test_what_was_overlooked(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


PLACES = [
    case("two constraints, not on the tag's first key's line", "q{% generate g\n  max_tokens=1,\n  choices=['a'],\n  regex='a' %}", "p.jinja:3:3: choices= and regex= exclude each other"),
    case("a name in a text before it", "{{ 'x' }} {{ x }}", "p.jinja:1:14: 'x' is undefined"),
    case("a generation in its own tag", "q{% generate g max_tokens=g %}", f"p.jinja:1:27: 'g' {BEFORE}"),
    case("a text that a tag has too", U + "q" + A + "\n{% if true %}f{% endif %}", f"p.jinja:2:14: text outside the role tags: 'f'{OUT}"),
    case("a key in another key's value", "q{% generate g stop=['top_k'] top_k=-1 %}", "p.jinja:1:31: top_k wants a whole number from 0 to 1000000; got -1"),
]  # fmt: skip


@cases(PLACES)
def test_the_place(files: Files, expected: list[str]) -> None:
    assert said(files) == expected


def test_an_unused_input_of_a_prompty_file_has_a_place() -> None:
    source = "---\ninputs:\n  - name: a\n    kind: string\n    default: x\n---\nuser:\nhi\n"
    assert said({"p.prompty": source}, "p.prompty") == ["p.prompty:3:5: warning: the input a is not used"]


def test_a_long_name_is_cut() -> None:
    (message,) = said({MAIN: "{{ " + "x" * 100_000 + " }}"})
    assert len(message) < 600


def test_a_name_keeps_its_value_until_it_is_set() -> None:
    """Jinja looks ahead: a name that is set later in a scope would be unknown in the scopes within, such as role tags."""
    text = "---\ninputs: {y: string}\n---\n" + U + "{{ y }}" + A + G + "{% set y = g %}" + U + "{{ y }}" + A
    assert said({MAIN: text}) == []
    done = step(parse(text, "p"), {"y": "first"}, ("second",))
    assert [m.content for m in done.messages] == ["first", "second", "second"]


@pytest.mark.timeout(60)
def test_not_every_way_to_a_partial_is_walked() -> None:
    """A program that renders at once, since it takes one way; there are 2**25."""
    files = {f"_{i}": f"{{% if true %}}{{% include '_{i + 1}' %}}{{% else %}}{{% include '_{i + 1}' %}}{{% endif %}}" for i in range(25)}  # fmt: skip
    assert said({MAIN: "{% include '_0' %}", "_25": "q", **files}) == []
