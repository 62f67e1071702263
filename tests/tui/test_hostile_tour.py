"""Every screen in a real terminal, with a library, a repository, models and answers of a stranger: no byte of theirs is
anything but text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import gitkit
from tests.tui.ptykit import Step, tour

ATTACK = "[/foo] [@click=app.quit]x[/] \x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202egnp\u2066.exe\r\x08"
QUOTED = json.dumps(ATTACK).replace("\\u009b", "\\x9b")
PROMPT = f"""\
---
description: {QUOTED}
inputs:
  a: {{type: string, default: {QUOTED}, description: {QUOTED}}}
---
{{# {ATTACK.replace(chr(13), "")} #}}
{{% user %}}{{{{ a }}}}{{% enduser %}}
"""
CASES = (
    f"- {{id: storm, description: {QUOTED}, vars: {{a: {QUOTED}}}, assert: [{{type: contains, value: {QUOTED}}}]}}\n"
)
SCRIPT = f"""
from functools import partial
from pathlib import Path
from promptlab.app.lab import Labs
from promptlab.engine.fake import FakeEngine
from promptlab.tui.app import Playground
attack = {ATTACK!r}
engine = FakeEngine(lambda question, prompt: attack + f" {{question.model}} THE-END")
Playground(partial(Labs, Path("."), lambda: engine)).run()
"""
FORBIDDEN = (b"\x1b]52;c;aGk", b"\x1b[2J", b"\xe2\x80\xae", b"\xc2\x9b", b"\xe2\x81\xa6", b"=\x07", b"\x08")
"""Of these, Textual itself sends none; a bell alone it does send, for a key that does nothing."""

STEPS: list[Step] = [
    (b"", ("evil", "Inputs of", "THE-SOURCE")),
    (b"v", ("working copy", "THE-SUBJECT")),
    (b"\x1b", ("Inputs of", "THE-SOURCE")),
    (b"e", ("esc leaves",)),
    (b"\x1b", ("v versions",)),
    (b"\x12", ("alpha THE-END", "beta THE-END", "done: stop")),
    (b"\x1b[17~", ()),  # f6: to the inputs
    (b"\x1b", ()),  # and to the first column
    (b"t", ("token 1 of",)),
    (b"d", ("First token that differs",)),
    (b"w", ("id",)),
    (b"a", ("say",)),
    (b"\x1b", ("Inputs of",)),
    (b"\x1bOR", ("Tick what to compare", "[x] evil")),
    (b"\x1b[17~", ("none ticked",)),
    (b" ", ("[x] evil  1 case",)),
    (b"\x12", ("2 of 2 answers", "done")),
    (b"\r", ("THE-END",)),
    (b"\x1b", ("The marked case",)),
    (b"a", ("How often two columns say the same",)),
    (b"\x1bOS", ("4 runs", "Identity")),
    (b"\x1b[15~", ("MODEL", "sha256")),
]


@pytest.fixture
def stranger(library: Path, git_settings: None) -> Path:
    for path in (library / "prompts").rglob("*.jinja"):
        path.unlink()
    (library / "prompts" / "evil.jinja").write_text(PROMPT + "{# THE-SOURCE #}")
    (library / "seeds").mkdir()
    (library / "seeds" / "evil.yaml").write_text(CASES)
    models = library / "models.yaml"
    text = models.read_text().replace("title: The first", f"title: {QUOTED}")
    models.write_text(text.replace("license: mit", f"license: {QUOTED}"))
    gitkit.run(library, "init", "-q")
    gitkit.run(library, "add", "-A")
    gitkit.run(library, "commit", "-q", "-m", f"THE-SUBJECT {ATTACK}")
    return library


def test_no_screen_sends_what_a_stranger_wrote_as_anything_but_text(stranger: Path) -> None:
    sent = tour(SCRIPT, STEPS)
    for attack in FORBIDDEN:
        assert attack not in sent, attack
    plain = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", sent).decode(errors="replace")
    assert "␛]52;c;aGk=␇" in plain
