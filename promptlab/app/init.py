"""Make a new library in a folder. Nothing that is there is ever overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptlab.core.schema import shorten
from promptlab.errors import UsageError
from promptlab.files.paths import shipped_library
from promptlab.files.writing import write_new

HELLO = """\
---
# This is YAML: what the prompt is for, what it takes, how answers are drawn.
description: Greet somebody. An example to change.
inputs:
  name: {type: string, default: world, description: whom to greet}
options: {temperature: 0.7, max_tokens: 60}
---
{# This is Jinja. Role tags make messages; `generate` asks the model, and its answer has the name that follows.
   Run it:  promptlab run hello --var name=Ada #}
{% user %}
Complete this greeting in one friendly sentence: Hello {{ name }}, it is good to see you, because
{% enduser %}
{% generate greeting %}
"""

SEEDS = """\
# seeds

Case sets: the inputs, and what is expected, that prompts are run on. One file for each set.
"""

IGNORE = """\
# The history of runs. It may hold what you typed.
.promptlab/
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A new library."""

    root: str
    created: tuple[str, ...]
    """Files, below the root."""
    kept: tuple[str, ...]
    """Files that were there before, and are as they were."""


def init_library(folder: Path) -> Made:
    """Make prompts/, seeds/, models.yaml and .gitignore in `folder`, which is made if it is not there.

    Raises UsageError when it is no folder, StoreError when it cannot be written to.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder")
    except OSError as error:  # such as a name that is too long
        raise UsageError(f"{shorten(str(folder))!r} cannot be a library: {error.strerror}") from None
    files = {
        "prompts/hello.jinja": HELLO,
        "seeds/README.md": SEEDS,
        "models.yaml": (shipped_library() / "models.yaml").read_text("utf-8"),
        ".gitignore": IGNORE,
    }
    created = [name for name, text in files.items() if write_new(folder / name, text)]
    return Made(str(folder.resolve()), tuple(created), tuple(name for name in files if name not in created))
