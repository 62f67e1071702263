"""`promptlab prompts import promptfooconfig.yaml`: what is written, and what never is read or overwritten."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from promptlab.app.importing import MAX_TOTAL
from promptlab.engine.fake import FakeEngine
from tests.conftest import Cli

CONFIG = """\
description: Talk like a sailor
prompts:
  - file://prompts.txt
  - id: file://chat.json
    label: Chatty
providers: [openai:gpt-4.1]
defaultTest:
  assert: [{type: not-icontains, value: as an AI}]
tests:
  - vars: {body: [Hello, Good night]}
    assert:
      - {type: icontains, value: arr}
      - {type: javascript, value: output.length < 100}
      - {type: llm-rubric, value: sounds like a sailor, provider: alpha}
  - file://more/*.csv
"""


@pytest.fixture
def folder(library: Path) -> Path:
    """A folder with a config, beside the library."""
    root = library.parent / "sailor"
    (root / "more").mkdir(parents=True)
    (root / "promptfooconfig.yaml").write_text(CONFIG)
    (root / "prompts.txt").write_text("Say {{body}} like a sailor.\n---\n{{ body | upper }}!\n")
    (root / "chat.json").write_text('[{"role": "system", "content": "Ahoy"}, {"role": "user", "content": "{{body}}"}]')
    (root / "more" / "b.csv").write_text("body,__expected\nbye,equals:Arr\n")
    (root / "more" / ".hidden.csv").write_text("body\nhidden\n")
    return root


def test_import_writes_prompts_and_cases_that_pass_the_checks(cli: Cli, library: Path, folder: Path) -> None:
    result = cli("prompts", "import", str(folder / "promptfooconfig.yaml"))
    names = ["sailor/prompts-1", "sailor/prompts-2", "sailor/Chatty"]
    assert result.code == 0
    assert result.out.splitlines() == [*(f"prompts/{name}.jinja" for name in names), "seeds/sailor.yaml"]
    config = f"promptlab: {folder}/promptfooconfig.yaml"
    assert f"{config}:6:13: providers: models are chosen when a prompt is run: -m NAME" in result.err
    assert f"{config}:13:9: 'javascript' is a check of promptfoo's that promptlab does not have" in result.err
    assert result.err.endswith(f"compare: `promptlab compare {' '.join(names)} --cases sailor`\n")
    assert cli("prompts", "check", *names, "--strict").code == 0
    assert cli("cases", "check", "sailor", *(part for name in names for part in ("--prompt", name))).code == 0
    shown = json.loads(cli("cases", "show", "sailor", "--json").out)
    assert [case["vars"]["body"] for case in shown] == ["Hello", "Good night", "bye"]
    assert shown[0]["asserts"][2]["provider"] == "alpha"


def test_what_was_imported_can_be_compared(cli: Cli, folder: Path, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "Arr"
    assert cli("prompts", "import", str(folder / "promptfooconfig.yaml")).code == 0
    result = cli("compare", "sailor/prompts-1", "sailor/Chatty", "--cases", "sailor", "-m", "alpha", "--json")
    assert result.code == 100  # two of the cases want more
    assert len(json.loads(result.out)["cells"]) == 6


def test_import_as_json_strictly_and_under_another_name(cli: Cli, folder: Path) -> None:
    result = cli("prompts", "import", str(folder / "promptfooconfig.yaml"), "--name", "sea/x", "--json", "--strict")
    made = json.loads(result.out)
    assert result.code == 1  # the javascript check is lost
    assert (made["name"], made["cases"], made["prompts"][0]) == ("sea/x", "sea-x", "sea/x/prompts-1")
    assert made["written"][-1] == "seeds/sea-x.yaml"
    assert {f["kind"] for f in made["findings"]} == {"lost", "changed"}


def test_one_prompt_has_the_name_of_the_config(cli: Cli, library: Path) -> None:
    (library / "my eval.yml").write_text("prompts: 'Hi {{a}}'\n")
    result = cli("prompts", "import", "my eval.yml")
    assert result.out.splitlines() == ["prompts/my-eval.jinja"]
    assert "cases" not in result.err
    (library / "promptfooconfig.short.yaml").write_text("prompts: 'Hi {{a}}'\n")
    assert cli("prompts", "import", "promptfooconfig.short.yaml").out.splitlines() == ["prompts/short.jinja"]


# --- nothing is overwritten ------------------------------------------------------------------------------------------


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("there", "reason", "forced"),
    [
        ("prompts/sailor/prompts-2.jinja", "there is a prompt sailor/prompts-2 already", 0),
        ("prompts/sailor/prompts-2.prompty", "there is a prompt sailor/prompts-2 already", 2),
        ("seeds/sailor.yaml", "seeds/sailor.yaml is there already", 0),
        ("seeds/sailor.csv", "seeds/sailor.csv is there already", 2),
    ],
)
def test_nothing_is_overwritten_without_force(
    cli: Cli, library: Path, folder: Path, there: str, reason: str, forced: int
) -> None:
    (library / there).parent.mkdir(parents=True, exist_ok=True)
    (library / there).write_text("mine")
    before = files(library)
    result = cli("prompts", "import", str(folder / "promptfooconfig.yaml"))
    assert (result.code, result.err.count("\n"), reason in result.err) == (2, 1, True)
    assert files(library) == before
    result = cli("prompts", "import", str(folder / "promptfooconfig.yaml"), "--force")
    assert result.code == forced
    assert (files(library) == before) == bool(forced)
    assert ((library / there).read_text() == "mine") == bool(forced)
    assert not list(library.rglob(".*.????????"))


def test_force_replaces_a_link_and_not_what_it_leads_to(cli: Cli, library: Path, folder: Path) -> None:
    (library / "seeds").mkdir()
    outside = library.parent / "outside.yaml"
    outside.write_text("mine")
    (library / "seeds" / "sailor.yaml").symlink_to(outside)
    assert cli("prompts", "import", str(folder / "promptfooconfig.yaml"), "--force").code == 0
    assert outside.read_text() == "mine"
    assert not (library / "seeds" / "sailor.yaml").is_symlink()


def test_seeds_that_lead_out_of_the_library_are_not_written_to(cli: Cli, library: Path, folder: Path) -> None:
    (library.parent / "outside").mkdir()
    (library / "seeds").symlink_to(library.parent / "outside")
    result = cli("prompts", "import", str(folder / "promptfooconfig.yaml"))
    assert (result.code, "is a link that leads out of the library" in result.err) == (2, True)
    assert not list((library.parent / "outside").iterdir())
    assert not (library / "prompts" / "sailor").exists()


# --- hostile configs -------------------------------------------------------------------------------------------------


def test_only_files_in_the_folder_of_the_config_are_read(cli: Cli, library: Path, folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("SECRET {{a}}")
    (folder.parent / "secrets").mkdir()
    (folder.parent / "secrets" / "x.txt").write_text("SECRET")
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "linked").symlink_to(folder.parent / "secrets")
    (folder / "circle.txt").symlink_to(folder / "circle.txt")
    (folder / "inside.txt").symlink_to(folder / "prompts.txt")
    os.mkfifo(folder / "pipe.txt")
    (folder / "bytes.txt").write_bytes(b"a\n\xff")
    (folder / "c.yaml").write_text(
        f"""\
prompts:
  - Fine {{{{a}}}}
  - file://link.txt
  - file://linked/x.txt
  - file://circle.txt
  - file://../secret.txt
  - file://{folder.parent}/secret.txt
  - file://pipe.txt
  - file://bytes.txt
  - file://more
  - file://**/x.txt
  - "file://nul\\0.txt"
  - file://{"long" * 100}.txt
  - file://inside.txt
tests:
  - vars: {{a: file://link.txt}}
  - vars: file://../secret.yaml
  - file://linked/*.csv
"""
    )
    result = cli("prompts", "import", str(folder / "c.yaml"))
    assert result.code == 0
    lines = [line.partition("c.yaml:")[2] for line in result.err.splitlines() if "(lost)" in line]
    link = "is a link that leads out of the config's folder, and only files in it are read (lost)"
    assert lines == [
        f"3:5: file://link.txt {link}",
        f"4:5: file://linked/x.txt {link}",
        "5:5: file://circle.txt is a link that leads in a circle (lost)",
        "6:5: file://../secret.txt leads out of the config's folder, and only files in it are read (lost)",
        lines[4],
        "8:5: file://pipe.txt is not a regular file (lost)",
        "9:5: file://bytes.txt is not UTF-8 text, in line 2 (lost)",
        "10:5: more: prompts are read from .txt, .md, .j2, .json, .jsonl, .yaml, .yml, .csv (lost)",
        "11:5: file://**/x.txt fits no file (lost)",
        "12:5: file://nul␀.txt cannot be the name of a file (lost)",
        lines[10],
        f"16:12: a cannot be had: file://link.txt {link}",
        "17:5: file://../secret.yaml leads out of the config's folder, and only files in it are read (lost)",
        "18:5: file://linked/*.csv fits no file (lost)",
    ]
    assert lines[4].startswith("7:5: file:///")
    assert lines[4].endswith("is an absolute path, and only files in the config's folder are read (lost)")
    assert lines[10].startswith("13:5: file://longlong")
    assert "File name too long" in lines[10]
    assert not any(b"SECRET" in text for text in files(library).values())


def test_all_files_together_have_a_limit(cli: Cli, folder: Path) -> None:
    with (folder / "big.txt").open("wb") as file:
        file.truncate(MAX_TOTAL + 1)
    (folder / "c.yaml").write_text("prompts: [Fine, 'file://big.txt']\n")
    result = cli("prompts", "import", str(folder / "c.yaml"))
    assert f"c.yaml:1:17: file://big.txt is larger than {MAX_TOTAL:,} bytes" in result.err


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("c.yaml", "prompts: [&a x, *a]\n", "c.yaml:1:11: YAML: anchors (&a) are not allowed here"),
        ("c.yaml", "prompts: " + "[" * 100, "is nested deeper than 40 levels"),
        ("c.yaml", "x" * 1_100_000, "c.yaml: is larger than 1,048,576 bytes"),
        ("c.yaml", "models: {}\n", "c.yaml:1:1: is no config of promptfoo's: it has neither prompts nor tests"),
        ("c.yaml", "prompts: ['{% x %}']\n", "c.yaml: nothing in it has a counterpart"),
        ("c.json", "[1, 2", "c.json:1:6: JSON: "),
        ("c.js", "module.exports = {}", "c.js is no file that can be imported: dotprompt's (*.prompt) or promptfoo's"),
        ("none.yaml", None, "none.yaml cannot be read: No such file or directory"),
        ("folder.yaml", None, "folder.yaml cannot be read: Is a directory"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_nothing_written(
    cli: Cli, library: Path, file: str, text: str | None, reason: str
) -> None:
    (library / "folder.yaml").mkdir()
    if text is not None:
        (library / file).write_text(text)
    before = files(library)
    result = cli("prompts", "import", file)
    assert (result.code, reason in result.err) == (2, True)
    assert files(library) == before


def test_a_template_that_is_none_here_is_left_out(cli: Cli, library: Path) -> None:
    """Python takes 20 blocks, and Nunjucks has no such limit."""
    deep = "{% for x in a %}" * 21 + "x" + "{% endfor %}" * 21
    (library / "c.yaml").write_text(json.dumps({"prompts": ["Fine", deep]}))
    result = cli("prompts", "import", "c.yaml")
    assert result.out.splitlines() == ["prompts/c/1.jinja"]
    assert "c.yaml: the prompt c/2 is left out: the template cannot be compiled: SyntaxError (lost)" in result.err
    assert cli("prompts", "check", "c/1").code == 0
