"""What a source of models.yaml says: a path, a file in a wheel, a file on the Hugging Face hub, or an address."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from promptlab.core.schema import shorten

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WHEEL = re.compile(r"pypi://(?P<package>[^=/]*)==(?P<version>[^/]*)/(?P<member>.*)", re.DOTALL)
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9]([0-9A-Za-z.!+_-]{0,62}[0-9A-Za-z])?")
_HUB = re.compile(
    r"hf://(?P<owner>[^/@]*)/(?P<name>[^/@]*)(@(?P<early>[^/]*))?/(?P<path>[^@]*)(@(?P<late>.*))?", re.DOTALL
)
_REPOSITORY_PART = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_OTHER_KINDS = ("datasets", "spaces", "kernels", "buckets", "models")
"""What the hub writes where an owner stands, to say what kind of thing it is."""
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # and halves of characters, which no file name can have
MAX_CHARS = 1000


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A file on this machine. A relative path begins at the library, and `~` is an ordinary character there: in the
    user's own models.yaml, `files.registry` has made both absolute.
    """

    path: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file inside a wheel of a package index."""

    package: str
    version: str
    member: str
    """Its path in the wheel."""


@dataclass(frozen=True, slots=True)
class Address:
    """A file behind an https address."""

    url: str


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a model's repository on the Hugging Face hub."""

    repository: str
    """OWNER/NAME."""
    path: str
    """Of the file, in the repository."""
    revision: str = "main"
    """A branch, a tag or a commit."""


Source = LocalPath | Wheel | Address | Hub


def parse_source(text: str) -> Source:
    """Read one source. Raises ValueError, with one line that says what is wrong with it."""
    if not text.strip() or len(text) > MAX_CHARS or _CONTROL.search(text):
        raise ValueError(
            f"a source is a text of 1 to {MAX_CHARS} characters without line breaks; got {shorten(repr(text))}"
        )
    scheme = _SCHEME.match(text)
    if not scheme:
        return LocalPath(text)
    if scheme[1] == "pypi":
        return _parse_wheel(text)
    if scheme[1] == "https":
        return _parse_address(text)
    if scheme[1] == "hf":
        return _parse_hub(text)
    raise ValueError(f"{shorten(text)!r} is not a source; there are paths, pypi://, hf:// and https://")


def _parse_address(text: str) -> Address:
    parts = urlsplit(text)
    if not parts.hostname or not text.isascii() or " " in text:
        raise ValueError(f"{shorten(text)!r} is not of the form https://HOST/PATH, with blanks and accents as %20")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{shorten(parts.hostname)!r}: a name or a password in an address would be shown to everybody")
    if parts.fragment or not parts.path.strip("/"):
        raise ValueError(f"{shorten(text)!r} does not name a file")
    return Address(text)


def _parse_hub(text: str) -> Hub:
    """`hf://OWNER/NAME/FILE@REVISION`, or with the revision where the hub's own tools write it, after the name."""
    parts = _HUB.fullmatch(text)
    if not parts or parts["owner"] in _OTHER_KINDS or (parts["early"] is not None and parts["late"] is not None):
        raise ValueError(f"{shorten(text)!r} is not of the form hf://OWNER/NAME/FILE or hf://OWNER/NAME/FILE@REVISION")
    for part in parts.group("owner", "name"):
        if not _REPOSITORY_PART.fullmatch(part):
            raise ValueError(f"{shorten(part)!r} is not the name of an owner or a repository (in {shorten(text)!r})")
    hub = Hub(f"{parts['owner']}/{parts['name']}", parts["path"])
    _check_member(hub.path, text)
    given = parts["late"] if parts["early"] is None else parts["early"]
    if given is None:
        return hub
    if not _REVISION.fullmatch(given) or ".." in given:
        raise ValueError(f"{shorten(given)!r} is not a branch, a tag or a commit (in {shorten(text)!r})")
    return replace(hub, revision=given)


def _parse_wheel(text: str) -> Wheel:
    parts = _WHEEL.fullmatch(text)
    if not parts:
        raise ValueError(f"{shorten(text)!r} is not of the form pypi://PACKAGE==VERSION/FILE-IN-WHEEL")
    wheel = Wheel(**parts.groupdict())
    # Nothing that could reach pip as an option, a range of versions, or an address.
    if not _PACKAGE.fullmatch(wheel.package):
        raise ValueError(f"{shorten(wheel.package)!r} is not the name of a package (in {shorten(text)!r})")
    if not _VERSION.fullmatch(wheel.version):
        raise ValueError(f"{shorten(wheel.version)!r} is not one exact version (in {shorten(text)!r})")
    _check_member(wheel.member, text)
    return wheel


def _check_member(path: str, text: str) -> None:
    if "\\" in path or any(segment in ("", ".", "..") for segment in path.split("/")):
        raise ValueError(f"{shorten(path)!r} is not a relative path without `..` (in {shorten(text)!r})")
