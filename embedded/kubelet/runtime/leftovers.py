"""Ends what the cluster of a data folder has left: after it was killed, its pods go on without it.

For commands that stop a sandbox. It blocks, and imports nothing but the standard library, as
`embedded.kubelet.runtime.engine.connection.detect`. A cluster that starts does the same for its own runtime.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from embedded.kubelet.runtime.engine.connection.address import AddressError, EngineAddress
from embedded.kubelet.runtime.engine.connection.detect import EngineRequests
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.identity import CLUSTER_LABEL, cluster_id, has_cluster_id
from embedded.kubelet.runtime.process import orphans
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

_TIMEOUT = 30.0
_AT_A_TIME = 8
_PASSES, _INTERVAL = 100, 0.02
"""A process takes a while to die, and may have started another one just before."""


def end_processes(data_dir: Path) -> int:
    """Kill the processes of all pods of a data folder; returns how many there were.

    They are known by the uids of the pods, which are in their environment and name the pods' folders. Where there is no
    /proc (macOS), none are found.
    """
    pods = data_dir / "pods"
    uids = {folder.name for folder in pods.iterdir()} if pods.is_dir() else set()
    ended = 0
    for _ in range(_PASSES):
        found = orphans.kill_orphans(uids)
        if not found:
            break
        ended = max(ended, found)
        time.sleep(_INTERVAL)
    return ended


def remove_containers(address: str, data_dir: Path) -> int:
    """Remove the containers and volumes of a data folder from an engine; returns how many containers there were.

    Raises:
        RuntimeUnavailableError: the engine can't be asked, or refuses.
    """
    if not has_cluster_id(data_dir.resolve()):
        return 0
    label = json.dumps({"label": [f"{CLUSTER_LABEL}={cluster_id(data_dir.resolve())}"]})
    try:
        request = EngineRequests(EngineAddress.parse(address), _TIMEOUT)
        request.connect()
        containers = [
            str(each["Id"]) for each in request("GET", "/containers/json", None, all="1", filters=label) or []
        ]
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            list(threads.map(lambda name: _remove(request, f"/containers/{name}", v="1"), containers))
        volumes = (request("GET", "/volumes", None, filters=label) or {}).get("Volumes") or []
        for volume in volumes:
            _remove(request, f"/volumes/{quote(str(volume['Name']))}")
    except (AddressError, EngineError, EngineUnreachableError) as error:
        raise RuntimeUnavailableError(str(error)) from error
    return len(containers)


def _remove(request: EngineRequests, path: str, **query: str) -> None:
    try:
        request("DELETE", path, None, force="1", **query)
    except EngineError as error:
        # 404: it is gone; 409: it is being removed already.
        if error.status not in (404, 409):
            raise
