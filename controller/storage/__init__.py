"""The object store for sources, artifacts and archived logs, in a directory or in S3.

`open_store` imports S3 only for a URL that needs it.
"""

from controller.storage.base import Download, Method, ObjectInfo, ObjectStore
from controller.storage.directory import DirectoryStore
from controller.storage.errors import (
    InvalidKeyError,
    InvalidStoreUrlError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from controller.storage.factory import S3_OPTIONS, open_store
from controller.storage.keys import check_key, check_prefix

__all__ = [
    "S3_OPTIONS",
    "DirectoryStore",
    "Download",
    "InvalidKeyError",
    "InvalidStoreUrlError",
    "Method",
    "ObjectExistsError",
    "ObjectInfo",
    "ObjectNotFoundError",
    "ObjectStore",
    "ObjectTooLargeError",
    "StorageError",
    "StoreFullError",
    "StoreUnavailableError",
    "check_key",
    "check_prefix",
    "open_store",
]
