from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from promptlab.errors import NotFound
from promptlab.files import foreign
from promptlab.files.foreign import Found, Skipped

USUAL = ("registry.ollama.ai", "library")
A, B = "a" * 64, "b" * 64


def blob(folder: Path, digest: str) -> Path:
    path = folder / "blobs" / f"sha256-{digest}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF")
    return path


def manifest(folder: Path, *parts: str, layers: Any) -> None:
    path = folder.joinpath("manifests", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(layers if isinstance(layers, str) else json.dumps({"layers": layers}))


def layer(kind: str, digest: Any) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest, "size": 4}


def told(found: Iterable[Found | Skipped]) -> dict[str, str]:
    return {each.name: each.reason if isinstance(each, Skipped) else str(each.path) for each in found}


def test_what_ollama_has(tmp_path: Path) -> None:
    path = blob(tmp_path, A)
    model = [layer("model", f"sha256:{A}")]
    manifest(tmp_path, *USUAL, "llama3", "latest", layers=[*model, layer("template", B), layer("params", B)])
    manifest(tmp_path, *USUAL, "llama3", "8b", layers=model)
    manifest(tmp_path, "registry.ollama.ai", "somebody", "tiny", "latest", layers=model)
    manifest(tmp_path, "example.org", "library", "other", "v1", layers=model)
    assert {each.name: each for each in foreign.ollama_models(tmp_path)} == {
        "llama3": Found("llama3", path, ("template", "params")),
        "llama3:8b": Found("llama3:8b", path),
        "somebody/tiny": Found("somebody/tiny", path),
        "example.org/other:v1": Found("example.org/other:v1", path),
    }


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ("{", "its manifest is not one of Ollama's"),
        ("[" * 100_000, "its manifest is not one of Ollama's"),
        ("[]", "its manifest is not one of Ollama's"),
        ('{"layers": [3]}', "its manifest is not one of Ollama's"),
        ('{"layers": [], "x": "' + "x" * foreign.MAX_MANIFEST + '"}', "its manifest is not one of Ollama's"),
        ([], "has no files of weights; one is what can be used"),
        ([layer("model", f"sha256:{A}")] * 2, "has 2 files of weights; one is what can be used"),
        ([layer("model", 3)], "its manifest names no file of weights: 3"),
        ([layer("model", "sha256:../../../etc/passwd")], "its manifest names no file of weights:"),
        ([layer("model", f"sha256:{B}")], f"is not there: sha256-{B}"),
        ([layer("model", "sha256:" + "c" * 64)], "is a link that leads out of the folder"),
        ([layer("model", "sha256:" + "d" * 64)], "is no file that can be read"),
    ],
)
def test_one_that_cannot_be_used_is_told_and_the_rest_goes_on(tmp_path: Path, layers: Any, reason: str) -> None:
    folder = tmp_path / "ollama"
    blob(folder, A)
    (tmp_path / "secret").write_bytes(b"GGUF")
    (folder / "blobs" / f"sha256-{'c' * 64}").symlink_to(tmp_path / "secret")
    (folder / "blobs" / f"sha256-{'d' * 64}").mkdir()
    manifest(folder, *USUAL, "odd", "latest", layers=layers)
    manifest(folder, *USUAL, "right", "latest", layers=[layer("model", f"sha256:{A}")])
    found = told(foreign.ollama_models(folder))
    assert found["odd"].startswith(reason)
    assert found["right"].endswith(A)


def test_links_among_the_manifests_are_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "ollama", tmp_path / "outside"
    manifest(outside, *USUAL, "model", "latest", layers=[])
    (folder / "manifests").mkdir(parents=True)
    (folder / "manifests" / "host").symlink_to(outside / "manifests" / USUAL[0])
    assert told(foreign.ollama_models(folder)) == {"host": "is a link to a folder, and is not followed"}
    model = folder / "manifests" / "registry.ollama.ai" / "library" / "model"
    model.mkdir(parents=True)
    (model / "latest").symlink_to(outside / "manifests" / USUAL[0] / USUAL[1] / "model" / "latest")
    assert told(foreign.ollama_models(folder))["model"].startswith("its manifest is a link that leads out")


def test_what_lm_studio_has(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    repository = folder / "publisher" / "repository"
    repository.mkdir(parents=True)
    for name in ("One.gguf", "two.GGUF", "mmproj-one.gguf", "big-00001-of-00002.gguf", "README.md"):
        (repository / name).write_bytes(b"GGUF")
    (tmp_path / "outside.gguf").write_bytes(b"GGUF")
    (repository / "link.gguf").symlink_to(tmp_path / "outside.gguf")
    (repository / "inside.gguf").symlink_to("One.gguf")
    (folder / "other").symlink_to(tmp_path)
    found = told(foreign.lmstudio_models(folder))
    assert {name: reason.partition(",")[0].partition(";")[0] for name, reason in found.items()} == {
        "other": "is a link to a folder",
        "One": str(repository / "One.gguf"),
        "two": str(repository / "two.GGUF"),
        "inside": str(repository / "inside.gguf"),
        "publisher/repository/mmproj-one.gguf": "is the part of a model that sees pictures",
        "publisher/repository/big-00001-of-00002.gguf": "is one of several parts of a model",
        "publisher/repository/link.gguf": "is a link that leads out of the folder",
    }


def test_a_folder_with_very_many_files_comes_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MAX_FILES", 20)
    for number in range(50):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "a.gguf").write_bytes(b"GGUF")
    found = list(foreign.lmstudio_models(tmp_path))
    assert found[-1] == Skipped(tmp_path.name, "holds more than 20 files and folders; the rest is left out")
    assert len(found) < 20


def test_where_they_usually_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    with pytest.raises(NotFound, match="there are no models of LM Studio: no folder ~/"):
        foreign.lmstudio_folder(None)
    (home / ".lmstudio" / "models").mkdir(parents=True)
    assert foreign.lmstudio_folder(None) == home / ".lmstudio" / "models"
    (home / ".ollama" / "models" / "manifests").mkdir(parents=True)
    assert foreign.ollama_folder(None) == home / ".ollama" / "models"
    monkeypatch.setenv("OLLAMA_MODELS", str(home / "elsewhere"))
    with pytest.raises(NotFound, match="elsewhere/manifests"):
        foreign.ollama_folder(None)
    (home / "elsewhere" / "manifests").mkdir(parents=True)
    assert foreign.ollama_folder(None) == home / "elsewhere"
    (home / "link").symlink_to("elsewhere")
    assert foreign.ollama_folder(home / "link") == home / "elsewhere"  # the folder itself may be a link
