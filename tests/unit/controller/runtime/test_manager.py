"""The process around the roles: its key, its socket, its log, and what the failure of a part does."""

import asyncio
import json
import logging
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.kube import KubeClient
from controller.kube.client import ConnectionConfig
from controller.main import JsonFormatter, main
from controller.runtime.keys import load_agent_key
from controller.runtime.listeners import open_listener, url_of
from controller.runtime.manager import Manager
from controller.runtime.supervision import RunnableFailedError, supervise
from controller.settings import Settings, SettingsError, parse_settings
from controller.storage import DirectoryStore
from tests.support.waiting import wait_until_async


def settings(folder: Path, *more: str) -> Settings:
    least = ["--store", "file:///s", "--agent-command", "agent", "--agent-key-file", str(folder / "key")]
    return parse_settings([*least, *more], {})


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "key"
    key = load_agent_key(file)
    assert len(key) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_agent_key(file) == key


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(load_agent_key, [tmp_path / "key"] * 32))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_key_that_is_too_short_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingsError, match="too few"):
        load_agent_key(tmp_path / "key")


def test_a_key_that_can_not_be_read_or_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--agent-key-file"):
        load_agent_key(tmp_path / "nowhere" / "key")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}"):
            open_listener(settings(tmp_path, "--port", str(port)))


def test_an_inherited_socket_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--listen-fd"):
        open_listener(settings(tmp_path, "--listen-fd", "999"))


def test_the_address_of_a_socket_is_one_to_connect_to() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert url_of(everywhere) == f"http://127.0.0.1:{everywhere.getsockname()[1]}"


def test_a_log_line_stays_one_line() -> None:
    record = logging.LogRecord("c8s", logging.INFO, __file__, 1, "a %s", ("b\nc\u2028\x1b[31m",), None)
    record.run = "hello\n1"
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    found = json.loads(line)
    assert (found["message"], found["run"], found["level"]) == ("a b\nc\u2028\x1b[31m", "hello\n1", "info")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--store", "ftp://x"), "ftp://x"),
        (("--kubeconfig", "/no/such/file"), "/no/such/file"),
        (("--role", "cook"), "--role"),
    ],
)
def test_settings_that_make_no_sense_end_with_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    says: str,
) -> None:
    monkeypatch.setattr("controller.main.configure_logging", lambda level: None)
    values = {"--store": f"file://{tmp_path}/s", "--agent-command": "agent", "--agent-key-file": str(tmp_path / "key")}
    values |= {"--port": "0", "--kubeconfig": "/no/such/file", change[0]: change[1]}
    assert main([word for pair in values.items() for word in pair]) == 2
    assert says in capsys.readouterr().err


def process(folder: Path, stop: asyncio.Event) -> Manager:
    client = KubeClient(ConnectionConfig("http://127.0.0.1:9", lambda: None))
    store = DirectoryStore(folder, b"k" * 32, "http://x")
    return Manager(settings(folder), client, store, b"k" * 32, "http://127.0.0.1:1", stop)


async def test_failed_runnable_ends_the_process_with_one_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise ExceptionGroup("", [OSError("the disk is gone")])

    async def answers() -> None: ...

    found = process(tmp_path, asyncio.Event())
    monkeypatch.setattr(found._client, "version", answers)
    monkeypatch.setattr(found, "_runnables", lambda: {"operator": broken})
    assert await asyncio.wait_for(found.run(None), 60) == 1
    critical = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert [record.getMessage() for record in critical] == [
        "operator failed, so the process ends: OSError: the disk is gone"
    ]


async def test_a_part_that_just_ends_is_a_failure_too() -> None:
    async def ends() -> None: ...

    with pytest.raises(RunnableFailedError):
        await supervise("runs", ends(), asyncio.Event())


async def test_stop_before_the_late_imports_ends_the_process(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    stopped = process(tmp_path, stop)
    stopped._is_deferred = True
    assert await asyncio.wait_for(stopped.run(None), 60) == 0


async def test_a_requested_stop_is_no_failure(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    assert await asyncio.wait_for(process(tmp_path, stop).run(None), 60) == 0


def test_what_starts_slowly_is_not_imported_before_it_is_needed() -> None:
    slow = {"boto3", "kubernetes", "prometheus_client", "fastapi", "pydantic", "jsonschema", "yaml", "cryptography"}
    code = f"import sys, controller.main, controller.runtime.manager; print(*{slow!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_supervisor_of_a_sandbox_starts_without_asyncio() -> None:
    slow = {"asyncio", "ssl", "http", "platformdirs"}
    code = f"import sys, workbench.sandbox.supervisor; print(*{slow!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


async def test_readiness_names_a_store_that_is_away(tmp_path: Path) -> None:
    stop = asyncio.Event()
    folder = tmp_path / "store"
    client = KubeClient(ConnectionConfig("http://127.0.0.1:9", lambda: None))
    store = DirectoryStore(folder, b"k" * 32, "http://x")
    folder.rmdir()
    found = Manager(settings(tmp_path), client, store, b"k" * 32, "http://127.0.0.1:1", stop)
    running = asyncio.create_task(found.run(None))
    why = await wait_until_async(lambda: found._readiness.waiting().get("store", "").partition("used: ")[2])
    assert why.endswith(f"the directory {folder} of the store does not exist")
    stop.set()
    assert await asyncio.wait_for(running, 60) == 0
