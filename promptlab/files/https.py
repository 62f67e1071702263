"""A file from an https address: what has come stays when the connection breaks, and the next request goes on there.

Range requests are those of RFC 9110, section 14; `If-Range` with a strong ETag makes sure that the rest is of the same
file. Redirects lead only to https, and nothing is sent but the request itself. Without TLS nothing is fetched, but
from this machine itself: so a mirror of the Hugging Face hub can be tried on loopback.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from promptlab.errors import PullError
from promptlab.files.wheel import CHUNK, Report, copy, make_sure_of_room, settle

TIMEOUT_S = 30.0
"""How long a server may say nothing."""
TRIES = 4
"""Requests in a row that bring it no further than it has been."""
PAUSE_S = 0.5
"""Before the second of these; each time twice as long."""
MAX_REDIRECTS = 10
KEPT = "; what has come so far is kept, and the next pull goes on from there"
PARTIAL, ORIGIN = SUFFIXES = (".partial", ".origin")
"""Of what has come so far, and of the note that says what it is a part of."""
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_BROKEN = (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)

Headers = dict[str, str]
Wait = Callable[[float], object]


def download(
    url: str,
    target: Path,
    report: Report,
    *,
    size: int | None = None,
    headers: Headers | None = None,
    wait: Wait = time.sleep,
) -> str:
    """Fetch a file to `target`, and return its SHA-256, computed while it comes.

    Beside it `target`.partial holds what has come so far, and outlives a failure. `size` is how many bytes the file
    must have, where that is known. `headers` are sent to this server only, not to another one to which a redirect
    leads. Raises PullError with one line that says why.
    """
    if not may_be_asked(url):
        raise PullError(f"{_host(url)} would be asked without https")
    work = _Download(url, target, report, size, headers or {})
    tries, most = 0, work.done
    while not work.whole:
        try:
            work.request()
            break
        except _Broken as broken:
            tries = 1 if work.done > most else tries + 1
            most = max(most, work.done)
            if tries >= TRIES:
                raise PullError(f"{broken}{KEPT if work.resumable else ''}") from None
            wait(PAUSE_S * 2 ** (tries - 1))
    return work.finish()


def may_be_asked(url: str) -> bool:
    """Whether an address is one with https, or leads no further than to this machine."""
    return url.startswith("https://") or _on_loopback(url)


def _on_loopback(url: str) -> bool:
    if not url.startswith("http://"):
        return False
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Broken(Exception):
    """The connection broke, or the server is busy: another try may help."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """Of what the partial file is a part."""

    url: str
    etag: str
    total: int | None


class _Download:
    """One file on its way."""

    def __init__(self, url: str, target: Path, report: Report, size: int | None, headers: Headers) -> None:
        self.url = url
        self.target = target
        self.partial = target.with_name(target.name + PARTIAL)
        self.note = target.with_name(target.name + ORIGIN)
        self.report = report
        self.size = size
        self.headers = headers
        self.origin = self._read_note()
        if self.origin is None:
            self.partial.unlink(missing_ok=True)
        self.total: int | None = None
        self.digest = hashlib.sha256()
        self.digested = 0
        """How many bytes of the partial file the digest has seen."""

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return self.partial.stat().st_size if self.partial.exists() else 0

    @property
    def resumable(self) -> bool:
        """Whether a later request can go on with what is there."""
        return self.origin is not None and self.done > 0

    @property
    def whole(self) -> bool:
        """Whether all that the file has is there, since a pull was stopped at its very end."""
        return self.origin is not None and 0 < self.done == self.origin.total

    def request(self) -> None:
        """Ask for what is missing, and write it down. Raises _Broken and PullError."""
        here = self.done
        self._catch_up(here)  # before a server waits for us
        try:
            with _open(self._asked(here)) as answer:
                self._take(answer, here)
        except urllib.error.HTTPError as error:
            error.close()
            self._refused(error.code, error.reason, here)
        except urllib.error.URLError as error:
            raise _failed(self.url, error.reason) from None
        except _BROKEN as error:
            raise _failed(self.url, error) from None
        except ValueError:  # such as a redirect to what is no address, or a name with a part that is too long
            raise PullError(f"{_host(self.url)} cannot be asked, or leads to something that is no address") from None

    def _asked(self, here: int) -> urllib.request.Request:
        headers = {"User-Agent": "promptlab", "Accept-Encoding": "identity"}
        if here and self.origin is not None:
            headers |= {"Range": f"bytes={here}-", "If-Range": self.origin.etag}
        request = urllib.request.Request(self.url, headers=headers)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        return request

    def _take(self, answer: Any, here: int) -> None:
        total = _length(answer)
        if answer.status == http.client.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != here:
                self._forget()
                raise _Broken(f"{_host(self.url)} sent another part of the file than it was asked for")
            total = int(found[3])
        elif answer.status == http.client.OK:
            here = 0
            self._catch_up(0)
        else:
            raise PullError(f"{_host(self.url)} answers {answer.status} {answer.reason}")
        if self.size is not None and total not in (None, self.size):
            raise PullError(f"the file has {total:,} bytes, but should have {self.size:,}")
        make_sure_of_room(self.target.parent, (total or 0) - here)
        self.total = total
        self._write_note(answer, total, keep=here > 0)
        with self.partial.open("ab" if here else "wb") as sink:
            self._copy(answer, sink, here)
            settle(sink)

    def _copy(self, answer: Any, sink: IO[bytes], done: int) -> None:
        most = self.size if self.total is None else self.total
        while chunk := answer.read1(CHUNK):
            done += len(chunk)
            if most is not None and done > most:
                raise PullError(f"{_host(self.url)} sends more than the {most:,} bytes that the file has")
            if most is None:
                make_sure_of_room(self.target.parent, len(chunk))
            sink.write(chunk)
            self.digest.update(chunk)
            self.digested = done
            self.report(done, most)
        if most is not None and done < most:
            raise _Broken(f"the connection to {_host(self.url)} broke off after {done:,} of {most:,} bytes")

    def _refused(self, code: int, reason: str, here: int) -> None:
        if code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and here:
            self._forget()
            raise _Broken(f"{_host(self.url)} has another file there now")
        if code < 400:
            raise PullError(f"{_host(self.url)} leads in a circle, or to an address without https")
        if code in (408, 429) or code >= 500:
            raise _Broken(f"{_host(self.url)} answers {code} {reason}")
        raise PullError(f"{_host(self.url)} answers {code} {reason}")

    def _catch_up(self, here: int) -> None:
        """Let the digest have seen so much of the partial file, and no more."""
        if self.digested == here:
            return
        self.digest, self.digested = hashlib.sha256(), here
        if here:
            with self.partial.open("rb") as file:
                for done in copy(file, self.digest.update):
                    self.report(done, None if self.origin is None else self.origin.total)

    def finish(self) -> str:
        """Give the file its name, and return its SHA-256."""
        self._catch_up(self.done)
        self.partial.replace(self.target)
        self.note.unlink(missing_ok=True)
        return self.digest.hexdigest()

    # --- what the partial file is a part of --------------------------------------------------------------------------

    def _read_note(self) -> _Origin | None:
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))
            origin = _Origin(str(found["url"]), str(found["etag"]), found["total"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return origin if origin.url == self.url and origin.etag else None

    def _write_note(self, answer: Any, total: int | None, *, keep: bool) -> None:
        etag = answer.headers.get("ETag", "")
        if not keep:
            # With a weak one, or none, nobody could tell whether the rest is of the same file.
            self.origin = _Origin(self.url, etag, total) if etag.startswith('"') else None
            if self.origin is None:
                self.note.unlink(missing_ok=True)
            else:
                self.note.write_text(json.dumps(asdict(self.origin)), encoding="utf-8")

    def _forget(self) -> None:
        self.origin = None
        self.note.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only, and takes to another server no header that was meant for the first one."""

    max_redirections = MAX_REDIRECTS

    def http_error_302(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:
            fp.close()  # which nobody else does where the address is none
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://") and not (_on_loopback(newurl) and _on_loopback(req.full_url)):
            fp.close()
            raise PullError(f"{_host(req.full_url)} leads to an address without https")
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        if further is not None and _origin(newurl) == _origin(req.full_url):
            for name, value in req.unredirected_hdrs.items():
                further.add_unredirected_header(name, value)
        return further


@contextlib.contextmanager
def _open(request: urllib.request.Request) -> Any:
    opener = urllib.request.build_opener(_SafeRedirects)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        yield answer


def _length(answer: Any) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _failed(url: str, reason: object) -> Exception:
    """Why there was no answer, or no more of it, in one line."""
    host = _host(url)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return PullError(f"{host} shows no certificate that is trusted here; look at SSL_CERT_FILE")
    if isinstance(reason, http.client.IncompleteRead):
        return _Broken(f"the connection to {host} broke off")
    if isinstance(reason, TimeoutError):
        return _Broken(f"{host} does not answer in time")
    if isinstance(reason, ConnectionRefusedError):
        return _Broken(f"{host} refuses the connection")
    if isinstance(reason, OSError) and reason.errno is not None and reason.errno < 0:
        return PullError(f"there is no address for {host}; is there a network?")
    return _Broken(f"no connection to {host}: {' '.join(str(reason).split())[:200] or type(reason).__name__}")


def _origin(url: str) -> tuple[str, str]:
    return (parts := urlsplit(url)).scheme, parts.netloc


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]
