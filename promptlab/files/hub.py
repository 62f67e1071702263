"""What the Hugging Face hub says of a file, and the address that it comes from.

The library huggingface_hub, an extra, knows the hub's addresses and errors, and the settings that people have for it:
HF_ENDPOINT, HF_TOKEN or the file of a login, HF_HUB_OFFLINE, HF_HUB_ETAG_TIMEOUT, proxies and certificates. It is asked
for no more than that: one request for what the hub knows of a file. The file itself comes as from any other address, so
that there is no second copy in the library's own cache, and no other protocol (xet) which talks to further hosts.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import getproxies

from promptlab.core.schema import shorten
from promptlab.errors import PullError
from promptlab.files import https
from promptlab.files.https import TRIES, Headers, Wait, may_be_asked
from promptlab.files.sources import Hub

if TYPE_CHECKING:
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

MAX_SIZE = 10**15
SILENT = 1000
"""Above every level of the library's log."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIBRARY = threading.Lock()
"""The library has one connection for the whole process, which is closed after each request."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the hub."""

    url: str
    headers: Headers = field(repr=False)
    """For this server only: they may hold the user's token."""
    size: int | None
    """In bytes, where the hub says it."""
    sha256: str | None
    """As the hub says it, of a file that is stored as a large one. Nobody has computed it here."""


def find(source: Hub, told: Callable[[], None], wait: Wait = time.sleep) -> Found:
    """Ask the hub for a file, again when it is busy; `told` is called before each time, and may raise to stop.

    Raises PullError with one line that says why it cannot be had.
    """
    _load()
    from huggingface_hub import constants

    if constants.is_offline_mode():
        raise PullError("HF_HUB_OFFLINE is set, so the hub is not asked")
    if not may_be_asked(constants.ENDPOINT):
        raise PullError("HF_ENDPOINT must be an address that begins with https://")
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else _token(Path(constants.HF_TOKEN_PATH))
    tries = 0
    while True:
        told()
        try:
            return _ask(source, constants.ENDPOINT, token)
        except _Busy as busy:
            tries += 1
            if tries == TRIES:
                raise PullError(str(busy)) from None
            wait(https.PAUSE_S * 2 ** (tries - 1))


class _Busy(Exception):
    """The hub does not answer, or has too much to do: another try may help."""


def _load() -> None:
    """Load huggingface_hub, and tell it to be silent. Raises PullError when it is not there."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import httpx2  # noqa: F401  (what huggingface_hub asks with)
        from huggingface_hub import constants, logging  # here because it is slow to import, and an extra
    except ModuleNotFoundError:
        raise PullError("needs the extra `hub`: install promptlab-local[hub]") from None
    except (ImportError, ValueError) as error:  # such as HF_HUB_ETAG_TIMEOUT=soon
        raise PullError(f"huggingface_hub cannot be loaded: {_line(error)}; look at the HF_ variables") from None
    # Otherwise it tells which program runs it, and asks the hub for a list of such programs (utils/_detect_agent.py).
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # Otherwise what a server says in a header X-HF-Warning goes to the terminal as it comes.
    logging.set_verbosity(SILENT)


def _token(path: Path) -> str | None:
    """The user's token. The library's own way would also ask a server to renew one, and write into its folder."""
    text = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    try:
        token = (text or path.read_text(encoding="utf-8")).strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PullError(f"the token in {path} cannot be read: {_line(error)}") from None
    if not token.isascii() or not token.isprintable() or " " in token:
        raise PullError(f"what stands in {'HF_TOKEN' if text else path} is not a token")
    return token or None


def _ask(source: Hub, endpoint: str, token: str | None) -> Found:
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import close_session, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    with _LIBRARY:
        try:
            url = hf_hub_url(source.repository, source.path, revision=source.revision, endpoint=endpoint)
            said = get_hf_file_metadata(url, token=token or False, headers={"user-agent": "promptlab"})
        except HfHubHTTPError as error:
            raise _refused(error, source, endpoint, token) from None
        except HTTPError as error:
            raise _unreachable(error, endpoint) from None
        except (InvalidURL, ImportError, ValueError, OSError) as error:  # such as a proxy of an unknown kind
            raise PullError(f"the hub cannot be asked: {_line(error)}") from None
        finally:
            close_session()
    size = said.size if said.size is not None and 0 < said.size < MAX_SIZE else None
    etag = said.etag or ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Found(url, headers, size, etag if _SHA256.fullmatch(etag) else None)


def _refused(error: HfHubHTTPError, source: Hub, endpoint: str, token: str | None) -> Exception:
    """What an answer of the hub means that is not the file."""
    from huggingface_hub import errors

    name, revision = source.repository, shorten(source.revision)
    login = "set HF_TOKEN, or run `hf auth login`"
    secret = "your token does not open it" if token else f"{login}, if it is not public"
    match error:
        case errors.GatedRepoError():
            return PullError(f"{name} is gated: accept its terms at {endpoint}/{name}; {secret if token else login}")
        case errors.DisabledRepoError():
            return PullError(f"the hub has disabled {name}")
        case errors.RevisionNotFoundError():
            return PullError(f"{name} has no revision {revision}")
        case errors.EntryNotFoundError():
            return PullError(f"{name} has no file {shorten(source.path)} in revision {revision}")
        case errors.RepositoryNotFoundError():
            return PullError(f"the hub has no {name}, or does not show it; {secret}")
    return _answered(error.response.status_code, name, secret)


def _answered(code: int, name: str, secret: str) -> Exception:
    """What a number means of which the hub says no more."""
    if code in (401, 403):
        return PullError(f"the hub refuses {name} ({code}); {secret}")
    if code == http.client.NOT_FOUND:
        return PullError(f"the hub has no {name}, or no such file or revision there")
    if code in (408, 429) or code >= 500:
        return _Busy(f"the hub answers {code}; try again later")
    return PullError(f"the hub answers {code}")


def _unreachable(error: HTTPError, endpoint: str) -> Exception:
    """Why there is no answer of the hub."""
    import httpx2

    host, said = endpoint.partition("://")[2].partition("/")[0], _line(error)
    if isinstance(error, httpx2.ProxyError):
        return PullError(f"the proxy refuses, or does not answer: {said}; look at HTTPS_PROXY and HTTP_PROXY")
    if "CERTIFICATE_VERIFY" in said:
        return PullError(f"{host} shows no certificate that is trusted here; look at SSL_CERT_FILE")
    if isinstance(error, httpx2.TooManyRedirects):
        return PullError(f"{host} leads in a circle")
    if isinstance(error, httpx2.TimeoutException):
        return _Busy(f"{host} does not answer in time")
    proxy = ", or to the proxy" if getproxies().keys() & {"http", "https", "all"} else ""
    return _Busy(f"no connection to {host}{proxy}: {said}")


def _line(error: BaseException) -> str:
    return shorten(" ".join(str(error).split()) or type(error).__name__, 200)
