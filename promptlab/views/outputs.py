"""A comparison as the text of a file, in the form that the file's name ends with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from promptlab.core.baseline import Regressions
from promptlab.core.compare import Comparison
from promptlab.views.exports import export
from promptlab.views.report import write_report


def document(
    found: Comparison, kind: str, prompts: Sequence[str], now: datetime, changes: Regressions | None = None
) -> str:
    """Write it as `kind`, which is what `exports.format_of` says of a name. `prompts`: as they were asked for."""
    if kind == "html":
        return write_report(found, title=" and ".join(prompts), made_at=now.strftime("%Y-%m-%d %H:%M"))
    return export(found, kind, regressions=changes)
