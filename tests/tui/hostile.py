"""A library of which a stranger has written everything."""

from __future__ import annotations

from pathlib import Path

from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from tests import gitkit
from tests.conftest import make_library, sha256
from tests.files.ggufkit import STRING, U32, gguf, typed

HARMLESS = ("␛[2J", r"\x1b[2J", r"\u001b[2J", "<U+202E>")
"""How hostile text looks once it is safe: as such, quoted by Python, as JSON, and where it is only hidden."""
OWN_WORDS = frozenset(
    {"KeyBar", "Tab", "HelpScreen", "SureScreen", "UnsavedScreen", "Took", "Samples", "QuickBar", "Tooltip", "Box"}
)
"""Widgets that show nobody's words but the program's: names of prompts and of models are no hostile text."""
TEXTUALS = frozenset({"Toast", "Tooltip", "SelectOverlay", "CommandInput"})
"""Of Textual's own widgets, those that show a text which our widgets did not make."""
_ATTACK = (
    "\x1b[2J\x1b]52;c;aGk=\x07\x1bPq\x1b\\"  # as seven bits: a sequence, a command, a device control
    "\x9b2J\x9d0;owned\x9c\x90q\x9c"  # the same as one character each
    "\x08\r\x7f\u202egnp\u2066.exe\u200e\u2028"  # back, over, and the other way round
    "a\u200db\U000e0041\ufeff"  # what hides
    "[@click=app.quit]x[/] [bold]y[/] [link=https://e.org]z[/] [/nothing]"  # markup
)


def hostile(word: str) -> str:
    """Text that would do all that it can to a terminal; its first word tells where it is from."""
    return word + _ATTACK


def shown(word: str) -> str:
    """How that begins on the screen."""
    return word + HARMLESS[0]


LIBRARY = hostile("LIBRARY").replace("/", "") + "\x1b[2J"
"""The name of a folder that would do the same; of a long path, its end is shown."""


def quoted(word: str) -> str:
    """The same, as YAML writes it in plain letters."""
    return (
        '"'
        + "".join(
            c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in hostile(word)
        )
        + '"'
    )


EVIL = f"""\
---
description: {quoted("ABOUT")}
options: {{stop: [{quoted("STOP")}], max_tokens: 400}}
inputs:
  a: {{type: string, default: {quoted("GIVEN")}, description: {quoted("HINT")}}}
  choice: {{enum: [{quoted("CHOICE")}, {quoted("OTHER")}], default: {quoted("CHOICE")}}}
  text: {{type: string, default: {quoted("LONG")}}}
  on: {{type: boolean, description: {quoted("SWITCH")}, default: true}}
---
{{% user %}}{{{{ a }}}} {{{{ choice }}}} {hostile("SOURCE").replace(chr(13), "")}{{% enduser %}}
"""
STEPS = """\
---
inputs: {a: string}
---
{% system %}{{ a }}{% endsystem %}
{% user %}First.{% enduser %}
{% generate first %}
{% user %}Then {{ first }}{% enduser %}
{% generate then %}
{% return {"then": then, "a": a} %}
"""
CHOOSE = f"""\
---
inputs: {{a: {{enum: [{quoted("YES")}, {quoted("NO")}]}}}}
---
{{% user %}}{{{{ a }}}}{{% enduser %}}
{{% generate pick choices=[a, "neither"] %}}
"""
FOUND = f"""\
---
{quoted("FINDING")}: 1
---
Hello.
"""
PLAIN = "---\ninputs: {word: string}\n---\nSay: {{ word }}\n"
CASES = f"""\
description: {quoted("SET")}
tests:
  - {{id: "CASE\\u202e[bold]", description: {quoted("WHAT")}, vars: {{a: {quoted("VALUE")}, text: {quoted("TEXT")}}},
     assert: [{{type: contains, value: {quoted("WANTED")}, metric: {quoted("METRIC")}}}]}}
"""
MISFITS = f"""\
description: {quoted("SET")}
tests:
  - {{id: "SECOND\\u202e[bold]", description: {quoted("WHAT")}, vars: {{a: b, choice: {quoted("MISFIT")}}}}}
"""
TEMPLATE = f"{{# {hostile('TEMPLATE')} #}}\n" + "{{ messages }}\n" * 20
MORE = f"""\
  delta:
    title: {quoted("TITLE")}
    license: {quoted("LICENSE")}
    sha256: {"d" * 64}
    bytes: 1000000
    sources: ["nowhere/[@click=app.quit]DELTA"]
    tags: [{quoted("TAG")}]
"""
"""A model that is not there, and cannot be had."""


def weights() -> bytes:
    """The file of a model that says hostile things of itself."""
    words = {"name": "NAMED", "license": "FREE"}
    return gguf(
        [
            ("general.architecture", typed(STRING, "llama")),
            *((f"general.{key}", typed(STRING, hostile(word))) for key, word in words.items()),
            ("general.file_type", typed(U32, 15)),
            ("llama.block_count", typed(U32, 30)),
            ("llama.context_length", typed(U32, 8192)),
            ("tokenizer.ggml.model", typed(STRING, hostile("TOKENS"))),
            ("tokenizer.chat_template", typed(STRING, TEMPLATE)),
        ]
    )


def make_hostile(root: Path, *, models: bool = True) -> Path:
    """Write one, where there is nothing yet; without `models`, none is on disk."""
    make_library(root)
    for path in (root / "prompts").rglob("*.jinja"):
        path.unlink()
    prompts = {"evil": EVIL, "steps": STEPS, "choose": CHOOSE, "found": FOUND, "plain": PLAIN}
    for name, text in prompts.items():
        (root / "prompts" / f"{name}.jinja").write_text(text)
    seeds = root / "seeds"
    seeds.mkdir()
    (seeds / "evil.yaml").write_text(MISFITS)
    (seeds / f"{hostile('FILE').replace('/', '')}.yaml").write_text(CASES)
    (seeds / "broken.yaml").write_text(f"- {{id: x, {quoted('BROKEN')}: 1}}\n")
    _models(root / "models.yaml", present=models)
    evil = root / "prompts" / "evil.jinja"
    gitkit.run(root, "init", "-q")
    gitkit.run(root, "add", "-A")
    gitkit.run(root, "commit", "-q", "-m", hostile("SUBJECT"))
    evil.write_text(EVIL + "\n")
    gitkit.run(root, "commit", "-qam", "SHORT\x1b[2J")  # which leaves room for a tag beside it
    gitkit.run(root, "tag", "LABEL\u202egnp\u2066")
    evil.write_text(EVIL + "{# " + hostile("CHANGE").replace("\r", "") + " #}\n")
    return root


def _models(path: Path, *, present: bool) -> None:
    old, other = (read_models(path)[name].sha256 for name in ("alpha", "beta"))
    assert old
    assert other
    data = weights()
    model_file(sha256(data)).write_bytes(data)
    for hash in (sha256(data), old, other) if not present else ():
        model_file(hash).unlink()
    text = path.read_text().replace(old, sha256(data)) + MORE
    text = text.replace("title: The first", f"title: {quoted('FIRST')}\n    tags: [{quoted('TAGGED')}]")
    options = f"    options: {{stop: [{quoted('STOP')}]}}"
    path.write_text(text.replace("license: mit", f"license: {quoted('MIT')}\n{options}", 1))
