"""What docs/prompts.md says is so, and the hooks file is what pre-commit wants."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from promptlab.app.check import check_prompts
from promptlab.app.lab import Lab, open_lab
from promptlab.core import tape, templates
from promptlab.core.checker import check
from promptlab.core.prompt import KEYS, parse
from promptlab.core.schema import read_field
from promptlab.core.yamltext import read
from promptlab.files.paths import shipped_library
from promptlab.sandbox import Limits

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "prompts.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def shipped(home: Path) -> Iterator[Lab]:
    with open_lab(shipped_library()) as lab:
        yield lab


def test_the_prompts_that_ship_are_right(shipped: Lab) -> None:
    checked = check_prompts(shipped, ())
    assert checked.findings == ()
    assert checked.prompts >= 7


def test_the_first_example_is_a_prompt(shipped: Lab) -> None:
    text = blocks("jinja")[0]
    files = {"triage.jinja": text, "extract.jinja": (shipped.library.folder / "extract.jinja").read_text()}
    assert check("triage.jinja", files) == []
    assert parse(text, "triage").signature.startswith("triage(message: string) -> {")
    assert set(KEYS) == {k for k in KEYS if f"| `{k}` |" in PAGE}


def test_the_types_of_inputs_are_read() -> None:
    front = blocks("yaml")[0]
    inputs = read(front, file="x").value["inputs"]
    fields = {f.name: f for f in (read_field(key, value) for key, value in inputs.items())}
    assert {name for name, field in fields.items() if not field.required} == {"audience", "depth"}
    assert fields["author"].schema["additionalProperties"] == {}
    assert fields["author"].schema["properties"]["age"] == {"type": ["integer", "null"]}


@pytest.mark.parametrize("body", blocks("jinja")[1:], ids=range(len(blocks("jinja")[1:])))
def test_the_other_examples_are_right_but_for_what_they_leave_out(body: str) -> None:
    front = "---\ninputs: {examples: any, question: any, claim: any}\n---\n"
    assert [f for f in check("p.jinja", {"p.jinja": front + body}) if f.severity == "error"] == []


def test_the_limits_are_as_written() -> None:
    text = " ".join(PAGE.split())
    limits = Limits()
    assert f"killed after {limits.wall_s:g} s or at {limits.memory_bytes >> 20} MB" in text
    assert (
        f"{templates.MAX_TEXT:,} characters, {tape.MAX_MESSAGES:,} messages and {tape.MAX_GENERATIONS} generations"
        in text
    )
    assert f"calls may be {tape.MAX_CALLS} deep" in text


def test_the_hook_checks_a_repository(home: Path, library: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["id"] in PAGE
    assert {"id", "name", "entry", "language", "files"} <= hook.keys()
    assert all(re.search(hook["files"], f) for f in ("prompts/a.jinja", "sub/prompts/x/_y.jinja", "prompts/p.prompty"))
    assert not re.search(hook["files"], "templates/a.jinja")
    program, *arguments = hook["entry"].split()
    command = [str(Path(sys.executable).parent / program), *arguments]
    assert shutil.which(program, path=str(Path(sys.executable).parent))

    def hooked(*files: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *files], cwd=home, capture_output=True, text=True, check=False)

    # From the top of a repository whose library lies in a folder of it, as pre-commit calls it.
    wrong = hooked("library/prompts/explain.jinja", "library/prompts/broken.jinja")
    assert (wrong.returncode, wrong.stdout.startswith("library/prompts/broken.jinja:2:")) == (1, True)
    assert hooked("library/prompts/explain.jinja").returncode == 0
    (library / "prompts" / "_part.jinja").write_text("x")
    assert hooked("library/prompts/_part.jinja").returncode == 1  # it may be what breaks another
    (library / "prompts" / "broken.jinja").unlink()
    assert hooked("library/prompts/_part.jinja").returncode == 0


def test_links_inside_the_page_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    readme = (ROOT / "README.md").read_text()
    wanted = set(re.findall(r"\(#([^)]+)\)", PAGE)) | set(re.findall(r"\(docs/prompts\.md#([^)]+)\)", readme))
    assert wanted
    assert wanted <= heads
