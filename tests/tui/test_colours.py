from __future__ import annotations

import pytest

from promptlab.tui.colours import State, scan


@pytest.mark.parametrize(
    ("line", "state", "expected", "after"),
    [
        ("---", "start", "mark:---", "front"),
        ("---", "front", "mark:---", "text"),
        ("a {{ b }}", "start", "mark:{{ name:b mark:}}", "text"),
        ("inputs: {n: 3, s: 'x'} #y", "front", "key:inputs: key:n: number:3 key:s: string:'x' comment:#y", "front"),
        ("  tone(enum): [plain, true]", "front", "key:tone(enum): word:true", "front"),
        ("it's a don't", "front", "", "front"),
        ("{% generate x n=2 %}", "text", "mark:{% word:generate name:x key:n number:2 mark:%}", "text"),
        ("{%- if a and 'b' -%} c", "text", "mark:{%- word:if name:a word:and string:'b' mark:-%}", "text"),
        ("{#one", "text", "comment:{#one", "comment"),
        ("two#} {{ x", "comment", "comment:two#} mark:{{ name:x", "value"),
        ("{%", "text", "mark:{%", "open"),
        ("user %}{% raw %}{{ x }}", "open", "word:user mark:%} mark:{% word:raw mark:%}", "raw"),
        ("{{ x }} {% endraw %}", "raw", "mark:{% word:endraw mark:%}", "text"),
        ("", "value", "", "value"),
    ],
)
def test_parts(line: str, state: State, expected: str, after: State) -> None:
    spans, then = scan(line, state)
    assert " ".join(f"{s.kind}:{line[s.start : s.end]}" for s in spans) == expected
    assert then == after


@pytest.mark.parametrize("state", ["front", "text", "open", "value", "raw", "comment"])
@pytest.mark.parametrize("piece", ['"', "'a", "a ", "{%", "{{ a=", "\\", "1.", "a: ", "{% raw"])
def test_parts_follow_each_other_in_any_text(piece: str, state: State) -> None:
    line = piece * 300
    spans, _ = scan(line, state)
    ends = [0, *(s.end for s in spans)]
    assert all(end <= s.start < s.end <= len(line) for end, s in zip(ends, spans, strict=False))
