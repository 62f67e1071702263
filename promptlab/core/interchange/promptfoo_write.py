"""Writes case files: as YAML that people can read and `core.yamltext` reads back as the same, or as JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from promptlab.core import yamltext

MAX_FILE = 64 * 1024 * 1024
"""Bytes of a case file."""
MAX_FLOW = 90
"""Characters of what is written on one line."""
WIDTH = 1_000_000
"""Lines are not broken: a text that is folded is harder to read, and to change."""

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    """Texts in quotes where our reader would take them for something else, blocks for those of several lines."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out: our reader takes no aliases."""
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    block = "\n" in text and text.strip() and all(map(str.isprintable, text.split("\n")))
    style = "|" if block and not text.startswith((" ", "\n")) else '"' if "\n" in text or not _is_plain(text) else None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=style)


def _is_plain(text: str) -> bool:
    """Whether our reader takes a text for one without quotes."""
    return text.isprintable() and not text[:1].isdigit() and text[:1] not in "+-.~" and text.lower() not in _WORDS


_WORDS = frozenset(["", "null", "true", "false", "yes", "no", "on", "off", "y", "n"])


def _mapping(dumper: Any, value: Mapping[str, Any]) -> yaml.MappingNode:
    node: yaml.MappingNode = dumper.represent_mapping(
        "tag:yaml.org,2002:map", value.items(), flow_style=_is_short(value)
    )
    return node


def _list(dumper: Any, value: Sequence[Any]) -> yaml.SequenceNode:
    node: yaml.SequenceNode = dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=_is_short(value))
    return node


def _is_short(value: Any) -> bool:
    """Whether a value is written on one line."""
    inside = list(value.values()) if isinstance(value, Mapping) else value
    if any(isinstance(each, Mapping | list) and each for each in inside):
        return False
    if any(isinstance(each, str) and "\n" in each for each in inside):
        return False
    return len(str(value)) <= MAX_FLOW


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _list)


def write_yaml(value: Mapping[str, Any]) -> str | None:
    """Write a case file; None where it would be more than is read of YAML."""
    nodes, characters = _size(value)
    if nodes > yamltext.MAX_NODES or characters > yamltext.MAX_CHARS:
        return None
    text: str = yaml.dump(
        dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False
    )
    return text if len(text) <= yamltext.MAX_CHARS else None


def _size(value: Any) -> tuple[int, int]:
    """The values in a value, as our reader counts them, and the characters of the texts."""
    if isinstance(value, str):
        return 1, len(value)
    inside = [*value.values(), *value] if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    sizes = list(map(_size, inside))
    keys = len(value) if isinstance(value, Mapping) else 0
    return 1 - keys + sum(nodes for nodes, _ in sizes), sum(characters for _, characters in sizes)


def write_jsonl(tests: Iterable[Mapping[str, Any]]) -> str | None:
    """Write a case file with a test a line; None where it would be more than is read of one."""
    lines: list[str] = []
    size = 0
    for test in tests:
        lines.append(f"{json.dumps(test, ensure_ascii=False)}\n")
        size += len(lines[-1].encode())
        if size > MAX_FILE:
            return None
    return "".join(lines)
