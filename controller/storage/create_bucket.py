"""Creates the bucket of the store's URL if it is missing: `python -m controller.storage.create_bucket`.

It is for stores in the cluster, which start empty. It waits for a store that is starting, and leaves an existing bucket
unchanged.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 120.0
POLL_INTERVAL = 1.0
_ALREADY_EXISTS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def ensure_bucket(
    client: Any,
    bucket: str,
    *,
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Create the bucket; False if it exists. Raises the error of boto3 if the store fails for `timeout` seconds."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    deadline = clock() + timeout
    while True:
        try:
            try:
                client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if _http_status(error) != 404:
                    raise
                client.create_bucket(Bucket=bucket)
                return True
            return False
        except (ClientError, ConnectionError, HTTPClientError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in _ALREADY_EXISTS:
                return False
            # A store that is starting responds with 503; one that rejects the keys will not accept them later.
            if (isinstance(error, ClientError) and _http_status(error) < 500) or clock() > deadline:
                raise
            sleep(POLL_INTERVAL)


def _http_status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def main() -> int:
    """Run the command; exit code 0 if the bucket exists afterwards."""
    from botocore.exceptions import BotoCoreError, ClientError

    from controller.storage.errors import InvalidStoreUrlError
    from controller.storage.factory import parse_s3_url, uses_path_style
    from controller.storage.s3_client import create_client

    try:
        bucket, options = parse_s3_url(os.environ.get("C8S_STORE", ""))
    except InvalidStoreUrlError as error:
        print(f"C8S_STORE: {error}", file=sys.stderr)
        return 2
    in_path = uses_path_style(options)
    client = create_client(options.get("endpoint"), options.get("region", "us-east-1"), path_style=in_path)
    try:
        created = ensure_bucket(client, bucket)
    except (BotoCoreError, ClientError) as error:
        # Not the text of the error, which may repeat the request.
        code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        print(f"the bucket {bucket} could not be created at {options.get('endpoint', 'S3')}: {code}", file=sys.stderr)
        return 1
    print(f"the bucket {bucket} " + ("was created" if created else "exists"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
