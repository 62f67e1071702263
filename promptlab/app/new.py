"""Make new prompt files: from scratch, or from another tool's."""

from __future__ import annotations

from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.core.formats import SUFFIXES
from promptlab.core.prompt import NAME, SUFFIX
from promptlab.core.schema import shorten
from promptlab.errors import UsageError
from promptlab.files.paths import is_packaged
from promptlab.files.writing import write_new

STARTER = """\
---
# YAML: what the prompt is for, what it takes, what comes out, how answers are drawn.
description: Say in one sentence what this prompt is for.
inputs:
  topic: string, what it is about            # name: type, description
  audience: {type: string, default: a curious child, description: who is asking}
  # "detail?": integer, how deep to go       # ? means that it may be left out; it is none then
  # tone(enum): [plain, formal]              # one of these; also (array) and (object)
output: text                                 # or json, {choices: [yes, no]}, {schema: {title: string}}
options: {temperature: 0.7, max_tokens: 200} # llama.cpp's names
---
{# Jinja. A role tag makes a message; values are data, and can never make one. #}
{% system %}
You explain things to {{ audience }}.
{% endsystem %}
{% user %}
Explain {{ topic }} in three sentences.
{% enduser %}

{# `generate` asks the model; what it answers is the value `answer` from here on. #}
{% generate answer %}

{# More turns may follow, and may depend on the answer:
{% user %}Say it again, in one sentence.{% enduser %}
{% generate short max_tokens=60 %}
{% call_prompt verdict = "verdict" claim=short %}       runs another prompt on the same model
{% return {"answer": answer, "verdict": verdict} %}     what comes out, instead of the last answer

Try it:  promptlab prompts check NAME
         promptlab prompts render NAME --var topic=rain
         promptlab run NAME --var topic=rain #}
"""


def new_prompt(lab: Lab, name: str) -> Path:
    """Write a starter file for a prompt; gives its path.

    Raises UsageError when the name is none or taken, or the library is the one that ships; StoreError.
    """
    name = name.removesuffix(SUFFIX)
    if not NAME.fullmatch(name) or name.endswith(SUFFIXES):
        raise UsageError(
            f"{shorten(name)!r} cannot be the name of a prompt",
            hint="Use letters, digits and `_ . -`, and / for folders, as in `mail/reply`",
        )
    path = free_path(lab, f"{name}{SUFFIX}")
    if lab.library.exists(name):
        raise UsageError(f"there is a prompt {name} already", hint="Choose another name, or remove that one first")
    return write_file(path, STARTER.replace("NAME", name))


def free_path(lab: Lab, file: str) -> Path:
    """Where a new file may be written, by its path below prompts/. Raises UsageError."""
    if is_packaged(lab.root):
        raise UsageError(
            "the library that ships with promptlab is not yours to change", hint="`promptlab init` makes one"
        )
    path = lab.library.folder / file
    # A folder below prompts/ may be a stranger's link: nothing is written outside.
    if not lab.library.disk.holds(path.parent):
        raise UsageError(f"{path.parent} is a link that leads out of the library")
    return path


def write_file(path: Path, text: str) -> Path:
    """Write a file that must not be there yet. Raises UsageError and StoreError."""
    if not write_new(path, text):
        raise UsageError(f"{path} is there already", hint="Choose another name, or remove it first")
    return path
