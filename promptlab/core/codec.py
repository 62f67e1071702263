"""Frozen dataclasses from and to JSON."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def dump(value: Any) -> dict[str, Any]:
    """Turn a dataclass into mappings, lists and plain values."""
    return asdict(value)


def load(kind: type[T], data: Any) -> T:
    """Build a dataclass from plain values. Raises ValueError naming the first field that does not fit."""
    try:
        adapter: TypeAdapter[T] = _adapter(kind)  # type: ignore[arg-type]  # a class is hashable
        return adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where or kind.__name__}: {first['msg']}") from None


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
