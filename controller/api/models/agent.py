"""What agents in step pods and the API say to each other."""

from pydantic import Field

from controller.api.models.common import (
    DIGEST_PATTERN,
    HEX_DIGEST_PATTERN,
    SUBDOMAIN_PATTERN,
    RequestModel,
    ResponseModel,
)


class ObjectLink(ResponseModel):
    """Where to read an object, and what it must turn out to be."""

    url: str
    sha256: str
    size: int


class UploadRequest(RequestModel):
    """An archive that an agent is about to upload."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)


class UploadLink(ResponseModel):
    """Where to PUT the archive."""

    url: str


class ManifestFile(RequestModel):
    """One file in an archive of artifacts."""

    path: str = Field(min_length=1, max_length=4096)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)
    mode: int = Field(ge=0, le=0o7777)


class ManifestArchive(RequestModel):
    """The archive as its agent packed it."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)


class CacheLookup(RequestModel):
    """Which cache is wanted: its key, with everything filled in."""

    key: str = Field(min_length=1, max_length=512, examples=["go-4f2a"])


class CacheArchive(CacheLookup):
    """A cache that an agent stores."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST_PATTERN)


class WorkspaceTerms(ResponseModel):
    """Whether a workspace is to be kept, else why not, and how many bytes its archive may have."""

    wanted: bool
    limit: int
    why: str | None = None


class WorkspaceTold(RequestModel):
    """What was stored of a workspace, or the `problem` that kept it from being stored."""

    size: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern=HEX_DIGEST_PATTERN)
    files: int = Field(0, ge=0)
    left_out: int = Field(0, ge=0, description="what could not be read, or is neither a file, a folder nor a link")
    problem: str | None = Field(None, min_length=1, max_length=1000)


class SnapshotRequest(RequestModel):
    """What the step that clones is about to store, and which step and attempt it is."""

    slug: str = Field(max_length=63, pattern=SUBDOMAIN_PATTERN)
    attempt: int = Field(ge=1, le=1000)
    digest: str = Field(pattern=DIGEST_PATTERN)
    size: int = Field(ge=0)


class Snapshot(SnapshotRequest):
    """What it has stored, and of which commit."""

    commit: str = Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")


class SourceUpload(ResponseModel):
    """Where to PUT the snapshot, unless it is there already."""

    present: bool
    url: str | None = None


class Manifest(RequestModel):
    """What a step left, written after the archive: its presence says that the archive is whole."""

    files: list[ManifestFile] = Field(max_length=200_000)
    archive: ManifestArchive
