"""Finds the leader: the operator's Lease names its address."""

from urllib.parse import urlsplit

from controller.kube import LEASES, KubeClient, KubeError, NotFoundError
from controller.log_relay.errors import NoLeaderError

ADDRESS_ANNOTATION = "c8s.dev/address"
LEASE_TIMEOUT = 5.0


async def leader_address(client: KubeClient, namespace: str, lease: str) -> str:
    """Where the leader serves its logs, as `http://host:port`. Raises NoLeaderError."""
    try:
        found = await client.get(LEASES, lease, namespace, timeout=LEASE_TIMEOUT)
    except NotFoundError:
        raise NoLeaderError(f"no operator has led yet: there is no Lease {namespace}/{lease}") from None
    except KubeError as error:
        raise NoLeaderError(f"the Lease {namespace}/{lease} can't be read: {error}") from error
    if not (found.get("spec") or {}).get("holderIdentity"):
        raise NoLeaderError(f"nobody holds the Lease {namespace}/{lease} right now")
    address = str((found["metadata"].get("annotations") or {}).get(ADDRESS_ANNOTATION) or "")
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.netloc or parts.path or parts.query or parts.username:
        raise NoLeaderError(f"the Lease {namespace}/{lease} tells no address of its holder")
    return address
