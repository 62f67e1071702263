"""The tests of a promptfoo config: inline, in files and in scenarios, each as a case of ours."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from promptlab.core.casecsv import read_csv
from promptlab.core.casefile import MAX_CASES, MAX_SIZE, Unfit, measure, read_jsonl
from promptlab.core.interchange import promptfoo_vars
from promptlab.core.interchange.promptfoo_asserts import MAX_ASSERTS, Assert, Asserts
from promptlab.core.interchange.promptfoo_source import CODE, DATA, Node, Place, plain, suffix
from promptlab.core.interchange.promptfoo_vars import Values, is_var
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

MAX_SCENARIOS = 100
MAX_WORK = 100 * 1024 * 1024
"""Bytes of the assertions in which variables are filled in, in each case anew."""
KEYS = ("description", "vars", "assert", "threshold", "metadata", "options")
SERVICES = ("huggingface://", "langfuse://", "https://", "http://", "az://")
_CODE = "it is code, and none is run"
LOST = {
    "provider": "models are chosen for all cases, with -m",
    "providers": "models are chosen for all cases, with -m",
    "prompts": "each case is for each prompt that is named with `promptlab compare`",
    "providerOutput": "answers are asked for, not given",
    "assertScoringFunction": _CODE,
}
OPTIONS = {
    "transform": _CODE,
    "transformVars": _CODE,
    "postprocess": _CODE,
    "prefix": "write it into the prompt",
    "suffix": "write it into the prompt",
    "storeOutputAs": "a prompt can say several turns itself, with {% generate %}",
    "rubricPrompt": "the judge is asked in words of our own",
}
NO_MATTER = {
    "provider": "a judge is a model of models.yaml here; name one with --judge",
    "runSerially": "cases do not depend on each other",
    "disableConversationVar": "there is no _conversation",
}
HEEDED = ("disableVarExpansion", "disableDefaultAsserts")
_UNFIT = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(slots=True)
class Test:
    """A case in the making."""

    node: Node
    asserts: list[Assert]
    bare: bool
    """Whether it goes without the assertions that all others share."""
    description: str
    threshold: float | None
    metadata: dict[str, Any]
    vars: dict[str, Any] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Variables that it should have, and that are not to be had."""


@dataclass(slots=True)
class Suite:
    """All that a config says about cases."""

    vars: dict[str, Any] = field(default_factory=dict)
    """What all share, as far as it is the same in all."""
    asserts: list[Assert] = field(default_factory=list)
    threshold: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    cases: list[Test] = field(default_factory=list)


Layers = tuple[Node, ...]
"""Parts of a test, of which the later ones count more: that of a scenario's data, and its own."""


def read(config: Node, asserts: Asserts) -> Suite:
    """Read the tests of a config."""
    return _Reader(config, asserts).suite()


class _Reader:
    def __init__(self, config: Node, asserts: Asserts) -> None:
        self.config = config
        self.asserts = asserts
        self.sources = asserts.sources
        self.report = asserts.sources.report
        self.values = Values(asserts.sources)
        self.default = self._default()
        self.room = MAX_SIZE
        self.work = MAX_WORK
        self._seen: set[Place] = set()
        """Tests and options that have been looked over: many may refer to one."""
        self._files: dict[str, Node | None] = {}

    def suite(self) -> Suite:
        shared = (self.default,) if self.default else ()
        for layer in shared:
            self._look_over(layer)
        given = promptfoo_vars.nodes(shared, self.sources)
        alone = {name: node for name, node in given.items() if _is_simple(node)}
        suite = Suite(self.values.read(alone)[0], threshold=self._threshold(shared), metadata=self._metadata(shared))
        suite.asserts = [each for layer in shared for each in self.asserts.read(layer.get("assert"))]
        for layers in self._layers():
            for layer in layers:
                self._look_over(layer)
            if not self._add(suite, given, layers):
                break
        return suite

    def _default(self) -> Node | None:
        node = self.config.get("defaultTest")
        if node is None or isinstance(node.value, dict):
            return node
        if isinstance(node.value, str):
            for path in self.sources.paths(node, node.value):
                data = self.sources.data(node, path)
                if data is not None and isinstance(data.value, dict):
                    return data
        self.report.lost(node, "defaultTest is a mapping, or a file of one")
        return None

    # --- where tests are ---

    def _layers(self) -> Iterator[Layers]:
        tests = self.config.get("tests")
        for test in self._tests(tests) if tests else ():
            yield (test,)
        scenarios = self.config.get("scenarios")
        for number, scenario in enumerate(self._mappings(scenarios, "a scenario") if scenarios else ()):
            if number >= MAX_SCENARIOS:
                self.report.lost(scenario, f"from here on there are more than {MAX_SCENARIOS} scenarios")
                break
            yield from self._scenario(scenario)

    def _scenario(self, node: Node) -> Iterator[Layers]:
        """Each of its tests on each of its data."""
        config, tests = node.get("config"), node.get("tests")
        data = list(self._mappings(config, "the data of a scenario")) if config else []
        each = list(self._tests(tests)) if tests else []
        if len(data) * max(len(each), 1) > MAX_CASES:
            self.report.lost(node, f"a scenario stands for more than {MAX_CASES:,} tests")
            return
        for one in data:
            yield from ((one, test) for test in each) if tests else ((one,),)

    def _mappings(self, node: Node, what: str) -> Iterator[Node]:
        """The mappings in a list, or in files that stand there."""
        for each in node.elements():
            if isinstance(each.value, str):
                for path in self.sources.paths(each, each.value, each.doc.folder):
                    if (data := self.sources.data(each, path)) is not None:
                        yield from (one for one in data.elements() if self._is_mapping(one, what))
            elif self._is_mapping(each, what):
                yield each

    def _is_mapping(self, node: Node, what: str) -> bool:
        fits = isinstance(node.value, dict) and not any(key.startswith("$") for key in node.value)
        if not fits:
            self.report.lost(node, f"{what} is a mapping")
        return fits

    def _tests(self, node: Node) -> Iterator[Node]:
        """The tests in a list, or in files that stand there."""
        for each in node.elements():
            if isinstance(each.value, dict) and "path" in each.value and "vars" not in each.value:
                self.report.lost(each, f"{shorten(str(each.value['path']))} makes tests: {_CODE}")
            elif not isinstance(each.value, str):
                yield from [each] if self._is_mapping(each, "a test") else []
            elif service := next((name for name in SERVICES if each.value.startswith(name)), None):
                self.report.lost(each, f"{service}…: tests that a service keeps are not fetched")
            elif suffix(each.value) in CODE:
                self.report.lost(each, f"{shorten(each.value)} makes tests: {_CODE}")
            else:
                for path in self.sources.paths(each, each.value, each.doc.folder):
                    yield from self._in_file(each, path)

    def _in_file(self, node: Node, path: str) -> Iterator[Node]:
        kind = suffix(path)
        if kind in DATA:
            data = self.sources.data(node, path)
            yield from (one for one in data.elements() if self._is_mapping(one, "a test")) if data else ()
        elif kind not in (".csv", ".jsonl"):
            hint = ": save it as CSV" if kind.startswith(".xls") else ""
            self.report.lost(node, f"{shorten(path)}: tests are read from .yaml, .json, .jsonl and .csv{hint}")
        elif (tests := self._drafted(kind, node, path)) is not None:
            yield from (one for one in tests.elements() if self._is_mapping(one, "a test"))

    def _drafted(self, kind: str, node: Node, path: str) -> Node | None:
        """The tests in a file of CSV or JSONL, each file read once."""
        if path not in self._files:
            text = self.sources.text(node, path)
            self._files[path] = None if text is None else self._draft(kind, text, path)
        return self._files[path]

    def _draft(self, kind: str, text: str, path: str) -> Node | None:
        label = self.sources.label(path)
        try:
            draft = read_jsonl(text, label) if kind == ".jsonl" else read_csv(self._tame(text, label), label)
        except SourceError as error:
            self.sources.problems(error)
            return None
        return self.sources.drafted(draft, path).at("tests")

    def _tame(self, text: str, label: str) -> str:
        """CSV with columns called as we can read them; what was called otherwise is reported."""
        head, newline, rest = text.partition("\n")
        try:
            names = [name.strip() for name in next(csv.reader([head], strict=True, skipinitialspace=True), [])]
        except csv.Error:
            return text
        taken = set(names)
        for index, name in enumerate(names):
            if not _is_column(name):
                names[index] = _free(_UNFIT.sub("_", name).strip("_") or "column", taken)
                message = f"the column {shorten(name)!r} has no counterpart: its cells are the variable {names[index]}"
                problem = Problem(label, 1, head.find(name) + 1, message)
                self.report.add("lost" if name.startswith("__") else "changed", problem)
        return _row(names) + newline + rest

    # --- what a test says ---

    def _look_over(self, node: Node) -> None:
        """Report what has no counterpart in a test."""
        if node.place in self._seen:
            return
        self._seen.add(node.place)
        for key, each in node.items():
            if key in LOST:
                self.report.lost(each, f"{key}: {LOST[key]}")
            elif key not in KEYS:
                self.report.lost(each, f"{shorten(key)} of a test has no counterpart")
        options = node.get("options")
        if options is None or not isinstance(options.value, dict) or options.place in self._seen:
            return
        self._seen.add(options.place)
        for key, each in options.items():
            if key in NO_MATTER:
                self.report.changed(each, f"{key}: {NO_MATTER[key]}")
            elif key not in HEEDED:
                self.report.lost(each, f"{shorten(key)}: {OPTIONS.get(key, 'this option has no counterpart')}")

    def _add(self, suite: Suite, given: dict[str, Node], layers: Layers) -> bool:
        """Add the cases that a test stands for; whether there is room for more."""
        node = layers[-1]
        wanted = given | promptfoo_vars.nodes(layers, self.sources)
        asserts = [each for layer in layers for each in self.asserts.read(layer.get("assert"))]
        whole = self._option("disableVarExpansion", layers)
        like = Test(
            node,
            asserts=asserts[:MAX_ASSERTS],
            bare=self._option("disableDefaultAsserts", layers),
            description=self._description(layers),
            threshold=self._threshold(layers),
            metadata=self._metadata(layers),
        )
        ways = promptfoo_vars.combinations(wanted, node, self.sources, expand=not whole)
        return all(self._add_case(suite, like, chosen) for chosen in ways)

    def _add_case(self, suite: Suite, like: Test, given: dict[str, Node]) -> bool:
        """Add a case with these variables; whether there is room for it."""
        vars, lost = self.values.read(given)
        kept = {name: vars.pop(name) for name in list(vars) if not is_var(name)}
        for name in kept:
            self.report.changed(given[name], f"{shorten(name)!r} can be no variable here: kept as metadata")
        metadata = keep(like.metadata, kept)
        self.room -= measure({"vars": vars, "metadata": metadata}) + sum(each.size for each in like.asserts)
        self.work -= sum(each.size for each in (*suite.asserts, *like.asserts) if each.names)
        if self.room < 0 or self.work < 0 or len(suite.cases) >= MAX_CASES:
            self.report.lost(like.node, "from here on there are more tests than can be taken: split the config")
            return False
        asserts = [each for each in like.asserts if not each.names or self.asserts.fits(each, vars)]
        suite.cases.append(replace(like, vars=vars, lost=lost, asserts=asserts, metadata=metadata))
        return True

    def _option(self, name: str, layers: Layers) -> bool:
        shared = (self.default,) if self.default else ()
        options = [layer.value.get("options") for layer in (*shared, *layers)]
        return any(isinstance(each, dict) and each.get(name) is True for each in options)

    def _description(self, layers: Layers) -> str:
        found = [layer.value.get("description") for layer in layers]
        return next((text for text in reversed(found) if isinstance(text, str)), "")

    def _threshold(self, layers: Layers) -> float | None:
        for layer in reversed(layers):
            node = layer.get("threshold")
            if node is None:
                continue
            if isinstance(node.value, int | float) and not isinstance(node.value, bool) and 0 <= node.value <= 1:
                return float(node.value)
            self.report.lost(node, f"a threshold is a number from 0 to 1; got {shorten(str(node.value))}")
        return None

    def _metadata(self, layers: Layers) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for layer in layers:
            node = layer.get("metadata")
            if node is None:
                continue
            try:
                measure(node.value, promptfoo_vars.DEPTH)
            except Unfit as error:
                self.report.lost(node, f"metadata {error}")
                continue
            if isinstance(node.value, dict):
                found |= plain(node.value)
            else:
                self.report.lost(node, "metadata is a mapping")
        return found


def keep(metadata: dict[str, Any], vars: dict[str, Any]) -> dict[str, Any]:
    """Metadata with variables in it that a case cannot have."""
    if not vars:
        return metadata
    key = "vars" if isinstance(metadata.get("vars", {}), dict) else "unused_vars"
    before = metadata.get(key)
    return {**metadata, key: {**(before if isinstance(before, dict) else {}), **vars}}


def _is_simple(node: Node) -> bool:
    """Whether a shared variable is the same in every case."""
    value = node.value
    if isinstance(value, str):
        return "{{" not in value and not value.startswith(("file://", "package:"))
    return not (isinstance(value, list) and value and isinstance(value[0], str))


def _row(cells: list[str]) -> str:
    quoted = (cell.replace('"', '""') for cell in cells)
    return ",".join(f'"{cell}"' for cell in quoted)


def _is_column(name: str) -> bool:
    """Whether a column of a case file can be called so."""
    try:
        read_csv(_row([name]), "")
    except SourceError:
        return False
    return True


def _free(wish: str, taken: set[str]) -> str:
    """A name that no column has; it is taken then."""
    wish = wish if is_var(wish) else f"column_{wish}"
    name = next(each for n in range(1, len(taken) + 3) if (each := wish if n == 1 else f"{wish}_{n}") not in taken)
    taken.add(name)
    return name
