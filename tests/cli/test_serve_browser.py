"""`promptlab serve` in a real browser: Debian's Chromium, without a window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest
from playwright.sync_api import Browser, Page, WebSocket

from tests.cli.test_serve import PATIENCE_S, Served, add_prompt, serving, until
from tests.views.test_report_browser import browser

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.browser


@pytest.fixture
def served(library: Path) -> Iterator[Served]:
    with serving(add_prompt(library), "--port", "0", FAKE_ANSWER="Rain falls.") as running:
        yield running


class Terminal:
    """What the page's terminal is sent: the page itself draws it, and holds no text."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        size = re.search(r"width=(\d+)&height=(\d+)", socket.url)
        assert size
        self.screen.reset()
        self.screen.resize(int(size[2]), int(size[1]))
        socket.on("framereceived", self._take)

    def _take(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self._stream.feed(data)

    def until(self, text: str) -> None:
        for _ in range(int(PATIENCE_S / 0.1)):
            if text in "\n".join(self.screen.display):
                return
            self.page.wait_for_timeout(100)  # lets the page's messages in
        pytest.fail(f"{text!r} never came:\n" + "\n".join(self.screen.display))


def test_the_playground_is_worked_by_keys_in_a_page_that_loads_nothing_from_elsewhere(
    served: Served, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith(f"http://{served.host}/") else wrong.append(r.url))
    terminal = Terminal(page)
    page.goto(served.url)
    terminal.until("How is the weather?")
    assert page.url == f"http://{served.host}/"  # the token stands in no history
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("document.activeElement.className") == "xterm-helper-textarea"
    empty = page.screenshot()
    page.keyboard.press("Control+r")  # it does not load the page again
    terminal.until("Rain falls.")
    assert page.screenshot() != empty
    page.reload()
    terminal.until("How is the weather?")
    assert wrong == []
    page.keyboard.press("Control+q")
    page.get_by_role("alert").get_by_text("This session has ended.").wait_for()
    page.get_by_role("button", name="Begin again").click()
    terminal.until("How is the weather?")
    page.close()


def test_a_page_of_a_stranger_gets_nowhere(served: Served, browser: Browser, tmp_path: Path) -> None:
    """It may know the port; the cookie is not sent with what it asks, and it may not embed the page."""
    page = browser.new_page()
    page.goto(served.url)
    stranger = tmp_path / "stranger.html"
    stranger.write_text("<iframe></iframe>")
    page.goto(stranger.as_uri())
    ended = page.evaluate(
        """url => new Promise(resolve => {
            const socket = new WebSocket(url);
            socket.onopen = () => resolve("open");
            socket.onclose = () => resolve("closed");
        })""",
        f"ws://{served.host}/ws?width=80&height=24",
    )
    assert ended == "closed"
    with page.expect_response(lambda response: response.url == f"http://{served.host}/") as response:
        page.evaluate("url => { document.querySelector('iframe').src = url }", f"http://{served.host}/")
    assert response.value.status == 403
    until(lambda: served.children() == [])
    page.close()
