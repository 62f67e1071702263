"""A repository with many commits and prompts, written in seconds by `git fast-import`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

PARTIAL = "_style.jinja"
_WHO = "A <a@b.c>"
_START = 1_700_000_000


def name_of(number: int) -> str:
    """The name of a prompt, as the library knows it."""
    return f"prompt_{number:04}"


def build(folder: Path, commits: int = 10_000, prompts: int = 1_000, *, below: str = "prompts") -> None:
    """Make a repository in `folder` whose branch `main` has this many commits; nothing is checked out.

    The first commit adds all prompts and one partial that every tenth of them includes. Each later one changes one
    prompt, in turn; every hundredth changes the partial as well. All lie in one flat folder.
    """
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    stream = b"".join(_commits(commits, prompts, below))
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream, check=True)


def _commits(commits: int, prompts: int, below: str) -> Iterator[bytes]:
    for number in range(commits):
        subject = f"Change {number}\n".encode()
        when = _START + 60 * number
        yield f"commit refs/heads/main\nauthor {_WHO} {when - 30} -0330\ncommitter {_WHO} {when} +0200\n".encode()
        yield b"data %d\n%s\n" % (len(subject), subject)
        touched = range(prompts) if number == 0 else (number % prompts,)
        for prompt in touched:
            yield _file(f"{below}/{name_of(prompt)}.jinja", _text(prompt, number))
        if number % 100 == 0:
            yield _file(f"{below}/{PARTIAL}", f"Write in style {number}.\n".encode())


def _text(prompt: int, number: int) -> bytes:
    include = f'{{% include "{PARTIAL}" %}}' if prompt % 10 == 0 else "Be brief."
    return f"---\ndescription: Prompt {prompt}\n---\n{include}\nSay {number} in {prompt} words.\n".encode()


def _file(path: str, data: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
