"""The boto3 client of the object store in S3, and what its errors mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from controller.storage.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)

THREADS = 8
"""Requests at the same time."""
_MISSING = {"404", "NoSuchKey", "NotFound"}
_EXISTS = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
_NO_CONDITIONS = {"NotImplemented", "501"}
_CLOCK_SKEW = {"RequestTimeTooSkewed", "RequestExpired"}
_REJECTED = {"AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_STORE_FULL = {"507", "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge"}


@dataclass(frozen=True)
class S3Credentials:
    """Access keys. Neither messages nor `repr` show them."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class NoConditionsError(StorageError):
    """The store does not implement If-None-Match."""


class RangeError(StorageError):
    """The range starts after the end of the object."""


def create_client(
    endpoint: str | None,
    region: str,
    credentials: S3Credentials | None = None,
    *,
    path_style: bool | None = None,
    connect_timeout: float = 5,
    read_timeout: float = 30,
) -> Any:
    """A boto3 client with short timeouts (seconds); without credentials boto3 uses its own sources for them.

    `path_style`: the bucket is in the path of URLs, not in the host name; default: with an endpoint.
    """
    keys: dict[str, Any] = {}
    if credentials is not None:
        keys = {
            "aws_access_key_id": credentials.access_key,
            "aws_secret_access_key": credentials.secret_key,
            "aws_session_token": credentials.session_token,
        }
    in_path = endpoint is not None if path_style is None else path_style
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if in_path else "virtual" if endpoint else "auto"},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=THREADS,
        # Many S3-compatible stores do not support the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config, **keys)


def translate_error(error: ClientError, action: str, key: str, bucket: str) -> StorageError:
    """Translate an error of S3. Only its code is shown, because its message may repeat the request."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    failed = f"could not {action} the object {key} in the bucket {bucket}"
    if code == "NoSuchBucket":
        return StoreUnavailableError(missing_bucket(failed))
    if code in _MISSING:
        return ObjectNotFoundError(f"there is no object {key}")
    if code in _EXISTS:
        return ObjectExistsError(f"there is an object {key} already")
    if code == "InvalidRange" or status == "416":
        return RangeError(f"{failed}: it is shorter")
    if code in _STORE_FULL or status == "507":
        return StoreFullError(f"{failed}: the store is full ({code}); free some space")
    if code in _NO_CONDITIONS:
        return NoConditionsError(f"{failed}: the store does not implement this")
    if code in _CLOCK_SKEW:
        text = f"{failed}: the clocks of the store and of this machine differ too much ({code}); set them, e.g. by NTP"
        return StoreUnavailableError(text)
    if code in _REJECTED:
        return StoreUnavailableError(f"{failed}: the store rejects the credentials ({code}); check them")
    return StoreUnavailableError(f"{failed}: the store responded with {code or 'an error'} ({status})")


def missing_bucket(failed: str) -> str:
    return f"{failed}: the bucket does not exist; create it or use another one"


def describe_error(error: Exception) -> str:
    return (getattr(error, "fmt", None) and str(error)) or type(error).__name__
