"""promptfoo's configs to prompts and case files of ours, with a report of everything that does not map.

The format is that of https://www.promptfoo.dev/docs/configuration/reference/: prompts, which are Nunjucks templates or
chats in JSON, and tests with variables and assertions. Models, code and whatever is about promptfoo itself stay behind.

Some differences are not reported, because nothing in a config shows whether they matter. To Nunjucks an empty list is
true, and a field that is missing in some test and printed by a filter may be nothing where ours takes it for an error.
JSON is written with blanks here. Patterns in `regex` are Python's here, and JavaScript's there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from promptlab.core.case import vars_id
from promptlab.core.casefile import MAX_VALUE
from promptlab.core.interchange import promptfoo_prompts as prompts
from promptlab.core.interchange import promptfoo_tests as tests
from promptlab.core.interchange.dotprompt import Finding
from promptlab.core.interchange.promptfoo_asserts import MAX_ASSERTS, Assert, Asserts
from promptlab.core.interchange.promptfoo_prompts import Made
from promptlab.core.interchange.promptfoo_source import Doc, Files, Node, Report, Sources, read_data
from promptlab.core.interchange.promptfoo_tests import Suite, Test
from promptlab.core.interchange.promptfoo_values import MAX_SEEN, Value, type_name
from promptlab.core.interchange.promptfoo_write import MAX_FILE, write_jsonl, write_yaml
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

SUFFIXES = (".yaml", ".yml", ".json")
READ = ("prompts", "tests", "scenarios", "defaultTest", "description", "assertionTemplates", "$schema")
_M = "models are chosen when a prompt is run: -m NAME; their options with -o, or in the prompt"
_COMPARE = "`promptlab compare` has options for that"
CHANGED = {
    "providers": _M,
    "targets": _M,
    "tags": "a case file has no tags",
    "metadata": "a case file has metadata by case",
    "outputPath": "`promptlab compare -o FILE` writes files",
    "evaluateOptions": f"{_COMPARE}, such as -n for repeat",
    "commandLineOptions": _COMPARE,
    "sharing": "nothing is shared",
    "writeLatestResults": "the history is kept anyway",
}
LOST = {
    "env": "environment variables are neither read nor set",
    "extensions": "they are code, and none is run",
    "nunjucksFilters": "they are code, and none is run",
    "derivedMetrics": "scores are summed up by metric, and nothing is computed from them",
    "redteam": "there is no red teaming",
    "tracing": "there are no traces",
}


@dataclass(frozen=True, slots=True)
class Cases:
    """A case file of ours."""

    suffix: str
    """`.yaml`; `.jsonl` where there is more than is read of YAML."""
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of a config."""

    prompts: tuple[Made, ...]
    cases: Cases | None
    findings: tuple[Finding, ...]


def convert(text: str, file: str, base: str, files: Files, models: Collection[str] = ()) -> Converted:
    """Make prompts and cases from the text of a config, which messages call `file`.

    The prompts are called `base`, or by names below it. `models` are those that can judge. Raises SourceError when it
    cannot be read, or nothing in it has a counterpart.
    """
    config = _read(text, file)
    report = Report(file)
    sources = Sources(files, posixpath.dirname(file), report)
    suite = tests.read(config, Asserts(sources, models))
    known = _Known(suite)
    raws = list(islice(prompts.find(config.get("prompts"), sources), prompts.MAX_PROMPTS + 1))
    if config.get("prompts") is None:  # promptfoo asks what the variable says, then
        raws = [prompts.Raw(prompts.PASSED_THROUGH, config)]
    made = tuple(prompts.write(raws, base, known, sources))
    _look_over(config, report)
    cases = _Finish(config, suite, made, known, Asserts(sources, models)).cases()
    if not made and cases is None:
        missing = Problem(file, 0, 0, "nothing in it has a counterpart")
        raise SourceError([missing, *(finding.problem for finding in report.findings())])
    return Converted(made, cases, report.findings())


def _read(text: str, file: str) -> Node:
    if len(text) > MAX_VALUE:
        raise SourceError([Problem(file, 0, 0, f"is larger than {MAX_VALUE:,} characters")])
    document = read_data(text, file)
    config = Node(document.value, Doc(document.value, file, "", document.problem))
    if not isinstance(config.value, dict) or not any(
        config.value.get(key) for key in ("prompts", "tests", "scenarios")
    ):
        raise SourceError([config.problem("is no config of promptfoo's: it has neither prompts nor tests")])
    return config


def _look_over(config: Node, report: Report) -> None:
    """Report what has no counterpart at the top of a config."""
    for key, node in config.items():
        if key == "providers" or key == "targets":
            _look_over_providers(key, node, report)
        elif key in CHANGED:
            report.changed(node, f"{key}: {CHANGED[key]}")
        elif key in LOST:
            report.lost(node, f"{key}: {LOST[key]}")
        elif key not in READ:
            report.changed(node, f"{shorten(key)} is no key that is known here")


def _look_over_providers(key: str, node: Node, report: Report) -> None:
    for each in node.elements():
        report.changed(each, f"{key}: {CHANGED[key]}")
        if (own := each.get("prompts")) is not None:
            report.lost(own, "every prompt is asked of every model that is chosen")
        if (transform := each.get("transform")) is not None:
            report.lost(transform, "transform is code, and none is run")
        config = each.get("config")
        if config is not None and (tools := config.get("tools")) is not None:
            report.lost(tools, "prompts here call no tools")


class _Known:
    """What the tests say about variables."""

    def __init__(self, suite: Suite) -> None:
        self.tests = len(suite.cases)
        """How many there are."""
        self.counts: dict[str, int] = {}
        """How many tests have, or should have, each variable."""
        self.seen: dict[str, list[Any]] = {}
        self.kinds: dict[str, set[str]] = {}
        for case in suite.cases:
            for name, value in case.vars.items():
                self._see(name, value)
            for name in case.lost:
                self.counts[name] = self.counts.get(name, 0) + 1

    def _see(self, name: str, value: Any) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        seen = self.seen.setdefault(name, [])
        if len(seen) < MAX_SEEN:
            seen.append(value)
        self.kinds.setdefault(name, set()).add(type_name(value))

    def value(self, name: str) -> Value:
        """What an input of this name is in templates."""
        seen = self.seen.get(name)
        blank = self.optional(name)
        return Value(name, (*seen, *([""] if blank else [])) if seen else ("",) if blank else None, blank=blank)

    def types(self, name: str) -> set[str]:
        """Its types."""
        return self.kinds.get(name, set())

    def unheard(self, name: str) -> bool:
        """Whether there are tests, and none gives it."""
        return bool(self.tests) and name not in self.counts

    def optional(self, name: str) -> bool:
        """Whether there are tests, and one that does not give it."""
        return self.counts.get(name, 0) < self.tests


class _Finish:
    """Makes a case file of all that was found."""

    def __init__(self, config: Node, suite: Suite, made: Iterable[Made], known: _Known, asserts: Asserts) -> None:
        self.config = config
        self.suite = suite
        self.asserts = asserts
        self.report = asserts.sources.report
        self.inputs = {name for each in made for name in each.inputs}
        self.known = known

    def cases(self) -> Cases | None:
        """The file; None where there are no tests."""
        if not self.suite.cases:
            return None
        shared = self._shared_asserts()
        self._drop_unused(shared)
        if (text := write_yaml(self._whole(shared))) is not None:
            return Cases(".yaml", text, len(self.suite.cases))
        if (text := write_jsonl(self._alone(shared))) is not None:
            return Cases(".jsonl", text, len(self.suite.cases))
        self.report.lost(self.config, f"all cases together would have more than {MAX_FILE:,} bytes: none is written")
        return None

    def _shared_asserts(self) -> list[Assert]:
        """The shared assertions that fit every case. The others become those of the cases that they fit."""
        shared: list[Assert] = []
        for each in self.suite.asserts[:MAX_ASSERTS]:
            fitting = [case for case in self.suite.cases if not case.bare and self._fits(each, case)]
            if len(fitting) == len(self.suite.cases):
                shared.append(each)
                continue
            for case in fitting:
                case.asserts.append(each)
        for case in self.suite.cases:
            if len(case.asserts) > MAX_ASSERTS - len(shared):
                self.report.lost(case.node, f"has more than {MAX_ASSERTS} assertions")
                del case.asserts[MAX_ASSERTS - len(shared) :]
        return shared

    def _fits(self, each: Assert, case: Test) -> bool:
        return not each.names or self.asserts.fits(each, case.vars)

    def _drop_unused(self, shared: Iterable[Assert]) -> None:
        """Keep variables that nothing uses as metadata: a prompt takes no value that it has no input for."""
        if not self.inputs:
            return
        in_all = {name for each in shared for name in each.names}
        said: set[str] = set()
        for case in self.suite.cases:
            used = self.inputs.union(in_all, *(each.names for each in case.asserts))
            unused = {name: value for name, value in case.vars.items() if name not in used}
            if unused:
                case.vars = {name: value for name, value in case.vars.items() if name in used}
                case.metadata = tests.keep(case.metadata, unused)
            for name in unused.keys() - said:
                self.report.changed(case.node, f"no prompt and no assertion uses {name}: it is kept as metadata")
            said |= unused.keys()

    def _whole(self, shared: list[Assert]) -> dict[str, Any]:
        """The whole file as data."""
        suite = self.suite
        in_all = {n: v for n, v in suite.vars.items() if all(n in case.vars for case in suite.cases)}
        default = _said(
            vars=in_all,
            asserts=[each.data() for each in shared],
            threshold=suite.threshold,
            metadata=suite.metadata,
        )
        rows = [self._row(case, id, in_all) for case, id in zip(suite.cases, self._ids(), strict=True)]
        description = self.config.value.get("description")
        head = {"description": description} if isinstance(description, str) and description else {}
        return {**head, **({"defaultTest": default} if default else {}), "tests": rows}

    def _alone(self, shared: list[Assert]) -> Iterator[dict[str, Any]]:
        """The tests as data, without anything that they share."""
        for case, id in zip(self.suite.cases, self._ids(), strict=True):
            threshold = self.suite.threshold if case.threshold is None else case.threshold
            asserts = [each.data() for each in (*shared, *case.asserts)]
            metadata = {**self.suite.metadata, **case.metadata}
            row = _said(
                description=case.description, vars=case.vars, asserts=asserts, threshold=threshold, metadata=metadata
            )
            yield {**({"id": id} if id else {}), **row}

    def _row(self, case: Test, id: str, in_all: dict[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in case.vars.items() if name not in in_all or _differs(value, in_all[name])}
        row = _said(
            description=case.description,
            vars=own,
            asserts=[each.data() for each in case.asserts],
            threshold=case.threshold,
            metadata=case.metadata,
        )
        return {**({"id": id} if id else {}), **row}

    def _ids(self) -> list[str]:
        """An id for each case whose variables another one before it has, too."""
        seen: set[str] = set()
        ids: list[str] = []
        for number, case in enumerate(self.suite.cases, 1):
            own = vars_id(case.vars)
            ids.append(f"test-{number}" if own in seen else "")
            seen.add(own)
        return ids


def _differs(one: Any, other: Any) -> bool:
    """Whether values differ, for which 1 and true do."""
    return one is not other and vars_id({"": one}) != vars_id({"": other})


def _said(**given: Any) -> dict[str, Any]:
    """What a test says, under the keys of a case file; nothing where there is nothing to say."""
    keys = {"asserts": "assert"}
    return {keys.get(key, key): value for key, value in given.items() if value not in (None, "", [], {})}
