"""Opens the object store of a URL, the only module that knows all kinds of stores."""

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

    `signing_key` and `public_url` are for the signed URLs of a directory. The credentials of S3 are AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of `environment`, otherwise those that boto3 finds. `public-endpoint`
    is the address in URLs for clients outside of the cluster. Raises InvalidStoreUrlError.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _directory(url, unquote(parts.path), signing_key, public_url, clock)
    if parts.scheme == "s3":
        return _s3(url, environment)
    raise InvalidStoreUrlError(f"the store {url!r} is neither file:///folder nor s3://bucket")


def _directory(url: str, path: str, signing_key: bytes, public_url: str, clock: Callable[[], float]) -> ObjectStore:
    if urlsplit(url).netloc or len(path) < 2 or not path.startswith("/"):
        raise InvalidStoreUrlError(f"the store {url!r} has no absolute path; use file:///some/folder")
    return DirectoryStore(Path(path), signing_key, public_url, clock)


def _s3(url: str, environment: Mapping[str, str]) -> ObjectStore:
    # Importing boto3 takes most of a second.
    from controller.storage.s3 import S3Credentials, S3Store

    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown or not parts.netloc or parts.path not in ("", "/"):
        reason = f"unknown option {unknown[0]!r}" if unknown else "it has to name a bucket and no path"
        raise InvalidStoreUrlError(f"the store {parts.scheme}://{parts.netloc} can't be opened: {reason}")
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
