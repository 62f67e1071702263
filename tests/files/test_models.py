from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from promptlab.core.job import Model
from promptlab.errors import NotFound, SourceError, StoreError
from promptlab.files.models import MAX_BYTES, present, read_models, select_models
from promptlab.files.paths import model_file

HASH = "ab" * 32


def read(tmp_path: Path, text: str) -> dict[str, Model]:
    path = tmp_path / "models.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return read_models(path, "models.yaml")


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, text)
    return [str(problem) for problem in caught.value.problems]


def test_a_full_entry(tmp_path: Path) -> None:
    models = read(
        tmp_path,
        f"""\
        models:
          small:
            title: Small
            license: apache-2.0
            sha256: {HASH}
            bytes: 123
            sources:
              - weights/small.gguf
              - parts: [pypi://a==1/x.0, pypi://a==1/x.1]
              - hf://org/repo/x.gguf
            context: 2048
            options: {{temperature: 0.6, stop: [END]}}
            chat_template: plain
            threads: 2
            mode: fast
            layout: {{flash_attention: true}}
            default: true
            tags: [base]
        """,
    )
    assert models == {
        "small": Model(
            name="small",
            sha256=HASH,
            sources=("weights/small.gguf", ("pypi://a==1/x.0", "pypi://a==1/x.1"), "hf://org/repo/x.gguf"),
            title="Small",
            license="apache-2.0",
            bytes=123,
            context=2048,
            options={"temperature": 0.6, "stop": ["END"]},
            chat_template="plain",
            threads=2,
            mode="fast",
            layout={"flash_attention": True},
            default=True,
            tags=("base",),
        )
    }


def test_defaults_are_those_of_model(tmp_path: Path) -> None:
    assert read(tmp_path, "models: {m: {license: mit}}") == {"m": Model(name="m", sha256=None, license="mit")}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "models:\n", "models: {}\n"])
def test_no_models(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {}


def test_no_file(tmp_path: Path) -> None:
    assert read_models(tmp_path / "models.yaml") == {}
    assert read_models(tmp_path / "no folder" / "models.yaml") == {}


def test_every_problem_at_once_and_in_its_place(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
        model: x
        models:
          all: {license: mit}
          Bad Name: {license: mit}
          m:
            sha256: ABC
            bytes: 1.5
            context: 8
            threads: 0
            mode: quick
            layout: {wide: 1, narrow: true}
            default: 1
            colour: red
            sources:
              - ftp://host/x
              - parts: [a.gguf, "pypi://a/b"]
              - {part: [a]}
              - 3
            options: {temperature: hot, warmth: 1}
            chat_template: chatml
            tags: base
        """,
    )
    assert found == [
        "models.yaml:1:1: 'model' is not a key here; there are models",
        "models.yaml:3:3: 'all' means every model that is on disk; call this one something else",
        "models.yaml:4:3: 'Bad Name' cannot be a name: up to 64 of a-z 0-9 . _ -, beginning with a letter or digit",
        "models.yaml:5:3: license is missing",
        "models.yaml:6:5: sha256 is 64 digits out of 0-9 and a-f; got 'ABC'",
        "models.yaml:7:5: bytes should be a valid integer",
        "models.yaml:8:5: context should be greater than or equal to 16",
        "models.yaml:9:5: threads should be greater than or equal to 1",
        "models.yaml:10:5: mode should be 'exact' or 'fast'",
        "models.yaml:11:14: layout should be a valid boolean",
        "models.yaml:11:23: 'narrow' is not a key here; there are wide, flash_attention, kv_unified, chunk, slots",
        "models.yaml:12:5: default should be a valid boolean",
        "models.yaml:13:5: 'colour' is not a key here; there are license, title, sha256, sources, bytes, context, "
        "options, chat_template, threads, mode, layout, default, tags, base, base_sha256, gpu_layers, kv_type, server, "
        "model",
        "models.yaml:15:9: 'ftp://host/x' is not a source; there are paths, pypi://, hf:// and https://",
        "models.yaml:16:25: 'pypi://a/b' is not of the form pypi://PACKAGE==VERSION/FILE-IN-WHEEL",
        "models.yaml:17:9: parts is missing",
        "models.yaml:17:10: 'part' is not a key here; there are parts",
        "models.yaml:18:9: sources should be a valid string",
        "models.yaml:19:15: temperature wants a number from 0 to 100; got 'hot'",
        "models.yaml:19:33: 'warmth' is not an option; there are temperature, top_k, top_p, min_p, repeat_penalty, "
        "max_tokens, stop, seed",
        "models.yaml:20:5: chat_template should be 'plain'",
        "models.yaml:21:5: tags should be a valid list",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "models.yaml:1:1: the file should be a valid mapping"),
        ("models: [a]\n", "models.yaml:1:1: models should be a valid mapping"),
        ("models: {m: 3}\n", "models.yaml:1:10: m should be a valid mapping"),
        ("models: {m: {license: ''}}\n", "models.yaml:1:14: license should have at least 1 character"),
        ("models: {m: {license: a, options: [a]}}\n", "models.yaml:1:26: options should be a valid mapping"),
        (
            "models: {m: {license: a, license: b}}\n",
            "models.yaml:1:26: YAML: the key 'license' stands here a second time",
        ),
        (
            "models: {m: &a {license: a}}\n",
            "models.yaml:1:13: YAML: anchors (&a) are not allowed here; write the value out",
        ),
        (
            "models: {m: {license: a, sources: [{parts: []}]}}\n",
            "models.yaml:1:37: sources should have at least 1 item",
        ),
    ],
)
def test_one_problem(tmp_path: Path, text: str, problem: str) -> None:
    assert [found[: len(problem)] for found in problems(tmp_path, text)] == [problem]


def test_files_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_bytes(b"models:\n  \xff")
    with pytest.raises(SourceError, match=r"m:2: is not UTF-8 text"):
        read_models(path, "m")
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(SourceError, match="is larger than"):
        read_models(path, "m")


def test_links_that_lead_out_and_folders(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("models: {}")
    library = tmp_path / "lib"
    library.mkdir()
    (library / "models.yaml").symlink_to(tmp_path / "secret")
    (library / "dangling.yaml").symlink_to(library / "nothing")
    (library / "inside.yaml").write_text("models: {m: {license: mit}}")
    (library / "link.yaml").symlink_to(library / "inside.yaml")
    for name in ("models.yaml", "dangling.yaml", "."):
        with pytest.raises(SourceError, match="is not a regular file in its folder"):
            read_models(library / name, "m")
    assert list(read_models(library / "link.yaml")) == ["m"]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Model]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    entries = [
        Model("smollm2-135m", "a" * 64, default=True),
        Model("smollm2-360m", "b" * 64),
        Model("gemma", "c" * 64, default=True),
        Model("loose", None),
    ]
    model_file("b" * 64).parent.mkdir(parents=True)
    model_file("b" * 64).write_bytes(b"")
    return {m.name: m for m in entries}


def chosen(models: dict[str, Model], *names: str) -> list[str]:
    return [m.name for m in select_models(models, names)]


def test_a_store_that_may_not_be_looked_into(models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(StoreError, match=r"cannot be read: Permission denied\. Look at the permissions"):
        present(models["smollm2-360m"])


def test_present(models: dict[str, Model]) -> None:
    assert present(models["smollm2-360m"]) == model_file("b" * 64)
    assert present(models["gemma"]) is None
    assert present(models["loose"]) is None
    model_file("c" * 64).mkdir()
    assert present(models["gemma"]) is None


def test_select(models: dict[str, Model]) -> None:
    assert chosen(models) == ["smollm2-135m", "gemma"]
    assert chosen(models, "") == ["smollm2-135m", "gemma"]
    assert chosen(models, "all") == ["smollm2-360m"]
    assert chosen(models, "gemma, smollm2-135m", "gemma", "loose") == ["gemma", "smollm2-135m", "loose"]
    assert chosen(models, "gemma,all,smollm2-360m") == ["gemma", "smollm2-360m"]


def test_select_nothing(models: dict[str, Model]) -> None:
    with pytest.raises(NotFound, match=r"no model is marked `default: true`.*-m"):
        select_models({}, [])
    model_file("b" * 64).unlink()
    with pytest.raises(NotFound, match=r"no model is on disk.*models pull"):
        select_models(models, ["all"])


def test_select_unknown(models: dict[str, Model]) -> None:
    with pytest.raises(NotFound) as caught:
        select_models(models, ["gema"])
    hint = "Did you mean gemma? There are smollm2-135m, smollm2-360m, gemma, loose"
    assert str(caught.value) == f"there is no model 'gema'. {hint}"
    with pytest.raises(NotFound, match=r"There are none in models\.yaml"):
        select_models({}, ["x"])
    many = {f"m{n}": Model(f"m{n}", None) for n in range(30)}
    with pytest.raises(NotFound, match="m19 and more"):
        select_models(many, ["zzzz"])
