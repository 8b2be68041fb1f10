"""The commands of a step: texts from the definition, lines and times from the log, the last exit code from status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.api.artifacts.keys import find_step
from controller.logs import CommandStart, format_timestamp
from controller.logs.model import UNKNOWN_TIME
from controller.pipeline.shell_commands import describe_command

JsonObject = Mapping[str, Any]


def command_texts(run: JsonObject, step: JsonObject) -> list[str]:
    """A line for each of the step's `commands`, as the run's definition has them."""
    definition = run["spec"].get("pipeline") or {}
    name = step.get("matrixOf") or step.get("name")
    for each in definition.get("steps") or ():
        if each.get("name") == name:
            return [describe_command(str(command)) for command in each.get("commands") or ()]
    return []


class CommandTexts:
    """The texts of the commands of a run's steps, looked up as they start. `latest` returns the run as it is now."""

    def __init__(self, latest: Callable[[], JsonObject]) -> None:
        self._latest = latest
        self._texts: dict[str, list[str]] = {}

    def text(self, slug: str, command: int) -> str:
        """The text of a command; empty if it is not known."""
        if slug not in self._texts:
            run = self._latest()
            step = find_step(run, slug)
            if step is None:
                return ""
            self._texts[slug] = command_texts(run, step)
        texts = self._texts[slug]
        return texts[command] if command < len(texts) else ""


def serialize_commands(
    starts: Sequence[CommandStart], texts: Sequence[str], attempt: JsonObject | None
) -> list[dict[str, Any]]:
    """The commands that have started as `StepCommand`s.

    A command ends when the next one starts, with exit code 0: another one would have ended the step. The last one ends
    with the step's container, as it did.
    """
    ended = attempt or {}
    container_end = (ended.get("times") or {}).get("finished")
    found = []
    for position, start in enumerate(starts):
        is_last = position == len(starts) - 1
        following = None if is_last else format_time(starts[position + 1].time_ns)
        found.append(
            {
                "index": start.command,
                "text": texts[start.command] if start.command < len(texts) else "",
                "line": start.line,
                "startTime": format_time(start.time_ns),
                "endTime": container_end if is_last else following,
                "exitCode": ended.get("exitCode") if is_last else 0,
            }
        )
    return found


def format_time(time_ns: int) -> str | None:
    """A time of a log in RFC 3339; None if it is unknown."""
    return None if time_ns == UNKNOWN_TIME else format_timestamp(time_ns)
