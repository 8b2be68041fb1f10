"""One S3 server for all tests of a worker, with one bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from controller.storage.create_bucket import ensure_bucket
from controller.storage.s3 import S3Store
from controller.storage.s3_client import S3Credentials, create_client
from tests.support.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.support.waiting import LONGEST

CREDENTIALS = S3Credentials(ACCESS_KEY, SECRET_KEY)
BUCKET = "artifacts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """The server, with a bucket."""
    found = SeaweedServer(tmp_path_factory.mktemp("s3"))
    try:
        found.start()
        client = create_client(found.url, "us-east-1", CREDENTIALS)
        ensure_bucket(client, BUCKET, timeout=LONGEST)
        client.close()
        yield found
    finally:
        found.stop()


@pytest.fixture
async def store(server: SeaweedServer) -> AsyncIterator[S3Store]:
    """A store in the bucket, as the controller opens one."""
    found = S3Store(BUCKET, endpoint=server.url, prefix="team/c8s", credentials=CREDENTIALS)
    yield found
    await found.close()
