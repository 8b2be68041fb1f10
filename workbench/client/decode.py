"""Decodes the controller's JSON into the classes of `models`.

Unknown fields are ignored (a newer controller may send more), and missing ones
get the value that means "not known yet".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.run_types.phases import RunPhase, StepPhase
from workbench.client.models import (
    Artifact,
    Attempt,
    AttemptTimes,
    BacklogEnd,
    Cluster,
    CommandStarted,
    ComponentHealth,
    CopyOf,
    Diagnostic,
    FirstFailure,
    Frame,
    Health,
    LinePart,
    Lines,
    LintResponse,
    LogLine,
    LogSummary,
    Missed,
    Pod,
    Quota,
    ResourceUsage,
    Reused,
    Run,
    RunEnd,
    RunEvent,
    RunPage,
    SavedPipeline,
    SavedWorkspace,
    SecretNames,
    Step,
    StepCommand,
    StreamEnd,
    StreamKey,
    Summary,
    TestCounts,
)


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def decode_time(value: object) -> datetime | None:
    """An RFC 3339 time with its zone; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo else None


def decode_diagnostic(raw: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        line=_number(raw.get("line")),
        column=_number(raw.get("column")),
        path=str(raw.get("path") or ""),
        severity=str(raw.get("severity") or "error"),
        code=str(raw.get("code") or ""),
        message=str(raw.get("message") or ""),
        hint=_text(raw.get("hint")),
    )


def decode_lint(raw: Mapping[str, Any]) -> LintResponse:
    verdict = _object(raw.get("wouldRun"))
    return LintResponse(
        problems=tuple(decode_diagnostic(item) for item in _objects(raw.get("problems"))),
        would_run=bool(verdict["runs"]) if "runs" in verdict else None,
        why=_text(verdict.get("why")),
    )


def _decode_log(raw: object) -> LogSummary | None:
    if not isinstance(raw, dict):
        return None
    return LogSummary(
        lines=_number(raw.get("lines")),
        bytes=_number(raw.get("bytes")),
        sha256=_text(raw.get("sha256")),
        archived=raw.get("archived") is True,
        first_failure=_decode_failure(raw.get("firstFailure")),
    )


def _decode_failure(raw: object) -> FirstFailure | None:
    if not isinstance(raw, dict) or not raw:
        return None
    file_line = raw.get("fileLine")
    return FirstFailure(
        _number(raw.get("line")),
        str(raw.get("text") or ""),
        _text(raw.get("file")),
        file_line if isinstance(file_line, int) else None,
    )


def _decode_attempt(raw: Mapping[str, Any]) -> Attempt:
    times = _object(raw.get("times"))
    names = ("queued", "created", "scheduled", "pulling", "fetching", "running", "finished", "uploaded")
    return Attempt(
        number=_number(raw.get("number")),
        job_name=_text(raw.get("jobName")),
        pod_name=_text(raw.get("podName")),
        phase=str(raw.get("phase") or StepPhase.RUNNING),
        reason=_text(raw.get("reason")),
        message=_text(raw.get("message")),
        exit_code=raw.get("exitCode") if isinstance(raw.get("exitCode"), int) else None,
        times=AttemptTimes(**{name: decode_time(times.get(name)) for name in names}),
        containers=_texts(raw.get("containers")),
        log=_decode_log(raw.get("log")),
        saved_workspace=_decode_workspace(raw.get("kept")),
        held=_text(raw.get("held")),
        tests=_decode_test_counts(raw.get("tests")),
        usage=_decode_usage(raw.get("usage")),
    )


def _decode_usage(raw: object) -> ResourceUsage | None:
    found = _object(raw)
    if not found:
        return None
    memory, cpu, samples, interval = (_number(found.get(name)) for name in ("memory", "cpu", "samples", "interval"))
    over_time = (found.get(name) for name in ("memoryOverTime", "cpuOverTime"))
    values = (tuple(_number(each) for each in listed) if isinstance(listed, list) else () for listed in over_time)
    return ResourceUsage(memory, cpu, samples, interval, *values)


def _decode_test_counts(raw: object) -> TestCounts | None:
    found = _object(raw)
    if not found:
        return None
    total, failed, skipped, warnings = (_number(found.get(name)) for name in ("total", "failed", "skipped", "warnings"))
    return TestCounts(total, failed, skipped, warnings, _text(found.get("warning")))


def _decode_workspace(raw: object) -> SavedWorkspace | None:
    if not isinstance(raw, dict) or not raw:
        return None
    size, files, left_out = (_number(raw.get(field)) for field in ("bytes", "files", "leftOut"))
    return SavedWorkspace(size, files, left_out, _text(raw.get("problem")))


def decode_artifact(raw: Mapping[str, Any]) -> Artifact:
    return Artifact(
        step=str(raw.get("step") or ""),
        path=str(raw.get("path") or ""),
        size=_number(raw.get("size")),
        sha256=_text(raw.get("sha256")),
    )


def _decode_steps(raw: object) -> tuple[Step, ...]:
    """The steps, each with the names of all steps that it depends on: the status has one name for a whole matrix."""
    steps = list(_objects(raw))
    groups: dict[str, list[str]] = {}
    for step in steps:
        groups.setdefault(str(step.get("matrixOf") or step.get("name") or ""), []).append(str(step.get("name") or ""))
    return tuple(_decode_step(step, groups) for step in steps)


def _decode_step(raw: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Step:
    name = str(raw.get("name") or "")
    slug = str(raw.get("slug") or name)
    return Step(
        name=name,
        slug=slug,
        depends_on=tuple(each for needed in _texts(raw.get("dependsOn")) for each in groups.get(needed, (needed,))),
        allow_failure=raw.get("allowFailure") is True,
        phase=str(raw.get("phase") or StepPhase.PENDING),
        reason=_text(raw.get("reason")),
        message=_text(raw.get("message")),
        start_time=decode_time(raw.get("startTime")),
        completion_time=decode_time(raw.get("completionTime")),
        artifact_count=_number(_object(raw.get("artifacts")).get("files")),
        attempts=tuple(_decode_attempt(item) for item in _objects(raw.get("attempts"))),
        reused=_decode_reused(raw.get("reused")),
        first_failure=_decode_failure(raw.get("firstFailure")),
        inputs=_text(raw.get("inputs")),
    )


def _decode_reused(raw: object) -> Reused | None:
    if not isinstance(raw, dict) or not raw.get("run"):
        return None
    return Reused(str(raw["run"]), str(raw.get("slug") or ""), _number(raw.get("attempt")))


def _decode_copy(raw: object) -> CopyOf | None:
    if not isinstance(raw, dict) or not raw.get("run"):
        return None
    return CopyOf(str(raw["run"]), str(raw.get("step") or ""), _number(raw.get("attempt")))


def decode_event(raw: Mapping[str, Any]) -> RunEvent:
    about = _object(raw.get("object"))
    return RunEvent(
        type=str(raw.get("type") or "Normal"),
        reason=str(raw.get("reason") or ""),
        message=str(raw.get("message") or ""),
        count=_number(raw.get("count")) or 1,
        first_time=decode_time(raw.get("firstTime")),
        last_time=decode_time(raw.get("lastTime")),
        kind=str(about.get("kind") or ""),
        name=str(about.get("name") or ""),
    )


def decode_run(raw: Mapping[str, Any]) -> Run:
    status = _object(raw.get("status"))
    summary = _object(status.get("summary"))
    runtime = _object(status.get("runtime"))
    definition = raw.get("definition")
    counts = ("total", "succeeded", "failed", "skipped", "cancelled", "running", "pending")
    return Run(
        name=str(raw.get("name") or ""),
        namespace=str(raw.get("namespace") or ""),
        uid=str(raw.get("uid") or ""),
        number=_number(raw.get("number")),
        pipeline=str(raw.get("pipeline") or ""),
        created_at=decode_time(raw.get("createdAt")),
        resource_version=str(raw.get("resourceVersion") or ""),
        branch=_text(raw.get("branch")),
        commit=_text(raw.get("commit")),
        event=_text(raw.get("event")),
        params={str(key): str(value) for key, value in _object(raw.get("params")).items()},
        priority=_text(raw.get("priority")),
        triggered_by=_text(raw.get("triggeredBy")),
        rerun_of=_text(raw.get("rerunOf")),
        cancel_requested=raw.get("cancelRequested") is True,
        definition=definition if isinstance(definition, dict) else None,
        phase=str(status.get("phase") or RunPhase.PENDING),
        reason=_text(status.get("reason")),
        message=_text(status.get("message")),
        start_time=decode_time(status.get("startTime")),
        completion_time=decode_time(status.get("completionTime")),
        summary=Summary(**{count: _number(summary.get(count)) for count in counts}),
        images=_text(runtime.get("images")),
        runtime=_text(runtime.get("name")),
        steps=_decode_steps(status.get("steps")),
        raw=raw,
        critical_path=_texts(status.get("criticalPath")),
        group=_text(status.get("group")),
        created_by=_text(raw.get("createdBy")),
        reuse_from=_text(raw.get("reuseFrom")),
        reuse=raw.get("reuse") is True,
        watch=raw.get("watch") is True,
        source_uids=tuple(str(uid) for uid in (raw.get("uid"), raw.get("rerunOfUid")) if uid),
        source_commit=_text(_object(status.get("source")).get("commit")),
        copy_of=_decode_copy(raw.get("copyOf")),
        breakpoints=_decode_breakpoints(raw.get("breakpoints")),
    )


def _decode_breakpoints(raw: object) -> tuple[tuple[str, str], ...]:
    return tuple((str(each.get("step") or ""), str(each.get("at") or "before")) for each in _objects(raw))


def decode_page(raw: Mapping[str, Any]) -> RunPage:
    return RunPage(
        items=tuple(decode_run(item) for item in _objects(raw.get("items"))),
        continue_token=_text(raw.get("continue")),
        resource_version=str(raw.get("resourceVersion") or ""),
    )


def decode_frames(message: object) -> Iterator[Frame]:
    """The frames of one message: a single one, or those of a batch. Unknown types are ignored."""
    if not isinstance(message, dict):
        return
    for raw in _objects(message.get("frames")) if message.get("type") == "batch" else (message,):
        frame = decode_frame(raw)
        if frame is not None:
            yield frame


def decode_frame(raw: Mapping[str, Any]) -> Frame | None:
    """A frame of a log stream; None for an unknown type."""
    kind = raw.get("type")
    if kind == "done":
        return RunEnd()
    key = StreamKey(str(raw.get("step") or ""), _number(raw.get("attempt")), str(raw.get("container") or ""))
    if kind == "lines":
        rows = raw.get("lines")
        pairs = [row for row in rows if isinstance(row, list) and len(row) == 2] if isinstance(rows, list) else []
        return Lines(
            key, _number(raw.get("first")), tuple(LogLine(_microseconds(time), str(text)) for time, text in pairs)
        )
    if kind == "partial":
        read = LogLine(_microseconds(raw.get("time")), str(raw.get("text") or ""))
        return LinePart(key, _number(raw.get("line")), read)
    if kind == "command":
        index, line = _number(raw.get("index")), _number(raw.get("line"))
        return CommandStarted(key, index, line, _microseconds(raw.get("time")), str(raw.get("text") or ""))
    if kind == "live":
        return BacklogEnd(key)
    if kind == "end":
        return StreamEnd(key, _number(raw.get("lines")))
    if kind == "missed":
        return Missed(key, _number(raw.get("first")), _number(raw.get("last")))
    return None


def decode_step_command(raw: Mapping[str, Any]) -> StepCommand:
    exit_code = raw.get("exitCode")
    return StepCommand(
        _number(raw.get("index")),
        str(raw.get("text") or ""),
        _number(raw.get("line")),
        decode_time(raw.get("startTime")),
        decode_time(raw.get("endTime")),
        exit_code if isinstance(exit_code, int) else None,
    )


def _microseconds(value: object) -> int | None:
    return value if isinstance(value, int) else None


def decode_secret(raw: Mapping[str, Any]) -> SecretNames:
    return SecretNames(str(raw.get("name") or ""), _texts(raw.get("keys")))


def decode_cluster(raw: Mapping[str, Any]) -> Cluster:
    return Cluster(
        runtime=str(raw.get("runtime") or "unknown"),
        images=str(raw.get("images") or "used"),
        version=str(raw.get("version") or "unknown"),
        namespaces=_texts(raw.get("namespaces")),
    )


def decode_health(raw: Mapping[str, Any]) -> Health:
    queue = _object(raw.get("queue"))
    oldest = queue.get("oldestSeconds")
    return Health(
        tuple(
            ComponentHealth(str(each.get("name") or ""), each.get("ready") is True, _text(each.get("message")))
            for each in _objects(raw.get("ready"))
        ),
        _number(queue.get("depth")),
        float(oldest) if isinstance(oldest, (int, float)) else None,
        tuple(
            Quota(*(str(each.get(field) or "") for field in ("name", "resource", "used", "hard")))
            for each in _objects(raw.get("quota"))
        ),
        tuple(
            Pod(
                str(each.get("name") or ""),
                _text(each.get("step")),
                _text(each.get("run")),
                str(each.get("phase") or "Unknown"),
                _text(each.get("node")),
                decode_time(each.get("startedAt")),
            )
            for each in _objects(raw.get("pods"))
        ),
    )


def decode_pipeline(raw: Mapping[str, Any]) -> SavedPipeline:
    return SavedPipeline(str(raw.get("name") or ""), _object(raw.get("definition")))
