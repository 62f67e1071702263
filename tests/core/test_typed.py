from __future__ import annotations

import pytest

from promptlab.core.typed import json_or_text, pairs, words
from promptlab.errors import UsageError


def test_names_and_values() -> None:
    assert pairs(words("a=1 b='two words' c=x=y", "options"), "options") == [
        ("a", "1"),
        ("b", "two words"),
        ("c", "x=y"),
    ]
    assert [json_or_text(text) for text in ("0.5", "true", '["a"]', "rain", "{")] == [0.5, True, ["a"], "rain", "{"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a", "got 'a'"), ("=1", "got '=1'"), ("a=1 a=2", "'a' is given twice"), ("a='1", "not closed")],
)
def test_what_is_no_pair(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        pairs(words(text, "options"), "options")
