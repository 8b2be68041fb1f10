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

from controller.agent.gate import Gate
from controller.command_mark import CommandMark
from controller.operator.workload import entrypoint
from controller.pipeline.model import Shell
from tests.support.tools import skip_unless_required
from tests.support.waiting import wait_until

SECONDS = 60
"""The longest wait for what a shell does at once."""
MARK = CommandMark("0123456789abcdef")
SHELLS = [[shell] for shell in ("dash", "bash", "sh") if shutil.which(shell)]
if shutil.which("busybox"):
    SHELLS.append(["busybox", "sh"])


@contextmanager
def start_step(
    shell: list[str],
    *commands: str,
    gate: Path | None = None,
    step_shell: Shell = "sh",
    mark: CommandMark | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """The step in a session of its own, as a runner starts it; whatever is left of it is ended."""
    words = [
        word.replace("$$", "$")
        for word in entrypoint.build_command(
            list(commands),
            shell=step_shell,
            gate=str(gate / "gate") if gate else "",
            reports=str(gate / "report") if gate else "",
            mark=mark,
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
        process.communicate(timeout=SECONDS)


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param
    return found


def skip_busybox(shell: list[str], reason: str) -> None:
    if shell[0] == "busybox":
        pytest.skip(reason)


def test_commands_run_in_order_and_the_output_is_theirs_alone(shell: list[str]) -> None:
    with start_step(shell, "echo one", "echo two; echo three >&2") as process:
        assert process.communicate(timeout=SECONDS)[0] == "one\ntwo\nthree\n"
        assert process.returncode == 0


def reported(gate: Gate, code: str | None) -> bool:
    """Whether the step has reported by now that its commands ended with this code; "" for that they began."""
    gate.read_reports()
    return gate.exit_code() == code


@pytest.mark.parametrize("code", [0, 3])
def test_begin_and_exit_code_are_told(shell: list[str], tmp_path: Path, code: int) -> None:
    gate = Gate(str(tmp_path))
    with start_step(shell, f"exit {code}", gate=tmp_path) as process:
        gate.open()
        assert process.wait(SECONDS) == code
    assert reported(gate, str(code))
    assert gate.began is not None
    assert gate.ended is not None
    assert gate.began <= gate.ended


def test_killed_step_has_begun_and_tells_no_exit_code(shell: list[str], tmp_path: Path) -> None:
    gate = Gate(str(tmp_path))
    gate.open()
    with start_step(shell, f"touch {tmp_path / 'here'}", "sleep 30", gate=tmp_path) as process:
        wait_until((tmp_path / "here").exists, SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
    assert reported(gate, "")


def test_step_is_not_stopped_by_a_missing_agent(shell: list[str], tmp_path: Path) -> None:
    """The agent was ended for its memory while the step ran: nobody listens, and no pipe may hold the step up."""
    gate = Gate(str(tmp_path))
    gate.open()
    wait = f"while [ ! -e {tmp_path / 'on'} ]; do sleep 0.01; done"
    with start_step(shell, f"touch {tmp_path / 'here'}", wait, "exit 4", gate=tmp_path) as process:
        wait_until((tmp_path / "here").exists, SECONDS)
        gate.close()
        (tmp_path / "on").touch()
        assert process.wait(SECONDS) == 4


def test_refused_step_never_begins(shell: list[str], tmp_path: Path) -> None:
    gate = Gate(str(tmp_path))
    gate.refuse("no source")
    with start_step(shell, f"touch {tmp_path}/begun", gate=tmp_path) as process:
        assert process.communicate(timeout=SECONDS)[0] == ""
        assert process.returncode == entrypoint.REFUSED_EXIT_CODE
    assert reported(gate, None)
    assert not (tmp_path / "begun").exists()


def test_gate_of_an_agent_that_is_started_again_is_waited_for(shell: list[str], tmp_path: Path) -> None:
    first = Gate(str(tmp_path))
    with start_step(shell, "echo begun", gate=tmp_path) as process:
        first.close()
        second = Gate(str(tmp_path))
        second.open()
        assert process.communicate(timeout=SECONDS)[0] == "begun\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_pipes_of_a_read_only_mount_can_be_used(shell: list[str], tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mounts")
    volume, mount = tmp_path / "volume", tmp_path / "mount"
    volume.mkdir()
    mount.mkdir()
    gate = Gate(str(volume))
    gate.open()
    mounted = f'mount --bind {volume} {mount} && mount -o remount,bind,ro {mount} && exec "$@"'
    wrapped = ["unshare", "-m", "sh", "-c", mounted, "sh", *shell]
    with start_step(wrapped, f"! touch {mount}/new", "echo read-only", gate=mount) as process:
        assert "read-only" in process.communicate(timeout=SECONDS)[0].splitlines()
        assert process.returncode == 0
    assert reported(gate, "0")


def test_first_failing_command_ends_the_step_with_its_code(shell: list[str]) -> None:
    with start_step(shell, "echo one", "(exit 7)", "echo never") as process:
        assert process.communicate(timeout=SECONDS)[0] == "one\n"
        assert process.returncode == 7


def test_commands_share_one_shell(shell: list[str]) -> None:
    with start_step(shell, "x='a  b'", 'cd /; echo "$x" "$PWD"') as process:
        assert process.communicate(timeout=SECONDS)[0] == "a  b /\n"


@pytest.mark.needs("bash")
def test_commands_of_bash_run_in_bash_and_stop_in_a_pipe(shell: list[str]) -> None:
    with start_step(shell, "a=(1 2)", 'echo "${a[1]}"', "(exit 5) | cat", "echo never", step_shell="bash") as process:
        assert process.communicate(timeout=SECONDS)[0] == "2\n"
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
        assert process.communicate(timeout=SECONDS)[0] == "done\n"
        assert process.returncode == 6


def test_long_script_hears_sigterm_and_leaves_its_exit_code(shell: list[str], tmp_path: Path) -> None:
    commands = long_script(f"touch {tmp_path}/ready", "while :; do sleep 0.01; done")
    gate = Gate(str(tmp_path))
    gate.open()
    with start_step(shell, *commands, gate=tmp_path) as process:
        wait_until((tmp_path / "ready").exists, SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 143
    assert reported(gate, "143")


def test_no_argument_is_longer_than_linux_allows() -> None:
    for character in ("x", "é", "\U0001f600", "/"):
        words = entrypoint.build_command([character * 300_000])
        assert max(len(word.encode()) for word in words) <= 131_071 - 1000
        assert not any(word.startswith("/") for word in words[5:])


def test_variables_of_the_step_are_not_changed(shell: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("all", "child", "stopped", "ended", "word", "code", "again", "shell"):
        monkeypatch.setenv(name, "mine")
    with start_step(shell, 'echo "$all$child$stopped$ended$word$code$again$shell"') as process:
        assert process.communicate(timeout=SECONDS)[0] == "mine" * 8 + "\n"


def test_missing_shell_is_named(shell: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which(shell[0])
    assert program is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    gate = Gate(str(tmp_path))
    gate.open()
    with start_step([program, *shell[1:]], "true", step_shell="bash", gate=tmp_path) as process:
        assert "the step's shell bash is not in its image" in process.communicate(timeout=SECONDS)[0]
        assert process.returncode == 127
    assert reported(gate, "127")


def test_sigterm_reaches_children_and_their_end_is_awaited(shell: list[str], tmp_path: Path) -> None:
    trap = f"trap 'sleep 0.1; echo told > {tmp_path}/told; exit 9' TERM"
    inner = f"{trap}; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    (tmp_path / "inner").write_text(inner)
    with start_step(shell, f"sh {tmp_path}/inner", f"touch {tmp_path}/next") as process:
        wait_until((tmp_path / "ready").exists, SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) in (9, 143)
        assert (tmp_path / "told").exists()
        assert not (tmp_path / "next").exists()


def test_a_step_that_ends_itself_on_sigterm_keeps_its_exit_code(shell: list[str], tmp_path: Path) -> None:
    script = f"trap 'exit 7' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    with start_step(shell, script) as process:
        wait_until((tmp_path / "ready").exists, SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 7


def test_a_stopped_step_never_ends_with_0(shell: list[str], tmp_path: Path) -> None:
    script = f"trap 'exit 0' TERM; touch {tmp_path}/ready; while :; do sleep 0.01; done"
    gate = Gate(str(tmp_path))
    gate.open()
    with start_step(shell, script, gate=tmp_path) as process:
        wait_until((tmp_path / "ready").exists, SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 143
    assert reported(gate, "143"), "so that its caches are not saved"


def test_a_stopped_step_ends_with_the_signals_exit_code(shell: list[str], tmp_path: Path) -> None:
    with start_step(shell, f"sh -c 'touch {tmp_path}/ready; exec sleep 60'", "true") as process:
        wait_until((tmp_path / "ready").exists, SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS) == 143


def test_a_syntax_error_is_reported_with_its_own_line(shell: list[str]) -> None:
    skip_busybox(shell, "its messages name no line")
    with start_step(shell, "true", "no-such-command") as process:
        assert "2: no-such-command" in process.communicate(timeout=SECONDS)[0].replace("line ", "")


def test_mistake_after_marks_is_reported_with_its_own_line(shell: list[str]) -> None:
    skip_busybox(shell, "its messages name no line")
    with start_step(shell, "true", "no-such-command", mark=MARK) as process:
        assert "2: no-such-command" in process.communicate(timeout=SECONDS)[0].replace("line ", "")


def test_each_command_is_marked_before_it_starts(shell: list[str]) -> None:
    commands = ["false || true", "set +e -u", "(exit 3)", "echo code $?", "set -x", "set +x"]
    with start_step(shell, *commands, mark=MARK) as process:
        output = process.communicate(timeout=SECONDS)[0]
    marks = [f"{MARK.prefix}{index}{MARK.suffix}" for index in range(6)]
    assert output.splitlines() == [*marks[:4], "code 3", *marks[4:], "+ set +x"]


def test_only_command_is_not_marked(shell: list[str]) -> None:
    with start_step(shell, "echo one\necho two", mark=MARK) as process:
        assert process.communicate(timeout=SECONDS)[0] == "one\ntwo\n"


@pytest.mark.needs("python3")
def test_sigint_is_not_ignored_inside(shell: list[str]) -> None:
    skip_busybox(shell, "it may prefer its own env, which can't give signals back")
    if subprocess.run(["env", "--default-signal=INT", "true"], capture_output=True, check=False).returncode:
        skip_unless_required("this machine's env can't give signals back: it is older than coreutils 8.31")
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    with start_step(shell, f"python3 -c '{code}'") as process:
        assert process.communicate(timeout=SECONDS)[0] == "True\n"


def test_commands_begin_once_the_gate_is_open(shell: list[str], tmp_path: Path) -> None:
    with start_step(shell, f"touch {tmp_path}/begun", gate=tmp_path) as process:
        gate = Gate(str(tmp_path))
        assert not reported(gate, "")
        gate.open()
        assert process.wait(timeout=SECONDS) == 0
    assert (tmp_path / "begun").exists()


@pytest.mark.parametrize("has_pipe", [False, True])
def test_a_step_that_is_stopped_while_it_waits_never_begins(shell: list[str], tmp_path: Path, has_pipe: bool) -> None:
    gate = Gate(str(tmp_path)) if has_pipe else None
    with start_step(shell, f"touch {tmp_path}/begun", gate=tmp_path) as process:

        def stopped() -> bool:
            # Until the trap is set a signal ends the shell itself, which is as good.
            process.send_signal(signal.SIGTERM)
            return process.poll() is not None

        wait_until(stopped, SECONDS, what="the end of the shell")
        assert process.returncode in (143, -signal.SIGTERM)
        assert not (tmp_path / "begun").exists()
    assert gate is None or reported(gate, None)


@pytest.mark.parametrize(("action", "code"), [("go", 3), ("accept", 0)])
def test_held_step_ends_as_it_is_told_to(shell: list[str], tmp_path: Path, action: str, code: int) -> None:
    gate = Gate(str(tmp_path))
    gate.set_holds(["failed"])
    gate.open()
    with start_step(shell, f"echo x >> {tmp_path}/ran", "exit 3", gate=tmp_path) as process:
        wait_until(lambda: reported(gate, "") and gate.held == "failed", SECONDS, what="the hold")
        assert (gate.held_code, process.poll()) == ("3", None)
        assert gate.release(action)
        assert process.wait(SECONDS) == code
    assert reported(gate, str(code))
    assert (tmp_path / "ran").read_text() == "x\n"


def test_held_step_runs_its_commands_again(shell: list[str], tmp_path: Path) -> None:
    gate = Gate(str(tmp_path))
    gate.set_holds(["failed", "after"])
    gate.open()
    gate.open()  # as an agent does that is started again before the first line is read
    with start_step(shell, f"echo x >> {tmp_path}/ran", f"test -e {tmp_path}/mended", gate=tmp_path) as process:
        wait_until(lambda: reported(gate, "") and gate.held == "failed", SECONDS, what="the hold")
        (tmp_path / "mended").touch()
        assert gate.release("retry")
        wait_until(lambda: reported(gate, "") and gate.held == "after", SECONDS, what="the second hold")
        assert gate.release("go")
        assert process.wait(SECONDS) == 0
    assert reported(gate, "0")
    assert (tmp_path / "ran").read_text() == "x\nx\n"


def test_held_step_ends_when_it_is_stopped(shell: list[str], tmp_path: Path) -> None:
    gate = Gate(str(tmp_path))
    gate.set_holds(["after"])
    gate.open()
    with start_step(shell, "true", gate=tmp_path) as process:
        wait_until(lambda: reported(gate, "") and gate.held == "after", SECONDS, what="the hold")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143


def test_step_that_was_stopped_is_not_held(shell: list[str], tmp_path: Path) -> None:
    gate = Gate(str(tmp_path))
    gate.set_holds(["after", "failed"])
    gate.open()
    with start_step(shell, f"touch {tmp_path}/here", "while :; do sleep 0.01; done", gate=tmp_path) as process:
        wait_until((tmp_path / "here").exists, SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143
    assert reported(gate, "143")
