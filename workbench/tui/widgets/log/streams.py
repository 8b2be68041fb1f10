"""Which stream of a step is shown: its attempt and container."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.client.models import CommandStarted, FirstFailure, Step, StreamKey
from workbench.logs.run_log import failing_containers
from workbench.logs.sections import Section, command_sections
from workbench.logs.step_logs import to_microseconds


def select_stream(
    step: Step | None, attempt_number: int | None = None, container: str | None = None
) -> StreamKey | None:
    """The stream of an attempt (default: the last) and a container (default: the one that failed, else the step's)."""
    if step is None:
        return None
    if step.reused is not None:
        return StreamKey(step.slug, step.reused.attempt, "step")
    if not step.attempts:
        return None
    attempt = next((one for one in step.attempts if one.number == attempt_number), step.attempts[-1])
    default = next(iter(failing_containers(attempt)), "step")
    return StreamKey(step.slug, attempt.number, container or default)


def previous_attempt(step: Step, key: StreamKey) -> int | None:
    """The attempt before the shown one, from the first on the last; None if there is only one."""
    numbers = [attempt.number for attempt in step.attempts]
    if len(numbers) < 2:
        return None
    return numbers[(numbers.index(key.attempt) if key.attempt in numbers else 0) - 1]


def next_container(step: Step, key: StreamKey) -> str | None:
    """The container after the shown one in its attempt, from the last on the first."""
    attempt = next((one for one in step.attempts if one.number == key.attempt), None)
    if attempt is None:
        return None
    names = list(attempt.containers) or ["step"]
    at = names.index(key.container) if key.container in names else -1
    return names[(at + 1) % len(names)]


def step_sections(step: Step | None, key: StreamKey, commands: Sequence[CommandStarted]) -> list[Section]:
    """The sections of the commands in a stream; the last one ends with its attempt."""
    attempts = step.attempts if step is not None else ()
    attempt = next((each for each in attempts if each.number == key.attempt), None)
    finished = attempt.times.finished if attempt is not None else None
    # The result of a reused step is that of a success.
    exit_code = attempt.exit_code if attempt is not None else 0
    ended = finished is not None or (step is not None and step.reused is not None)
    return command_sections(commands, ended=ended, stop=to_microseconds(finished), exit_code=exit_code)


def first_failure(step: Step | None, key: StreamKey | None) -> FirstFailure | None:
    """The line that explains the failure, if the stream is the log of the last attempt."""
    attempt = step.last_attempt if step is not None else None
    if attempt is None or attempt.log is None or key is None or key.container != "step":
        return None
    return attempt.log.first_failure if key.attempt == attempt.number else None
