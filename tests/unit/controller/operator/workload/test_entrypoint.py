"""The first process of a step, in the shells that this machine has.

A shell that is just forking for a command may swallow a signal meant for that; so what is stopped here is at work.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from controller.command_mark import CommandMark
from controller.operator.workload import entrypoint
from controller.pipeline.model import Shell
from tests.support.waiting import wait_until

MARK = CommandMark("0123456789abcdef")
SHELLS = [[shell] for shell in ("dash", "bash", "sh") if shutil.which(shell)]
if shutil.which("busybox"):
    SHELLS.append(["busybox", "sh"])


@contextmanager
def start_step(
    shell: list[str],
    *commands: str,
    wait_for: str = "",
    code_to: str = "",
    step_shell: Shell = "sh",
    mark: CommandMark | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """The step in a session of its own, as a runner starts it; whatever is left of it is ended."""
    words = [
        word.replace("$$", "$")
        for word in entrypoint.build_command(
            list(commands), shell=step_shell, ready_file=wait_for, exit_code_file=code_to, mark=mark
        )
    ]
    process = subprocess.Popen(
        [*shell, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param
    return found


def test_commands_run_in_order_and_the_output_is_theirs_alone(shell: list[str]) -> None:
    with start_step(shell, "echo one", "echo two; echo three >&2") as process:
        assert process.communicate(timeout=10)[0] == "one\ntwo\nthree\n"
        assert process.returncode == 0


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_left_for_who_keeps_caches(shell: list[str], tmp_path: Path, code: int) -> None:
    with start_step(shell, f"exit {code}", code_to=str(tmp_path / "code")) as process:
        assert process.wait(10) == code
    assert (tmp_path / "code").read_text() == f"{code}\n"


def test_killed_step_leaves_an_empty_exit_code_file(shell: list[str], tmp_path: Path) -> None:
    code = tmp_path / "code"
    with start_step(shell, f"touch {tmp_path / 'here'}", "sleep 30", code_to=str(code)) as process:
        wait_until((tmp_path / "here").exists)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    assert code.read_text() == ""


def test_unwritable_exit_code_file_does_not_stop_the_step(shell: list[str], tmp_path: Path) -> None:
    with start_step(shell, "echo one", "exit 4", code_to=str(tmp_path / "missing" / "code")) as process:
        assert "one" in process.communicate(timeout=10)[0].splitlines()
        assert process.returncode == 4


def test_first_failing_command_ends_the_step_with_its_code(shell: list[str]) -> None:
    with start_step(shell, "echo one", "(exit 7)", "echo never") as process:
        assert process.communicate(timeout=10)[0] == "one\n"
        assert process.returncode == 7


def test_commands_share_one_shell(shell: list[str]) -> None:
    with start_step(shell, "x='a  b'", 'cd /; echo "$x" "$PWD"') as process:
        assert process.communicate(timeout=10)[0] == "a  b /\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_commands_of_bash_run_in_bash_and_stop_in_a_pipe(shell: list[str]) -> None:
    with start_step(shell, "a=(1 2)", 'echo "${a[1]}"', "(exit 5) | cat", "echo never", step_shell="bash") as process:
        assert process.communicate(timeout=10)[0] == "2\n"
        assert process.returncode == 5


def long_script(*last: str) -> list[str]:
    """Commands of more than a megabyte, with characters of several bytes, which put a long text into a variable."""
    line = "x é / ' 12345678 \\ $HOME"
    lines = "\n".join([line] * 40_000)
    return [f"text=$(cat <<'END'\n{lines}\nEND\n)", 'test "${#text}" -gt 900000', *last]


@pytest.mark.parametrize("step_shell", [shell for shell in ("sh", "bash") if shutil.which(shell)])
def test_script_may_be_longer_than_an_argument(shell: list[str], step_shell: Shell) -> None:
    with start_step(
        shell, *long_script("echo done", "cat", "(exit 6)", "echo never"), step_shell=step_shell
    ) as process:
        assert process.communicate(timeout=30)[0] == "done\n"
        assert process.returncode == 6


def test_long_script_hears_sigterm_and_leaves_its_exit_code(shell: list[str], tmp_path: Path) -> None:
    commands = long_script(f"touch {tmp_path}/ready", "while :; do sleep 0.01; done")
    with start_step(shell, *commands, code_to=str(tmp_path / "code")) as process:
        wait_until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143
    assert (tmp_path / "code").read_text() == "143\n"


def test_no_argument_is_longer_than_linux_allows() -> None:
    for character in ("x", "é", "\U0001f600", "/"):
        words = entrypoint.build_command([character * 300_000])
        assert max(len(word.encode()) for word in words) <= 131_071 - 1000
        assert not any(word.startswith("/") for word in words[5:])


def test_variables_of_the_step_are_not_changed(shell: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("all", "child", "stopped", "ended", "tries", "code", "again", "shell"):
        monkeypatch.setenv(name, "mine")
    with start_step(shell, 'echo "$all$child$stopped$ended$tries$code$again$shell"') as process:
        assert process.communicate(timeout=10)[0] == "mine" * 8 + "\n"


def test_missing_shell_is_named(shell: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which(shell[0])
    assert program is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    with start_step([program, *shell[1:]], "true", step_shell="bash", code_to=str(tmp_path / "code")) as process:
        assert "the step's shell bash is not in its image" in process.communicate(timeout=10)[0]
        assert process.returncode == 127
    assert (tmp_path / "code").read_text() == "127\n"


def test_sigterm_reaches_children_and_their_end_is_awaited(shell: list[str], tmp_path: Path) -> None:
    trap = f"trap 'sleep 0.1; echo told > {tmp_path}/told; exit 9' TERM"
    inner = f"{trap}; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    (tmp_path / "inner").write_text(inner)
    with start_step(shell, f"sh {tmp_path}/inner", f"touch {tmp_path}/next") as process:
        wait_until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) in (9, 143)
        assert (tmp_path / "told").exists()
        assert not (tmp_path / "next").exists()


def test_a_step_that_ends_itself_on_sigterm_keeps_its_exit_code(shell: list[str], tmp_path: Path) -> None:
    script = f"trap 'exit 7' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    with start_step(shell, script) as process:
        wait_until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 7


def test_a_stopped_step_never_ends_with_0(shell: list[str], tmp_path: Path) -> None:
    script = f"trap 'exit 0' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    with start_step(shell, script, code_to=str(tmp_path / "code")) as process:
        wait_until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143
    assert (tmp_path / "code").read_text() == "143\n", "so that its caches are not saved"


def test_a_stopped_step_ends_with_the_signals_exit_code(shell: list[str], tmp_path: Path) -> None:
    with start_step(shell, f"sh -c 'touch {tmp_path}/ready; exec sleep 60'", "true") as process:
        wait_until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143


def test_a_syntax_error_is_reported_with_its_own_line(shell: list[str]) -> None:
    with start_step(shell, "true", "no-such-command") as process:
        assert "2: no-such-command" in process.communicate(timeout=10)[0].replace("line ", "")


def test_mistake_after_marks_is_reported_with_its_own_line(shell: list[str]) -> None:
    with start_step(shell, "true", "no-such-command", mark=MARK) as process:
        assert "2: no-such-command" in process.communicate(timeout=10)[0].replace("line ", "")


def test_each_command_is_marked_before_it_starts(shell: list[str]) -> None:
    commands = ["false || true", "set +e -u", "(exit 3)", "echo code $?", "set -x", "set +x"]
    with start_step(shell, *commands, mark=MARK) as process:
        output = process.communicate(timeout=10)[0]
    marks = [f"{MARK.prefix}{index}{MARK.suffix}" for index in range(6)]
    assert output.splitlines() == [*marks[:4], "code 3", *marks[4:], "+ set +x"]


def test_only_command_is_not_marked(shell: list[str]) -> None:
    with start_step(shell, "echo one\necho two", mark=MARK) as process:
        assert process.communicate(timeout=10)[0] == "one\ntwo\n"


@pytest.mark.needs("python3")
def test_sigint_is_not_ignored_inside(shell: list[str]) -> None:
    if subprocess.run(["env", "--default-signal=INT", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine's env can't give signals back")
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    with start_step(shell, f"python3 -c '{code}'") as process:
        assert process.communicate(timeout=10)[0] == "True\n"


def test_the_commands_begin_once_the_file_is_there(shell: list[str], tmp_path: Path) -> None:
    waited, ready = tmp_path / "ready", tmp_path / "begun"
    with start_step(shell, f"touch {ready}", wait_for=str(waited)) as process:
        assert not ready.exists()
        waited.touch()
        assert process.wait(timeout=10) == 0
        assert ready.exists()


def test_a_step_that_is_stopped_while_it_waits_never_begins(shell: list[str], tmp_path: Path) -> None:
    with start_step(shell, f"touch {tmp_path}/begun", wait_for=str(tmp_path / "never")) as process:

        def stopped() -> bool:
            # Until the trap is set a signal ends the shell itself, which is as good.
            process.send_signal(signal.SIGTERM)
            return process.poll() is not None

        wait_until(stopped, 10, what="the end of the shell")
        assert process.returncode in (143, -signal.SIGTERM)
        assert not (tmp_path / "begun").exists()
