"""What can go wrong in an object store, as one family of errors.

Messages name what was tried, on which key, and what to do; they never hold credentials or signatures.
"""


class StorageError(Exception):
    """The object store could not do what was asked. The message is fit for a user."""


class InvalidKeyError(StorageError):
    """The key or prefix is not one that a store takes; nothing was touched."""


class InvalidStoreUrlError(StorageError):
    """The store's URL can't be opened; nothing was touched."""


class ObjectNotFoundError(StorageError):
    """There is no object under the key."""


class ObjectExistsError(StorageError):
    """There is an object under the key already, and the caller wanted to be the first."""


class ObjectTooLargeError(StorageError):
    """The object is larger than the caller wanted to hold in memory."""


class StoreFullError(StorageError):
    """The store has no room left. What was there before is unchanged; nothing half-written remains."""


class StoreUnavailableError(StorageError):
    """The store did not answer or refused; trying again later may work."""
