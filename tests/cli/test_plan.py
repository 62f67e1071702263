"""`promptlab models plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptlab.core.plan import KV_BUDGET, OVERHEAD, PER_WORD, RESERVE, SHELF_BUDGET
from promptlab.engine.memory import SystemMemory
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from tests.conftest import Cli
from tests.files.ggufkit import U32, model, typed

GB = 10**9
ALPHA = model(attention__key_length=typed(U32, 1 << 17))
BETA = model()


@pytest.fixture
def free(library: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Memory to change, and two models in it: alpha takes 2,097,152 bytes of KV cache a token, beta 512."""
    entries = read_models(library / "models.yaml")
    for name, data in (("alpha", ALPHA), ("beta", BETA)):
        sha256 = entries[name].sha256
        assert sha256 is not None
        model_file(sha256).write_bytes(data)
    memory = {"bytes": 100 * GB}
    monkeypatch.setattr(SystemMemory, "available", lambda self: memory["bytes"])
    return memory


def test_a_table(cli: Cli, free: dict[str, int]) -> None:
    result = cli("models", "plan")
    assert result.code == 0
    head, alpha, beta = (" ".join(line.split()) for line in result.out.splitlines())
    assert head == "MODEL WEIGHTS KV CACHE PREFIXES BESIDES TOTAL LEAST CONTEXT AT ONCE EXPECTED LOADED"
    assert alpha == f"alpha {len(ALPHA)} B 4.3 GB 268.4 MB 157.3 MB 4.7 GB 4.5 GB 2,048 1 4.4 GB alone"
    assert beta == f"beta {len(BETA)} B 33.6 MB 268.4 MB 157.3 MB 459.3 MB 158.3 MB 2,048 32 120.5 MB beside alpha"
    assert result.err == "promptlab: 100.0 GB of memory are free, and 537 MB of that stay free\n"


def test_as_json(cli: Cli, free: dict[str, int]) -> None:
    plan = json.loads(cli("models", "plan", "beta", "--json").out)
    assert (plan["available"], plan["reserve"]) == (100 * GB, RESERVE)
    (beta,) = plan["models"]
    assert (beta["kv_per_token"], beta["context"], beta["kv"]) == (512, 2048, 32 * 2048 * 512)
    besides = OVERHEAD + 3 * PER_WORD
    assert (beta["shelf"], beta["overhead"]) == (SHELF_BUDGET, besides)
    assert beta["total"] == beta["weights"] + beta["kv"] + SHELF_BUDGET + besides
    assert beta["least"] == beta["weights"] + 2048 * 512 + besides
    assert beta["kv"] < KV_BUDGET
    assert (beta["fits"], beta["evicts"], beta["beside"], beta["problem"]) == (True, [], [], None)


def test_so_many_at_once(cli: Cli, free: dict[str, int]) -> None:
    plan = json.loads(cli("models", "plan", "-m", "beta", "--context", "512", "--sequences", "8", "--json").out)
    (beta,) = plan["models"]
    assert (beta["context"], beta["at_once"]) == (512, 32)
    assert (beta["expected"]["sequences"], beta["expected"]["kv"]) == (8, 8 * 512 * 512)
    expected = beta["expected"]
    assert beta["expected_total"] == sum(expected[each] for each in ("weights", "kv", "compute", "worker"))
    result = cli("models", "plan", "alpha", "beta", "--sequences", "8")
    few = "promptlab: alpha: works on 1 of 8 at once in a cache of 4.3 GB; the others wait\n"
    assert result.err.endswith(f"that stay free\n{few}")


@pytest.mark.parametrize("option", [("--sequences", "0"), ("--sequences", "33"), ("--context", "1")])
def test_so_many_as_never_are(cli: Cli, library: Path, option: tuple[str, str]) -> None:
    result = cli("models", "plan", *option)
    assert (result.code, result.err.count("\n")) == (2, 1)


def test_one_that_must_wait(cli: Cli, free: dict[str, int]) -> None:
    free["bytes"] = RESERVE + 4_600_000_000
    plan = json.loads(cli("models", "plan", "alpha", "beta", "--json").out)
    assert [(m["fits"], m["evicts"], m["beside"]) for m in plan["models"]] == [(True, [], []), (True, ["alpha"], [])]
    assert cli("models", "plan", "alpha,beta").out.splitlines()[2].endswith("when alpha is out")


def test_one_that_does_not_fit(cli: Cli, free: dict[str, int]) -> None:
    free["bytes"] = RESERVE + 3 * GB
    result = cli("models", "plan")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[1].endswith("does not fit: 3.0 GB can be had")
    assert " 0 " in lines[1]
    assert lines[2].endswith("alone")
    result = cli("models", "plan", "alpha", "--json")
    assert (result.code, json.loads(result.out)["models"][0]["room"]) == (1, 3 * GB)


def test_one_that_is_not_on_disk_or_no_model(cli: Cli, library: Path) -> None:
    result = cli("models", "plan", "gamma", "alpha")
    assert result.code == 0
    gamma, alpha = (" ".join(line.split()) for line in result.out.splitlines()[1:])
    assert gamma == "gamma 1.2 MB not on disk"
    assert alpha.endswith("is not a usable GGUF file: it names no architecture")


def test_one_that_there_is_not(cli: Cli, library: Path) -> None:
    result = cli("models", "plan", "alfa")
    assert (result.code, result.err.count("\n")) == (2, 1)
