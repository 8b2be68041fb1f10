"""The request that creates a run: the body of `POST /api/v1/namespaces/{namespace}/runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ArchiveSource:
    """An uploaded archive. `digest` is of its bytes (`sha256:…`).

    `contents_digest` is of the files in it except the pipeline's own, so that an edited
    pipeline on the same files can reuse the results of earlier runs.
    """

    digest: str
    contents_digest: str | None = None
    pipeline_file: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "archive": _without_none(digest=self.digest, contents=self.contents_digest, pipelineFile=self.pipeline_file)
        }


@dataclass(frozen=True)
class GitSource:
    """A repository that the controller clones. `secret` names the Secret with its credentials."""

    url: str
    revision: str = "HEAD"
    submodules: bool = False
    secret: str | None = None

    def to_json(self) -> dict[str, Any]:
        submodules = self.submodules or None
        return {
            "git": _without_none(url=self.url, revision=self.revision, submodules=submodules, secretRef=self.secret)
        }


@dataclass(frozen=True)
class RunRequest:
    """What to run, and the trigger it runs as. `pipeline` holds the fields of a pipeline file."""

    pipeline: Mapping[str, Any]
    source: ArchiveSource | GitSource | None = None
    branch: str | None = None
    commit: str | None = None
    event: str | None = None
    changed_files: Sequence[str] | None = None
    """For conditions on paths; None when the changed files are not known."""
    params: Mapping[str, str] | None = None
    priority: str | None = None
    triggered_by: str | None = None
    reuse_from: str | None = None
    """A run whose succeeded steps are reused where they would be the same."""
    failed_tests_of: str | None = None
    """A run of which only the failed tests are run again, by steps that say how; the others are as for `reuse_from`."""
    prestart: int | None = None
    """Pods that may be made ahead; None as the pipeline says, else as the controller is set."""
    breakpoints: Sequence[tuple[str, str]] = ()
    """Where steps are held: the step's name, and `before`, `after` or `failed`."""
    verify_inputs: bool = False
    """Whether a step with `inputs` gets only these files."""
    reuse: bool | None = None
    """Whether steps take results of any earlier run of the pipeline; None as the pipeline says."""
    watch: bool = False
    """Whether the run is started because a file was saved."""

    def to_json(self) -> dict[str, Any]:
        """The JSON of the request; fields without a value are absent."""
        return _without_none(
            pipeline=dict(self.pipeline),
            source=self.source.to_json() if self.source is not None else None,
            branch=self.branch,
            commit=self.commit,
            event=self.event,
            changedFiles=list(self.changed_files) if self.changed_files is not None else None,
            params=dict(self.params) if self.params else None,
            priority=self.priority,
            triggeredBy=self.triggered_by,
            reuseFrom=self.reuse_from,
            failedTestsOf=self.failed_tests_of,
            prestart=self.prestart,
            breakpoints=[{"step": step, "at": at} for step, at in self.breakpoints] or None,
            verifyInputs=self.verify_inputs or None,
            reuse=self.reuse,
            watch=self.watch or None,
        )


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
