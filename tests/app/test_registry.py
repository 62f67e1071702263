"""Entries from files, with small files that are whole models to a reader of headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.lab import Lab
from promptlab.app.registry import (
    Added,
    Skipped,
    Wish,
    add_model,
    fitting_name,
    import_lmstudio,
    import_ollama,
    remove_model,
    usage,
)
from promptlab.errors import NotFound, SourceError, UsageError
from promptlab.files.models import parse_models
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.pull import Progress, pull
from promptlab.files.registry import user_file
from tests.conftest import sha256, weights
from tests.files import ggufkit


def quiet(progress: Progress) -> None:
    pass


def gguf(path: Path, **changes: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ggufkit.model(**changes))
    return path


def entry(lab: Lab, name: str) -> Any:
    return lab.models[name]


def test_a_file_becomes_an_entry_of_ones_own(lab: Lab, home: Path) -> None:
    file = gguf(home / "My Model (Q4).GGUF")
    told: list[Progress] = []
    added = add_model(lab, file, Wish(), told.append)
    digest = sha256(file.read_bytes())
    assert (added.name, added.sha256, added.registry) == ("my-model-q4", digest, str(user_file()))
    assert added.kept in ("clone", "hard link")
    assert added.notes == ("the file names no license: look it up, and write it into its entry",)
    assert (told[-1].model, told[-1].phase, told[-1].done) == ("my-model-q4", "verify", file.stat().st_size)
    model = entry(lab, "my-model-q4")
    assert (model.sha256, model.bytes, model.sources) == (digest, file.stat().st_size, (str(file),))
    assert (model.title, model.license, model.context, model.chat_template) == ("A model", "unknown", 2048, "plain")
    assert model_file(digest).read_bytes() == file.read_bytes()
    model_file(digest).unlink()
    assert pull(model, library=lab.root, progress=quiet).exists()  # its source is where it was


def test_what_is_said_goes_before_what_the_file_says(lab: Lab, home: Path) -> None:
    file = gguf(home / "x.gguf", context_length=ggufkit.typed(ggufkit.U32, 131_072))
    added = add_model(lab, file, Wish("mine", "mit", 'A "title": x', link=True), quiet)
    assert (added.kept, added.license, added.notes) == ("link", "mit", ())
    model = entry(lab, "mine")
    assert (model.title, model.license, model.context) == ('A "title": x', "mit", 4096)


def test_into_the_project(lab: Lab, home: Path, library: Path) -> None:
    before = (library / "models.yaml").read_text()
    inside = add_model(lab, gguf(library / "weights" / "in.gguf"), Wish(license="mit", project=True), quiet)
    assert inside.notes == ()
    assert entry(lab, "in").sources == ("weights/in.gguf",)
    outside = add_model(lab, gguf(home / "out.gguf"), Wish(license="mit", project=True), quiet)
    assert outside.notes == (
        "in is this file too",
        "has no source: write one into its entry, so that others can pull it",
    )
    assert entry(lab, "out").sources == ()
    assert (library / "models.yaml").read_text().startswith(before)
    assert not user_file().exists()


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(), "there is a model 'alpha' already"),
        (Wish(project=True), "there is a model 'alpha' already"),
        (Wish("beta", project=True), "there is a model 'beta' already"),
        (Wish("Not a name"), "'Not a name' cannot be a name"),
        (Wish("all"), "'all' means every model"),
        (Wish(""), "'' cannot be a name"),
    ],
)
def test_names_that_cannot_be(lab: Lab, home: Path, wish: Wish, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        add_model(lab, gguf(home / "alpha.gguf"), wish, quiet)
    assert str(caught.value).startswith(said)
    assert not user_file().exists()


def test_an_entry_of_the_project_is_replaced_by_ones_own_only_by_name(lab: Lab, home: Path) -> None:
    added = add_model(lab, gguf(home / "alpha.gguf"), Wish("alpha", "mit"), quiet)
    assert added.notes == ("it is used instead of the project's alpha",)
    assert entry(lab, "alpha").sha256 == added.sha256
    removed = remove_model(lab, "alpha", file=True)
    assert removed.notes == ("the project's alpha is used from now on",)
    assert entry(lab, "alpha").sha256 == sha256(weights("alpha"))


@pytest.mark.parametrize("data", [b"", b"GGUF", b"not a model", b"<html>"])
def test_what_is_no_gguf_file_is_refused(lab: Lab, home: Path, data: bytes) -> None:
    (home / "x.gguf").write_bytes(data)
    with pytest.raises(UsageError, match="is not a usable GGUF file"):
        add_model(lab, home / "x.gguf", Wish(), quiet)
    assert not user_file().exists()


def test_what_is_no_file_is_refused(lab: Lab, home: Path) -> None:
    for path in (home / "gone.gguf", home, Path("x" * 5000)):
        with pytest.raises(UsageError):
            add_model(lab, path, Wish(), quiet)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SmolLM2-135M.Q4_1", "smollm2-135m.q4_1"),
        ("me/model:7b", "me-model-7b"),
        ("..", "model"),
        ("all", "all-model"),
        ("日本", "model"),
        ("x" * 200, "x" * 64),
        ("a" * 63 + "--b", "a" * 63),
    ],
)
def test_names_are_made_to_fit(text: str, name: str) -> None:
    assert fitting_name(text) == name
    parse_models(f"models:\n  {name}: {{license: x}}\n", "")


def test_what_cannot_be_written_is_told_before_a_large_file_is_read(lab: Lab, home: Path, library: Path) -> None:
    (library / "models.yaml").write_text("models: {alpha: {license: x}}\n")
    told: list[Progress] = []
    with pytest.raises(UsageError, match="Change it by hand"):
        add_model(lab, gguf(home / "x.gguf"), Wish(project=True), told.append)
    assert told == []


# --- taking out


def test_an_entry_is_taken_out_and_its_file_only_on_request(lab: Lab, library: Path) -> None:
    text = (library / "models.yaml").read_text()
    removed = remove_model(lab, "alpha", file=False)
    assert (removed.registry, removed.freed) == (str(library / "models.yaml"), None)
    assert model_file(sha256(weights("alpha"))).exists()
    assert (library / "models.yaml").read_text() == "models:\n" + text[text.index("  beta:") :]
    removed = remove_model(lab, "beta", file=True)
    assert removed.freed == len(weights("beta"))
    assert not model_file(sha256(weights("beta"))).exists()
    assert remove_model(lab, "gamma", file=True).freed is None
    assert lab.models == {}


def test_a_file_that_another_entry_names_stays(lab: Lab, library: Path) -> None:
    same = f"  same: {{license: x, sha256: {sha256(weights('alpha'))}}}\n"
    (library / "models.yaml").write_text((library / "models.yaml").read_text() + same)
    with pytest.raises(UsageError, match="same: has the file of alpha too"):
        remove_model(lab, "alpha", file=True)
    assert "alpha" in lab.models
    remove_model(lab, "alpha", file=False)
    remove_model(lab, "same", file=True)
    assert not model_file(sha256(weights("alpha"))).exists()


def test_a_file_that_the_entry_behind_it_names_stays(lab: Lab) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text(f"models:\n  alpha: {{license: x, sha256: {sha256(weights('alpha'))}}}\n")
    with pytest.raises(UsageError, match="the project's alpha: has the file"):
        remove_model(lab, "alpha", file=True)


def test_a_base_stays_while_something_is_built_on_it(lab: Lab, library: Path) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text("models:\n  alpha-q8: {license: x, base: alpha}\n")
    with pytest.raises(UsageError, match="alpha-q8: names alpha as its base"):
        remove_model(lab, "alpha", file=False)
    remove_model(lab, "alpha-q8", file=False)
    remove_model(lab, "alpha", file=False)


def test_an_unknown_one(lab: Lab) -> None:
    with pytest.raises(NotFound):
        remove_model(lab, "alpah", file=False)


# --- what lies in the store


def test_usage(lab: Lab) -> None:
    stray = model_file("e" * 64)
    stray.write_bytes(b"123")
    (cache_dir() / "downloads" / "x").mkdir(parents=True)
    (cache_dir() / "downloads" / "x" / "part").write_bytes(b"12345")
    found = usage(lab)
    by_hash = {each.sha256: each for each in found.files}
    assert by_hash[sha256(weights("alpha"))].entries == ("alpha",)
    assert (by_hash["e" * 64].entries, by_hash["e" * 64].runs, by_hash["e" * 64].last_run) == ((), 0, None)
    assert [each.bytes for each in found.leftovers] == [5]
    assert found.bytes == len(weights("alpha")) + len(weights("beta")) + 3 + 5
    assert not (lab.root / ".promptlab").exists()


# --- what other programs have


def ollama(folder: Path, **models: bytes) -> Path:
    for name, data in models.items():
        digest = sha256(data)
        path = folder / "blobs" / f"sha256-{digest}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        manifest = folder / "manifests" / "registry.ollama.ai" / "library" / name / "latest"
        manifest.parent.mkdir(parents=True)
        layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}]
        manifest.write_text(json.dumps({"layers": layers}))
    return folder


def test_models_of_ollama(lab: Lab, home: Path) -> None:
    one, other = ggufkit.model(), ggufkit.model(block_count=ggufkit.typed(ggufkit.U32, 2))
    folder = ollama(home / "ollama", alpha=one, bad=b"GGUF", copy=one, other=other)
    listed = list(import_ollama(lab, folder, quiet, dry_run=True))
    assert not user_file().exists()
    found = list(import_ollama(lab, folder, quiet, dry_run=False))
    for each in (listed, found):
        assert [type(one) for one in each] == [Added, Skipped, Added, Added]
        assert [one.name for one in each] == ["alpha-2", "bad", "alpha-2", "other"]  # `alpha` is the project's
        assert [one.already for one in each if isinstance(one, Added)] == [False, True, False]
    assert isinstance(found[1], Skipped)
    assert found[1].reason == "is not a usable GGUF file: it ends after 4 bytes"
    assert entry(lab, "alpha-2").sha256 == sha256(one)
    assert model_file(sha256(one)).read_bytes() == one
    again = [each for each in import_ollama(lab, folder, quiet, dry_run=False) if isinstance(each, Added)]
    assert [(each.name, each.already) for each in again] == [("alpha-2", True), ("alpha-2", True), ("other", True)]
    assert sorted(parse_models(user_file().read_text(), "").models) == ["alpha-2", "other"]


def test_a_blob_with_another_hash_than_its_name_gets_its_own(lab: Lab, home: Path) -> None:
    folder = ollama(home / "ollama", model=ggufkit.model())
    (blob,) = (folder / "blobs").iterdir()
    changed = ggufkit.model(block_count=ggufkit.typed(ggufkit.U32, 2))
    blob.write_bytes(changed)
    (added,) = import_ollama(lab, folder, quiet, dry_run=False)
    assert isinstance(added, Added)
    assert added.sha256 == sha256(changed) == entry(lab, "model").sha256


def test_models_of_lm_studio(lab: Lab, home: Path) -> None:
    gguf(home / "studio" / "publisher" / "repository" / "Tiny-Q4.gguf")
    (added,) = import_lmstudio(lab, home / "studio", quiet, dry_run=False)
    assert isinstance(added, Added)
    assert (added.name, added.kept in ("clone", "hard link")) == ("tiny-q4", True)


def test_a_registry_that_is_wrong_is_told_before_anything_is_taken(lab: Lab, home: Path) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text("models: 3\n")
    folder = ollama(home / "ollama", model=ggufkit.model())
    with pytest.raises(SourceError):
        list(import_ollama(lab, folder, quiet, dry_run=False))
    assert user_file().read_text() == "models: 3\n"
