"""What is expected, as CSV says it in one cell: `icontains:blue`, `similar(0.8):Hello`; bare text means `equals`."""

from __future__ import annotations

import re
from typing import Any

_ALIASES = {"grade": "llm-rubric", "fn": "javascript", "eval": "javascript"}
_LISTS = frozenset({"contains-any", "contains-all", "icontains-any", "icontains-all"})
_TYPED = re.compile(r"(not-)?([a-z][a-z-]*)(?:\((-?[0-9]{1,20}(?:\.[0-9]{1,20})?)\))?(:)?(.*)", re.DOTALL)


def read_expected(text: str) -> dict[str, Any]:
    """Read a cell into the form that an assertion has in YAML.

    `type:value`, `type(threshold):value` and `type(threshold)` need a type that there is, here or in promptfoo, else
    all of it is text. A word alone is a type where it has a hyphen, as in `is-json`, since an answer may well be
    expected to be `python`.
    """
    match = _TYPED.fullmatch(text)
    if match is None:
        return {"type": "equals", "value": text}
    negated, word, threshold, colon, rest = match.groups()
    kind = _ALIASES.get(word, word)
    if not _is_type(kind) or (rest and not colon) or not (colon or threshold or "-" in kind):
        return {"type": "equals", "value": text}
    found: dict[str, Any] = {"type": (negated or "") + kind}
    if threshold:
        found["threshold"] = float(threshold)
    if value := rest.strip():
        found["value"] = _value(kind, value)
    return found


def _is_type(kind: str) -> bool:
    from promptlab.core.checks import KINDS  # here because hardly anybody asks for it
    from promptlab.core.checks.foreign import why_not

    return kind in KINDS or why_not(kind) is not None


def _value(kind: str, text: str) -> Any:
    if kind in _LISTS and not text.startswith("file://"):
        return [each.strip() for each in text.split(",")]
    return int(text) if kind == "max-tokens" and text.isdecimal() and len(text) < 20 else text
