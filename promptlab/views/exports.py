"""A comparison as a file for other programs: JSON, JSONL, CSV and JUnit's XML. Markdown is in views/markdown.py.

All of it can be written as UTF-8, whatever models have said. JSON is the only form that loses nothing.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from promptlab.core.baseline import Regressions
from promptlab.core.compare import Comparison, Result
from promptlab.core.csvcell import harmless
from promptlab.core.schema import shorten
from promptlab.core.text import sanitize, sanitize_line
from promptlab.errors import UsageError
from promptlab.views.answer import failure_line, output_text
from promptlab.views.comparison import NO_CASE
from promptlab.views.jsontext import dumps
from promptlab.views.markdown import write_markdown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from promptlab.core.record import Record

SCHEMA = 1
SUFFIXES = {
    ".html": "html",
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".md": "md",
    ".junit.xml": "junit",
}
"""What a file holds, by the end of its name. HTML is written by views/report."""


def format_of(path: Path) -> str:
    """What a file of this name is to hold. Raises UsageError."""
    for suffix, name in SUFFIXES.items():
        if path.name.lower().endswith(suffix):
            return name
    raise UsageError(
        f"{shorten(path.name)!r}: the end of a file's name says what is written, and there are {', '.join(SUFFIXES)}"
    )


def export(
    comparison: Comparison, name: str, *, regressions: Regressions | None = None, ascii_only: bool = False
) -> str:
    """Write a comparison in one of the formats of `SUFFIXES`, but for HTML.

    JSON and Markdown say what became of a baseline, too; `ascii_only` is for JSON and JSONL.
    """
    match name:
        case "json":
            return write_json(comparison, regressions, ascii_only=ascii_only)
        case "jsonl":
            return "".join(line + "\n" for line in _cells(comparison, ascii_only))
        case "csv":
            return write_csv(comparison)
        case "md":
            return write_markdown(comparison, regressions)
        case "junit":
            return write_junit(comparison)
    raise ValueError(f"{name!r} is not written here")


# --- JSON ------------------------------------------------------------------------------------------------------------


def write_json(comparison: Comparison, regressions: Regressions | None = None, *, ascii_only: bool = False) -> str:
    """One document: `cells` is a list of records, each with its column and verdict, one on a line."""
    parts: dict[str, Any] = {
        "columns": [
            {"prompt": column.prompt, "model": column.model, **asdict(summary)}
            for column, summary in zip(comparison.columns, comparison.summaries, strict=True)
        ],
        "pairs": comparison.pairs,
        "cases": comparison.cases,
        "splits": comparison.splits,
        "agreement": comparison.agreement,
        "likeness": comparison.likeness,
        "bias": comparison.bias,
        "variants": comparison.variants,
        **({"regressions": _regressions(regressions)} if regressions else {}),
    }
    # Line by line: with an indent, json.dumps is many times slower.
    lines = [f'"schema": {SCHEMA}', *(f'"{name}": {_dumps(part, ascii_only)}' for name, part in parts.items())]
    cells = ",\n".join(_cells(comparison, ascii_only))
    return "{\n" + ",\n".join([*lines, f'"cells": [\n{cells}\n]']) + "\n}\n"


def _regressions(found: Regressions) -> dict[str, Any]:
    columns = [
        {
            **{"then": each.then.name, "now": each.now.name, "worse": each.worse, "settings": each.settings},
            **{"rates": each.rates, "p": each.p, "decision": each.decision},
            "cases": [{"case": c.case, "kind": c.kind, "then": c.then, "now": c.now} for c in each.cases],
        }
        for each in found.columns
    ]
    return {"worse": found.worse, "columns": columns, "new": found.new, "gone": found.gone}


def _cells(comparison: Comparison, ascii_only: bool) -> Iterator[str]:
    records = _records()
    return (_dumps(_cell(comparison, each, records), ascii_only) for each in comparison.results)


def _records() -> TypeAdapter[Record]:
    """What turns records into plain values, many times as fast as `asdict`: a record has some 1,000 parts."""
    from pydantic import TypeAdapter

    from promptlab.core.record import Record

    return TypeAdapter(Record)


def _cell(comparison: Comparison, result: Result, records: TypeAdapter[Record]) -> dict[str, Any]:
    """A record with its checks filled in, and beside it what the comparison knows."""
    verdict = result.verdict
    return {
        **records.dump_python(result.record, warnings=False),
        "case": comparison.cases[result.case].id,
        "sample": result.sample,
        "checks": verdict.checks,
        "column": result.column,
        "cached": result.cached,
        "verdict": {"outcome": verdict.outcome, "score": verdict.score},
    }


def _dumps(value: Any, ascii_only: bool) -> str:
    try:
        return dumps(value, ascii_only=ascii_only)
    except ValueError:  # a number that JSON does not have, such as the log-probability of what is impossible
        return dumps(_finite(value), ascii_only=ascii_only)


def _finite(value: Any) -> Any:
    """The same with None for each such number."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- CSV -------------------------------------------------------------------------------------------------------------


def write_csv(comparison: Comparison) -> str:
    """A row for each answer. A cell that a spreadsheet would run has an apostrophe before it."""
    names = list(dict.fromkeys(name for case in comparison.cases for name in case.vars))
    file = io.StringIO()
    rows = csv.writer(file)
    header = ("case", *(f"vars.{name}" for name in names), "prompt", "model", "sample", "output", "state", "score")
    rows.writerow(map(harmless, (*header, "reasons")))
    for each in comparison.results:
        rows.writerow(map(harmless, _row(comparison, each, names)))
    return file.getvalue()


def _row(comparison: Comparison, result: Result, names: Sequence[str]) -> Iterator[str]:
    case, column, score = comparison.cases[result.case], comparison.columns[result.column], result.verdict.score
    yield case.id
    yield from (output_text(case.vars[name]) if name in case.vars else "" for name in names)
    yield from (column.prompt, column.model, str(result.sample))
    yield "" if result.record.error else output_text(result.record.output)
    yield from (result.state, "" if score is None else str(score), reasons(result))


def reasons(result: Result) -> str:
    """What came of each check, a line each; of an error, what it was."""
    if result.record.error:
        return failure_line(result.record.error)
    return "\n".join(f"{each.outcome} {each.type}: {each.reason}" for each in result.verdict.checks)


# --- JUnit -----------------------------------------------------------------------------------------------------------

_NO_XML = re.compile("[\ufffe\uffff]")


def write_junit(comparison: Comparison) -> str:
    """JUnit's XML: a suite for each column, a test for each answer."""
    root = ElementTree.Element("testsuites", name="promptlab")
    several = any(each.sample for each in comparison.results)
    for index, (column, summary) in enumerate(zip(comparison.columns, comparison.summaries, strict=True)):
        own = [each for each in comparison.results if each.column == index]
        counts = {"tests": len(own), "failures": summary.failed, "errors": summary.errors, "skipped": summary.unscored}
        names = {"name": _attribute(column.name), "time": _time(own)}
        suite = ElementTree.SubElement(root, "testsuite", {**names, **{k: str(n) for k, n in counts.items()}})
        for each in own:
            name = comparison.cases[each.case].id or NO_CASE
            _test(suite, each, f"{name} [sample {each.sample + 1}]" if several else name, column.name)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _test(suite: ElementTree.Element, result: Result, name: str, column: str) -> None:
    names = {"classname": _attribute(column), "name": _attribute(name)}
    test = ElementTree.SubElement(suite, "testcase", names, time=_time([result]))
    tag = {"fail": "failure", "error": "error", "unscored": "skipped"}.get(result.state)
    if tag is None:
        return
    why = reasons(result) or "nothing was expected"
    said = "" if result.record.error else f"\n\n{output_text(result.record.output)}"
    ElementTree.SubElement(test, tag, message=_attribute(shorten(_first(result, why), 300))).text = _xml(why + said)


def _first(result: Result, why: str) -> str:
    """The reason that counts most."""
    failed = (each.reason for each in result.verdict.checks if each.outcome == "fail" and each.weight > 0)
    return next(failed, why.split("\n")[0])


def _attribute(text: str) -> str:
    return _NO_XML.sub("\ufffd", sanitize_line(text))


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", sanitize(text))


def _time(results: Sequence[Result]) -> str:
    steps = [step.timings for each in results for step in each.record.steps]
    return f"{math.fsum(each.ttft_s + each.decode_s for each in steps if each):.3f}"
