"""Where the commands of a step begin, and that a mark at each of these places leaves the script as it was."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.command_mark import CommandMark
from controller.operator.workload import entrypoint
from controller.pipeline.shell_commands import command_starts

SHELLS = [
    ["bash"],
    *([["dash"]] if shutil.which("dash") else []),
    *([["busybox", "sh"]] if shutil.which("busybox") else []),
]
MARK = CommandMark("0123456789abcdef")


@pytest.mark.parametrize(
    ("commands", "starts"),
    [
        (["make", "make test"], [0, 1]),
        (["make"], [0]),
        (["# only a comment", "make"], [0, 1]),
        (["", "make"], [0, 1]),
        (["for f in *; do", "echo $f", "done", "make"], [0, 3]),
        (["for f in a done", "do echo; done", "make"], [0, 2]),
        (["if true; then", "echo", "fi", "make"], [0, 3]),
        (["case x in", "a) echo;;", "esac", "make"], [0, 3]),
        (["echo if done fi", "make"], [0, 1]),
        (["make &&", "make test", "ls"], [0, 2]),
        (["make |  # to the next", "cat", "ls"], [0, 2]),
        (["make \\", "test", "ls"], [0, 2]),
        (["echo 'a", "b'", "ls"], [0, 2]),
        (['echo "a $(', 'ls) b"', "ls"], [0, 2]),
        (["cat <<EOF", "text 'x", "EOF", "ls"], [0, 3]),
        (["cat <<EOF\ntext\nEOF", "ls"], [0, 1]),
        (["cat <<EOF &&\ntext\nEOF", "ls", "make"], [0]),
        (["f()", "{ ls; }", "f"], [0, 2]),
        (["f() {", "ls", "}", "f"], [0, 3]),
        (["function f", "{ ls; }", "f"], [0, 2]),
        (["(cd x", "ls)", "make"], [0, 2]),
        (["make", "exec >log", "ls", "ls"], [0, 1]),
        (["make", "done", "ls", "ls"], [0, 1]),
        (["echo exec", "ls"], [0, 1]),
        (["echo $((1 << 2))", "ls"], [0, 1]),
        (["echo ${#a} # ' not a quote", "ls"], [0, 1]),
        (["[[ a && b ]]", "ls"], [0, 1]),
        (["sleep 1 &", "ls", "make"], [0, 2]),
    ],
)  # fmt: skip
def test_commands_start_where_a_shell_expects_one(commands: list[str], starts: list[int]) -> None:
    assert command_starts(commands) == starts


def test_endless_quote_is_not_read_again_for_each_entry() -> None:
    assert command_starts(["ls", "echo '", *["x" * 1000] * 1000]) == [0, 1]


_PARTS = st.sampled_from(
    [
        "echo a",
        "echo 'b",
        "c'",
        'echo "$(',
        ')"',
        "for x in 1 2; do",
        "for x in 1",
        "do echo $x",
        "done",
        "if true",
        "then",
        "else",
        "fi",
        "case a in",
        "a)",
        "a) echo;;",
        "esac",
        "{",
        "}",
        "(",
        ")",
        "true &&",
        "! false",
        "cat <<E",
        "E",
        "cat <<'E F'",
        "E F",
        "# c '",
        "f()",
        "f",
        "echo \\",
        "false || true",
        "x=`",
        "`",
        "while false; do",
        "echo $?",
        "echo done",
        "echo done; while false",
        "cat <<-E && true",
        "\tE",
        "set -x",
        "set +e",
        "echo $((2 << 1))",
        "true | cat",
        "a=(1",
        "[[ a == a ]]",
        "function f {",
        "time true",
        "echo ${x:-'",
        "'}",
    ]
)


def _run(shell: list[str], script: list[str]) -> tuple[int, str]:
    words = [word.replace("$$", "$") for word in script]
    # The script for the shell is the argument after the name of the outer one.
    done = subprocess.run(
        [*shell, "-e", "-c", words[4]],
        capture_output=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@settings(max_examples=60, deadline=None)
@given(commands=st.lists(_PARTS, min_size=2, max_size=6))
def test_marks_change_neither_output_nor_exit_code(shell: list[str], commands: list[str]) -> None:
    plain_code, plain = _run(shell, entrypoint.build_command(commands))
    code, marked = _run(shell, entrypoint.build_command(commands, mark=MARK))
    lines = [line for line in marked.split("\n") if not (line.startswith(MARK.prefix) and line.endswith(MARK.suffix))]
    assert (code, "\n".join(lines)) == (plain_code, plain)
