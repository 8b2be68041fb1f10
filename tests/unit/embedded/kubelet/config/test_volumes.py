"""Volumes are private folders, and mount paths in values are replaced by them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.config.mounts import Mount, PathMap, resolve_mounts
from embedded.kubelet.config.volumes import prepare_volumes

Json = dict[str, Any]
POD: Json = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}},
    "spec": {"nodeName": "embedded"},
}
SECRET: Json = {"metadata": {"name": "s", "namespace": "ns"}, "data": {"key": base64.b64encode(b"v\xff").decode()}}
CONFIG: Json = {"metadata": {"name": "c", "namespace": "ns"}, "data": {"colour": "red"}}


def test_mount_paths_in_values_are_replaced() -> None:
    paths = PathMap([Mount("/w", Path("/data/v")), Mount("/w/deep", Path("/data/d"))])
    mapped = {text: paths.map(text) for text in ("/w", "/w/a b", "/w/deep/x", "/work", "x/w", "")}
    assert mapped == {
        "/w": "/data/v",
        "/w/a b": "/data/v/a b",
        "/w/deep/x": "/data/d/x",
        "/work": "/work",
        "x/w": "x/w",
        "": "",
    }


def test_volumes_are_private_folders(tmp_path: Path) -> None:
    projected = {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}
    spec = {"volumes": [{"name": "e", "emptyDir": {}}, {"name": "all", "projected": projected}]}
    made = prepare_volumes({"spec": spec}, tmp_path, lambda _: SECRET, lambda _: CONFIG)
    assert {path.name for path in made["all"].iterdir()} == {"key", "colour"}
    assert (made["all"] / "key").read_bytes() == b"v\xff"
    assert (made["all"] / "key").stat().st_mode & 0o777 == 0o600
    assert made["e"].stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_no_volume_item_leads_out_of_its_volume(tmp_path: Path, path: str) -> None:
    secret = {"secretName": "s", "items": [{"key": "key", "path": path}]}
    with pytest.raises(ConfigError, match="must stay inside"):
        prepare_volumes(
            {"spec": {"volumes": [{"name": "v", "secret": secret}]}}, tmp_path, lambda _: SECRET, lambda _: None
        )
    with pytest.raises(ConfigError, match="must not lead out"):
        resolve_mounts({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": path}]}, {"v": tmp_path})


def test_downward_api_files_contain_pod_fields(tmp_path: Path) -> None:
    items = [
        {"path": "deep/labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
    ]
    volumes = [
        {"name": "d", "downwardAPI": {"items": items}},
        {"name": "p", "projected": {"sources": [{"downwardAPI": {"items": items[:1]}}, {"secret": {"name": "s"}}]}},
    ]
    containers = [{"name": "main", "resources": {"limits": {"cpu": "2"}}}]
    pod = {**POD, "spec": {"volumes": volumes, "containers": containers}}
    made = prepare_volumes(pod, tmp_path, lambda _: SECRET, lambda _: None)
    assert (made["d"] / "deep" / "labels").read_text() == 'app="x"'
    assert (made["d"] / "cpu").read_text() == "2000"
    assert (made["p"] / "deep" / "labels").read_text() == 'app="x"'
    assert (made["p"] / "key").exists()


def test_a_sub_path_may_use_a_variable(tmp_path: Path) -> None:
    mount = {"name": "v", "mountPath": "/logs", "subPathExpr": "pods/$(POD)"}
    paths = PathMap(resolve_mounts({"volumeMounts": [mount]}, {"v": tmp_path}, {"POD": "p-1"}))
    assert paths.map("/logs/x") == f"{tmp_path}/pods/p-1/x"
    with pytest.raises(ConfigError, match="must not lead out"):
        resolve_mounts({"volumeMounts": [mount]}, {"v": tmp_path}, {"POD": "../../.."})


def test_a_volume_path_with_a_nul_byte_is_rejected(tmp_path: Path) -> None:
    items = [{"path": "a\0b", "fieldRef": {"fieldPath": "metadata.name"}}]
    pod = {**POD, "spec": {"volumes": [{"name": "d", "downwardAPI": {"items": items}}]}}
    with pytest.raises(ConfigError, match="must stay inside"):
        prepare_volumes(pod, tmp_path, lambda _: None, lambda _: None)


def test_an_invalid_volume_is_a_config_error(tmp_path: Path) -> None:
    pod = {**POD, "spec": {"volumes": [{"name": "d", "downwardAPI": {"items": [{"fieldRef": {}}]}}]}}
    with pytest.raises(ConfigError, match="volume d: the spec is invalid"):
        prepare_volumes(pod, tmp_path, lambda _: None, lambda _: None)
