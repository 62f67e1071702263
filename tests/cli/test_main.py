from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promptlab import __version__
from promptlab.__main__ import main as start
from promptlab.cli import commands, paths
from promptlab.cli.main import main
from promptlab.errors import Exit
from tests.conftest import Cli

ROOT = Path(__file__).resolve().parents[2]


def program(module: str, *arguments: str, **environment: str) -> list[str]:
    settings = [f"{k}={v}" for k, v in {"PYTHONPATH": str(ROOT), **environment}.items()]
    # What the terminal of the person who runs the tests is like must not matter.
    return [
        "env",
        "-u",
        "COLUMNS",
        "-u",
        "LINES",
        "-u",
        "NO_COLOR",
        *settings,
        sys.executable,
        "-m",
        module,
        *arguments,
    ]


def playground(opened: list[Path | None]) -> Callable[[Path | None], int]:
    def open_(library: Path | None) -> int:
        opened.append(library)
        return 7

    return open_


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"promptlab {__version__}\n"


def test_alone_it_opens_the_playground(home: Path) -> None:
    opened: list[Path | None] = []
    assert main(["--library", str(home)], playground(opened)) == 7
    assert opened == [home]


def test_the_library_may_come_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLAB_LIBRARY", str(home))
    opened: list[Path | None] = []
    main([], playground(opened))
    assert opened == [home]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["models", "-h"]])
def test_help(cli: Cli, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: promptlab")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'. Try `promptlab --help`"),
        (["models"], "Missing command. Try `promptlab models --help`"),
        (["--colour"], "No such option: --colour"),
        (["run", "explain", "--library", "x"], "it stands before the command: `promptlab --library …`"),
        (["--library", "/nowhere", "prompts", "list"], "/nowhere is not a library"),
        (["run", "a\x1b[2J\nb"], "there is no prompt 'a\\x1b[2J\\nb'"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(cli: Cli, library: Path, arguments: list[str], said: str) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("promptlab: ")
    assert result.err.count("\n") == 1
    assert said in result.err


def test_a_defect_is_one_line_and_its_trace_is_for_debug(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(context: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(paths, "state", broken)
    result = cli("paths")
    assert result.code == 1
    said = "promptlab: this is a defect in promptlab: ZeroDivisionError: by zero"
    assert result.err == f"{said}. `promptlab --debug …` shows where it arose\n"
    assert "Traceback" in cli("--debug", "paths").err
    monkeypatch.setenv("PROMPTLAB_DEBUG", "1")
    assert "Traceback" in cli("paths").err


def test_debug_shows_where_an_expected_error_arose(cli: Cli, library: Path) -> None:
    assert "Traceback" in cli("--debug", "run", "nope").err
    assert "Traceback" not in cli("run", "nope").err


def test_ctrl_c_anywhere_is_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(context: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(paths, "state", pressed)
    assert (cli("paths").code, cli("paths").err) == (130, "promptlab: interrupted\n")


def test_a_closed_pipe_is_silent(library: Path) -> None:
    command = program("tests.cli.fake_main", "run", "explain", "--var", "topic=x", FAKE_ANSWER="x" * 100_000)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=library) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_disk_that_is_full(library: Path) -> None:
    ask = ("run", "explain", "--var", "topic=x")
    for arguments in (ask, (*ask, "--json"), ("prompts", "list"), ("--help",)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                program("tests.cli.fake_main", *arguments),
                stdout=full,
                stderr=subprocess.PIPE,
                cwd=library,
                check=False,
            )
        said = b"promptlab: standard output cannot be written: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, said)
    with Path("/dev/full").open("w") as full:
        command = program("tests.cli.fake_main", "run", "nope")
        assert subprocess.run(command, stderr=full, cwd=library, check=False).returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_leads_nowhere(library: Path, closed: str) -> None:
    command = program("tests.cli.fake_main", "run", "explain", "--var", "topic=x", "--json")
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, cwd=library, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) == (" >" not in f" {closed}")


def test_a_working_folder_that_was_removed(home: Path) -> None:
    (home / "gone").mkdir()
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *program("promptlab", "prompts", "list")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home / "gone", check=False)
    assert done.returncode == 2
    assert done.stderr == "promptlab: the working folder is not there any more. Change to one that is: `cd`\n"


def test_ctrl_c_while_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pressed:
        @property
        def main(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "promptlab.cli.main", Pressed())
    with pytest.raises(SystemExit) as end:
        start()
    assert end.value.code == Exit.INTERRUPTED


def test_an_encoding_without_a_character_ends_nothing(library: Path) -> None:
    ask = ["run", "explain", "--var", "topic=x", "-m", "alpha"]
    for arguments, expected in ((ask, b"caf\xe9 \\u96e8\n"), ([*ask, "--json"], b"caf\\u00e9 \\u96e8")):
        command = program("tests.cli.fake_main", *arguments, FAKE_ANSWER="café 雨", PYTHONIOENCODING="latin-1")
        done = subprocess.run(command, capture_output=True, cwd=library, check=True)
        assert expected in done.stdout


HEAVY = (
    "rich",
    "textual",
    "llama_cpp",
    "jinja2",
    "yaml",
    "promptlab.app",
    "promptlab.engine",
    "promptlab.files",
)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "promptlab", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "promptlab.cli.main" in imported
    assert not [name for name in imported if name.startswith(HEAVY)]
    # Where options have limits, typer itself asks pydantic.
    assert "pydantic" not in imported or arguments[0] == "run"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "None False"),
        ({"PROMPTLAB_LIBRARY": "else where"}, "else where False"),
        ({"PROMPTLAB_DEBUG": "1", "PROMPTLAB_LIBRARY": "elsewhere"}, "elsewhere True"),
    ],
)
def test_the_playground_opens_without_the_commands_where_nothing_is_asked(
    settings: dict[str, str], expected: str
) -> None:
    told = "lambda library: print(library, 'typer' in sys.modules) or 0"
    code = f"import sys; from promptlab.cli.main import main; sys.exit(main([], {told}))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROMPTLAB_")} | settings
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == expected


def test_help_answers_at_once() -> None:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "promptlab", "--help"], capture_output=True, check=True, cwd=ROOT)
        return time.perf_counter() - start

    assert min(once() for _ in range(5)) < 0.5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("promptlab run ver", "verdict"),
        ("promptlab run explain -m alpha,be", "alpha,beta"),
        ("promptlab models show ga", "gamma"),
    ],
)
def test_shell_completion_knows_names_and_leaves_nothing_behind(library: Path, words: str, expected: str) -> None:
    settings = {"_PROMPTLAB_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(program("promptlab", **settings), capture_output=True, text=True, cwd=library, check=False)
    assert (done.stdout.split(), done.stderr) == ([expected], "")
    assert not (library / ".promptlab").exists()


def test_every_command_has_help_of_its_own() -> None:
    assert commands.app.registered_commands
    for command in commands.app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__


def test_the_real_program_prints_paths(library: Path) -> None:
    done = subprocess.run(program("promptlab", "paths"), capture_output=True, text=True, cwd=library, check=True)
    assert str(library) in done.stdout
    assert os.fspath(library / ".promptlab") in done.stdout
