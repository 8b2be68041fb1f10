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

from controller.pipeline.model import Shell

_SHELLS: Mapping[Shell, Sequence[str]] = {"sh": (), "bash": ("bash -e -o pipefail",)}
"""The argument of the script for each shell: the program with its options, which the script splits at spaces."""

SCRIPT = """\
if [ $$ = 1 ]; then all=-1; else all=-$$; fi
child=
stopped=
ended=
stop() {
  trap '' TERM
  stopped=1
  ended=1
  kill -s TERM -- $all
  [ -n "$child" ] || exit 143
  (sleep 30; kill -s KILL -- $all) >/dev/null 2>&1 &
}
trap stop TERM
# A step that hands artifacts on begins once its sidecar listens: one that ends sooner would not be heard.
tries=0
while [ -n "$2" ] && [ ! -e "$2" ] && [ $tries -lt 6000 ]; do
  sleep 0.01 2>/dev/null || { sleep 1; tries=$((tries + 99)); }
  tries=$((tries + 1))
done
# Who finds the file empty knows that the step began and was killed.
if [ -n "$3" ]; then true >"$3"; fi
shell=${4:-sh -e}
if ! command -v "${shell%% *}" >/dev/null; then
  echo "c8s: the step's shell ${shell%% *} is not in its image: use another image or another shell" >&2
  (exit 127) &
elif env --default-signal=INT true 2>/dev/null; then
  env --default-signal=INT,QUIT $shell -c "trap 'exit 143' TERM; $1" &
else
  $shell -c "trap 'exit 143' TERM; $1" &
fi
child=$!
wait $child
code=$?
# A signal ends `wait` before the child has ended. 127: the shell knew the child's end already.
while [ -n "$stopped" ]; do
  stopped=
  wait $child 2>/dev/null
  again=$?
  [ $again = 127 ] || code=$again
done
# What was stopped has not succeeded, whatever it makes of the signal.
if [ -n "$ended" ] && [ $code = 0 ]; then code=143; fi
# For caches, which are kept of a step that succeeded, and the workspace, of one that failed.
if [ -n "$3" ]; then echo $code >"$3"; fi
exit $code
"""


def escape_expansion(text: str) -> str:
    """Escapes text for a container's command, where Kubernetes expands `$(NAME)` and `$$`."""
    return text.replace("$", "$$")


def build_command(
    commands: Sequence[str], *, shell: Shell = "sh", ready_file: str = "", exit_code_file: str = ""
) -> list[str]:
    """The container's command for a step's commands.

    Args:
        shell: the shell that runs the commands; this script itself always runs in `sh`.
        ready_file: a file that must exist before the commands start; empty for none.
        exit_code_file: a file that the exit code is written to; empty for none.
    """
    words = ["\n".join(commands), ready_file, exit_code_file, *_SHELLS[shell]]
    return ["sh", "-c", escape_expansion(SCRIPT), "c8s-step", *(escape_expansion(word) for word in words)]
