"""`c8s serve` in a real browser: keys, sizes, lost connections, links, what an audience can do, and hostile runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.live import C8s
from tests.support.bundles import FakeSource, export_sample, moment, rewrite, sample_run
from tests.support.chromium import run_chromium
from tests.support.serve.cut_off import cut_off
from tests.support.serve.page_screen import PageScreen

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

WAIT = 60_000
"""Milliseconds: the machine may be busy."""
HOSTILE = (
    "\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[?1049l\x9b2J <img src=x onerror=alert(1)> "
    "javascript:alert(1) [bold]x[/bold] \u202eevil"
)


@dataclass
class Served:
    """A running `c8s serve`, and its links: the first, then those of viewers."""

    process: subprocess.Popen[str]
    links: list[str]

    @property
    def port(self) -> int:
        return int(re.findall(r":(\d+)/", self.links[0])[0])


@dataclass
class Tab:
    """A tab of a browser, and what its terminal was sent."""

    page: Any
    screen: PageScreen = field(default_factory=PageScreen)
    problems: list[str] = field(default_factory=list)
    sockets: int = 0
    hosts: set[str] = field(default_factory=set)

    def listen(self) -> None:
        def connected(socket: Any) -> None:
            self.sockets += 1
            socket.on("framereceived", lambda frame: self.screen.feed(frame) if isinstance(frame, bytes) else None)

        self.page.on("websocket", connected)
        self.page.on("console", lambda each: self.problems.append(each.text) if each.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(WAIT // 50):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(self.screen.text)

    def shows(self, *texts: str) -> None:
        self.until(lambda: all(text in self.screen.text for text in texts))

    def notice(self, text: str) -> None:
        self.page.wait_for_function(
            "text => !document.getElementById('notice').hidden"
            " && document.getElementById('notice-text').textContent.includes(text)",
            arg=text, timeout=WAIT,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def _terminal_for_browsers() -> None:
    """Skips where an older installation lacks what pages consist of; on CI that is an error."""
    if os.environ.get("C8S_TEST_TOOLS") != "required":
        pytest.importorskip("textual_serve", reason="textual-serve is not installed: pip install -e '.[test]'")


@contextmanager
def served(c8s: C8s, *arguments: str, viewers: int = 0) -> Iterator[Served]:
    process = c8s.start("serve", *arguments, "--no-browser", "--viewers", str(viewers))
    assert process.stdout is not None
    links: list[str] = []
    try:
        for line in process.stdout:
            links += re.findall(r"http://\S+/enter\?ticket=\S+", line)
            if len(links) == 1 + viewers:
                break
        assert links
        yield Served(process, links)
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[0]
        assert process.returncode == 130, rest
        assert "Traceback" not in rest


@contextmanager
def tab_at(chromium: Any, link: str) -> Iterator[Tab]:
    context = chromium.new_context(viewport={"width": 1100, "height": 600}, accept_downloads=True)
    context.set_default_timeout(WAIT)
    tab = Tab(context.new_page())
    tab.listen()
    try:
        tab.page.goto(link)
        yield tab
    finally:
        context.close()


@pytest.fixture(scope="module")
def chromium(hostile: Path) -> Iterator[Any]:  # After the file: its loop is that of this thread, too.
    with run_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def c8s_alone(tmp_path_factory: pytest.TempPathFactory) -> C8s:
    """The command on a state folder without a sandbox."""
    return C8s(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run whose texts try everything."""
    folder = tmp_path_factory.mktemp("hostile")
    source = FakeSource()
    source.logs["check", 2, "step"] = f"{moment(9)} {HOSTILE}\n".encode() * 3 + f"{moment(10)} the end\n".encode()
    export_sample(folder / "good", source)
    raw = sample_run()
    raw |= {"branch": HOSTILE, "commit": HOSTILE}
    raw["status"]["message"] = HOSTILE
    raw["status"]["steps"][1] |= {"message": HOSTILE}
    return rewrite(folder / "good", folder / "hostile.c8srun", {"run.json": raw})


def test_a_run_is_shown_played_with_and_saved(chromium: Any, c8s_alone: C8s, hostile: Path) -> None:
    with served(c8s_alone, str(hostile)) as server, tab_at(chromium, server.links[0]) as tab:
        tab.shows("hostile.c8srun", "Failed", "the end", "check")
        assert tab.page.url.endswith(f":{server.port}/"), "no ticket stays in the address"
        tab.page.keyboard.press("?")
        tab.shows("Show the keyboard shortcuts")
        tab.page.keyboard.press("Escape")
        tab.until(lambda: "Esc closes" not in tab.screen.text)
        wide = tab.screen.text.splitlines()[0].index("images ignored")
        tab.page.set_viewport_size({"width": 700, "height": 400})
        tab.until(lambda: tab.screen.text.splitlines()[0].index("images ignored") < wide)
        tab.page.keyboard.press("3")
        with tab.page.expect_download(timeout=WAIT) as saving:
            tab.page.keyboard.press("Control+s")
        assert b"the end" in Path(saving.value.path()).read_bytes()
        assert saving.value.suggested_filename == "shop-3-check-2.log"
        tab.page.keyboard.press("S")
        tab.shows("keepOnFailure")
        assert tab.screen.odd == [], "no control character of the run reaches the terminal"
        assert tab.page.title() == "c8s workbench"
        # As the terminal draws where there is no WebGL.
        script = (
            "() => { const b = document.createElement('b'); b.setAttribute('style', 'top: 7px'); return b.style.top }"
        )
        assert tab.page.evaluate(script) == "7px"
        assert tab.problems == []
        assert tab.hosts == {f"127.0.0.1:{server.port}"}, "nothing comes from elsewhere"
        tab.page.keyboard.press("q")
        tab.notice("The workbench was closed.")
        tab.page.get_by_role("button").click()
        tab.until(lambda: tab.sockets == 2)


def test_a_lost_connection_comes_back_to_the_same_app_of_the_same_server(
    chromium: Any, c8s_alone: C8s, hostile: Path
) -> None:
    with served(c8s_alone, str(hostile)) as server, cut_off(server.port) as network:
        link = server.links[0].replace(f":{server.port}/", f":{network.port}/")
        with tab_at(chromium, link) as tab:
            tab.shows("check", "the end")
            tab.page.keyboard.press("?")
            tab.shows("Show the keyboard shortcuts")
            network.closed = True
            network.cut()
            tab.notice("Connecting again")
            network.closed = False
            tab.until(lambda: tab.sockets >= 2)
            tab.shows("Show the keyboard shortcuts")
            tab.page.wait_for_selector("#notice", state="hidden")
            tab.page.reload()
            tab.shows("Show the keyboard shortcuts")
            with served(c8s_alone, str(hostile)) as another:
                assert another.port != server.port, "the next free port"
                network.target = another.port
                network.cut()
                tab.notice("was started anew")


def test_links_work_once_and_viewers_change_nothing(chromium: Any, c8s: C8s) -> None:
    folder = c8s.home / "served"
    folder.mkdir(exist_ok=True)
    (folder / ".c8s.yaml").write_text(
        "version: v1alpha1\nname: shown\nsteps: [{name: greet, image: x, commands: ['echo good day']}]\n"
    )
    c8s("run", cwd=folder)
    runs = c8s("runs", "-o", "json").stdout
    with served(c8s, viewers=1) as server:
        with tab_at(chromium, server.links[1]) as viewer:
            viewer.shows("c8s read-only", "shown-1")
            for key in ("R", "e", "D", "Control+x"):
                viewer.page.keyboard.press(key)
            viewer.shows("This workbench is read-only")
            with tab_at(chromium, server.links[1]) as late:
                late.page.wait_for_selector("text=This link has been used")
        assert c8s("runs", "-o", "json").stdout == runs
        with tab_at(chromium, server.links[0]) as presenter:
            presenter.shows("shown-1")
            assert "read-only" not in presenter.screen.text
            presenter.page.keyboard.press("R")
            presenter.shows("shown-2")
