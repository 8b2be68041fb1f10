"""Opens the object store of a URL, the only module that knows all kinds of stores."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from controller.storage.base import ObjectStore
from controller.storage.directory import DirectoryStore
from controller.storage.errors import InvalidStoreUrlError

S3_OPTIONS = ("endpoint", "public-endpoint", "region", "prefix", "path-style")
"""The options of an `s3://` URL; docs/object-store.md describes them."""
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")


def open_store(
    url: str,
    *,
    signing_key: bytes,
    public_url: str,
    agent_url: str = "",
    environment: Mapping[str, str],
    clock: Callable[[], float] = time.time,
) -> ObjectStore:
    """The store of `file:///folder` or `s3://bucket?endpoint=http://…&region=…`; `S3_OPTIONS` lists the options.

    `signing_key`, `public_url` and `agent_url` are for the signed URLs of a directory. The credentials of S3 are
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of `environment`, otherwise those that boto3 finds.
    `public-endpoint` is the address in URLs for clients outside of the cluster. Raises InvalidStoreUrlError.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _directory(url, unquote(parts.path), signing_key, (public_url, agent_url or public_url), clock)
    if parts.scheme == "s3":
        return _s3(url, environment)
    raise InvalidStoreUrlError(f"the store {url!r} is neither file:///folder nor s3://bucket")


def _directory(
    url: str, path: str, signing_key: bytes, addresses: tuple[str, str], clock: Callable[[], float]
) -> ObjectStore:
    if urlsplit(url).netloc or len(path) < 2 or not path.startswith("/"):
        raise InvalidStoreUrlError(f"the store {url!r} has no absolute path; use file:///some/folder")
    return DirectoryStore(Path(path), signing_key, addresses[0], clock, agent_url=addresses[1])


def _s3(url: str, environment: Mapping[str, str]) -> ObjectStore:
    # Importing boto3 takes most of a second.
    from controller.storage.s3 import S3Store
    from controller.storage.s3_client import S3Credentials

    bucket, options = parse_s3_url(url)
    credentials = None
    if environment.get("AWS_ACCESS_KEY_ID"):
        credentials = S3Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN") or None,
        )
    return S3Store(
        bucket,
        endpoint=options.get("endpoint"),
        public_endpoint=options.get("public-endpoint"),
        region=options.get("region", "us-east-1"),
        prefix=options.get("prefix", ""),
        path_style=uses_path_style(options),
        credentials=credentials,
    )


def parse_s3_url(url: str) -> tuple[str, dict[str, str]]:
    """The bucket and the options of an `s3://` URL. Raises InvalidStoreUrlError, which names no option's value."""
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(given)
    unknown = sorted(set(options) - set(S3_OPTIONS))
    reason = None
    if unknown:
        reason = f"unknown option {unknown[0]!r}; the options are {', '.join(S3_OPTIONS)}"
    elif len(options) < len(given):
        reason = "an option is given twice"
    elif parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or parts.path not in ("", "/"):
        reason = "it has to name a bucket and no path, as in s3://bucket"
    elif any(not _is_http_url(options[name]) for name in ("endpoint", "public-endpoint") if name in options):
        reason = "an endpoint has to be an address like https://s3.example.org"
    elif options.get("path-style", "true") not in ("true", "false"):
        reason = "path-style has to be true or false"
    if reason is not None:
        raise InvalidStoreUrlError(f"the store {parts.scheme}://{parts.netloc} can't be opened: {reason}")
    return parts.netloc, options


def uses_path_style(options: Mapping[str, str]) -> bool:
    """Whether the bucket is in the path: by default at an endpoint, because few stores have a name for each bucket."""
    return options.get("path-style", "true" if "endpoint" in options else "false") == "true"


def _is_http_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
