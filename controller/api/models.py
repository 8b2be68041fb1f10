"""The shapes that go over the wire: camelCase, closed (an unknown field is an error), and shown in the
OpenAPI document.

Answers that are copied from Kubernetes objects (a run and its status) are built as plain dictionaries in runs.py and
only described here: validating what we wrote ourselves would cost more than reading it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
HEX_DIGEST = r"^[0-9a-f]{64}$"


# These become variables of a step's environment, labels of logs and cells of tables: one line each, and no NUL.
Word = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
ParamName = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ParamValue = Annotated[str, StringConstraints(max_length=65_536, pattern=r"^[^\x00]*$")]


class Wire(BaseModel):
    """What all bodies share."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Described(BaseModel):
    """An answer that is described here and never validated."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", defer_build=True)


class Entry(Described):
    """One finding of lint, or one reason why a request was refused.

    Positions count from 1 and are null where there is no file.
    """

    line: int | None = None
    column: int | None = None
    path: str = Field("", examples=["steps[2].dependsOn[0]"])
    severity: Literal["error", "warning", "hint"] = "error"
    code: str = Field(examples=["step.unknown-dependency"])
    message: str
    hint: str | None = None


class ProblemDocument(Described):
    """RFC 9457. `type` is `urn:c8s:problem:<name>`; docs/api.md explains each name."""

    type: str = Field(examples=["urn:c8s:problem:not-found"])
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="names this occurrence in the controller's log")
    problems: list[Entry] | None = None


class LintRequest(Wire):
    """A pipeline file's text; with `event` the answer says whether the file would run for it."""

    text: str = Field(max_length=1_000_000, examples=["version: v1alpha1\nname: hello\nsteps: []\n"])
    event: str | None = Field(None, max_length=64)
    branch: str | None = Field(None, max_length=255)


class WouldRun(Described):
    """Whether an event would start a run, and why or why not."""

    runs: bool
    why: str


class LintAnswer(Described):
    """What lint found; an empty list means nothing is wrong."""

    problems: list[Entry]
    would_run: WouldRun | None = None


class ArchiveSource(Wire):
    """A stored working tree, by the digest of its tar.gz."""

    digest: str = Field(pattern=DIGEST, examples=["sha256:" + 64 * "0"])


class GitSource(Wire):
    """A repository at a revision."""

    url: str = Field(max_length=2048)
    revision: str = Field(max_length=255)


class Source(Wire):
    """Where a run's files come from: exactly one of the two."""

    archive: ArchiveSource | None = None
    git: GitSource | None = None


class RunRequest(Wire):
    """A run to be created. `pipeline` is the normalised file: its fields, `env` as a map."""

    pipeline: dict[str, Any] = Field(examples=[{"version": "v1alpha1", "name": "hello", "steps": []}])
    source: Source | None = None
    branch: Word | None = None
    commit: Word | None = None
    event: Word | None = None
    params: dict[ParamName, ParamValue] = Field(default_factory=dict, max_length=100)
    priority: Literal["high", "normal", "low"] | None = None
    triggered_by: Word | None = None


class Run(Described):
    """A run as people see it; `definition` is absent in lists, `status` always has `phase`."""

    name: str
    namespace: str
    uid: str
    number: int | None
    pipeline: str | None
    created_at: str | None
    resource_version: str
    branch: str | None = None
    commit: str | None = None
    event: str | None = None
    params: dict[str, str] = Field(default_factory=dict)
    priority: str | None = None
    triggered_by: str | None = None
    rerun_of: str | None = None
    cancel_requested: bool = False
    definition: dict[str, Any] | None = None
    status: dict[str, Any]


class RunList(Described):
    """One page of runs, newest first. A watch from `resourceVersion` misses nothing."""

    items: list[Run]
    continue_: str | None = Field(None, alias="continue")
    resource_version: str


class StoredSource(Described):
    """A source that is in the store."""

    digest: str
    size: int


class Artifact(Described):
    """One file that a step left."""

    step: str
    path: str
    size: int
    sha256: str


class ArtifactList(Described):
    """The files of a run, by step."""

    items: list[Artifact]


class SecretKeys(Described):
    """A secret's name and keys; values are never answered."""

    name: str
    keys: list[str]


class SecretList(Described):
    """The secrets that were set through this API."""

    items: list[SecretKeys]


class SecretRequest(Wire):
    """Values to set; keys that are not named keep theirs."""

    data: dict[str, str] = Field(min_length=1, max_length=100)


class ClusterAnswer(Described):
    """What the runs run on: the Nodes' runtime, whether images are used, the server's version."""

    runtime: str | None
    images: Literal["used", "ignored"]
    version: str | None
    namespaces: list[str]


class Waiting(Described):
    """A part that isn't ready."""

    part: str
    why: str


class ReadyAnswer(Described):
    """Whether the process can serve, and what it waits for."""

    ready: bool
    parts: list[str]
    waiting_for: list[Waiting]


class Ticket(Described):
    """Opens one WebSocket within `expiresIn` seconds, as `?ticket=`."""

    ticket: str
    expires_in: int


class ObjectLink(Described):
    """Where to read an object, and what it must turn out to be."""

    url: str
    sha256: str
    size: int


class UploadRequest(Wire):
    """An archive that an agent is about to upload."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST)


class UploadLink(Described):
    """Where to PUT the archive."""

    url: str


class ManifestFile(Wire):
    """One file in an archive of artifacts."""

    path: str = Field(min_length=1, max_length=4096)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST)
    mode: int = Field(ge=0, le=0o7777)


class ManifestArchive(Wire):
    """The archive as its agent packed it."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=HEX_DIGEST)


class Manifest(Wire):
    """What a step left, written after the archive: its presence says that the archive is whole."""

    files: list[ManifestFile] = Field(max_length=200_000)
    archive: ManifestArchive
