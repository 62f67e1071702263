# The tables are easier to read with a case on a line.
# ruff: noqa: E501
"""The promise, as a whole: opening, checking and previewing a library cloned from a stranger executes no code from it,
reads nothing outside it, and always ends."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptlab.files.paths import shipped_library
from tests.gitkit import use_own_settings

SECRET = "the-secret-that-lies-outside"
ESCAPES = "\x1b]52;c;aGFja2Vk\x07\x1b[2J\x9b31m\u202e"
PROMPTLAB = Path(sys.executable).parent / "promptlab"
PATIENCE_S = 90
"""For one command. A rendering may take 5 s, so a command ends in less than 15 s on an idle machine; CI is not idle."""

IN_OPEN, IN_ACCESS = 0x20, 0x1

PROMPTS = {
    "good": "---\ndescription: A good one.\ninputs: {x: {type: string, default: y}}\n---\n{% user %}Say {{ x }}.{% enduser %}\n",
    "cpu": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}x",
    "power": "{{ 9 ** (9 ** 9) }}",
    "constant": "{{ (9 ** 9) ** 9 ** 9 }}",
    "memory": "{{ 'x'.ljust(900000000) }}",
    "folded": "{{ 'x' | center(900000000) }}",
    "grow": "{% set ns = namespace(x='x' * 9999) %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}x",
    "deep": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "escape": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.popen('touch sprung').read() }}",
    "format": "{{ '{0.__class__.__base__}'.format(1) }}{{ ('{0.__globals__}' | attr('format'))(range) }}",
    "loop": "{% include '_loop.jinja' %}",
    "up": "{% include '../outside/secret.jinja' %}",
    "absolute": "{% include '/etc/hostname' %}",
    "linked": "{% include '_link.jinja' %}",
    "folder": "{% include 'far/_secret.jinja' %}",
    "dynamic": "{% set n = '_loop.jinja' %}{% include n %}",
    "recursive": "{% call_prompt a = 'recursive' %}",
    "aliases": "---\na: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n---\nx",
    "merge": "---\ninputs:\n  <<: {a: string}\n---\nx",
    "tag": "---\ndescription: !!python/object/apply:os.system ['touch sprung']\n---\nx",
    "nest": "---\nmetadata: " + "[" * 2000 + "\n---\nx",
    "pattern": "---\ninputs: {x: {type: string, pattern: '^(a+)+$', default: '" + "a" * 60 + "!'}}\n---\n{{ x }}",
    "schema": "---\ninputs: {x: {$ref: '#', default: 1}}\n---\n{{ x }}",
    "remote": "---\ninputs: {x: {$ref: 'file:///etc/hostname', default: 1}}\n---\n{{ x }}",
    "shown": f"---\ndescription: '[@click=app.bell]x[/]'\n---\n{ESCAPES} {{{{ '\\x1b]0;x\\x07' }}}}",
    "huge": "x" * (2 * 1024 * 1024),
}


def git(folder: Path, *arguments: str) -> str:
    # Without the traps of the repository's own configuration: these commands build it.
    settings = ["-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Stranger:
    """A hostile clone, and what lies around it."""

    root: Path
    outside: Path
    """A folder beside it, with a file that it points at in every way."""
    sprung: Path
    """Made by whatever of the stranger's code is run."""
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PROMPTLAB_", "PYTHON"))}
        environment |= {f"XDG_{kind}_HOME": str(self.home / kind) for kind in ("CACHE", "DATA", "CONFIG")}
        return subprocess.run(
            [str(PROMPTLAB), *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    top = tmp_path_factory.mktemp("stranger")
    here = Stranger(top / "clone", top / "outside", top / "sprung", top / "home")
    with pytest.MonkeyPatch.context() as patch:
        use_own_settings(patch)
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", f"A{ESCAPES}")
        _outside(here)
        _library(here)
        _history(here)
        _configuration(here)
        yield here


def _outside(here: Stranger) -> None:
    here.outside.mkdir()
    (here.outside / "secret.jinja").write_text(SECRET)
    (here.outside / "_secret.jinja").write_text(SECRET)
    trap = here.outside.parent / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {here.sprung}\n")
    trap.chmod(0o755)


def _library(here: Stranger) -> None:
    prompts = here.root / "prompts"
    prompts.mkdir(parents=True)
    for name, text in PROMPTS.items():
        (prompts / f"{name}.jinja").write_text(text)
    (prompts / "_loop.jinja").write_text("{% include '_loop.jinja' %}")
    (prompts / "_link.jinja").symlink_to(here.outside / "secret.jinja")
    (prompts / "outer.jinja").symlink_to(here.outside / "secret.jinja")
    (prompts / "far").symlink_to(here.outside)
    (prompts / "binary.jinja").write_bytes(b"\xff\x00\xfe")
    (prompts / f"{ESCAPES.replace('/', '')}.jinja").write_text("x")
    (here.root / ".promptlab").symlink_to(here.outside)
    (here.root / "seeds").symlink_to(here.outside)
    (here.root / ".gitattributes").write_text("* diff=evil filter=evil merge=evil textconv=evil\n")
    (here.root / "models.yaml").write_text(f"models:\n  m:\n    sources: [{here.outside}/secret.jinja]\n")
    # What Python would import from a working folder.
    for module in ("sitecustomize", "usercustomize", "jinja2", "yaml", "json", "promptlab", "conftest"):
        (here.root / f"{module}.py").write_text(f"open({str(here.sprung)!r}, 'w')\n")


def _history(here: Stranger) -> None:
    git(here.root, "init", "-q")
    (here.root / "prompts" / "good.jinja").write_text("An older text.")
    git(here.root, "add", "-A")
    git(here.root, "commit", "-qm", f"first {ESCAPES}")
    (here.root / "prompts" / "good.jinja").unlink()
    (here.root / "prompts" / "good.jinja").symlink_to(here.outside / "secret.jinja")
    git(here.root, "add", "-A")
    git(here.root, "commit", "-qm", "a link")
    (here.root / "prompts" / "good.jinja").unlink()
    (here.root / "prompts" / "good.jinja").write_text(PROMPTS["good"])
    git(here.root, "add", "-A")
    git(here.root, "commit", "-qm", f"[@click=app.bell]third[/] {ESCAPES}")
    git(here.root, "tag", "evil")
    os.mkfifo(here.root / "prompts" / "pipe.jinja")
    (here.root / "prompts" / "cpu.jinja").write_text(PROMPTS["cpu"] + " changed")


def _configuration(here: Stranger) -> None:
    trap = str(here.outside.parent / "trap")
    hooks = here.root / ".git" / "evil"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "post-checkout", "pre-commit", "fsmonitor-watchman"):
        shutil.copy(trap, hooks / name)
    names = ["core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy"]
    names += ["diff.external", "diff.evil.textconv", "diff.evil.command", "gpg.program", "credential.helper"]
    names += [f"filter.evil.{kind}" for kind in ("clean", "smudge", "process")]
    names += ["core.alternateRefsCommand", "pager.log", "uploadpack.packObjectsHook", "interactive.diffFilter"]
    for name in names:
        git(here.root, "config", name, trap)
    for name in ("rev-parse", "cat-file", "ls-tree", "rev-list", "diff-tree", "log"):
        git(here.root, "config", f"alias.{name}", f"!{trap}")
    git(here.root, "config", "core.hooksPath", str(hooks))
    git(here.root, "config", "log.showSignature", "true")
    git(here.root, "config", "diff.orderFile", str(here.outside / "secret.jinja"))
    git(here.root, "config", "core.attributesFile", str(here.outside / "secret.jinja"))
    git(here.root, "config", "mailmap.file", str(here.outside / "secret.jinja"))
    git(here.root, "config", "remote.origin.url", f"ext::{trap}")
    git(here.root, "config", "remote.origin.promisor", "true")
    git(here.root, "config", "protocol.ext.allow", "always")


class Watch:
    """Notices when a file in a folder is opened (inotify)."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0
        self.names: list[str] = []
        assert self._libc.inotify_add_watch(self._fd, os.fsencode(folder), IN_OPEN | IN_ACCESS) >= 0

    def opened(self) -> list[str]:
        """Names of the files in the folder that have been opened since the last time."""
        found = []
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return []
        while data:
            length = int.from_bytes(data[12:16], sys.byteorder)
            if name := data[16 : 16 + length].rstrip(b"\0"):
                found.append(os.fsdecode(name))
            data = data[16 + length :]
        return found

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def watched(stranger: Stranger) -> Iterator[Watch]:
    watch = Watch(stranger.outside)
    yield watch
    watch.close()


def commands() -> list[tuple[str, ...]]:
    every = [*PROMPTS, "outer", "pipe", "binary"]
    return [
        ("list",),
        ("list", "--json"),
        ("check",),
        ("check", "--json"),
        *(("render", name) for name in every),
        *(("show", name) for name in ("shown", "outer", "huge", "good@1", "good@2", "good@evil", "good@evil~1", "cpu@1")),
        *(("log", name) for name in ("good", "cpu", "outer", "shown", "loop", "../good", "-x")),
        *(("log", "good", "--json"), ("log", "deep")),
        *(("diff", *pair) for pair in (("good@1", "good"), ("good@1", "good@2"), ("cpu",), ("shown@1", "cpu"))),
        *(("diff", *pair, "--rendered") for pair in (("good@1", "good"), ("cpu@1", "cpu"), ("power", "good"))),
        *(("show", f"good@{rev}") for rev in ("--help", ":/first", "HEAD:prompts/good.jinja", "x\ny", "99999", "@{-1}", "")),
    ]  # fmt: skip


@pytest.mark.timeout(1200)
def test_nothing_runs_nothing_is_read_and_everything_ends(stranger: Stranger, watched: Watch) -> None:
    before = {path: path.read_bytes() for path in stranger.outside.iterdir()}
    watched.opened()  # by the line above
    codes = set()
    for command in commands():
        begin = time.monotonic()
        done = stranger.run("prompts", *command)
        said = done.stdout + done.stderr
        what = f"{command}: {said[-500:]!r} ({time.monotonic() - begin:.1f} s)"
        codes.add(done.returncode)
        assert done.returncode in (0, 1, 2), what
        assert not stranger.sprung.exists(), what
        assert watched.opened() == [], what
        assert SECRET.encode() not in said, what
        assert b"Traceback" not in said, what
        assert b"defect" not in said, what
        assert not any(c in said.decode() for c in "\x1b\x07\x9b\u202e"), what
        assert done.returncode == 0 or done.stderr or command[0] == "check", what
    assert codes == {0, 1, 2}
    assert {path: path.read_bytes() for path in stranger.outside.iterdir()} == before
    assert not (stranger.home / "CACHE").exists()


def test_what_is_good_in_it_still_works(stranger: Stranger) -> None:
    assert stranger.run("prompts", "render", "good", "--var", "x=z").stdout == b"== user\nSay z.\n"
    listed = stranger.run("prompts", "list").stdout.decode()
    assert "A good one." in listed
    assert {"cpu", "outer", "pipe", "shown"} <= {line.split()[0] for line in listed.splitlines()}
    log = stranger.run("prompts", "log", "good").stdout.decode()
    assert [line.split()[0] for line in log.splitlines()] == ["VERSION", "good@2", "good@1"]  # a link is no version
    found = stranger.run("prompts", "check").stdout.decode()
    for part in (
        "prompts/up.jinja:1:13: includes '../outside/secret.jinja', but only files whose name begins with _",
        "prompts/_loop.jinja:1:13: includes itself without an end: _loop.jinja → _loop.jinja",
        "prompts/_link.jinja: is not a regular file inside the library",
        "prompts/pipe.jinja: is not a regular file inside the library",
        "prompts/binary.jinja:1:1: is not UTF-8 text",
        "prompts/aliases.jinja:2:4: YAML: anchors (&a) are not allowed here",
        "prompts/tag.jinja:2:14: YAML: tags (!…) are not allowed here",
        "prompts/pattern.jinja: took longer than 5 s and was stopped",
        "prompts/dynamic.jinja:1:31: include, import and extends take a literal name",
    ):
        assert part in found


def test_the_traps_are_armed(stranger: Stranger) -> None:
    # What people usually call does run them: so it means something that ours do not.
    assert not stranger.sprung.exists()
    subprocess.run(["git", "-C", str(stranger.root), "status"], capture_output=True, check=False)
    assert stranger.sprung.exists()
    stranger.sprung.unlink()
    done = subprocess.run([sys.executable, "-c", "import jinja2"], cwd=stranger.root, capture_output=True, check=False)
    assert stranger.sprung.exists() or done.returncode
    stranger.sprung.unlink(missing_ok=True)


def test_the_watch_sees_what_is_opened(stranger: Stranger, watched: Watch) -> None:
    (stranger.root / "prompts" / "outer.jinja").read_text()
    assert "secret.jinja" in watched.opened()


def test_the_readme_makes_the_promise() -> None:
    readme = (shipped_library() / "README.md").read_text()
    promise = "runs no code from it, reads nothing outside it, and always ends"
    assert promise in " ".join(readme.split())
