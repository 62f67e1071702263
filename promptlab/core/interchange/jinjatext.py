"""Writes Jinja so that it renders to exactly the text that is meant.

Our Jinja takes the line end after a tag (`trim_blocks`) and the indentation before it (`lstrip_blocks`). Where that
would take text, the tag is written with a `+`; where it takes nothing, tags get lines of their own, for the reader.
"""

from __future__ import annotations

import json
import re

_SYNTAX = re.compile(r"\{\{+[%#]?|\{[%#]")


def quoted(text: str) -> str:
    """Write a text as a literal of the template language."""
    return json.dumps(text, ensure_ascii=False)


class JinjaText:
    """A template in the making."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._text = ""
        """Text that is not written yet: what follows decides how it ends."""
        self._after_tag = False
        """Whether the last thing is a tag, which takes a line end that follows."""
        self._ended = False
        """Whether the last thing is a tag and a line end."""
        self._line_empty = True
        self._line_blank = True
        """Whether nothing, and nothing but white space, stands on the last line."""

    @property
    def at_start(self) -> bool:
        """Whether a line begins here."""
        self._flush(before_tag=False)
        return self._line_empty and not self._text

    def text(self, text: str) -> None:
        """Add text that renders as it is."""
        self._text += text

    def code(self, expression: str) -> None:
        """Add an expression."""
        self._flush(before_tag=True)
        self._append(f"{{{{ {expression} }}}}")
        self._after_tag = False

    def tag(self, code: str, *, newline: bool = False) -> None:
        """Add a tag; with a line end after it, which renders as nothing."""
        self._mark("%", code, newline)

    def note(self, text: str) -> None:
        """Add a comment."""
        safe = text.replace("#}", "# }")
        self._mark("#", safe, newline=self.at_start)

    def finish(self) -> str:
        """The template, with one line end after it, which Jinja takes."""
        self._flush(before_tag=False)
        self._append(self._text)
        ended = self._ended and self._line_empty
        return "".join(self._parts) + "\n" * (not ended and self._parts != [""])

    def _mark(self, sign: str, inside: str, newline: bool) -> None:
        self._flush(before_tag=True)
        plus = "+" if self._line_blank and not self._line_empty else ""
        self._append(f"{{{sign}{plus} {inside} {sign}}}" + "\n" * newline)
        self._after_tag, self._ended = not newline, newline

    def _flush(self, *, before_tag: bool) -> None:
        if not self._text:
            return
        if self._after_tag and self._text.startswith("\n"):
            self._parts[-1] = f"{self._parts[-1][:-2]}+{self._parts[-1][-2:]}"
        written = _SYNTAX.sub(lambda match: f"{{{{ {quoted(match.group())} }}}}", self._text)
        if written.endswith("{"):
            if not before_tag:  # it may grow
                written, self._text = written[:-1], "{"
            else:
                written, self._text = written[:-1] + '{{ "{" }}', ""
        else:
            self._text = ""
        if written:
            self._append(written)
            self._after_tag = False

    def _append(self, written: str) -> None:
        self._parts.append(written)
        self._ended = self._ended and not written
        _, newline, last = written.rpartition("\n")
        if newline:
            self._line_empty = self._line_blank = True
        self._line_empty = self._line_empty and not last
        self._line_blank = self._line_blank and (not last or last.isspace())
