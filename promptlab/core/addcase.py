"""Adds a test to the text of a case file; everything that is there stays as it is, comments included.

What comes out is read again by whoever writes it to a file: here is only looked at where a test can stand.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptlab.core import yamltext
from promptlab.core.interchange.promptfoo_write import write_yaml
from promptlab.core.schema import shorten

Test = Mapping[str, Any]
"""`id`, `vars` and perhaps `assert`, as they stand in YAML; for CSV all variables are texts, and there is at most one
assertion, with type and value.
"""

_DASH = re.compile(r"( *)- +")
_QUOTED_CELL = re.compile(r'[",\r\n]|^\s|\s$')


def add_test(text: str, suffix: str, test: Test) -> str:
    """Add a test after the last one of a case file that can be read. Raises ValueError where that is not possible."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    add = {".jsonl": _add_line, ".csv": _add_row}.get(suffix, _add_item)
    return add(_ended(text, line_end), test).replace("\r\n", "\n").replace("\n", line_end)


def new_file(suffix: str, test: Test) -> str:
    """A case file with one test. Raises ValueError."""
    if suffix == ".jsonl":
        return _add_line("", test)
    if suffix == ".csv":
        return _add_row(_row(["__id", *test["vars"], *(["__expected"] if test.get("assert") else [])]), test)
    return f"tests:\n{_item(test, 2)}"


def _ended(text: str, line_end: str) -> str:
    return text if not text or text.endswith("\n") else text + line_end


# --- YAML


def _add_item(text: str, test: Test) -> str:
    document = yamltext.read(text, file="")
    way: yamltext.Path = () if isinstance(document.value, list) else ("tests",)
    tests = document.value if not way else document.value["tests"]
    line, column = document.marks[(*way, len(tests) - 1)]
    lines = text.split("\n")
    dash = _DASH.fullmatch(lines[line - 1][: column - 1]) if line <= len(lines) else None
    if dash is None:
        raise ValueError("its tests do not stand below each other, each after a dash; add this one by hand")
    keys = [there for path, (there, _) in document.marks.items() if way and len(path) == 1 and there > line]
    end = _end_of_tests(lines, min(keys)) if keys else len(lines) - 1
    apart = "\n" if len(tests) > 1 and _is_apart(lines[: line - 1]) else ""
    before, after = ("".join(f"{each}\n" for each in part) for part in (lines[:end], lines[end:-1]))
    return before + apart + _item(test, len(dash[1])) + after


def _is_apart(before: Sequence[str]) -> bool:
    """Whether an empty line stands before a test, or before the comments above it."""
    return next((not each.strip() for each in reversed(before) if not each.lstrip().startswith("#")), False)


def _end_of_tests(lines: Sequence[str], line: int) -> int:
    """How many lines stand before a key that follows the tests, with the comments above it."""
    end = line - 1
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end


def _item(test: Test, indent: int) -> str:
    text = write_yaml(test)
    if text is None:
        raise ValueError("this test is larger than what is read of YAML; choose a JSONL file")
    marks = [" " * indent + "- ", *[" " * (indent + 2)] * text.count("\n")]
    return "".join(
        f"{mark}{line}\n" if line else "\n" for mark, line in zip(marks, text.split("\n")[:-1], strict=False)
    )


# --- JSONL


def _add_line(text: str, test: Test) -> str:
    return f"{text}{json.dumps(test, ensure_ascii=False)}\n"


# --- CSV


def _add_row(text: str, test: Test) -> str:
    header = next(row for row in csv.reader(_lines(text), skipinitialspace=True) if row)
    columns = [name.strip() for name in header]
    cells = {**test["vars"], "__id": test["id"]}
    for each in test.get("assert", ()):
        cells["__expected"] = f"{each['type']}:{each['value']}"
    wanted = {name for name in columns if not name.startswith("__")}
    if missing := [name for name in cells if name not in columns]:
        raise ValueError(f"has no column {shorten(missing[0])!r}; choose a YAML or JSONL file, or add the column")
    if left := sorted(wanted - cells.keys()):
        raise ValueError(f"has a column {shorten(left[0])!r}, for which there is no value")
    return text + _row([cells.get(name, "") for name in columns])


def _lines(text: str) -> Iterator[str]:
    return (f"{line}\n" for line in text.split("\n"))


def _row(cells: Sequence[str]) -> str:
    # By hand: the csv module does not quote a space at the beginning, which our reader would then leave out.
    return ",".join('"' + c.replace('"', '""') + '"' if _QUOTED_CELL.search(c) else c for c in cells) + "\n"
