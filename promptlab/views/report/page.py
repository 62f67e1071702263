"""The file: template, style and script put together, and what a browser may do with them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from promptlab.core.compare import Comparison
from promptlab.core.text import sanitize
from promptlab.views.jsontext import dumps
from promptlab.views.report import show
from promptlab.views.report.data import data
from promptlab.views.report.doubts import doubts
from promptlab.views.report.facts import amounts, facts

STYLES = ("base", "frame", "tables", "marks", "matrix", "splits", "tokens", "case", "media")
SCRIPTS = ("base", "tables", "marks", "words", "tokens", "answer", "case", "matrix", "splits", "start")
"""In the order in which they are joined: what runs at once uses only what stands before it."""
FILTERS = (
    show.percent,
    show.points,
    show.fixed,
    show.p_value,
    show.count,
    show.seconds,
    show.short,
    show.middle,
    show.as_text,
)


def write_report(comparison: Comparison, *, title: str, made_at: str) -> str:
    """Write a comparison as one HTML file. `made_at` says when, for a reader.

    Whatever stands in the comparison is shown as text. In the template, all of it is escaped; what the script reads is
    JSON without `<`, `>` and `&`, and the script makes text nodes of it. Should something be wrong with all that, the
    browser is told to run this one script and nothing else, and to fetch nothing.
    """
    style, script = _joined("style", "css", STYLES), _script()
    found = facts(comparison)
    return (
        _environment()
        .get_template("page")
        .render(
            title=title,
            made_at=made_at,
            policy=policy(style, script),
            style=Markup(style),
            script=Markup(script),
            data=Markup(_json(data(comparison))),
            comparison=comparison,
            facts=found,
            amounts=amounts(comparison, found),
            doubts=doubts(comparison, found),
            heat=show.heat,
            level=show.level,
        )
    )


def policy(style: str, script: str) -> str:
    """The Content Security Policy: nothing is fetched, and nothing runs but this."""
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src {_source(style)}",
            f"script-src {_source(script)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that nothing of HTML can be read in: its texts are the only place for `<`, `>` and `&`."""
    text = dumps(value)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _environment() -> Environment:
    """Everything that the template says is made visible, then escaped; only style, script and data are as they are."""
    environment = Environment(
        loader=DictLoader({"page": _part("page.html.jinja")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: sanitize(value) if type(value) is str else value,
    )
    environment.filters |= {each.__name__: each for each in FILTERS}
    return environment


def _script() -> str:
    """All scripts as one, in a block: none of their names is seen outside it."""
    return f'"use strict";\n{{\n{_joined("script", "js", SCRIPTS)}}}\n'


def _joined(folder: str, suffix: str, names: Iterable[str]) -> str:
    return "\n".join(_part(f"{folder}/{name}.{suffix}") for name in names)


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
