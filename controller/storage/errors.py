"""Errors of object stores.

Messages say what was tried, on which key, and what to do; they never contain credentials or signatures.
"""


class StorageError(Exception):
    """Base class; the message is for users."""


class InvalidKeyError(StorageError):
    """The key or prefix is invalid; nothing was changed."""


class InvalidStoreUrlError(StorageError):
    """The URL of the store is invalid; nothing was changed."""


class ObjectNotFoundError(StorageError):
    """There is no object with the key."""


class ObjectExistsError(StorageError):
    """There is an object with the key already, and the call was not to replace it."""


class ObjectTooLargeError(StorageError):
    """The object is larger than the limit of the caller."""


class UploadMismatchError(StorageError):
    """What was uploaded has not the announced size or digest; no object was made of it."""


class StoreFullError(StorageError):
    """The store is full. Existing objects are unchanged, and no partial object remains."""


class StoreUnavailableError(StorageError):
    """The store did not respond or rejected the request; a retry may succeed."""


class BrokenArchiveError(Exception):
    """The archive does not match its manifest, or can't be read."""
