"""Finds the leader: the operator's Lease holds its address."""

from urllib.parse import urlsplit

from controller import labels
from controller.kube import LEASES, KubeClient, KubeError, NotFoundError
from controller.log_relay.errors import NoLeaderError

LEASE_TIMEOUT = 5.0


async def leader_address(client: KubeClient, namespace: str, lease: str) -> str:
    """The URL at which the leader serves its logs, as `http://host:port`. Raises NoLeaderError."""
    try:
        found = await client.get(LEASES, lease, namespace, timeout=LEASE_TIMEOUT)
    except NotFoundError:
        raise NoLeaderError(f"no operator has been elected yet: there is no Lease {namespace}/{lease}") from None
    except KubeError as error:
        raise NoLeaderError(f"could not read the Lease {namespace}/{lease}: {error}") from error
    if not (found.get("spec") or {}).get("holderIdentity"):
        raise NoLeaderError(f"the Lease {namespace}/{lease} has no holder")
    address = str((found["metadata"].get("annotations") or {}).get(labels.ADDRESS) or "")
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.netloc or parts.path or parts.query or parts.username:
        raise NoLeaderError(f"the Lease {namespace}/{lease} has no address of its holder")
    return address
