"""Edit the source of a prompt: read it, check it as it stands in an editor, save it, or hand it to another editor."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from promptlab.app.lab import Lab
from promptlab.core.checker import Finding
from promptlab.core.prompt import Prompt
from promptlab.core.text import sanitize
from promptlab.errors import SourceError, StoreError, UsageError
from promptlab.files.folder import MAX_BYTES
from promptlab.files.paths import is_packaged
from promptlab.files.writing import replace_file

EDITABLE = 256 * 1024
"""Characters of a file that is edited in place."""
MAX_LINE = 2_000
"""Characters of a line in a file that is edited in place: an editor that breaks lines slows down with their length."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a prompt's file, as it was when it was read."""

    name: str
    label: str
    """What a reader calls this version."""
    file: str
    """Below prompts/; empty when there is none."""
    text: str
    """Its lines end in a newline, whatever ends them in the file. Empty when the file cannot be read."""
    stamp: str
    """Tells whether the file has changed since."""
    fixed: str = ""
    """Why it cannot be edited in place; empty when it can."""
    instead: Literal["", "outside", "working copy"] = ""
    """What can be done instead: edit it in an editor of one's own, or edit the working copy."""
    newline: str = "\n"
    """What ends a line in the file."""


def read_source(lab: Lab, name: str) -> Source:
    """Read a prompt's file. One that is no text is a source that cannot be edited. Raises NotFound."""
    try:
        file, text = lab.library.text(name)
    except SourceError as error:
        return Source(name, name, error.problems[0].file, "", "", str(error).partition("\n")[0])
    newline = "\r\n" if "\r\n" in text else "\n"
    locked, unfit = _locked(lab), _unfit(text, newline)
    source = Source(name, name, file, text.replace("\r\n", "\n"), _stamp(text), locked or unfit, newline=newline)
    return replace(source, instead="outside") if unfit and not locked else source


def past_source(prompt: Prompt) -> Source:
    """The source of a version that git keeps."""
    shown, fixed = prompt.source.replace("\r\n", "\n"), f"{prompt.label} is what git keeps"
    return Source(prompt.name, prompt.label, prompt.file, shown, "", fixed, "working copy")


def check_source(lab: Lab, source: Source, text: str) -> tuple[Finding, ...]:
    """Say everything that is wrong with a prompt, were `text` its source. Raises SourceError."""
    return tuple(lab.library.check_text(source.file, text)) if source.file else ()


def save_source(lab: Lab, source: Source, text: str) -> Source:
    """Put `text` in the place of a prompt's file, whole or not at all; read it again.

    Raises UsageError when that must not be: the library is read-only, the file lies outside it, it has changed since it
    was read; and StoreError when it cannot be done.
    """
    if source.fixed:
        raise UsageError(source.fixed)
    path = locate_source(lab, source.file)
    written = text.replace("\n", source.newline)
    if len(written.encode("utf-8", "replace")) > MAX_BYTES:
        raise UsageError(f"{source.file} would be larger than {MAX_BYTES:,} bytes")
    now = lab.library.disk.read(source.file)
    if now is None or _stamp(now) != source.stamp:
        raise UsageError(
            f"{source.file} {'is gone from disk' if now is None else 'has changed on disk'} since it was read",
            hint="Copy what you typed, leave without saving it, and look at the file as it is now",
        )
    replace_file(path, written)
    return read_source(lab, source.name)


def save_draft(lab: Lab, name: str, text: str, stamp: str) -> Source:
    """Save what was typed for a prompt while its file had this stamp. Raises what `save_source` does, and NotFound."""
    return save_source(lab, replace(read_source(lab, name), stamp=stamp), text)


def locate_source(lab: Lab, file: str) -> Path:
    """Where a file really lies that is about to be changed. Raises UsageError when it must not be."""
    path = lab.library.folder / file
    if reason := _locked(lab):
        raise UsageError(reason)
    if not lab.library.disk.holds(path):
        raise UsageError(f"{file} is a link that leads out of the library: edit what it leads to")
    return path.resolve()


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The user's editor, as a command with its options. Raises UsageError when there is none."""
    variable = next((name for name in ("VISUAL", "EDITOR") if environment.get(name, "").strip()), None)
    if variable is None:
        raise UsageError("no editor is set", hint="Say which in the variable EDITOR")
    try:
        command = shlex.split(environment[variable])
    except ValueError as error:
        raise UsageError(f"{variable} is no command: {error}") from None
    if not command:
        raise UsageError(f"{variable} is no command: it is empty")
    return command


def edit_outside(command: Sequence[str], path: Path) -> None:
    """Let another editor have the terminal until it ends. Raises StoreError when it does not start, or fails.

    Called by the main thread: Ctrl+C there is meant for the editor, and the terminal sends it to both.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the editor would inherit
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"the editor {command[0]} does not start: {reason}", hint="See EDITOR and VISUAL") from None
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        raise StoreError(f"the editor {command[0]} ended with exit code {code}")


def _locked(lab: Lab) -> str:
    """Why nothing in a library may be changed; empty where it may."""
    if is_packaged(lab.root):
        return "this is the library that ships with promptlab: `promptlab init` makes one of your own"
    if not os.access(lab.library.folder, os.W_OK):
        return f"{lab.library.folder} is read-only: copy the library to a folder of your own"
    return ""


def _unfit(text: str, newline: str) -> str:
    """Why an editor that shows text as it is cannot be given this one."""
    if len(text) > EDITABLE:
        return f"it is larger than {EDITABLE // 1024} KiB, too much to edit here"
    lines = text.split(newline)
    if long := next((number for number, line in enumerate(lines, 1) if len(line) > MAX_LINE), None):
        return f"line {long} is longer than {MAX_LINE:,} characters, too long to edit here"
    for number, line in enumerate(lines, 1):
        if "\n" in line:
            return f"it ends some lines in one way and some in another (line {number})"
        if sanitize(line) != line:
            return f"line {number} holds characters that cannot be shown as they are"
    return ""


def _stamp(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
