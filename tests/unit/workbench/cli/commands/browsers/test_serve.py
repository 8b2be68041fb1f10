"""`c8s serve` before a browser comes: its port, the command of its apps, and what it refuses to start with."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from workbench.cli.commands.browsers import serve
from workbench.cli.commands.browsers.serve import ServeOptions
from workbench.cli.main import main
from workbench.cli.options import Target
from workbench.cli.output.console import InputError
from workbench.client.endpoint import Endpoint
from workbench.serve.access import Access


def options(host: str = "127.0.0.1", port: int | None = None, *, read_only: bool = False) -> ServeOptions:
    return ServeOptions(host, port, (), read_only, viewers=0, limit=8, browser=False)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The usual port, which is taken."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(serve, "_PORT", port)
        yield port


def test_the_next_free_port_is_used(taken: int) -> None:
    with serve._listen(options()) as listener:
        assert taken < listener.getsockname()[1] <= taken + 20


def test_a_given_port_that_is_taken_is_said(taken: int) -> None:
    with pytest.raises(InputError, match=f"127.0.0.1:{taken} is in use, perhaps by another `c8s serve`"):
        serve._listen(options(port=taken))


@pytest.mark.parametrize(
    ("host", "why"),
    [("203.0.113.7", "Cannot assign"), ("a" * 300, "neither an address nor a name"), ("", "can't listen on")],
)
def test_an_address_of_another_machine_is_said(host: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        serve._listen(options(host))


def test_apps_are_started_without_a_token(tmp_path: Path) -> None:
    endpoint = Endpoint("http://127.0.0.1:1", tmp_path / "token")
    command = serve.app_command(Target("x", endpoint, "team", "prod"), None, read_only=True)
    assert command[2:] == [
        "-m", "workbench.cli.served_app", "--context", "prod", "--namespace", "team", "--read-only",
    ]  # fmt: skip
    of_file = serve.app_command(Target(), Path("a.c8srun"), read_only=False)
    assert of_file[4:] == ["--file", str(Path.cwd() / "a.c8srun")]


def test_what_can_not_be_served_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda _: None)
    assert main(["serve"]) == 1
    assert "needs the package textual-serve" in capsys.readouterr().err
    monkeypatch.setattr(serve, "find_spec", lambda _: object())
    assert main(["serve"]) == 1
    assert "there is no sandbox default; `c8s up` starts one" in capsys.readouterr().err
    (tmp_path / "a").write_text("no bundle")
    assert main(["serve", str(tmp_path / "a")]) == 1
    assert "no bundle of a run" in capsys.readouterr().err
    assert main(["--read-only", "serve"]) == 2
    assert "c8s serve --read-only" in capsys.readouterr().err


async def test_links_are_given_for_lines_that_are_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = os.pipe()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        access = Access(time.monotonic)
        giving = asyncio.create_task(serve._give_links(access, options("0"), "0.0.0.0", 80))
        os.write(ours, b"\nv\nhello\n")
        os.close(ours)
        out = err = ""
        async with asyncio.timeout(60):
            while "Enter prints" not in err:
                await asyncio.sleep(0)
                said = capsys.readouterr()
                out, err = out + said.out, err + said.err
        giving.cancel()
        with suppress(asyncio.CancelledError):
            await giving
    links = out.split()
    assert len(links) == 3
    found = [access.browser(access.redeem(link.partition("=")[2])) for link in links]
    assert [each.read_only for each in found if each is not None] == [False, False, True]
    assert "0.0.0.0 can be reached from other machines, and the connection is not encrypted" in err
    assert "which includes running commands here" in err
