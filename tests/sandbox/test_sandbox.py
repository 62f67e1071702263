# The tables are easier to read with a case on a line.
# ruff: noqa: E501
from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from promptlab.core import program, prompt
from promptlab.core.program import Ask, Message, Reference, Transcript
from promptlab.core.prompt import Input, Prompt, parse
from promptlab.errors import InputError, PromptlabError, RenderError, SourceError
from promptlab.sandbox import Limits, Sandbox

WALL_S = 1.0
FOREVER = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(wall_s=WALL_S)) as opened:
        yield opened


@pytest.fixture(scope="module")
def patient() -> Iterator[Sandbox]:
    with Sandbox(Limits(wall_s=30)) as opened:
        yield opened


def make(body: str, **inputs: Any) -> Prompt:
    return Prompt("p", body, body, inputs=tuple(Input(name, schema, True) for name, schema in inputs.items()))


def works(sandbox: Sandbox) -> bool:
    return sandbox.step(make("<{{ x }}>"), {"x": 42}, ()) == Ask("output", (Message("user", "<42>"),))


def child_of(sandbox: Sandbox) -> psutil.Process:
    assert works(sandbox)
    assert sandbox._child is not None
    return psutil.Process(sandbox._child.pid)


# --- the same as the core --------------------------------------------------------------------------------------------

VERDICT = "{% user %}Is {{ c }}?{% enduser %}{% generate v max_tokens=5 stop=['.'] %}{% user %}Why {{ v }}?{% enduser %}{% generate w %}"


@pytest.mark.parametrize(
    ("body", "inputs", "answers"),
    [
        ("hello {{ c }}", {"c": "\ud800 😀 \x00 \u2028\r\n"}, []),
        (VERDICT, {"c": "x"}, []),
        (VERDICT, {"c": {"a": [1, None, True, 1.5]}}, ["yes"]),
        (VERDICT, {"c": "x"}, ["yes", "😀\ud800"]),
        ("q{% generate x %}{% return {'x': [x, none, 1.5]} %}", {}, ["a"]),
    ],
)
def test_a_step_is_what_the_core_says(sandbox: Sandbox, body: str, inputs: dict[str, Any], answers: list[str]) -> None:
    assert sandbox.step(make(body), inputs, answers) == program.step(make(body), inputs, tuple(answers))


def test_partials_and_the_line_of_the_body_are_known(sandbox: Sandbox) -> None:
    source = "---\ndescription: x\n---\n{% include '_a' %}"
    with pytest.raises(RenderError, match=r"^_a:2: 'oops' is undefined$"):
        sandbox.step(parse(source, "p").with_partials({"_a": "\n{{ oops }}"}), {}, ())
    with pytest.raises(RenderError, match=r"^p.jinja:4: includes '_a', which is not there$"):
        sandbox.step(parse(source, "p"), {}, ())


def test_values_are_completed(patient: Sandbox) -> None:
    asked = parse('---\ninputs: {a: integer, b: {type: string, default: x}, "c?": string}\n---\n', "p")
    assert patient.complete(asked, {"a": 1}) == {"a": 1, "b": "x", "c": None} == prompt.complete(asked, {"a": 1})
    with pytest.raises(InputError) as caught:
        patient.complete(asked, {"a": "1"})
    assert caught.value.message == "p: the input 'a': '1' is not of type 'integer'"
    assert caught.value.hint == f"It takes {asked.signature}"


def test_references_and_their_errors(sandbox: Sandbox) -> None:
    found = sandbox.references("{% include '_a' %}\n{% call_prompt c = 'b' %}", "f")
    assert found == (Reference("include", "_a", 1), Reference("call", "b", 2))
    with pytest.raises(SourceError) as caught:
        sandbox.references("\n {% zork %}", "f", 5)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("f", 6, 2)


def test_chat_templates(sandbox: Sandbox) -> None:
    asked = [Message("system", "s"), Message("user", "u\ud800")]
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ bos_token }}{{ messages[0].content }}"
    assert sandbox.chat(template, asked, bos="<s>", eos="") == ("<s>s\n\nu\ud800", True)
    with pytest.raises(RenderError, match=r"^the model's chat template refuses these messages: no$"):
        sandbox.chat(template, asked[:1], bos="", eos="")


# --- templates that want too much ------------------------------------------------------------------------------------

TIME = "p.jinja: took longer than 1 s and was stopped"
MEMORY = "needs too much memory"
LARGE = "would be too large"
UNSAFE = "is unsafe."
TEXT = "renders to more than 2,000,000 characters"
DEEP = "too deeply"

BOMBS = [
    # processor
    (FOREVER, TIME),
    ("{{ 9 ** (9 ** 9) }}", LARGE),
    ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", TIME),
    # memory
    ("{{ 'x' * 10 ** 9 }}", LARGE),
    ("{{ 'x'.ljust(900000000) }}", MEMORY),
    ("{{ 'x' | center(900000000) }}", MEMORY),
    ("{{ 'x'.zfill(10 ** 9) | length }}", MEMORY),
    ("{{ '\t'.expandtabs(10 ** 9) | length }}", MEMORY),
    ("{{ '%999999999d' % 1 }}", MEMORY),
    ("{{ '%999999999d' | format(1) }}", MEMORY),
    ("{{ '{:>999999999}'.format(1) }}", MEMORY),
    ("{{ ('x'.encode() * 900000000) | length }}", MEMORY),
    ("{{ (5).to_bytes(10 ** 9, 'big') | length }}", MEMORY),
    ("{{ {'a': 1} | tojson(indent=900000000) }}", MEMORY),
    ("{{ [1] | batch(10 ** 9, 'x') | list | length }}", MEMORY),
    ("{{ ('x' * 100000).replace('x', 'y' * 100000) | length }}", MEMORY),
    ("{{ ('y' * 100000).join(range(99999) | map('string')) | length }}", MEMORY),
    ("{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", MEMORY),
    ("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", MEMORY),
    ("{{ range(10 ** 9) | list }}", "Range too big"),
    # output
    ("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", TEXT),
    ("{% set x %}{% for i in range(4000) %}{% user %}{{ 'x' * 99999 }}{% enduser %}{% endfor %}{% endset %}", TEXT),
    ("{% for i in range(9999) %}{% user %}{% enduser %}{% endfor %}", "makes more than 4,096 messages"),
    ("{% return ['x' * 99999] * 900 %}", "{% return %} gives more than 2,000,000 characters"),
    # depth
    ("{{ " + "(" * 20_000 + ")" * 20_000 + " }}", DEEP),
    ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, DEEP),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", DEEP),
    ("{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", DEEP),
    ("{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{% return ns.x %}", DEEP),
    # ways out
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", UNSAFE),
    ("{{ '' | attr('__class__') }}", UNSAFE),
    ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", UNSAFE),
    ("{{ self._TemplateReference__context }}", UNSAFE),
    ("{{ '{0.__class__.__init__.__globals__}'.format('') }}", UNSAFE),
    ("{{ '{a.__class__}'.format_map({'a': 1}) }}", UNSAFE),
    ("{% include '/etc/passwd' %}", "includes '/etc/passwd', which is not there"),
    ("{% import 'os' as os %}", "includes 'os', which is not there"),
    # long messages
    ("{{ {}['" + "k" * 200_000 + "'] }}", "'dict object' has no attribute 'kkk"),
    ("{% " + "z" * 200_000 + " %}", "Encountered unknown tag 'zzz"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "part"), BOMBS, ids=range(len(BOMBS)))
def test_a_template_that_wants_too_much_is_stopped_and_the_next_one_works(
    sandbox: Sandbox, patient: Sandbox, body: str, part: str
) -> None:
    # Where another limit than time is to stop it, a busy machine must not make time the first.
    chosen = sandbox if part == TIME else patient
    with pytest.raises((RenderError, SourceError)) as caught:
        chosen.step(make(body), {}, ())
    assert part in str(caught.value)
    assert str(caught.value).startswith("p.jinja")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert works(chosen)


def test_a_template_is_stopped_when_its_time_is_over(sandbox: Sandbox) -> None:
    assert works(sandbox)  # so that starting a child is not counted
    begin = time.monotonic()
    with pytest.raises(RenderError):
        sandbox.step(make(FOREVER), {}, ())
    assert WALL_S <= time.monotonic() - begin < WALL_S + 5


HUNGRY_SCHEMAS: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "string", "pattern": "^(a+)+$"}, "a" * 50 + "!", TIME),
    ({"type": "string", "default": "a" * 50 + "!", "pattern": "^(a+)+$"}, "a", TIME),
    ({"uniqueItems": True}, [{"a": i} for i in range(9000)], TIME),
    ({"type": "string", "pattern": "(" * 20_000 + ")" * 20_000}, "a", "is nested too deeply"),
    ({"$ref": "#"}, "a", "its schema cannot be applied: maximum recursion depth"),
    ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, "a", "its schema cannot be applied: maximum recursion depth"),
    ({"$ref": "http://127.0.0.1:9/x"}, "a", "its schema refers to something that is not in it"),
]


@pytest.mark.parametrize(("schema", "value", "part"), HUNGRY_SCHEMAS, ids=range(len(HUNGRY_SCHEMAS)))
def test_a_type_that_never_ends_is_stopped(
    sandbox: Sandbox, patient: Sandbox, schema: dict[str, Any], value: Any, part: str
) -> None:
    chosen = sandbox if part == TIME else patient
    with pytest.raises((RenderError, InputError)) as caught:
        chosen.complete(make("", x=schema), {"x": value})
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert works(chosen)


@pytest.mark.parametrize(
    ("template", "part"),
    [
        (FOREVER, "the model's chat template: took longer than 1 s and was stopped"),
        ("{{ 'x'.ljust(900000000) }}", "<chat template>:1: needs too much memory"),
        ("{{ messages.__class__ }}{{ messages.__class__.x }}", "<chat template>:1: access to attribute '__class__'"),
        ("{% for i in range(99999) %}{{ messages[0].content * 99 }}{% endfor %}", "renders to more than 2,000,000"),
    ],
)
def test_a_chat_template_has_the_same_limits(sandbox: Sandbox, patient: Sandbox, template: str, part: str) -> None:
    chosen = sandbox if "took longer" in part else patient
    with pytest.raises(RenderError) as caught:
        chosen.chat(template, [Message("user", "hello" * 100)], bos="", eos="")
    assert part in str(caught.value)
    assert works(sandbox)


def test_references_have_the_same_limits(patient: Sandbox) -> None:
    with pytest.raises((SourceError, RenderError), match="too deeply"):
        patient.references("{{ " + "(" * 20_000 + ")" * 20_000 + " }}", "f")
    assert works(patient)


# --- values that do not fit through ----------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "p.jinja: a value is not plain data: Out of range float values"),
        (-math.inf, "p.jinja: a value is not plain data: Out of range float values"),
        ({1, 2}, "p.jinja: a value is not plain data: Object of type set"),
        (b"x", "p.jinja: a value is not plain data: Object of type bytes"),
        (nested(100_000), "p.jinja: a value is nested too deeply"),
    ],
    ids=range(5),
)
def test_what_is_not_plain_data_is_an_input_error(sandbox: Sandbox, value: Any, message: str) -> None:
    for ask in (lambda: sandbox.step(make("x"), {"x": value}, ()), lambda: sandbox.complete(make("x"), {"x": value})):
        with pytest.raises(InputError) as caught:
            ask()
        assert str(caught.value).startswith(message)
    assert works(sandbox)


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_deep_values_pass(sandbox: Sandbox, depth: int) -> None:
    assert sandbox.step(make("{{ x | length }}"), {"x": nested(depth)}, ()).messages == (Message("user", "1"),)


@pytest.mark.parametrize("depth", range(940, 1000, 3))
def test_values_at_the_edge_of_what_can_be_read_pass_or_are_refused(patient: Sandbox, depth: int) -> None:
    try:
        patient.step(make("{{ x | length }}"), {"x": nested(depth)}, ())
    except (InputError, RenderError):
        with pytest.raises((InputError, RenderError), match="nested too deeply"):
            patient.step(make("{{ x | length }}"), {"x": nested(depth)}, ())
    assert works(patient)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "😀é\n" * 300_000, "\x00" * 300_000])
def test_large_values_go_through_both_ways(patient: Sandbox, text: str) -> None:
    result = patient.step(make("[{{ x }}]{% generate g %}{% return g %}"), {"x": text}, [text])
    assert isinstance(result, Transcript)
    assert result.messages == (Message("user", f"[{text}]"), Message("assistant", text))
    assert result.output == text


def test_a_very_large_value_goes_in(patient: Sandbox) -> None:
    assert patient.step(make("{{ x | length }}"), {"x": "x" * 20_000_000}, ()).messages == (
        Message("user", "20000000"),
    )


def test_too_large_a_value_is_an_error(patient: Sandbox) -> None:
    with pytest.raises(RenderError) as caught:
        patient.step(make("{{ x }}"), {"x": "x" * 20_000_000}, ())
    assert str(caught.value) == "p.jinja: renders to more than 2,000,000 characters"
    assert works(patient)


# --- the child -------------------------------------------------------------------------------------------------------


def test_the_child_stays_warm(sandbox: Sandbox) -> None:
    assert child_of(sandbox).pid == child_of(sandbox).pid


def test_a_child_killed_between_requests_is_replaced() -> None:
    with Sandbox() as sandbox:
        process = child_of(sandbox)
        process.kill()
        process.wait()
        assert child_of(sandbox).pid != process.pid


class Shot(Sandbox):
    """A sandbox whose child gets a signal as soon as it has a request."""

    signal: int | None = None

    def _send(self, pipe: int, line: bytes, deadline: float) -> None:
        super()._send(pipe, line, deadline)
        if self.signal:
            assert self._child is not None
            self._child.send_signal(self.signal)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "p.jinja: the process that renders it died (signal 9); it needs too much"),
        (signal.SIGSEGV, "p.jinja: the process that renders it died (signal 11); it needs too much"),
        (signal.SIGSTOP, TIME),
    ],
)
def test_a_child_killed_in_the_middle_of_a_request_is_an_error_and_the_next_one_works(
    number: int, message: str
) -> None:
    sandbox = Shot(Limits(wall_s=WALL_S))
    with sandbox:
        sandbox.signal = number
        with pytest.raises(RenderError) as caught:
            sandbox.step(make(FOREVER), {}, ())
        assert str(caught.value) == message
        sandbox.signal = None
        assert works(sandbox)


def test_a_large_request_to_a_child_that_does_not_read_ends_in_time() -> None:
    with Sandbox(Limits(wall_s=0.5)) as sandbox:
        process = child_of(sandbox)
        process.suspend()
        begin = time.monotonic()
        with pytest.raises(RenderError, match=r"took longer than 0.5 s"):
            sandbox.step(make("{{ x | length }}"), {"x": "x" * 5_000_000}, ())
        assert time.monotonic() - begin < 5
        assert child_of(sandbox).pid != process.pid


def test_ctrl_c_in_the_middle_of_a_request_leaves_no_reply_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox:
        process = child_of(sandbox)
        with monkeypatch.context() as patch:
            patch.setattr("os.read", interrupt)
            with pytest.raises(KeyboardInterrupt):
                sandbox.step(make("an old answer"), {}, ())
        assert not process.is_running()
        assert works(sandbox)


def test_ctrl_c_while_the_child_starts_leaves_no_child_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox:
        with monkeypatch.context() as patch:
            patch.setattr("select.select", interrupt)
            with pytest.raises(KeyboardInterrupt):
                works(sandbox)
        assert sandbox._child is None
        assert works(sandbox)


def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_threads_share_it_and_each_gets_its_own_answers(sandbox: Sandbox) -> None:
    wrong: list[Any] = []

    def ask(who: int) -> None:
        for n in range(40):
            try:
                got = sandbox.step(make("{{ x }}" * 50), {"x": f"{who}:{n};"}, ()).messages[0].content
                if got != f"{who}:{n};" * 50:
                    wrong.append(got)
                if n == 20 and who == 0:
                    with pytest.raises(RenderError):
                        sandbox.step(make(FOREVER), {}, ())
            except PromptlabError as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closing_leaves_no_process_behind_and_asking_again_starts_another() -> None:
    sandbox = Sandbox()
    sandbox.close()
    processes = [child_of(sandbox)]
    sandbox.close()
    sandbox.close()
    assert not processes[0].is_running()
    processes.append(child_of(sandbox))
    sandbox.close()
    assert not any(psutil.pid_exists(p.pid) for p in processes)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is not a child: Linux only")
@pytest.mark.parametrize("busy", [False, True])
def test_a_child_does_not_outlive_its_parent_for_long(busy: bool) -> None:
    script = (
        "import os; from promptlab.sandbox import Limits, Sandbox; from promptlab.core.prompt import Prompt\n"
        "s = Sandbox(Limits(wall_s=0.1)); s.step(Prompt('p', 'a', 'a'), {}, ())\n"
        f"if {busy}: s._talk = lambda child, line, wall_s: (child.stdin.write(line), child.stdin.flush(), os.write(1, b'%d' % child.pid), os._exit(0))\n"
        f"s.step(Prompt('p', {FOREVER!r}, {FOREVER!r}), {{}}, ()) if {busy} else os.write(1, b'%d' % s._child.pid)\n"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    try:
        handle = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return  # it has ended already
    try:
        assert select.select([handle], [], [], 20)[0]
    finally:
        os.close(handle)


def test_the_limits_of_the_child() -> None:
    with Sandbox(Limits(wall_s=3, memory_bytes=500 * 1024 * 1024)) as sandbox:
        process = child_of(sandbox)
        assert process.rlimit(psutil.RLIMIT_AS) == (500 * 1024 * 1024,) * 2
        assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert 5 <= process.rlimit(psutil.RLIMIT_CPU)[0] <= 15


def test_the_child_knows_nothing_of_the_environment_and_has_no_files_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with Path(__file__).open() as file, Sandbox() as sandbox:
        os.set_inheritable(file.fileno(), True)
        process = child_of(sandbox)
        assert "SECRET_TOKEN" not in process.environ()
        assert set(process.environ()) <= {
            "PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONHASHSEED", "PYTHONUTF8",
            "PYTHONDONTWRITEBYTECODE", "LC_CTYPE",
        }  # fmt: skip
        assert process.open_files() == []
        assert process.cwd() == "/"


WRITER = """
import sys
from promptlab.sandbox import child
def write(request):
    with open(request["path"], "w") as file:
        file.write("stolen")
child._OPERATIONS["write"] = write
sys.argv = ["child", "800000000", "5"]
child.main()
"""


def test_the_child_cannot_write_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    requests = [
        {"op": "write", "file": "f", "path": str(path)},
        {"op": "references", "file": "f"},
        {"op": "zork", "file": "f"},
    ]
    lines = "".join(json.dumps(r) + "\n" for r in requests) + "no json\n" + "[" * 99_999 + "\n"
    done = subprocess.run([sys.executable, "-c", WRITER], input=lines, capture_output=True, text=True, check=True)
    ready, *replies = done.stdout.splitlines()
    assert ready == "ready"
    assert [json.loads(r)["message"] for r in replies] == [
        "f: OSError: [Errno 27] File too large",
        "f: KeyError: 'source'",
        "f: KeyError: 'zork'",
        "the request: JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        "the request: is nested too deeply",
    ]
    assert not path.exists() or path.read_bytes() == b""


TRAP = "import pathlib; pathlib.Path({marker!r}).touch(); raise SystemExit(3)\n"
TRAPPED = [
    "jinja2",
    "json",
    "jsonschema",
    "promptlab",
    "yaml",
    "pydantic",
    "sitecustomize",
    "usercustomize",
    "resource",
]


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder full of modules that leave a mark when they are imported."""
    folder = tmp_path / "library"
    folder.mkdir()
    for name in TRAPPED:
        (folder / f"{name}.py").write_text(TRAP.format(marker=str(tmp_path / "ran")))
    (folder / "promptlab").mkdir()
    (folder / "promptlab" / "__init__.py").write_text(TRAP.format(marker=str(tmp_path / "ran")))
    monkeypatch.chdir(folder)
    return tmp_path / "ran"


def test_the_trap_works(hostile: Path) -> None:
    assert subprocess.run([sys.executable, "-c", "import jinja2"], check=False).returncode == 3
    assert hostile.exists()


@pytest.mark.parametrize("path", [None, "::/nonexistent:"])
def test_nothing_is_imported_from_the_working_folder(
    hostile: Path, path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", path)
    with Sandbox() as sandbox:
        assert works(sandbox)
        assert sandbox.complete(make("x", a={"type": "integer"}), {"a": 1}) == {"a": 1}
    assert not hostile.exists()


def test_relative_folders_of_the_import_path_are_those_of_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "lib:/opt/x")
    with Sandbox() as sandbox:
        assert child_of(sandbox).environ()["PYTHONPATH"] == f"{tmp_path / 'lib'}:/opt/x"


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/python", "/bin/echo"])
def test_a_child_that_does_not_start_is_one_line(executable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    with Sandbox() as sandbox, pytest.raises(PromptlabError) as caught:
        works(sandbox)
    assert str(caught.value).startswith("the process that renders templates does not start")
    assert "\n" not in str(caught.value)


def test_too_little_memory_to_work_in_is_an_error() -> None:
    with Sandbox(Limits(memory_bytes=1024 * 1024)) as sandbox, pytest.raises(PromptlabError) as caught:
        sandbox.step(make("{{ 'x' * 90000 }}" * 10), {}, ())
    assert "\n" not in str(caught.value)
