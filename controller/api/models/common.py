"""Base classes, patterns and the problem document, shared by all models of the API.

Names are camelCase on the wire. A request with an unknown field is refused. Responses are built as plain dictionaries
by the serializers and only described by models: validating our own output would cost more than it finds.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

HEX_DIGEST_PATTERN = r"^[0-9a-f]{64}$"


class RequestModel(BaseModel):
    """A request body. Unknown fields are an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class ResponseModel(BaseModel):
    """A response body: described in the OpenAPI document, never validated."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", defer_build=True)


class Entry(ResponseModel):
    """One diagnostic of lint, or one reason why a request was refused.

    Positions count from 1 and are null where there is no file.
    """

    line: int | None = None
    column: int | None = None
    path: str = Field("", examples=["steps[2].dependsOn[0]"])
    severity: Literal["error", "warning", "hint"] = "error"
    code: str = Field(examples=["step.unknown-dependency"])
    message: str
    hint: str | None = None


class ProblemDocument(ResponseModel):
    """RFC 9457. `type` is `urn:c8s:problem:<name>`; docs/api.md explains each name."""

    type: str = Field(examples=["urn:c8s:problem:not-found"])
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="identifies this occurrence in the controller's log")
    problems: list[Entry] | None = None
