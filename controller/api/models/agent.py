"""Requests and responses of agents in step pods."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from controller.api.models.common import (
    HEX_DIGEST_PATTERN,
    RequestModel,
    ResponseModel,
)
from controller.api.models.runs import BreakpointTime
from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.run_types.patterns import DIGEST_PATTERN, MAX_FILE_NAME_LENGTH, SUBDOMAIN_PATTERN

MAX_ARTIFACT_FILES = 200_000
MAX_PIPELINE_FILE = 512 * 1024
"""Characters of the pipeline file of a repository."""


class ObjectLink(ResponseModel):
    """The URL of an object, with its expected digest and size."""

    url: str
    sha256: str
    size: int


class UploadRequest(RequestModel):
    """An archive that an agent is about to upload."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)


class UploadLink(ResponseModel):
    """The URL to PUT exactly the announced archive to, and the headers that the request must have."""

    url: str
    headers: dict[str, str] = Field(default_factory=dict)


class ManifestFile(RequestModel):
    """One file in an archive of artifacts."""

    path: str = Field(min_length=1, max_length=4096)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)
    mode: int = Field(ge=0, le=0o7777)


class ManifestArchive(RequestModel):
    """The archive as the agent packed it."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)


class CacheLookup(RequestModel):
    """The key of the requested cache, with all variables filled in."""

    key: str = Field(min_length=1, max_length=512, examples=["go-4f2a"])


class CacheArchive(CacheLookup):
    """A cache that an agent saves."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)


class WorkspaceTerms(ResponseModel):
    """Whether to save a workspace, else why not, and the size limit of its archive in bytes."""

    wanted: bool
    limit: int
    why: str | None = None


class WorkspaceReport(RequestModel):
    """What was stored of a workspace, or the `problem` that prevented it."""

    size: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern=HEX_DIGEST_PATTERN)
    files: int = Field(0, ge=0)
    left_out: int = Field(
        0, ge=0, description="number of files that could not be read or are neither a file, a folder nor a link"
    )
    problem: str | None = Field(None, min_length=1, max_length=1000)


class TestCounts(RequestModel):
    """How many tests the reports of an attempt have, and how many of the reports could not be read."""

    total: int = Field(ge=0)
    failed: int = Field(ge=0)
    skipped: int = Field(ge=0)
    warnings: int = Field(0, ge=0)
    warning: str | None = Field(None, max_length=1000, description="the first of the warnings")


class FailedTest(ResponseModel):
    """A test that a step is to run: as the list for `rerunFailed` names it, and as its report does."""

    rerun: str
    suite: str
    name: str


class FailedTestNames(ResponseModel):
    """The tests that a step is to run."""

    tests: list[FailedTest]


class AgentReport(RequestModel):
    """How far the commands of a step are, as the first process of the step reports it to its agent."""

    began: AwareDatetime | None = Field(None, description="when they began")
    ended: AwareDatetime | None = Field(None, description="when they ended")
    code: int | None = Field(None, ge=0, le=999, description="their exit code")
    stored: bool | None = Field(None, description="whether the artifacts are stored; absent for a step without any")
    held: BreakpointTime | None = Field(None, description="where the step is held, while it is")
    tests: TestCounts | None = Field(None, description="how many tests its reports have, once they are stored")


class GateState(ResponseModel):
    """Whether a step whose pod was made ahead may begin, and where breakpoints hold it then."""

    open: bool
    holds: list[BreakpointTime] = Field(default_factory=list)


class SnapshotRequest(RequestModel):
    """The snapshot that a clone step is about to store, with its step and attempt."""

    slug: str = Field(max_length=63, pattern=SUBDOMAIN_PATTERN)
    attempt: int = Field(ge=1, le=1000)
    digest: str = Field(pattern=DIGEST_PATTERN)
    size: int = Field(ge=0)


class RepositoryFile(RequestModel):
    """The pipeline file of the repository, or the `problem` with it."""

    text: str | None = Field(None, max_length=MAX_PIPELINE_FILE)
    problem: str | None = Field(None, min_length=1, max_length=1000)


class Snapshot(SnapshotRequest):
    """The snapshot that it has stored, and its commit.

    `definition` and `changedFiles` are for runs that take their pipeline from the repository.
    """

    commit: str = Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")
    definition: RepositoryFile | None = None
    changed_files: list[Annotated[str, Field(max_length=MAX_FILE_NAME_LENGTH)]] | None = Field(
        None, max_length=MAX_CHANGED_FILES
    )


class SourceUpload(ResponseModel):
    """The URL to PUT the snapshot to, unless it is present already."""

    present: bool
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)


class Manifest(RequestModel):
    """The artifacts of a step. It is written after the archive: if it exists, the archive is complete."""

    files: list[ManifestFile] = Field(max_length=MAX_ARTIFACT_FILES)
    archive: ManifestArchive
