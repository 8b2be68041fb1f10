"""Making the bucket of a store that begins empty."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from controller.storage.create_bucket import ensure_bucket


def refused(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadBucket")


class Store:
    """A store whose bucket is there or not, after some answers that fail."""

    def __init__(self, *failures: Exception, buckets: tuple[str, ...] = ()) -> None:
        self.failures = list(failures)
        self.buckets = set(buckets)

    def head_bucket(self, Bucket: str) -> Any:  # noqa: N803 - as boto3 has it
        if self.failures:
            raise self.failures.pop(0)
        if Bucket not in self.buckets:
            raise refused(404, "404")

    def create_bucket(self, Bucket: str) -> Any:  # noqa: N803 - as boto3 has it
        self.buckets.add(Bucket)


def test_missing_bucket_is_created_and_existing_one_kept() -> None:
    store = Store()
    assert ensure_bucket(store, "c8s") is True
    assert store.buckets == {"c8s"}
    assert ensure_bucket(store, "c8s") is False


def test_starting_store_is_waited_for() -> None:
    pauses: list[float] = []
    store = Store(EndpointConnectionError(endpoint_url="http://s3"), refused(503, "XMinioServerNotInitialized"))
    assert ensure_bucket(store, "c8s", sleep=pauses.append) is True
    assert len(pauses) == 2


def test_rejected_credentials_fail_at_once() -> None:
    def waited(_: float) -> None:
        pytest.fail("it waited for keys to become right")

    with pytest.raises(ClientError):
        ensure_bucket(Store(refused(403, "AccessDenied")), "c8s", sleep=waited)


def test_store_that_never_responds_times_out() -> None:
    times = iter([0.0, 5.0, 200.0])
    store = Store(*[EndpointConnectionError(endpoint_url="http://s3")] * 9)
    with pytest.raises(EndpointConnectionError):
        ensure_bucket(store, "c8s", clock=lambda: next(times), sleep=lambda _: None)
    assert len(store.failures) == 7
