"""The object store of an installation: its URL and credentials, its bucket, and a check that it works."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from controller.storage import StorageError, open_store
from kind.errors import KindError

BUCKET = "c8s"
MINIO_SERVICE_URL = "http://c8s-minio.c8s-system.svc:9000"
_PROBE_CONTENT = b"what is written can be read"


@dataclass(frozen=True)
class S3Config:
    """An existing S3 store. Its `repr` does not show the keys."""

    endpoint: str
    bucket: str = BUCKET
    region: str = "us-east-1"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    def url(self) -> str:
        """The value of the setting `store`."""
        options = {"endpoint": self.endpoint} | ({} if self.region == "us-east-1" else {"region": self.region})
        return f"s3://{self.bucket}?{urlencode(options, safe=':/')}"

    def credentials(self) -> dict[str, str]:
        """The credentials as environment variables of boto3."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


def minio_url(external_url: str) -> str:
    """The setting `store` for MinIO in the cluster, with `external_url` in links for users."""
    return f"s3://{BUCKET}?{urlencode({'endpoint': MINIO_SERVICE_URL, 'public-endpoint': external_url}, safe=':/')}"


def generate_credentials() -> dict[str, str]:
    """Random credentials for a new store."""
    return {"AWS_ACCESS_KEY_ID": f"c8s{secrets.token_hex(8)}", "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30)}


async def create_bucket(store: S3Config) -> bool:
    """Create the bucket; False if it exists. Raises KindError if the store rejects the request or does not respond."""

    def make() -> bool:
        # boto3 takes most of a second to import.
        from botocore.exceptions import BotoCoreError, ClientError

        from controller.storage.create_bucket import ensure_bucket
        from controller.storage.s3_client import S3Credentials, create_client

        client = create_client(store.endpoint, store.region, S3Credentials(store.access_key, store.secret_key))
        try:
            return ensure_bucket(client, store.bucket, timeout=60.0)
        except (BotoCoreError, ClientError) as error:
            # Not the text of the error, which may repeat the request.
            code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
            raise KindError(
                f"the bucket {store.bucket} could not be created at {store.endpoint}: {code}",
                "Check that the store is reachable, and that the keys may create and use the bucket.",
            ) from None
        finally:
            client.close()

    return await asyncio.to_thread(make)


async def check_store(store: S3Config, environment: Mapping[str, str] | None = None) -> None:
    """Write, read and delete an object. Raises KindError."""
    opened = open_store(store.url(), signing_key=b"", public_url="", environment=environment or store.credentials())
    key = f"proofs/{secrets.token_hex(8)}"
    try:
        await opened.put(key, _PROBE_CONTENT)
        read = await opened.get(key)
        await opened.delete(key)
        if read != _PROBE_CONTENT or await opened.head(key) is not None:
            raise KindError(f"the store at {store.endpoint} returned different data", "Use another store.")
    except StorageError as error:
        raise KindError(
            f"the store at {store.endpoint} can't be used: {error}", "Check its keys and its disk."
        ) from error
    finally:
        await opened.close()
