"""The served API is what its description says: schemathesis makes calls up from the document, good ones and bad ones,
against a live sandbox, and holds every answer to it with all its checks.

`C8S_SCHEMATHESIS_EXAMPLES` sets how many calls it makes up for each operation, for a longer search by hand.
"""

import gzip
import os
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import SerializationContext
from schemathesis.config import SchemathesisConfig

from tests.integration.api.conftest import ADMIN, SECONDS, Sandbox
from tools import openapi

pytestmark = pytest.mark.xdist_group("controller")
EXAMPLES = int(os.environ.get("C8S_SCHEMATHESIS_EXAMPLES", "5"))
# A WebSocket is no call, and a stream of events has no end.
LIVE = ["streamLogs", "execStep", "watchRuns"]

# What a schema can't say of a good request: that a pipeline makes sense, which fields exclude each other, that a token
# for the next page was given by a list, that a link was signed, that stored credentials are for this host, that a body
# has its digest, that a day is in the calendar.
REFUSALS = {
    "createRun": [404, 422],
    "rerunRun": [404, 409, 422],
    "putPipeline": [422],
    "putConnection": [409, 422],
    "putSecret": [403, 413, 422],
    "putSource": [415, 422],
    "listRuns": [400],
    "getLogs": [404],
    "listCommands": [404],
}
# Two kinds of refusal of one operation, each for one reason only.
REASONS = {
    ("putConnection", 409): "the stored credentials are not for ",
    ("putConnection", 422): "the connection is not valid: ",
}
ACCEPTED = [200, 201, 202, 204, 302, 401, 403, 404]
CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"mode": "all"},
        # Calls in a namespace that is not there would all end at once.
        "parameters": {"path.ns": "default"},
        # Too much of a good thing is refused as too large.
        "checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 405, 409, 413, 415, 422]}},
        "operations": [
            {
                "include-operation-id": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *statuses]}},
            }
            for name, statuses in REFUSALS.items()
        ],
    }
)


@schemathesis.serializer("application/gzip")
def as_gzip(context: SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else gzip.compress(str(value).encode(errors="replace"))


schema = schemathesis.openapi.from_dict(openapi.document(), config=CONFIG)


@schema.exclude(operation_id=LIVE).parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 5,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_every_answer_is_as_described(case: schemathesis.Case[Any], sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = case.call_and_validate(base_url=sandbox.url, headers=headers, timeout=SECONDS)
    reason = REASONS.get((str(case.operation.definition.raw.get("operationId")), answer.status_code))
    assert case.meta is not None
    if reason is not None and case.meta.generation.mode.is_positive:
        assert answer.json()["detail"].startswith(reason)
