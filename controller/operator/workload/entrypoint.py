"""The first process of a step: runs its commands in one shell and forwards SIGTERM to them.

`sh` as PID 1 ignores SIGTERM, and a shell that waits for a command handles no
signal before that command ends. So the commands run in the background of a
shell that only waits. A background command has SIGINT and SIGQUIT ignored,
which programs inherit and tests trip over; `env` undoes that where it can.

The shell of the commands traps SIGTERM too: one that died of it at once would
take the time to end away from the command it waits for, since with the first
process all others of a container are killed.

Inside a container everything else in the PID namespace belongs to the step
(`kill -1`); where the step is a process group among others, that group does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.command_mark import CommandMark
from controller.pipeline.model import Shell
from controller.pipeline.shell_commands import command_starts

_SHELLS: Mapping[Shell, Sequence[str]] = {"sh": (), "bash": ("bash -e -o pipefail",)}
"""The argument of the script for each shell: the program with its options, which the script splits at spaces."""

_MAX_ARGUMENT_BYTES = 120_000
"""Linux takes no argument of more than 131,072 bytes (MAX_ARG_STRLEN), and the script adds some."""
_PART_LENGTH = 30_000
"""Characters, of up to four bytes each."""

REFUSED_EXIT_CODE = 121
"""Of a step that did not begin, because its agent could not fetch what it needs; the script has it too."""

# Its variables have names of their own: one of the step's environment would be changed for the step too.
SCRIPT = """\
if [ $$ = 1 ]; then _c8s_all=-1; else _c8s_all=-$$; fi
_c8s_child=
_c8s_stopped=
_c8s_ended=
_c8s_word=
stop() {
  trap '' TERM
  _c8s_stopped=1
  _c8s_ended=1
  kill -s TERM -- $_c8s_all
  [ -n "$_c8s_child" ] || exit 143
  (sleep 30; kill -s KILL -- $_c8s_all) >/dev/null 2>&1 &
}
trap stop TERM
# A step with an agent waits at its gate: the line in that pipe says whether, and how, it goes on.
_c8s_await() {
  _c8s_word=
  while [ -z "$_c8s_word" ]; do
    if [ -p "$1" ] && { read -r _c8s_word <"$1"; } 2>/dev/null && [ -n "$_c8s_word" ]; then return; fi
    sleep 0.01 2>/dev/null || sleep 1
  done
}
# Opened for both directions, a pipe makes nobody wait.
_c8s_tell() {
  if [ -n "$1" ]; then { echo "$2" 1<>"$1"; } 2>/dev/null; fi
}
_c8s_start() {
  if ! command -v "${_c8s_shell%% *}" >/dev/null; then
    echo "c8s: the step's shell ${_c8s_shell%% *} is not in its image: use another image or another shell" >&2
    (exit 127) &
  elif [ $# -le 4 ]; then
    $_c8s_env $_c8s_shell -c "trap 'exit 143' TERM; $1" &
  else
    # Linux takes no argument over 128 KiB: a longer script comes in parts, and goes on through a pipe.
    _c8s_first=$1
    shift 4
    { printf %s "$_c8s_first"; for _c8s_part do printf %s "${_c8s_part#:}"; done } |
      $_c8s_env $_c8s_shell -c 'trap "exit 143" TERM; _c8s_script=$(cat); exec </dev/null; eval "$_c8s_script"' &
  fi
  _c8s_child=$!
}
if [ -n "$2" ]; then _c8s_await "$2"; fi
[ "$_c8s_word" != refused ] || exit 121
_c8s_shell=${4:-sh -e}
_c8s_env=
if env --default-signal=INT true 2>/dev/null; then _c8s_env='env --default-signal=INT,QUIT'; fi
while :; do
  # The agent knows from this line that the commands begin.
  _c8s_tell "$3" begin
  _c8s_start "$@"
  wait $_c8s_child
  _c8s_code=$?
  # A signal ends `wait` before the child has ended. 127: the shell knew the child's end already.
  while [ -n "$_c8s_stopped" ]; do
    _c8s_stopped=
    wait $_c8s_child 2>/dev/null
    _c8s_again=$?
    [ $_c8s_again = 127 ] || _c8s_code=$_c8s_again
  done
  # What was stopped has not succeeded, whatever it makes of the signal.
  if [ -n "$_c8s_ended" ] && [ $_c8s_code = 0 ]; then _c8s_code=143; fi
  _c8s_hold=failed
  [ $_c8s_code != 0 ] || _c8s_hold=after
  [ -z "$_c8s_ended" ] && [ -n "$2" ] && [ -e "${2%/*}/hold-$_c8s_hold" ] || break
  # Held: the person who debugs the step decides what becomes of it.
  _c8s_child=
  _c8s_tell "$3" "held $_c8s_code"
  # A line that opened the gate may be left of an agent that was started again.
  _c8s_word=open
  while [ "$_c8s_word" = open ]; do _c8s_await "$2"; done
  if [ "$_c8s_word" = accept ]; then _c8s_code=0; fi
  [ "$_c8s_word" = retry ] || break
done
# The agent knows the end sooner than the kubelet does.
_c8s_tell "$3" "end $_c8s_code"
exit $_c8s_code
"""


# `$?` is for the next command as the last one left it, and `set -e` ends the step for no mark.
_MARK_FUNCTION = '_c8s_mark() {{ set -- "$?" "$1"; printf \'{prefix}%s{suffix}\\n\' "$2" || :; return "$1"; }}; '


def _mark_commands(commands: Sequence[str], mark: CommandMark) -> list[str]:
    """The commands, each of which prints its mark first if there are several.

    Errors of the shell name the same lines as without marks.
    """
    prefix, suffix = (text.replace("\\", r"\134").replace("\x1b", r"\033") for text in (mark.prefix, mark.suffix))
    starts = set(command_starts(commands))
    if len(starts) < 2:
        return list(commands)
    marked = [
        f"{{ _c8s_mark {index} && :; }} 2>/dev/null; {command}" if index in starts else command
        for index, command in enumerate(commands)
    ]
    return [_MARK_FUNCTION.format(prefix=prefix, suffix=suffix) + marked[0], *marked[1:]]


def escape_expansion(text: str) -> str:
    """Escapes text for a container's command, where Kubernetes expands `$(NAME)` and `$$`."""
    return text.replace("$", "$$")


def build_command(
    commands: Sequence[str],
    *,
    shell: Shell = "sh",
    gate: str = "",
    reports: str = "",
    mark: CommandMark | None = None,
) -> list[str]:
    """The container's command for a step's commands.

    Args:
        shell: the shell that runs the commands; this script itself always runs in `sh`.
        gate: the named pipe that lets the commands begin; empty for none.
        reports: the named pipe to which their begin and end are reported; empty for none.
        mark: what to print before each of several commands; None for nothing.
    """
    script = "\n".join(commands if mark is None else _mark_commands(commands, mark))
    words = [script, gate, reports, *_SHELLS[shell]]
    if len(script.encode()) > _MAX_ARGUMENT_BYTES:
        first, *parts = (script[at : at + _PART_LENGTH] for at in range(0, len(script), _PART_LENGTH))
        # The mark keeps a part from being taken for a path, which an embedded cluster maps.
        words = [first, gate, reports, *(_SHELLS[shell] or ("",)), *(f":{part}" for part in parts)]
    return ["sh", "-c", escape_expansion(SCRIPT), "c8s-step", *(escape_expansion(word) for word in words)]
