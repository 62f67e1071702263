"""GBNF grammars: which texts they take, by our own recogniser; what is wrong with them, and where; bombs."""

from __future__ import annotations

import random
import re
import textwrap

import pytest

from promptlab.core.constraint import Constraint, check_constraint, read_answer
from promptlab.core.gbnf.grammar import parse
from promptlab.core.gbnf.lark import translate
from promptlab.core.gbnf.match import misfit

LIST = r'root ::= ("- " [^\n]+ "\n")+'
ARITHMETIC = r"""
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""
CHESS = r"""
# Moves in pairs, numbered.
root    ::= (
    "1. " move " " move "\n"    # the first pair
    ([1-9] [0-9]? ". " move " " move "\n")*
)
move    ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn    ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle  ::= "O-O" "-O"?
"""
JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
"""

GRAMMARS: list[tuple[str, list[str], list[str]]] = [
    ('root ::= "yes" | "no"', ["yes", "no"], ["", "ye", "yess", "yesno"]),
    ('root ::= "a" "b" | "c"', ["ab", "c"], ["a", "b", "ac"]),
    ('root ::= "a" ("b" | "c") "d"', ["abd", "acd"], ["ad", "abcd"]),
    ('root ::=\n  "a" |\n  "b"\n', ["a", "b"], ["ab", ""]),
    ('root ::= (\n "a"\n\n "b"\n | "c"\n) "d"', ["abd", "cd"], ["ab", "d"]),
    ('root ::= "a" # one\r\n\r\n# two\r\n', ["a"], ["a\r\n"]),
    ('a ::= "x"\nroot ::= a a\n', ["xx"], ["x", "xxx"]),
    ('root ::= x-1 y_2 Z\nx-1 ::= "1"\ny_2 ::= "2"\nZ ::= "3"', ["123"], ["12"]),
    ('root ::= 0\n0 ::= "zero"', ["zero"], ["0"]),
    ("root ::= ", [""], ["a"]),
    ('root ::= ""', [""], ["a"]),
    ('root ::= | "a"', ["", "a"], ["aa"]),
    ('root ::= ("a" | ) "b"', ["ab", "b"], ["a"]),
    # repetition
    ('root ::= "ab"*', ["", "ab", "abab"], ["a", "aba", "abb"]),
    ('root ::= "a" "b"+', ["ab", "abb"], ["a", "abab"]),
    ('root ::= "a"? "b"', ["b", "ab"], ["aab"]),
    ('root ::= "a"{2}', ["aa"], ["a", "aaa"]),
    ('root ::= "a"{2,}', ["aa", "aaaa"], ["a"]),
    ('root ::= "a"{1,3} "b"', ["ab", "aaab"], ["b", "aaaab"]),
    ('root ::= "a"{0,2}', ["", "aa"], ["aaa"]),
    ('root ::= "a"{0} "b"{0,0} "c"', ["c"], ["ac", "bc"]),
    ('root ::= ("a" | "b"){ 1 , 2 }', ["a", "ba"], ["", "aba"]),
    ('root ::= ("a"?)*', ["", "aaa"], ["b"]),
    ('root ::= "a" * ', ["", "aa"], ["b"]),
    ('root ::= ("a"+)* "b"', ["b", "aab"], ["a"]),
    ('root ::= "a"{2}{2}', ["aaaa"], ["aa", "aaa"]),
    # characters
    ("root ::= [a-c]", ["a", "b", "c"], ["d", "", "-"]),
    ("root ::= [^a-c]", ["d", "\n", "日", "\U0001f327"], ["a", "c", "", "dd"]),
    ("root ::= [a^]", ["a", "^"], ["b"]),
    ("root ::= [-a] [a-] [+-/]", ["-a-", "a-+", "aa."], ["bb+"]),
    (r"root ::= [\]\\\[\-]", ["]", "\\", "[", "-"], ["a"]),
    (r"root ::= [\x41-\x43\u00e9\U0001F327]", ["A", "C", "é", "\U0001f327"], ["D", "e"]),
    (r"root ::= [^\n\r\t]", ["a", " "], ["\n", "\r", "\t"]),
    ('root ::= [ぁ-ゟ]+ "。"', ["ひらがな。"], ["カナ。"]),
    ("root ::= [a-cb-e]+", ["abcde"], ["f"]),
    ("root ::= . .", ["ab", "\n\n", "日本"], ["a", "abc"]),
    (r'root ::= "\"\\\n\t\r\x41\u00e9\U0001F327[\]"', ['"\\\n\t\rAé\U0001f327[]'], ['"']),
    ('root ::= "a\nb#c"', ["a\nb#c"], ["ab"]),
    ('root ::= "::= | ( ) . *"', ["::= | ( ) . *"], [""]),
    # what a lexer that takes the longest would not see
    ('root ::= [a-z]* "end"', ["end", "friend", "endend"], ["en", "ends"]),
    ('root ::= "(" root ")" | [a-z]* "end"', ["end", "(friend)", "((endend))"], ["(end", "(ends)"]),
    ('root ::= "<" root ">" | a root | a\na ::= "a" | "ab" | "abc" "d"', ["ab", "<aab>", "abcd", "ababa"], ["abc"]),
    ('root ::= "é" root "é" | "è"*', ["éééééé", "éèèé", ""], ["éè"]),
    # recursion
    ('root ::= "(" root ")" | ""', ["", "(((())))"], ["(", "(()"]),
    ('root ::= "a" root | "b"', ["b", "aaab"], ["a", "ba"]),
    ('root ::= root "a" | "b"', ["b", "baaa"], ["ab", ""]),
    ('root ::= root "+" root | [0-9]', ["1", "1+2+3"], ["1+", "+1"]),
    ('root ::= root | "a"', ["a"], ["aa"]),
    ('root ::= a "x"\na ::= b | ""\nb ::= a', ["x"], ["", "xx"]),
    ('root ::= a b\na ::= "x" b "y" | ""\nb ::= a a | "z"', ["", "z", "xzy", "xyxzy"], ["x", "zz"]),
    ('root ::= item ("," root)?\nitem ::= [a-z]+', ["a", "ab,c,d"], ["", "a,", ",a"]),
    # those of llama.cpp
    (LIST, ["- a\n", "- a\n- b c\n"], ["", "- a", "-a\n", "- \n"]),
    (ARITHMETIC, ["a=b\n", "x +12*(y_1 -3)= 5\n\nb=1\n"], ["a=b", "(a=b\n", "x + 1=2\n", "1a=b\n"]),
    (CHESS, ["1. e4 e5\n", "1. e4 e5\n2. Nf3 Nc6\n3. O-O exd5+\n"], ["1. e4\n", "2. e4 e5\n", "1. e9 e5\n"]),
    (JSON, ['{"a": [1, 2.5e3, {"b":"\\u00e9"}, true]}', "{}", '{"a":-0}'], ['{"a" 1}', "[1]", '{"a":01}', "{"]),
]


@pytest.mark.parametrize(("grammar", "good", "bad"), GRAMMARS)
def test_a_grammar_takes_what_it_says(grammar: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good + bad if misfit(grammar, text) is None] == good


@pytest.mark.parametrize("grammar", [grammar for grammar, *_ in GRAMMARS])
def test_the_shortest_text_fits(grammar: str) -> None:
    assert misfit(grammar, parse(grammar).shortest) is None


def test_the_shortest_text_is_the_shortest() -> None:
    assert parse(JSON).shortest == "{}"
    assert parse(CHESS).shortest == "1. a1 a1\n"
    assert parse('root ::= x | "ccc"\nx ::= y "d"\ny ::= x | "e"').shortest == "ed"


WRONG: list[tuple[str, str]] = [
    ("", "grammar is empty"),
    (" \n", "grammar is empty"),
    ("# nothing", "grammar has no rule `root`"),
    ('start ::= "a"', "grammar has no rule `root`"),
    ("root ::= x", "line 1, column 10: there is no rule 'x'"),
    ('root ::= "a"\njunk ::= (\n  y', "line 2, column 10: this ( is not closed"),
    ('root ::= "a"\njunk ::= (\n  y)', "line 3, column 3: there is no rule 'y'"),
    ('root ::= "a"\nroot ::= "b"', "line 2, column 1: the rule 'root' is defined twice"),
    (
        'root ::= "a"\n  | "b"',
        "line 2, column 3: here a rule begins, with its name; an alternative goes on",
    ),
    ('root = "a"', "line 1, column 6: after the name of a rule stands ::="),
    ('root: "a"', "line 1, column 5: after the name of a rule stands ::="),
    ('root ::= "a" ; "b"', "line 1, column 14: ';' cannot stand here"),
    ('root ::= "a")', "line 1, column 13: ')' cannot stand here"),
    ('root ::= ("a"\n', "line 1, column 10: this ( is not closed"),
    ('root ::= "a', "line 1, column 10: this text is not closed"),
    ("root ::= [a-", "line 1, column 10: this [ is not closed"),
    ("root ::= [a", "line 1, column 10: this [ is not closed"),
    ("root ::= []", "line 1, column 10: this class holds no character"),
    ("root ::= [^]", "line 1, column 10: this class holds no character"),
    (r"root ::= [^\x00-\U0010FFFF]", "line 1, column 10: this class holds no character"),
    ("root ::= [z-a]", "line 1, column 11: a range goes from the lower"),
    (r'root ::= "\q"', r"line 1, column 11: after \ stands one of"),
    ('root ::= "\\', r"line 1, column 11: after \ stands one of"),
    (r'root ::= "\x4"', r"line 1, column 11: after \x stand 2 digits"),
    (r"root ::= [\u00g0]", r"line 1, column 11: after \u stand 4 digits"),
    (r'root ::= "\UFFFFFFFF"', "line 1, column 11: there is no such character"),
    (r'root ::= "\uD800"', "line 1, column 11: half a character"),
    ('root ::= "\ud800"', "line 1, column 11: half a character"),
    ("root ::= *", "line 1, column 10: there is nothing before it"),
    ('root ::= "a" | +', "line 1, column 16: there is nothing before it"),
    ('root ::= "a"{,3}', "line 1, column 14: expected a number"),
    ('root ::= "a"{x}', "line 1, column 14: expected a number"),
    ('root ::= "a"{2', "line 1, column 15: expected }"),
    ('root ::= "a"{3,2}', "line 1, column 13: from 3 to 2 times is never"),
    ('root ::= "a"{99999999999}', "line 1, column 14: this number is too large"),
    ("root ::= <think>", "line 1, column 10: tokens such as <think> cannot be used"),
    ("root ::= !<[5]>", "line 1, column 10: tokens such as <think> cannot be used"),
    ('root ::= "x" root', "line 1, column 1: the rule 'root' never ends"),
    ('root ::= "a" x?\nx ::= "(" x ")"', "line 2, column 1: the rule 'x' never ends"),
    ('root ::= "a"{1000000}', "grammar is too large: more than 20,000 symbols"),
    ("root ::= " + "(" * 100 + '"a"' + ")" * 100, "column 70: more than 60 groups and repetitions"),
    ('root ::= "a"' + "*" * 100, "more than 60 groups and repetitions"),
    ("root ::= " + "x " * 40_000, "grammar is larger than 65,536 characters"),
]


@pytest.mark.parametrize(("grammar", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_place(grammar: str, message: str) -> None:
    reason = check_constraint("grammar", grammar)
    assert reason is not None
    assert message in reason
    assert "\n" not in reason
    assert len(reason) < 200


@pytest.mark.parametrize("value", [None, 5, ["root"], {}])
def test_a_grammar_is_a_text(value: object) -> None:
    assert "grammar wants the text" in (check_constraint("grammar", value) or "")


def test_what_root_does_not_need_may_be_anything_that_can_be_read() -> None:
    assert list(parse('root ::= "a"\njunk ::= "x" junk').rules) == ["root"]


BOMBS = [
    "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(60)), 'r60 ::= "a"']),
    "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1}{{2}}" for i in range(60)), 'r60 ::= "a"?']),
    "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1}" for i in range(4000)), 'r4000 ::= "a"']),
    'root ::= ((("a"{20}){20}){20}){20}',
    "root ::= (" + " | ".join("root root" for _ in range(1500)) + ' | "a")',
    "root ::= (" + " | ".join(f'"{"a" * i}" root' for i in range(1, 180)) + ' | "b")',
    'root ::= "(" root ")" | ' + " | ".join(f"[a-z]{{{i},}} [b-y]*" for i in range(1, 150)),
    "\n".join(
        [
            "root ::= r0 | r1",
            *(f'r{i} ::= r{i * 7 % 400} r{i * 3 % 400} "x" | "y" | r{i * 5 % 400}' for i in range(400)),
        ]
    ),
    "root ::= " + " ".join(f"[{chr(0x4E00 + i * 2)}]" for i in range(9000)) + " root?",
    "root ::= x?\nx ::= " + "[" + "".join(chr(0x4E00 + i * 2) for i in range(10_000)) + "]+ " + '("(" x ")")?',
]


@pytest.mark.parametrize("grammar", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_read_or_refused(grammar: str) -> None:
    """The time that each may take is that of the test."""
    for work in (lambda: parse(grammar), lambda: translate(grammar), lambda: misfit(grammar, "a" * 500)):
        try:
            work()
        except ValueError as error:
            assert len(str(error)) < 200  # noqa: PT017  (whether it is refused is not what is asked)


def test_an_answer_that_takes_too_much_work_is_refused() -> None:
    with pytest.raises(ValueError, match="too much work to check"):
        misfit('root ::= root root | "a"', "a" * 2000)


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        ('root ::= "a" root | "b"', "a" * 50_000 + "b"),
        ('root ::= root "a" | "b"', "b" + "a" * 50_000),
        ("root ::= x\nx ::= [a-z] y?\ny ::= [a-z] x?", "ab" * 20_000),
        (JSON, '{"a": [' + ", ".join(str(i) for i in range(3000)) + "]}"),
        ('root ::= "(" root ")" | "x"', "(" * 10_000 + "x" + ")" * 10_000),
    ],
    ids=range(5),
)
def test_the_work_for_an_ordinary_grammar_grows_with_the_text(grammar: str, text: str) -> None:
    assert misfit(grammar, text) is None


def test_an_answer_is_the_text_or_the_reason_why_not() -> None:
    held = Constraint("grammar", CHESS)
    assert read_answer("1. e4 e5\n", held) == "1. e4 e5\n"
    with pytest.raises(ValueError, match=r"ends too early for its grammar: '1. e4'"):
        read_answer("1. e4", held)
    with pytest.raises(ValueError, match=r"leaves its grammar at character 5: '1. ez'"):
        read_answer("1. ez", held)


# --- against Python's own patterns -----------------------------------------------------------------------------------


def random_part(luck: random.Random, depth: int) -> tuple[str, str]:
    """A grammar without rules, and the same as a pattern."""
    kind = luck.randrange(6 if depth < 3 else 2)
    if kind == 0:
        text = "".join(luck.choices("abé", k=luck.randint(1, 2)))
        return f'"{text}"', f"(?:{text})"
    if kind == 1:
        chars = luck.choice(["[ab]", "[^a]", "[^bé]", "[a-b]"])
        return chars, chars
    if kind == 2:
        part, same = random_part(luck, depth + 1)
        times = luck.choice(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "{1,}"])
        return f"({part}){times}", f"(?:{same}){times}"
    parts = [random_part(luck, depth + 1) for _ in range(luck.randint(1, 3))]
    sign, bar = (" ", "") if kind < 5 else (" | ", "|")
    return f"({sign.join(p for p, _ in parts)})", f"(?:{bar.join(s for _, s in parts)})"


@pytest.mark.parametrize("seed", range(150))
def test_grammars_without_rules_are_patterns(seed: int) -> None:
    luck = random.Random(seed)
    grammar, pattern = random_part(luck, 0)
    for _ in range(20):
        text = "".join(luck.choices("abéc", k=luck.randint(0, 5)))
        assert (misfit(f"root ::= {grammar}", text) is None) == bool(re.fullmatch(pattern, text, re.DOTALL)), text


# --- as llguidance gets it -------------------------------------------------------------------------------------------


def test_a_grammar_that_does_not_come_back_to_itself_is_one_pattern() -> None:
    assert translate('root ::= a "," a\na ::= [0-9]+ | "x"') == textwrap.dedent(
        r"""
        start: r0
        r0: T0
        T0: /(?:(?:[0-9]){1,}|x)\x{2c}(?:(?:[0-9]){1,}|x)/
        """
    ).lstrip("\n")


@pytest.mark.parametrize("grammar", ['root ::= "a" root | "b"', 'root ::= root "a" | "b"', 'root ::= "a" ("," root)?'])
def test_a_rule_that_only_repeats_itself_is_a_repetition(grammar: str) -> None:
    assert len(translate(grammar).splitlines()) == 3


def test_only_what_is_in_the_way_is_taken_apart() -> None:
    safe = translate('root ::= "(" root ")" | [a-z]+ [0-9]+')
    assert "/(?:[a-z]){1,}(?:[0-9]){1,}/" in safe
    unsafe = translate('root ::= "(" root "e)" | [0-9]+ [a-z]+')
    assert "/(?:[0-9]){1,}/" in unsafe
    assert "/[a-z]/" in unsafe
