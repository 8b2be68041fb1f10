"""The page docs/reference/limits.md: all bounds of what is taken from users, generated from the code.

`python -m tools.generate` writes it; a test compares it with the committed page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from controller.agent.archive import tar_stream
from controller.api import server
from controller.api.auth import authenticator
from controller.api.http import middleware, protocol
from controller.api.models.agent import MAX_ARTIFACT_FILES
from controller.api.models.pipelines import LintRequest
from controller.api.routes import secrets
from controller.api.routes.run import artifacts
from controller.api.state import MAX_MANIFESTS, ApiSettings
from controller.kube.client import PAGE_BYTES, PAGE_SIZE
from controller.logs import collector
from controller.logs.collect import line_numbering, stream_writer
from controller.logs.failure import first_failure
from controller.logs.live import ring_buffer
from controller.metrics.loop_watchdog import THRESHOLD
from controller.operator.decision import attempts
from controller.operator.decision.finalizer import ISOLATED_LOAD_ATTEMPTS, MAX_LOAD_ATTEMPTS
from controller.operator.effects import source_contents, source_files
from controller.operator.manifests import crds
from controller.pipeline import conditions, diagnostics, lint, model, run_cost
from controller.pipeline.graph import matrix
from controller.pipeline.reader import composer, loader
from controller.pipeline.schema import structural_schema
from controller.test_results import model as tests
from controller.test_results.history import KEPT_RUNS
from controller.worker import WorkLimits

Json = dict[str, Any]

_MAXIMA = {
    "maxLength": "{:,} characters",
    "maxItems": "{:,} entries",
    "maxProperties": "{:,} names",
    "maximum": "{:,}",
}


@dataclass(frozen=True)
class Limit:
    """One bound: of what, its value with unit, and what happens beyond it."""

    subject: str
    value: str
    effect: str


def _bytes(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor:,} {unit}"
    return f"{size:,} bytes"


def _max_length(shape: type[BaseModel], field: str) -> int:
    """The maximum length of a field of a request."""
    return int(shape.model_json_schema()["properties"][field]["maxLength"])


_WORK = WorkLimits()
_REFUSED = "the API refuses the run (422); made with kubectl, it ends as `Failed`, reason `TooExpensive`"
_LINT = "an error of lint, at the place in the file"
_TOO_LARGE = "refused with 413"

SECTIONS: tuple[tuple[str, tuple[Limit, ...]], ...] = (
    (
        "Files and graphs",
        (
            Limit("a pipeline file", _bytes(loader.MAX_BYTES), _LINT),
            Limit("values in a file, with aliases written out", f"{composer.MAX_NODES:,}", _LINT),
            Limit("nesting", f"{composer.MAX_DEPTH} levels", _LINT),
            Limit("steps, with matrices expanded", f"{model.MAX_STEPS}", _LINT),
            Limit("combinations of a matrix, before exclusions", f"{matrix.MAX_COMBINATIONS:,}", _LINT),
            Limit("findings of lint", f"{lint.MAX_DIAGNOSTICS}", "the rest is counted only"),
            Limit(
                "pairs of characters compared for suggestions (“did you mean”)",
                f"{diagnostics.MAX_COMPARISONS:,}",
                "further findings have no suggestion",
            ),
        ),
    ),
    (
        "What is computed for a run",
        (
            Limit("a text with its variables filled in", _bytes(run_cost.MAX_FILLED_BYTES), _REFUSED),
            Limit("the filled-in name of a concurrency group", _bytes(run_cost.MAX_GROUP_BYTES), _REFUSED),
            Limit(
                "all texts of one step, filled in, with parameters and variables",
                _bytes(run_cost.MAX_STEP_BYTES),
                _REFUSED,
            ),
            Limit("the same of all steps of a run", _bytes(run_cost.MAX_RUN_BYTES), _REFUSED),
            Limit(
                "different globs of `conditional.paths`, times characters of all changed files",
                f"{conditions.MAX_MATCHED_CHARACTERS:,}",
                _REFUSED,
            ),
            Limit(
                "time to list the files of a source for `inputs`",
                f"{source_contents.MAX_SECONDS:g} s, {_bytes(source_contents.MAX_SOURCE_BYTES)} unpacked",
                "steps with `inputs` are not reusable; an Event says why",
            ),
            Limit(
                "time to match them with the `inputs` of all steps",
                f"{source_files.MAX_MATCH_SECONDS:g} s",
                "steps with `inputs` are not reusable; an Event says why",
            ),
            Limit(
                f"processor time to check or prepare a definition over {_bytes(run_cost.MAX_THREAD_BYTES)}",
                f"{_WORK.cpu_seconds} s",
                _REFUSED,
            ),
            Limit("memory for it", _bytes(_WORK.memory_bytes), _REFUSED),
            Limit(
                "processes of the operator that end while they prepare a run",
                f"{ISOLATED_LOAD_ATTEMPTS}",
                "it is prepared in a process of its own, with the limits above",
            ),
            Limit(
                "the same, until the run is given up",
                f"{MAX_LOAD_ATTEMPTS}",
                "the run ends as `Failed`, reason `TooExpensive`",
            ),
            Limit(
                "repetitions of an attempt whose pod was evicted or whose node went away",
                f"{attempts.MAX_DISRUPTIONS}",
                "the step ends as `Failed`, reason `Disrupted`",
            ),
            Limit(
                "a page of a list that operator and API read from Kubernetes",
                f"{PAGE_SIZE} objects or {_bytes(PAGE_BYTES)}",
                "read in more pages; a single object may be larger",
            ),
            Limit(
                "time that the event loop may be blocked",
                f"{THRESHOLD:g} s",
                "logged with the stack, counted in `c8s_event_loop_blocked_seconds`",
            ),
        ),
    ),
    (
        "Requests",
        (
            Limit("the head of a request", _bytes(protocol.MAX_HEAD_BYTES), "the connection is closed"),
            Limit("connections of an API process", f"{protocol.MAX_CONNECTIONS:,}", "refused"),
            Limit("a JSON body", _bytes(middleware.MAX_JSON_BYTES), _TOO_LARGE),
            Limit("the manifest of an archive", _bytes(middleware.MAX_MANIFEST_BYTES), _TOO_LARGE),
            Limit("manifests that are received and checked at a time", f"{MAX_MANIFESTS}", "the others wait"),
            Limit("a page of a list of artifacts", f"{artifacts.MAX_PAGE:,} files", "refused with 422"),
            Limit("text for lint", f"{_max_length(LintRequest, 'text'):,} characters", "refused with 422"),
            Limit("a message of a WebSocket", _bytes(server.MAX_MESSAGE_BYTES), "the socket is closed"),
            Limit("tickets that are not used yet", f"{authenticator.MAX_TICKETS:,}", "the oldest are dropped"),
            Limit("the values of a secret", _bytes(secrets.MAX_BYTES), _TOO_LARGE),
        ),
    ),
    (
        "Logs",
        (
            Limit(
                "all logs of a run (`--log-limit-mib`)",
                _bytes(collector.MAX_RUN_BYTES),
                "the rest is not stored; the log ends with a line that says so",
            ),
            Limit("a line", _bytes(line_numbering.MAX_LINE_BYTES), "cut; the line says how many bytes are missing"),
            Limit(
                "the newest lines of a stream in memory", _bytes(ring_buffer.MAX_STREAM_BYTES), "read from the store"
            ),
            Limit(
                "output waiting for the store, of a stream",
                _bytes(stream_writer.MAX_PENDING_BYTES),
                "the stream is not read on until the store answers",
            ),
            Limit(
                "the end of a log that is searched for the first failure",
                f"{_bytes(first_failure.SEARCH_BYTES)} or {first_failure.SEARCH_LINES:,} lines",
                "what is before is not searched",
            ),
            Limit("the line of a failure in a status", f"{first_failure.MAX_TEXT_LENGTH} characters", "cut with `…`"),
        ),
    ),
    (
        "Stored files",
        (
            Limit("a source (`--source-limit-mib`)", _bytes(ApiSettings.source_limit), _TOO_LARGE),
            Limit(
                "the packed artifacts of an attempt",
                _bytes(ApiSettings.artifact_limit),
                "the step ends as `Failed`, reason `ArtifactUploadFailed`",
            ),
            Limit(
                "files in the artifacts of an attempt",
                f"{MAX_ARTIFACT_FILES:,}",
                "the step ends as `Failed`, reason `ArtifactUploadFailed`",
            ),
            Limit("a packed cache (`--cache-limit-mib`)", _bytes(ApiSettings.cache_limit), "the cache is not saved"),
            Limit(
                "the packed workspace of a failed step (`--kept-workspace-limit-mib`)",
                _bytes(ApiSettings.workspace_limit),
                "it is not saved",
            ),
            Limit(
                "all packed artifacts of a run (`--run-artifacts-limit-mib`)",
                _bytes(ApiSettings.run_artifacts_limit),
                "the step ends as `Failed`, reason `ArtifactUploadFailed`",
            ),
            Limit(
                "all caches of a namespace (`--namespace-caches-limit-mib`)",
                _bytes(ApiSettings.namespace_caches_limit),
                "the cache is not saved",
            ),
            Limit(
                "all sources of a namespace (`--namespace-sources-limit-mib`)",
                _bytes(ApiSettings.namespace_sources_limit),
                "refused with 413",
            ),
            Limit(
                "all saved workspaces of a namespace (`--namespace-workspaces-limit-mib`)",
                _bytes(ApiSettings.namespace_workspaces_limit),
                "it is not saved",
            ),
            Limit("an unpacked archive", _bytes(tar_stream.MAX_BYTES), "packing or unpacking fails"),
            Limit("reports of tests of an attempt", f"{tests.MAX_FILES:,} files", "a warning; the others are not read"),
            Limit("a report of tests", _bytes(tests.MAX_FILE_BYTES), "a warning; it is not read"),
            Limit(
                "all reports of tests of an attempt",
                f"{_bytes(tests.MAX_TOTAL_BYTES)}, packed {_bytes(tests.MAX_PACKED_BYTES)}",
                "a warning; the others are not read",
            ),
            Limit("tests of an attempt that are listed", f"{tests.MAX_TESTS:,}", "a warning; all are counted"),
            Limit(
                "the failure of a test, and its output",
                f"{tests.MAX_TEXT_LENGTH:,} characters each",
                "the middle is left out",
            ),
            Limit(
                "the texts of all tests of an attempt",
                f"{tests.MAX_TEXTS_LENGTH:,} characters",
                "the tests are listed without them",
            ),
            Limit("runs of a pipeline in the history of a test", f"{KEPT_RUNS}", "the oldest are removed"),
            Limit("files and folders in an archive", f"{tar_stream.MAX_ENTRIES:,}", "packing or unpacking fails"),
        ),
    ),
)


def render(embedded: Iterable[tuple[str, str, str]]) -> str:
    """The page, as Markdown.

    Args:
        embedded: the limits of the embedded cluster: of what, the maximum, and what happens beyond it.
    """
    lines = [
        "# Limits",
        "",
        "This page is generated from the code (`python -m tools.generate`). Every limit is checked before the work",
        "that it bounds. What remains expensive is computed in a process of its own, which is ended at its limit.",
    ]
    for title, limits in SECTIONS:
        rows = [(limit.subject, limit.value, limit.effect) for limit in limits]
        lines += ["", f"## {title}", "", *_table(("what", "maximum", "beyond it"), rows)]
    lines += ["", "## Requests to the embedded cluster", "", *_table(("what", "maximum", "beyond it"), list(embedded))]
    fields_of = {
        "Fields of a pipeline": structural_schema(),
        "Fields of a run": crds.pipeline_run()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
            "spec"
        ],
    }
    for title, schema in fields_of.items():
        if title == "Fields of a run":
            schema = {**schema, "properties": {k: v for k, v in schema["properties"].items() if k != "pipeline"}}
        named = [(f"`{path}`", value) for path, value in _field_limits(schema, "")]
        about = "Lint, the API and the custom resources refuse a value beyond these."
        lines += ["", f"## {title}", "", about, "", *_table(("field", "maximum"), named)]
    return "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _field_limits(schema: Json, path: str) -> Iterator[tuple[str, str]]:
    """(path, maximum) of each field of a structural schema that has one; `[]` are entries, `*` names of a map."""
    found = [text.format(schema[key]) for key, text in _MAXIMA.items() if key in schema]
    if found and path:
        yield path, ", ".join(found)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _field_limits(inner, f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), dict):
        yield from _field_limits(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _field_limits(schema["additionalProperties"], f"{path}.*")
