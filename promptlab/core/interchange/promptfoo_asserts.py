"""promptfoo's assertions as ours: the words are the same, and so most of them are taken as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from promptlab.core.case import NOT, Assertion
from promptlab.core.casefile import measure
from promptlab.core.checks import KINDS, problem, variables
from promptlab.core.checks.apply import VERBATIM
from promptlab.core.interchange.promptfoo_source import CODE, DATA, SCHEME, Node, Place, Sources, plain, suffix
from promptlab.core.schema import shorten

SET = "assert-set"
KEYS = ("type", "value", "threshold", "weight", "metric", "provider")
LOST_KEYS = {
    "rubricPrompt": "the judge is asked in words of our own",
    "config": "it is for code that is not run",
    "contextTransform": "it is code, and none is run",
}
MAX_ASSERTS = 200
MAX_SETS = 5
"""How deep sets may stand in sets; promptfoo has one level."""

_NAMED = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}")


@dataclass(frozen=True, slots=True)
class Assert:
    """An assertion, and where it stands."""

    node: Node
    made: Assertion
    names: frozenset[str]
    """The variables that are filled in in it."""
    size: int
    """Bytes that it takes, roughly."""

    def data(self) -> dict[str, Any]:
        """As a case file says it."""
        found: dict[str, Any] = {"type": self.made.type}
        usual = Assertion("")
        for key in KEYS[1:]:
            value = getattr(self.made, key)
            if value is not None and value != getattr(usual, key):
                found[key] = plain(value)
        return found


@dataclass(frozen=True, slots=True)
class Asserts:
    """Reads assertions."""

    sources: Sources
    models: Collection[str]
    """The names of the models that there are, which can judge."""
    _known: dict[Place, list[Assert]] = field(default_factory=dict)
    """What has been read: many tests may refer to one list."""

    def read(self, node: Node | None) -> list[Assert]:
        """The assertions of a test that have a counterpart, as many as a case can have; the others are reported."""
        if node is None:
            return []
        if node.place not in self._known:
            self._known[node.place] = self._read_all(node)
        return self._known[node.place]

    def _read_all(self, node: Node) -> list[Assert]:
        if not isinstance(node.value, list):
            self.sources.report.lost(node, "assert is a list")
            return []
        found = [each for one in node.elements() for each in self._read(one, 0)]
        if len(found) > MAX_ASSERTS:
            self.sources.report.lost(node, f"has more than {MAX_ASSERTS} assertions: the others are left out")
        return found[:MAX_ASSERTS]

    def fits(self, each: Assert, vars: Mapping[str, Any]) -> bool:
        """Whether the variables of a case can be filled in; where not, that is reported."""
        missing = sorted(each.names.difference(vars))
        reason = f"not every test has the variable {missing[0]}" if missing else problem(each.made, vars)
        if reason:
            self.sources.report.lost(each.node, f"{each.made.type} is left out of some cases: {reason}")
        return not reason

    def _read(self, node: Node, depth: int) -> Iterator[Assert]:
        value = node.value
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            where = (
                f": {shorten(str(value['$ref']))} leads nowhere" if isinstance(value, dict) and "$ref" in value else ""
            )
            self.sources.report.lost(node, f"an assertion is a mapping with a type{where}")
            return
        if value["type"] == SET:
            yield from self._set(node, depth)
            return
        reason = self._why_not(node) or self._keys(node)
        made = None if reason else self._made(node)
        if made is not None:
            reason = problem(made)
            if reason and made.threshold is not None and not problem(replace(made, threshold=None)):
                self.sources.report.changed(node, f"{made.type} takes no such threshold: it is left out")
                made, reason = replace(made, threshold=None), None
        if reason:
            self.sources.report.lost(node, reason)
        elif made is not None:
            yield _placed(node, made)

    def _why_not(self, node: Node) -> str | None:
        """Why there is no such kind here."""
        kind = node.value["type"].removeprefix(NOT)
        return problem(Assertion(node.value["type"])) if kind not in KINDS else None

    def _keys(self, node: Node) -> str | None:
        """Report the keys that have no counterpart. Why the whole assertion has none, where one of them is such."""
        for key, each in node.items():
            if key == "transform":
                return f"{node.value['type']} of a transformed output: transforms are code, and none is run"
            if key in LOST_KEYS:
                self.sources.report.lost(each, f"{key}: {LOST_KEYS[key]}")
            elif key not in KEYS:
                self.sources.report.lost(each, f"{shorten(key)} of an assertion has no counterpart")
        return None

    def _made(self, node: Node) -> Assertion | None:
        """The assertion as it is ours; None, which is reported, where its value is not to be had."""
        kind = node.value["type"]
        value = node.get("value")
        found, reason = self._value(kind, value) if value else (None, None)
        if reason and value:
            self.sources.report.lost(value, f"{kind}: {reason}")
            return None
        threshold, weight, metric = (node.value.get(key) for key in ("threshold", "weight", "metric"))
        if metric is not None and (not isinstance(metric, str) or not metric or "{{" in metric):
            self.sources.report.lost(node.at("metric"), "a metric is a name that is written out; it is left out")
            metric = None
        if kind == "python":
            self.sources.report.changed(node, "python runs with --allow-code only")
        if kind.removeprefix(NOT) == "similar":
            wanted = "similar needs a model tagged `embedding` in models.yaml; without one it is unscored"
            self.sources.report.changed(node, wanted)
        return Assertion(kind, found, threshold, 1.0 if weight is None else weight, metric, self._provider(node))

    def _provider(self, node: Node) -> str | None:
        """The model that judges."""
        provider = node.get("provider")
        if provider is None:
            return None
        if isinstance(provider.value, str) and provider.value in self.models:
            return provider.value
        self.sources.report.changed(provider, "provider: a judge is a model of models.yaml here; name one with --judge")
        return None

    def _value(self, kind: str, node: Node) -> tuple[Any, str | None]:
        """A value, and why it is not to be had."""
        value = node.value
        verbatim = kind.removeprefix(NOT) in VERBATIM
        if isinstance(value, str) and value.startswith(SCHEME):
            return self._referred(value, node, verbatim)
        if isinstance(value, str):
            return _filled_in(value, verbatim)
        if isinstance(value, list):
            parts = [
                self._value(kind, node.at(i)) if isinstance(each, str) else (each, None) for i, each in enumerate(value)
            ]
            return [part for part, _ in parts], next((reason for _, reason in parts if reason), None)
        return value, None

    def _referred(self, reference: str, node: Node, verbatim: bool) -> tuple[Any, str | None]:
        """What a file says."""
        if suffix(reference) in CODE:
            return None, f"{shorten(reference)} is code, and none is run on import"
        paths = self.sources.paths(node, reference)
        if len(paths) != 1:
            return None, "a value is one file"
        if paths[0].endswith(DATA):
            found = self.sources.data(node, paths[0])
            return (found.value, None) if found else (None, "its value cannot be read")
        text = self.sources.text(node, paths[0])
        if text is None:
            return None, "its value cannot be read"
        literal = not verbatim and ("{{" in text or text.startswith(SCHEME))
        return text.strip(), "its text would be filled in here, and is not there" if literal else None

    def _set(self, node: Node, depth: int) -> Iterator[Assert]:
        """The assertions of a set, with weights such that they count together what the set counts."""
        inside = node.get("assert")
        if node.value.get("threshold") is not None or depth >= MAX_SETS or inside is None:
            self.sources.report.lost(node, "an assert-set with a threshold of its own has no counterpart")
            return
        found = [each for one in inside.elements() for each in self._read(one, depth + 1)]
        weight, total = node.value.get("weight", 1), sum(_number(each.made.weight) for each in found)
        metric = node.value.get("metric")
        if isinstance(metric, str) and metric:
            self.sources.report.changed(node, "the metric of an assert-set is that of each of its assertions here")
        for each in found:
            share = _number(weight) * _number(each.made.weight) / total if total else 0.0
            named = each.made.metric or (metric if isinstance(metric, str) and metric and "{{" not in metric else None)
            yield _placed(each.node, replace(each.made, weight=share, metric=named))


def _placed(node: Node, made: Assertion) -> Assert:
    return Assert(node, made, frozenset(variables(made)), measure(made.value))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 1.0


def _filled_in(text: str, verbatim: bool) -> tuple[str, str | None]:
    """A text with its variables in the form that ours has, and why it cannot be had."""
    rest = _NAMED.sub("", text)
    if not any(mark in rest for mark in ("{{", "{%", "{#")) and not (verbatim and rest != text):
        return _NAMED.sub(r"{{ \1 }}", text), None
    return text, "only {{ name }} is filled in here, and nothing in schemas and code"
