"""Files that containers leave as other users."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from embedded.api.scheme import PODS
from embedded.kubelet.runtime.engine import ownership
from tests.integration.embedded.conftest import HOST_COMMAND, Cluster, shell_container
from tests.support.engine import shared_files

Json = dict[str, Any]
_SOMEBODY = 12345
VOLUME: Json = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w"}


def test_files_of_others_are_found_and_links_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").touch()
    (tmp_path / "link").symlink_to("/etc")
    assert not ownership.has_foreign_files(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: _SOMEBODY)
    assert ownership.has_foreign_files(tmp_path)


@shared_files
@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees whom files belong to in the end")
async def test_processes_get_the_files_of_containers_before_they_are_told_to_end(
    engine_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: _SOMEBODY)
    monkeypatch.setattr(os, "getegid", lambda: _SOMEBODY)
    script = "trap 'stat -c \"%u %a %n\" made made/secret made/link; exit 0' TERM; while true; do sleep 0.05; done"
    command = [*HOST_COMMAND, "sh", "-c", script]
    agent: Json = {"name": "agent", "image": "none", "restartPolicy": "Always", "command": command, **VOLUME}
    main = shell_container("main", "mkdir made; touch made/secret; ln -s /etc/passwd made/link; chmod 0 made") | VOLUME
    spec: Json = {"restartPolicy": "Never", "initContainers": [agent], "containers": [main]}
    spec["volumes"] = [{"name": "w", "emptyDir": {}}]
    engine_cluster.registry.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="default")
    pod = await engine_cluster.wait_until_finished()
    assert pod["status"]["phase"] == "Succeeded"
    owner, mode, link = (line.split() for line in (await engine_cluster.log(container="agent")).decode().splitlines())
    assert owner[:2] == [str(_SOMEBODY), "700"]
    assert mode[0] == str(_SOMEBODY)
    assert link[0] == str(_SOMEBODY)
    assert Path("/etc/passwd").stat().st_uid == 0
