"""`c8s open`: the address is printed, and only a private file leads the browser to it."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner, Result

from workbench.cli.commands.browsers import launch as browser
from workbench.cli.commands.browsers import open as command
from workbench.sandbox import Sandboxes

ADDRESS = 'http://127.0.0.1:1/ui/enter?ticket=very-secret&to="><script>'


class FakeClient:
    async def run(self, name: str) -> Any:
        return SimpleNamespace(name=f"{name}-1")

    async def dashboard_address(self, run: str | None = None) -> str:
        return ADDRESS + (run or "")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that browsers were started with."""
    found: list[str] = []

    @asynccontextmanager
    async def open_client(*_: object, **__: object) -> AsyncIterator[FakeClient]:
        yield FakeClient()

    def start(address: str) -> bool:
        found.append(address)
        return True

    monkeypatch.setattr(command, "open_client", open_client)
    monkeypatch.setattr(browser.webbrowser, "open", start)
    monkeypatch.setattr(Sandboxes, "is_stopped", lambda *_: False)
    return found


def run_open(*arguments: str) -> Result:
    return CliRunner().invoke(command.open_, arguments, catch_exceptions=False)


def test_ticket_is_in_a_private_file_and_not_in_an_argument(started: list[str]) -> None:
    result = run_open()
    assert result.stdout == ADDRESS + "\n"
    assert "secret" not in started[0]
    file = Path(unquote(urlsplit(started[0]).path))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert "ticket=very-secret&amp;to=&quot;&gt;&lt;script&gt;" in text
    assert "<script" not in text


def test_files_of_earlier_calls_are_removed(started: list[str]) -> None:
    run_open()
    first = Path(unquote(urlsplit(started[0]).path))
    os.utime(first, (0, 0))
    run_open()
    assert not first.exists()
    assert Path(unquote(urlsplit(started[1]).path)).exists()


def test_a_run_is_opened_by_its_name(started: list[str]) -> None:
    assert run_open("ci", "--no-browser").stdout == ADDRESS + "ci-1\n"
    assert started == []


def test_missing_browser_is_reported(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.webbrowser, "open", lambda _: False)
    result = run_open()
    assert result.exit_code == 0
    assert "no browser was found" in result.stderr


def test_stopped_sandbox_is_an_error(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandboxes, "is_stopped", lambda *_: True)
    with pytest.raises(command.CommandError, match="c8s up"):
        run_open()
    assert started == []


@pytest.mark.parametrize("name", ["failure.c8srun", "./ci", "sub/ci-1"])
def test_what_can_be_no_run_is_a_file(name: str, started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("workbench.cli.commands.bundle.open_file", opened.append)
    run_open(name)
    assert opened == [Path(name)]
    assert started == []
