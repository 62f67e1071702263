"""The quantiser in its child process: stubs in its place, and the real one."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from promptlab.engine import quantize as quantiser
from promptlab.engine.quantize import KINDS, expected_bytes, quantize
from promptlab.errors import EngineError
from promptlab.files.gguf_header import QUANTIZATIONS, read_header
from promptlab.files.models import present, read_models
from promptlab.files.paths import shipped_library


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.gguf"
    path.write_bytes(b"GGUF")
    return path


def quantised(model: Path, target: Path, kind: str, parameters: int) -> list[tuple[int, int]]:
    heard: list[tuple[int, int]] = []
    quantize(model, target, kind, parameters, lambda done, total: heard.append((done, total)))
    return heard


def stub(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(quantiser, "COMMAND", (sys.executable, "-c", code))


def test_it_hears_each_tensor_and_gets_the_limits(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, "import sys; open(sys.argv[2], 'w').write(' '.join(sys.argv[3:])); print('0 2'); print('1 2')")
    heard: list[tuple[int, int]] = []
    quantize(source, tmp_path / "target", "q8_0", 1000, lambda done, total: heard.append((done, total)))
    assert heard == [(0, 2), (1, 2)]
    assert (tmp_path / "target").read_text() == f"7 {4 + quantiser.MEMORY} {4 + 4000} 600"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('\\x1b[31mfirst\\nlast', file=sys.stderr); sys.exit(1)", "this file: last"),
        ("import sys; sys.exit(3)", "this file: it ended with code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "this file: it was killed by signal 9"),
        ("import sys; sys.stderr.write('x' * 1_000_000); sys.exit(1)", "x"),
    ],
)
def test_what_goes_wrong_is_one_line(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    stub(monkeypatch, code)
    with pytest.raises(EngineError) as caught:
        quantize(source, tmp_path / "target", "q8_0", 1, lambda done, total: None)
    assert caught.value.message.endswith(reason)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 3000


def test_whoever_is_told_may_stop_it_and_the_child_is_gone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, "import os, time; print(os.getpid(), 9, flush=True); time.sleep(600)")
    child: list[int] = []

    def stop(done: int, total: int) -> None:
        child.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(source, tmp_path / "target", "q8_0", 1, stop)
    assert not psutil.pid_exists(child[0])


def test_what_the_kinds_are_called() -> None:
    assert all(QUANTIZATIONS[kind.ftype].lower() == name for name, kind in KINDS.items())


@pytest.mark.model
def test_the_real_one_does_the_same_twice_within_the_size_that_was_expected(tmp_path: Path) -> None:
    model = present(read_models(shipped_library() / "models.yaml")["smollm2-135m"])
    assert model is not None
    header = read_header(model)
    hashes = set()
    for kind, name in (("q4_0", "a"), ("q4_0", "b"), ("q8_0", "c")):
        target = tmp_path / name
        assert quantised(model, target, kind, header.parameters) == [(done, 272) for done in range(272)]
        assert read_header(target).quantization == kind.upper()
        assert target.stat().st_size == pytest.approx(expected_bytes(kind, header.parameters, header.largest), rel=0.15)
        hashes.add(hashlib.sha256(target.read_bytes()).hexdigest())
    assert len(hashes) == 2
    assert read_header(tmp_path / "c").tensors == (("Q8_0", 211), ("F32", 61))


@pytest.mark.model
def test_a_file_that_is_no_model_is_one_line(source: Path, tmp_path: Path) -> None:
    source.write_bytes(b"GGUF" + os.urandom(500))
    with pytest.raises(EngineError, match=r"^llama\.cpp cannot quantise this file: "):
        quantize(source, tmp_path / "target", "q8_0", 1000, lambda done, total: None)
