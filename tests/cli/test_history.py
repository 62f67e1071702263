"""`promptlab runs search`, `export`, `delete` and `purge`."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.app.lab import open_lab
from promptlab.cli.history import _words_last
from promptlab.core.program import Message
from promptlab.core.record import ModelRef, Record
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.files.store import Store
from tests.cli.test_main import program
from tests.cli.test_terminal import in_terminal, screen
from tests.conftest import Cli
from tests.files.test_store import record

pytestmark = pytest.mark.usefixtures("library")


def answered(id: str, name: str, model: str, asked: str, output: str) -> Record:
    prompt = replace(record().prompt, name=name, label=name, hash=name.encode().hex())
    step = replace(record().steps[0], messages=(Message("user", asked),), text=output)
    ref = ModelRef(model, "a" * 64, None)
    return record(id, prompt=prompt, model=ref, inputs={"text": asked}, steps=(step,), output=output)


@pytest.fixture
def ids(library: Path) -> list[str]:
    """Ids of records on rain of alpha and beta, and on snow of alpha; and one of another prompt; the oldest first."""
    made = [
        answered("01K0A", "explain", "alpha", "Explain rain.", "Water falls \x1b[2J from clouds."),
        answered("01K0B", "explain", "beta", "Explain rain.", "A wet thing."),
        answered("01K0C", "explain", "alpha", "Explain snow.", "Snow is cold.\n=1+1"),
        answered("01K0D", "verdict", "beta", "Is it true that rain is wet?", "Yes."),
    ]
    with Store.open(library) as store:
        for each in made:
            store.append(each)
    return [each.id for each in made]


def searched(cli: Cli, *arguments: str) -> list[str]:
    """The ids that are found."""
    result = cli("runs", "search", "--json", *arguments)
    found = [each["id"] for each in json.loads(result.out)]
    assert (result.code, result.err == "promptlab: nothing was found\n") == (0, not found)
    return found


# --- search


def test_a_search_is_a_table_newest_first(cli: Cli, ids: list[str]) -> None:
    result = cli("runs", "search", "rain")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0].split() == ["ID", "STARTED", "(UTC)", "PROMPT", "MODEL", "TEXT"]
    assert [line.split()[0] for line in lines[1:]] == [ids[3], ids[1], ids[0]]
    assert "Is it true that rain is wet?" in lines[1]
    falls = cli("runs", "search", "clouds").out
    assert "Water falls ␛[2J from clouds." in falls
    assert "\x1b" not in falls


def test_a_search_as_json(cli: Cli, ids: list[str]) -> None:
    (hit,) = json.loads(cli("runs", "search", "cold", "--json").out)
    assert hit == {
        "id": ids[2],
        "prompt": "explain",
        "label": "explain",
        "model": "alpha",
        "started_at": "2026-01-02T03:04:05Z",
        "case": None,
        "verdict": None,
        "error": None,
        "excerpt": "Snow is cold. =1+1",
    }


def test_words_may_have_a_dash_before_them(cli: Cli, ids: list[str]) -> None:
    assert searched(cli, "rain", "-wet") == searched(cli, "rain -wet") == [ids[0]]
    assert searched(cli, "-hail", "-m", "alpha", "-water") == [ids[2]]
    assert searched(cli, "-wet", "--", "rain") == [ids[0]]
    assert searched(cli, '"falls from"') == []
    assert searched(cli, '"wet thing"', "rain", "-p", "explain") == [ids[1]]
    assert cli("runs", "search", "rain", "--wet").code == 2


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("a b", "a b"),
        ("a -bc --json -x d", "a --json -x d -- -bc"),
        ("-m -bc --case -id -de", "-m -bc --case -id -- -de"),
        ("a -m", "a -m"),
        ("a -- -b --json", "a -- -b --json"),
        ("-bc a -- -d", "a -- -bc -d"),
        ("-", "-"),
    ],
)
def test_what_is_a_word_and_what_an_option(typed: str, read: str) -> None:
    assert " ".join(_words_last(typed.split(), {"-m", "--model", "--case"})) == read


def test_filters(cli: Cli, ids: list[str], library: Path) -> None:
    with Store.open(library) as store:
        store.keep_verdicts([(ids[0], "x", "pass", 1.0)])
        store.keep_verdicts([(ids[2], "x", "fail", 0.0)])
    newest = ids[::-1]
    assert searched(cli, "-m", "alpha") == [ids[2], ids[0]]
    assert searched(cli, "-m", "alpha,beta", "--limit", "2") == newest[:2]
    assert searched(cli, "--prompt", "verdict") == searched(cli, "--version", "verdict") == [ids[3]]
    assert searched(cli, "--version", b"verdict".hex()[:8]) == [ids[3]]
    assert searched(cli, "--verdict", "pass") == [ids[0]]
    assert searched(cli, "snow", "--verdict", "fail", "--no-error") == [ids[2]]
    assert searched(cli, "--verdict", "unscored") == searched(cli, "--error") == searched(cli, "--case", "x") == []
    assert searched(cli, "--since", "2020-01-01", "--until", "2999-12-31") == newest
    assert searched(cli, "--until", "2020-01-01") == []
    assert cli("runs", "search", "water").out.splitlines()[0].split()[-2:] == ["VERDICT", "TEXT"]
    assert cli("runs", "search", "water").out.splitlines()[1].split()[5] == "pass"


def test_failures_are_found_and_shown(cli: Cli, engine: FakeEngine) -> None:
    def fail(question: Question, prompt: str) -> str:
        raise RuntimeError("out of luck")

    engine.answer = fail
    assert cli("run", "explain", "--var", "topic=hail", "-m", "alpha").code == 1
    assert len(searched(cli, "--error")) == len(searched(cli, "hail", "--error")) == 1
    assert cli("runs", "search", "hail").out.splitlines()[1].split()[5] == "error"


def test_more_than_the_limit_is_said(cli: Cli, ids: list[str]) -> None:
    result = cli("runs", "search", "rain", "-l", "2")
    assert len(result.out.splitlines()) == 3
    assert result.err == "promptlab: these are the newest 2; there are more (--limit)\n"
    assert cli("runs", "search", "rain", "-l", "3").err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to search for: some words, or a filter such as --model NAME"),
        ([" "], "say what to search for"),
        (["+++"], "there is nothing to search for in '+++'"),
        (["x" * 2000], "the text to search for has 2,000 characters"),
        (["a", "--since", "soon"], "--since: 'soon' is no date"),
        (["a", "--verdict", "maybe"], "'maybe' is not one of 'pass', 'fail', 'unscored'"),
        (["a", "--prompt", "explain@2"], "--prompt takes a name; a version is --version explain@2"),
        (["a", "-m", ","], "--model: a name is empty"),
        (["a", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_what_makes_no_sense_is_one_line(cli: Cli, arguments: list[str], message: str) -> None:
    result = cli("runs", "search", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


def test_on_a_terminal_what_was_searched_for_is_bold(library: Path, ids: list[str]) -> None:
    output, code = in_terminal(library, "runs", "search", "clouds", size=(24, 120))
    assert code == 0
    assert b"from \x1b[1mclouds\x1b[0m." in output
    assert b"\x1b[2J" not in output
    for size in ((24, 60), (24, 80), (24, 120)):
        output, _ = in_terminal(library, "runs", "search", "cold", size=size)
        lines = [line for line in screen(output, size) if line]
        assert [ids[2] in line and "Snow is cold" in line for line in lines] == [False, True], size


# --- export


def test_export(cli: Cli, ids: list[str], library: Path) -> None:
    result = cli("runs", "export", ids[0], ids[2].lower(), "-o", "two.jsonl")
    assert (result.code, result.out, result.err) == (0, "", "promptlab: 2 records written to two.jsonl\n")
    lines = (library / "two.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [ids[0], ids[2]]
    assert json.loads(lines[1]) == json.loads(cli("runs", "show", ids[2], "--json").out)
    assert cli("runs", "export", "--all", "-o", "all.json").err == "promptlab: 4 records written to all.json\n"
    assert len(json.loads((library / "all.json").read_text())) == 4
    cli("runs", "export", "--text", "snow", "-m", "alpha", "-o", "snow.csv")
    with (library / "snow.csv").open(newline="") as file:
        assert [(row["id"], row["output"]) for row in csv.DictReader(file)] == [(ids[2], "Snow is cold.\n=1+1")]
    cli("runs", "export", "--limit", "1", "-o", "newest.json")
    assert [each["id"] for each in json.loads((library / "newest.json").read_text())] == [ids[3]]


def test_export_of_what_cannot_be_read_is_exit_code_1(cli: Cli, ids: list[str], library: Path) -> None:
    with Store.open(library) as store:
        store._ask("UPDATE records SET json = 'x' WHERE model = 'beta'")
    result = cli("runs", "export", "--all", "-o", "all.json")
    assert result.code == 1
    assert result.err.count("cannot be read") == 2
    assert result.err.endswith("promptlab: 2 records written to all.json\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.json"], "name some records, or say --all, or filter them"),
        (["--all", "-m", "alpha", "-o", "a.json"], "name some records, or say --all, or filter them"),
        (["01X", "--all", "-o", "a.json"], "name some records, or say --all, or filter them"),
        (["01X", "-o", "a.json"], "there is no record '01X'"),
        (["--all", "-o", "a.xlsx"], "a.xlsx: the name says nothing about its form"),
        (["--all"], "Missing option '--output' / '-o'"),
        (["--text", "+", "-o", "a.json"], "there is nothing to search for"),
    ],
)
def test_an_export_that_makes_no_sense_writes_nothing(
    cli: Cli, library: Path, arguments: list[str], message: str
) -> None:
    result = cli("runs", "export", *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err
    assert not (library / "a.json").exists()


# --- delete, purge


def left(library: Path) -> set[str]:
    with open_lab(library) as lab:
        return {row.id for row in lab.store.recent(100)}


def test_records_that_are_named_are_deleted(cli: Cli, ids: list[str], library: Path) -> None:
    result = cli("runs", "delete", ids[0], ids[2])
    assert (result.code, result.out, result.err) == (0, "", "promptlab: 2 records deleted\n")
    assert left(library) == {ids[1], ids[3]}
    result = cli("runs", "delete", ids[1], ids[0])
    assert (result.code, result.err.split(".")[0]) == (2, f"promptlab: there is no record '{ids[0]}'")
    assert left(library) == {ids[1], ids[3]}


def test_records_that_are_filtered_are_deleted_only_with_a_yes(cli: Cli, ids: list[str], library: Path) -> None:
    result = cli("runs", "delete", "--text", "rain", "-m", "beta")
    assert result.code == 2
    assert result.err == "promptlab: this would delete 2 records for good; say --yes to do so\n"
    assert left(library) == set(ids)
    assert cli("runs", "delete", "--text", "rain", "-m", "beta", "--yes").err == "promptlab: 2 records deleted\n"
    assert left(library) == {ids[0], ids[2]}
    result = cli("runs", "delete", "--text", "hail", "--yes")
    assert (result.code, result.err) == (0, "promptlab: nothing was found, and nothing deleted\n")


@pytest.mark.parametrize("arguments", [[], ["--yes"], ["01", "-m", "alpha"], ["--text", "  ", "--yes"]])
def test_a_delete_that_does_not_say_what_deletes_nothing(
    cli: Cli, ids: list[str], library: Path, arguments: list[str]
) -> None:
    result = cli("runs", "delete", *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "name some records, or filter them" in result.err
    assert left(library) == set(ids)


def test_a_purge_wants_a_yes(cli: Cli, ids: list[str], library: Path) -> None:
    result = cli("runs", "purge")
    assert result.code == 2
    assert result.err == "promptlab: this would delete the whole history, 4 records, for good; say --yes to do so\n"
    assert left(library) == set(ids)
    assert b"Snow is cold" in (library / ".promptlab" / "lab.db").read_bytes()
    assert cli("runs", "purge", "--yes").err == "promptlab: 4 records deleted; the history is empty\n"
    assert left(library) == set()
    assert b"Snow is cold" not in (library / ".promptlab" / "lab.db").read_bytes()


def typed(library: Path, answer: bytes, *arguments: str) -> tuple[str, int]:
    """Run the program in a terminal, and answer its question. Returns what it wrote, and its exit code."""
    master, slave = pty.openpty()
    command = program("tests.cli.fake_main", *arguments, TERM="xterm-256color")
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=library, start_new_session=True)
    os.close(slave)
    output = bytearray()
    while select.select([master], [], [], 60)[0]:
        try:
            output += os.read(master, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            break
        if output.endswith(b"[y/N] "):
            os.write(master, answer)
    os.close(master)
    return output.decode(), process.wait(60)


@pytest.mark.parametrize(("answer", "gone"), [(b"y\n", True), (b"Yes\n", True), (b"\n", False), (b"n\n", False)])
def test_on_a_terminal_there_is_a_question(library: Path, ids: list[str], answer: bytes, gone: bool) -> None:
    output, code = typed(library, answer, "runs", "delete", "--text", "snow")
    assert "promptlab: delete 1 record for good? [y/N]" in output
    assert ("promptlab: 1 record deleted" if gone else "promptlab: nothing was deleted") in output
    assert code == 0
    assert left(library) == set(ids) - ({ids[2]} if gone else set())


def test_ctrl_c_and_ctrl_d_at_the_question_delete_nothing(library: Path, ids: list[str]) -> None:
    _, code = in_terminal(library, "runs", "purge", press_after=b"[y/N]")
    assert code == 130
    output, code = typed(library, b"\x04", "runs", "purge")
    assert ("nothing was deleted" in output, code) == (True, 0)
    assert left(library) == set(ids)
