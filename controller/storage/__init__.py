"""The object store for sources, artifacts and archived logs, in a directory or in S3.

`open_store` imports S3 only for a URL that needs it.
"""

from controller.storage.base import UPLOADS, Download, Method, ObjectInfo, ObjectStore, UploadLink
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
    UploadMismatchError,
)
from controller.storage.factory import S3_OPTIONS, open_store
from controller.storage.keys import check_key, check_prefix

__all__ = [
    "S3_OPTIONS",
    "UPLOADS",
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
    "UploadLink",
    "UploadMismatchError",
    "check_key",
    "check_prefix",
    "open_store",
]
