"""The output and the exit codes of commands."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until_async
from tests.unit.workbench.client.fake_api import FakeApi, run_json, step_json
from workbench.cli.main import main
from workbench.cli.options import Target
from workbench.config.contexts import ContextError, config_path, read_contexts


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Any]


@pytest.fixture
def context(target: Target) -> None:
    """The fake controller as the current context."""
    assert target.endpoint is not None
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(
        f"current-context: fake\ncontexts:\n- name: fake\n  server: {target.endpoint.url}\n"
        f"  tokenFile: {target.endpoint.token_file}\n"
    )


@pytest.fixture
def c8s(context: None, capfd: pytest.CaptureFixture[str]) -> Command:
    async def command(*arguments: str) -> Result:
        capfd.readouterr()
        code = await asyncio.to_thread(main, arguments)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return command


async def test_runs_are_listed_newest_first(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1", "Failed", branch="main", commit="0123456789-dirty"))
    await api.publish(run_json("hello-2", "Succeeded", status={"summary": {"total": 3, "succeeded": 3}}))
    result = await c8s("runs")
    header, second, first = result.out.splitlines()
    assert header.split()[:3] == ["RUN", "STATUS", "STEPS"]
    assert second.split()[:3] == ["hello-2", "Succeeded", "3/3"]
    assert first.split()[-2:] == ["main", "0123456*"]
    assert result.code == 0


async def test_json_and_yaml_output_hold_the_whole_run(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1"))
    assert json.loads((await c8s("runs", "-o", "json")).out) == list(api.runs.values())
    assert "name: hello-1" in (await c8s("runs", "hello-1", "-o", "yaml")).out


async def test_empty_list_is_reported_on_stderr(c8s: Command) -> None:
    assert await c8s("runs") == Result(0, "", "c8s: no runs; those of `c8s run --watch` are listed with --watched\n")
    assert (await c8s("runs", "-o", "json")).out == "[]\n"


async def test_one_run_is_shown_step_by_step(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1", "Failed", status={"steps": [step_json("build", "Failed", message="boom")]}))
    out = (await c8s("runs", "hello-1")).out
    assert "build  Failed" in out
    assert "build: boom" in out


async def test_unknown_run_is_an_error_with_exit_code_1(c8s: Command) -> None:
    result = await c8s("runs", "nobody-1")
    assert result == Result(1, "", "c8s: error: can't find run nobody-1: there is no run nobody-1\n")


async def test_log_of_one_step_is_printed_without_prefixes(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build"), step_json("test")]}))
    await api.write("hello-1", "build", "one", "\x1b[31mtwo\x1b[0m")
    await api.write("hello-1", "test", "three")
    assert (await c8s("logs", "hello-1", "build")).out == "one\ntwo\n"
    assert (await c8s("logs", "hello-1", "build", "--tail", "1")).out == "two\n"
    assert (await c8s("logs", "hello-1")).out == "build | one\nbuild | two\ntest  | three\n"


async def test_following_logs_ends_with_the_run(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        following = group.create_task(c8s("logs", "-f", "hello-1"))
        await wait_until_async(lambda: len(api._streams) == 1)
        await api.write("hello-1", "build", "late")
        await api.finish_logs("hello-1")
    assert following.result().out == "build | late\n"


async def test_unknown_step_error_lists_the_steps(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    result = await c8s("logs", "hello-1", "biuld")
    assert result.code == 1
    assert "its steps: build" in result.err


async def test_cancel_reports_its_result(api: FakeApi, c8s: Command) -> None:
    await api.publish(run_json("hello-1"))
    assert (await c8s("cancel", "hello-1")).err == "c8s: run hello-1 is being cancelled\n"
    assert api.runs["hello-1"]["cancelRequested"]
    await api.publish(run_json("hello-1", "Succeeded"))
    assert (await c8s("cancel", "hello-1")).code == 1


async def test_secret_from_stdin_loses_its_final_newline(
    api: FakeApi, c8s: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def given(value: bytes) -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(value)))
        result = await c8s("secrets", "set", "db", "password")
        assert isinstance(result, Result)
        return result

    assert (await given(b"hunter2\n")).code == 0
    assert api.secrets == {"db": {"password": "hunter2"}}
    await given(b"-----BEGIN\nkey\n")
    assert api.secrets == {"db": {"password": "-----BEGIN\nkey\n"}}
    assert (await given(b"")).code == 2
    assert (await given(b"\xff")).code == 2


async def test_secret_value_as_argument_is_rejected(api: FakeApi, c8s: Command) -> None:
    result = await c8s("secrets", "set", "db", "password=hunter2")
    assert result.code == 2
    assert "hunter2" not in result.err
    assert api.secrets == {}


async def test_secrets_from_files_are_unchanged(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("line\n")
    await c8s("secrets", "set", "deploy", "--from-file", f"key={tmp_path / 'key'}")
    assert api.secrets == {"deploy": {"key": "line\n"}}
    assert "deploy  key" in (await c8s("secrets", "list")).out
    await c8s("secrets", "delete", "deploy")
    assert api.secrets == {}


def _archive(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return data.getvalue()


async def test_artifacts_are_listed_saved_and_unpacked(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    api.archives[("hello-1", "build")] = _archive("dist/a.txt")
    assert "build  3 B   out.txt" in (await c8s("artifacts", "hello-1")).out
    assert (await c8s("artifacts", "hello-1", "build", "--to", str(tmp_path / "b.tar.gz"))).code == 0
    assert (tmp_path / "b.tar.gz").read_bytes() == api.archives[("hello-1", "build")]
    await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path / "out"))
    assert (tmp_path / "out" / "dist" / "a.txt").read_text() == "abc"


async def test_archive_with_parent_paths_is_rejected(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    api.archives[("hello-1", "build")] = _archive("../evil.txt")
    result = await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path / "out"))
    assert result.code == 1
    assert not (tmp_path / "evil.txt").exists()


def _tar(*members: tuple[str, bytes, str]) -> bytes:
    """A tar.gz of (name, type, link target); files hold `abc`."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"abc"))
    return data.getvalue()


async def test_links_out_of_the_folder_are_left_out_with_a_warning(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    api.archives[("hello-1", "build")] = _tar(
        ("python", tarfile.SYMTYPE, "/usr/bin/python3"), ("in", tarfile.SYMTYPE, "file"), ("file", tarfile.REGTYPE, "")
    )
    result = await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path / "out"))
    assert result.code == 0
    assert "left out python: the link leads out of" in result.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["file", "in"]
    assert "2 files in" in result.out


async def test_archive_that_writes_through_a_link_is_refused(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    (tmp_path / "victim").mkdir()
    for target in ("../victim", "sub/../../victim", str(tmp_path / "victim")):
        api.archives[("hello-1", "build")] = _tar(
            ("escape", tarfile.SYMTYPE, target), ("escape/file", tarfile.REGTYPE, "")
        )
        result = await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path / "out"))
        assert result.code == 1
        assert "below a link" in result.err
    assert list((tmp_path / "victim").iterdir()) == []


async def test_links_longer_than_a_path_do_not_hide_where_they_lead(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    """CVE-2025-4517: a path over PATH_MAX made the filter of `tarfile` stop resolving links."""
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    (tmp_path / "victim").mkdir()
    members, folder, long = [], "", "d" * 247
    for letter in "abcdefghijklmnop":
        members += [(f"{folder}{long}", tarfile.DIRTYPE, ""), (f"{folder}{letter}", tarfile.SYMTYPE, long)]
        folder += f"{long}/"
    through = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    members += [(through, tarfile.SYMTYPE, "../" * 16), ("escape", tarfile.SYMTYPE, f"{through}/../victim")]
    api.archives[("hello-1", "build")] = _tar(*members, ("escape/file", tarfile.REGTYPE, ""))
    result = await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path / "out"))
    assert result.code == 1
    assert "link" in result.err
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"no gzip" + data, lambda data: data[:12]])
async def test_damaged_archive_changes_no_file(
    api: FakeApi, c8s: Command, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    api.archives[("hello-1", "build")] = damage(_archive("a.txt", "b.txt"))
    (tmp_path / "a.txt").write_text("mine")
    result = await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path))
    assert result.code == 1
    assert "can't unpack the artifacts of step build into" in result.err
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*.txt")] == [("a.txt", "mine")]


async def test_folder_that_is_a_file_is_an_error(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    api.archives[("hello-1", "build")] = _archive("a.txt")
    (tmp_path / "out").write_text("mine")
    result = await c8s("artifacts", "hello-1", "build", "--extract", str(tmp_path / "out"))
    assert result.code == 1
    assert "File exists" in result.err
    assert (tmp_path / "out").read_text() == "mine"


async def test_failed_download_keeps_the_old_file(api: FakeApi, c8s: Command, tmp_path: Path) -> None:
    await api.publish(run_json("hello-1", status={"steps": [step_json("build")]}))
    (tmp_path / "b.tar.gz").write_text("old")
    assert (await c8s("artifacts", "hello-1", "build", "--to", str(tmp_path / "b.tar.gz"))).code == 1
    assert (tmp_path / "b.tar.gz").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("rns",),
        ("runs", "--limit", "0"),
        ("runs", "--name", "a", "--context", "b"),
        ("logs",),
        ("logs", "x-1", "-f", "--tail", "3"),
        ("artifacts", "x-1", "--to", "f"),
        ("secrets", "set", "x"),
        ("secrets", "set", "x", "--from-file", "nope"),
        ("run", "--source", ".", "--no-source"),
        ("runs", "--context", "nobody"),
        ("--name", "x", "runs"),
    ],
)
async def test_invalid_arguments_exit_with_code_2(c8s: Command, arguments: tuple[str, ...]) -> None:
    result = await c8s(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err


async def test_every_command_has_help_with_an_example(c8s: Command) -> None:
    listed = (await c8s("--help")).out
    for name in ("run", "lint", "schema", "runs", "logs", "cancel", "artifacts", "secrets", "up", "down", "status"):
        assert f"  {name} " in listed
        result = await c8s(name, "--help")
        assert result.code == 0
        assert "Example" in result.out


def test_closed_pipe_prints_no_traceback(tmp_path: Path) -> None:
    """`c8s … | head`: the pipe is closed before anything is written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_locale_without_unicode_is_supported(locale: str, tmp_path: Path) -> None:
    environment = {**os.environ, "LC_ALL": locale, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "workbench", "run", "grün.yaml"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (["--help"], ("aiohttp", "textual", "kubernetes", "pydantic", "asyncio")),
        (["lint", "nothing.yaml"], ("aiohttp", "textual", "kubernetes", "pydantic")),
        (["schema"], ("aiohttp", "textual", "kubernetes")),
        (["run", "nothing.yaml"], ("textual", "kubernetes")),
        (["logs", "x-1"], ("textual", "kubernetes")),
    ],
)
def test_commands_import_only_what_they_need(command: list[str], absent: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import sys; from workbench.cli.main import main; main(sys.argv[1:]); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    loaded = done.stderr.splitlines()[-1].split()
    assert "workbench" in loaded
    assert not set(absent) & set(loaded)


def test_context_errors_name_the_invalid_field(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    good = "contexts: [{name: a, server: 'https://x.example', tokenFile: t, namespace: web}]\ncurrent-context: a\n"
    path.write_text(good)
    contexts = read_contexts(path)
    assert contexts.current == "a"
    assert contexts.get("a").token_file == tmp_path / "t"
    assert read_contexts(tmp_path / "none").endpoints == {}
    for text, complaint in (
        ("contexts: 1", "list"),
        ("[", "not valid YAML"),
        ("contexts: [{name: a}]", r"contexts\[0\]: server is missing"),
        (good.replace("https", "http"), "https://"),
        (good.replace("https", "ftp"), "must be a URL"),
        (good.replace("current-context: a", "current-context: b"), "current-context"),
    ):
        path.write_text(text)
        with pytest.raises(ContextError, match=complaint):
            read_contexts(path)


def test_saved_files_are_not_executable(tmp_path: Path) -> None:
    from controller.files import write_private

    write_private(tmp_path / "x", "y")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


def test_dumb_terminal_does_not_support_the_workbench(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.cli import options

    monkeypatch.setattr(options, "is_interactive", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert not options.supports_fullscreen()
    monkeypatch.setenv("TERM", "xterm-256color")
    assert options.supports_fullscreen()
