"""Opens the object store that a URL names, so that nothing else needs to know which kinds there are."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from controller.storage.base import ObjectStore
from controller.storage.directory import DirectoryStore
from controller.storage.errors import InvalidStoreUrlError

_OPTIONS = {"endpoint", "region", "prefix", "public-endpoint"}


def open_store(
    url: str,
    *,
    signing_key: bytes,
    public_url: str,
    environment: Mapping[str, str],
    clock: Callable[[], float] = time.time,
) -> ObjectStore:
    """The store of `file:///folder` or `s3://bucket?endpoint=http://…&region=…&prefix=…&public-endpoint=…`.

    `signing_key` and `public_url` sign a directory store's links; S3's keys are AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of `environment` (without them boto3 looks where it always does).
    `public-endpoint` is the address in links for readers outside the cluster, who reach S3 under another name.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _directory(url, unquote(parts.path), signing_key, public_url, clock)
    if parts.scheme == "s3":
        return _s3(url, environment)
    raise InvalidStoreUrlError(f"the store {url!r} is neither file:///folder nor s3://bucket")


def _directory(url: str, path: str, signing_key: bytes, public_url: str, clock: Callable[[], float]) -> ObjectStore:
    if urlsplit(url).netloc or len(path) < 2 or not path.startswith("/"):
        raise InvalidStoreUrlError(f"the store {url!r} names no absolute folder; write file:///some/folder")
    return DirectoryStore(Path(path), signing_key, public_url, clock)


def _s3(url: str, environment: Mapping[str, str]) -> ObjectStore:
    # boto3 takes most of a second to import: only those who use S3 pay for it.
    from controller.storage.s3 import S3Credentials, S3Store

    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown or not parts.netloc or parts.path not in ("", "/"):
        wrong = f"unknown option {unknown[0]!r}" if unknown else "no bucket, or more than a bucket"
        raise InvalidStoreUrlError(f"the store {parts.scheme}://{parts.netloc} can't be opened: {wrong}")
    credentials = None
    if environment.get("AWS_ACCESS_KEY_ID"):
        credentials = S3Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN") or None,
        )
    return S3Store(
        parts.netloc,
        endpoint=options.get("endpoint"),
        public_endpoint=options.get("public-endpoint"),
        region=options.get("region", "us-east-1"),
        prefix=options.get("prefix", ""),
        credentials=credentials,
    )
