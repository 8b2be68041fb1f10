"""The details of a run or a step besides its log: reason, attempts, environment and YAML, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from workbench.client.models import Attempt, Run, RunEvent, Step
from workbench.report.report import step_spans
from workbench.text.format import format_duration, format_size, plural

_UNKNOWN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Detail:
    """A named detail."""

    name: str
    text: str


def run_details(run: Run) -> tuple[Detail, ...]:
    found = [
        Detail("run", run.name),
        Detail("status", _phase_text(run.phase, run.reason)),
        Detail("why", run.message or ""),
        Detail("pipeline", run.pipeline),
        Detail("branch", run.branch or ""),
        Detail("commit", run.commit or ""),
        Detail("event", run.event or ""),
        Detail("by", _creator(run)),
        Detail("rerun of", run.rerun_of or ""),
        Detail("priority", run.priority or ""),
        Detail("group", run.group or ""),
        Detail("runtime", f"{run.runtime or ''}{f', images {run.images}' if run.images else ''}"),
        *(Detail(f"param {name}", value) for name, value in run.params.items()),
    ]
    return tuple(fact for fact in found if fact.text)


def events_of(events: Iterable[RunEvent], step: Step | None) -> list[RunEvent]:
    """The events about the Jobs and pods of a step, or without one all events of a run, in the order of their times."""
    if step is not None:
        names = {name for each in step.attempts for name in (each.job_name, each.pod_name) if name is not None}
        events = [event for event in events if event.name in names]
    return sorted(
        events, key=lambda event: (event.last_time or event.first_time or _UNKNOWN, event.first_time or _UNKNOWN)
    )


def description(run: Run, step: Step | None) -> tuple[Detail, ...]:
    """What the step, or without one the pipeline, is for, as its definition says; empty if it does not."""
    definition = step_definition(run, step) if step is not None else run.definition
    text = (definition or {}).get("description")
    return (Detail("for", " ".join(text.split())),) if isinstance(text, str) and text.strip() else ()


def _creator(run: Run) -> str:
    """Who started a run: the user whom the API authenticated, and what the request says if that is another name."""
    if run.triggered_by in (None, run.created_by):
        return run.created_by or ""
    return f"{run.created_by or 'unknown'}, says {run.triggered_by}"


def step_details(run: Run, step: Step, now: datetime) -> tuple[Detail, ...]:
    """The details of a step: its status, attempts, workspace and times."""
    failure = step.first_failure or next((a.log.first_failure for a in reversed(step.attempts) if a.log), None)
    found = [
        Detail("step", step.name),
        Detail("status", _phase_text(step.phase, step.reason)),
        Detail("why", step.message or ""),
        Detail("after", ", ".join(step.depends_on)),
    ]
    if failure is not None:
        place = f" ({failure.file}:{failure.file_line or 1})" if failure.file else ""
        found.append(Detail("failing line", f"{failure.line}: {failure.text}{place}"))
    if step.reused is not None:
        found.append(Detail("taken from", f"{step.reused.run}, step {step.reused.slug}, attempt {step.reused.attempt}"))
    found += [Detail(f"attempt {attempt.number}", _attempt_text(attempt)) for attempt in step.attempts]
    found.append(Detail("workspace", _workspace_text(step)))
    if step.attempts:
        parts: dict[str, float] = {}
        for span in step_spans(run, step):
            parts[span.part] = parts.get(span.part, 0.0) + span.seconds(now)
        found.append(Detail("time", ", ".join(f"{part} {format_duration(seconds)}" for part, seconds in parts.items())))
    return tuple(fact for fact in found if fact.text)


def _phase_text(phase: str, reason: str | None) -> str:
    """`Failed (ExitCode)`; a reason that only repeats the phase is left out."""
    return phase if reason in (None, "", phase) else f"{phase} ({reason})"


def _workspace_text(step: Step) -> str:
    """Whether the workspace of a failed step was saved; empty if that was not requested."""
    if (attempt := step.attempt_with_workspace) is not None and (workspace := attempt.saved_workspace) is not None:
        without = f", {workspace.skipped} skipped" if workspace.skipped else ""
        which = f" of attempt {attempt.number}" if len(step.attempts) > 1 else ""
        files = f"{workspace.files:,} file{'' if workspace.files == 1 else 's'}"
        return f"saved{which} ({format_size(workspace.bytes)} packed, {files}{without}): S opens a shell in it"
    problem = next((a.saved_workspace.problem for a in reversed(step.attempts) if a.saved_workspace is not None), None)
    return f"not saved: {problem}" if problem else ""


def _attempt_text(attempt: Attempt) -> str:
    parts = [_phase_text(attempt.phase, attempt.reason), attempt.message or ""]
    if attempt.exit_code is not None:
        parts.append(f"exit code {attempt.exit_code}")
    parts.append(f"pod {attempt.pod_name}" if attempt.pod_name else "")
    if attempt.log is not None:
        parts.append(f"{plural(attempt.log.lines, 'line')} of log")
    return ", ".join(dict.fromkeys(part for part in parts if part))


def step_definition(run: Run, step: Step) -> Mapping[str, Any] | None:
    """The definition of a step in the pipeline; for a step of a matrix, that of the original step."""
    steps = (run.definition or {}).get("steps")
    for each in steps if isinstance(steps, list) else ():
        if isinstance(each, dict) and each.get("name") in (step.name, step.name.partition(" (")[0]):
            return each
    return None


def environment(run: Run, step: Step) -> tuple[Detail, ...]:
    """The environment variables of a step. Secrets are listed by name and source, never by value."""
    definition = step_definition(run, step) or {}
    named: dict[str, str] = {
        "CI": "true", "C8S": "true", "C8S_RUN": run.name, "C8S_STEP": step.name, "C8S_COMMIT": run.commit or "",
        "C8S_BRANCH": run.branch or "", "COMMIT_SHA": run.commit or "", "BRANCH": run.branch or "",
    }  # fmt: skip
    if step.attempts:
        named["C8S_ATTEMPT"] = str(step.attempts[-1].number)
    named |= {f"PARAM_{_variable(name)}": value for name, value in run.params.items()}
    named |= {f"MATRIX_{_variable(name)}": value for name, value in matrix_values(step.name).items()}
    for level in (run.definition or {}, definition):
        named |= _variables(level.get("env"))
    secrets: dict[str, str] = {}
    for secret in definition.get("secrets") or ():
        if isinstance(secret, dict):
            target = str(secret.get("envVar") or secret.get("file") or secret.get("key") or "")
            secrets[target] = f"from secret {secret.get('secretRef')}, key {secret.get('key')}; not shown"
    return tuple(Detail(name, text) for name, text in sorted(named.items() | secrets.items()))


def _variables(env: object) -> dict[str, str]:
    if isinstance(env, dict):
        return {str(name): str(value) for name, value in env.items()}
    if isinstance(env, list):
        return {str(each.get("name")): str(each.get("value", "")) for each in env if isinstance(each, dict)}
    return {}


def _variable(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name).upper()


def matrix_values(name: str) -> dict[str, str]:
    """The values of a step of a matrix, by dimension, from its name."""
    inside = name.partition(" (")[2].removesuffix(")")
    pairs = (pair.partition("=") for pair in inside.split(", ") if "=" in pair)
    return {key.strip(): value.strip() for key, _, value in pairs}


def frozen_yaml(run: Run, step: Step | None) -> str:
    """The pipeline of the run, or one step of it, as YAML."""
    definition = run.definition if step is None else step_definition(run, step)
    if definition is None:
        return ""
    return str(yaml.safe_dump(dict(definition), sort_keys=False, allow_unicode=True, width=100))
