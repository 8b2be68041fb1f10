"""A container's variables are what its spec says, and a short list of what the machine has."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.kubelet.config.environment import (
    INHERITED_VARIABLES,
    ConfigError,
    container_environment,
    expand_variables,
    inherited_environment,
)
from embedded.kubelet.config.volumes import PathMap, prepare_volumes, remove_tree
from embedded.kubelet.container.termination_message import TerminationMessage

Json = dict[str, Any]
POD: Json = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}},
    "spec": {"nodeName": "embedded"},
}
SECRET: Json = {"metadata": {"name": "s", "namespace": "ns"}, "data": {"key": base64.b64encode(b"v\xff").decode()}}
CONFIG: Json = {"metadata": {"name": "c", "namespace": "ns"}, "data": {"colour": "red"}}


def variables(**container: Any) -> dict[str, str]:
    return container_environment(
        container, POD, lambda name: SECRET if name == "s" else None, lambda name: CONFIG if name == "c" else None
    )


def test_only_the_documented_variables_are_inherited() -> None:
    machine = dict.fromkeys(
        [*INHERITED_VARIABLES, "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "VIRTUAL_ENV", "C8S_TOKEN"], "x"
    )
    assert set(inherited_environment(machine)) == {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
    assert all(INHERITED_VARIABLES.values())


def test_later_variables_override_earlier_ones() -> None:
    def source(kind: str, name: str, key: str) -> Json:
        return {"valueFrom": {kind: {"name": name, "key": key}}}

    got = variables(
        envFrom=[{"configMapRef": {"name": "c"}, "prefix": "P_"}, {"secretRef": {"name": "none", "optional": True}}],
        env=[
            {"name": "A", **source("secretKeyRef", "s", "key")},
            {"name": "B", **source("configMapKeyRef", "c", "colour")},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "D", "value": "$(B)-$(NOPE)-$$(B)"},
            {"name": "P_colour", "value": "blue"},
            {"name": "EMPTY"},
        ],
    )
    assert got == {
        "HOSTNAME": "p",
        "A": "v\udcff",
        "B": "red",
        "C": "x",
        "N": "embedded",
        "D": "red-$(NOPE)-$(B)",
        "P_colour": "blue",
        "EMPTY": "",
    }


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "couldn't find key k in Secret ns/s"),
        ({"fieldRef": {"fieldPath": "spec.containers"}}, "unsupported fieldPath: spec.containers"),
    ],
)
def test_missing_objects_are_named_as_by_a_kubelet(reference: Json, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variables(env=[{"name": "X", "valueFrom": reference}])


@given(st.text())
def test_text_without_references_is_unchanged(text: str) -> None:
    plain = text.replace("$", "")
    assert expand_variables(plain, {"A": "x"}) == plain


@given(st.text())
def test_doubled_dollars_are_unescaped(text: str) -> None:
    assert expand_variables(text.replace("$", "$$"), {"A": "x"}) == text


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True), st.text()))
def test_expanded_values_are_not_expanded_again(values: dict[str, str]) -> None:
    text = "".join(f"[$({name})]" for name in values)
    assert expand_variables(text, values) == "".join(f"[{value}]" for value in values.values())


def test_mount_paths_in_values_are_replaced() -> None:
    paths = PathMap([("/w", Path("/data/v")), ("/w/deep/", Path("/data/d"))])
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
        PathMap.of({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": path}]}, {"v": tmp_path})


def test_removal_handles_read_only_folders_and_keeps_targets(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    locked = tmp_path / "volumes" / "cache" / "module"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    (locked / "link").symlink_to(kept)
    for folder in (locked, locked.parent):
        folder.chmod(0o500)
    remove_tree(tmp_path / "volumes")
    assert not (tmp_path / "volumes").exists()
    assert (kept / "file").exists()


def test_a_container_gets_its_limits_and_host_name() -> None:
    def resource_field(resource: str, divisor: str = "0") -> Json:
        return {"valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}

    got = variables(
        resources={"limits": {"memory": "64Mi", "cpu": "1500m"}, "requests": {"cpu": "250m"}},
        env=[
            {"name": "BYTES", **resource_field("limits.memory")},
            {"name": "MIB", **resource_field("limits.memory", "1Mi")},
            {"name": "CPUS", **resource_field("limits.cpu")},
            {"name": "MILLIS", **resource_field("requests.cpu", "1m")},
            {"name": "NONE", **resource_field("requests.memory")},
        ],
    )
    assert got == {
        "HOSTNAME": "p",
        "BYTES": "67108864",
        "MIB": "64",
        "CPUS": "2",
        "MILLIS": "250",
        "NONE": "0",
    }
    with pytest.raises(ConfigError, match=r"unsupported container resource: limits\.gold"):
        variables(env=[{"name": "X", **resource_field("limits.gold")}])


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
    paths = PathMap.of({"volumeMounts": [mount]}, {"v": tmp_path}, {"POD": "p-1"})
    assert paths.map("/logs/x") == f"{tmp_path}/pods/p-1/x"
    with pytest.raises(ConfigError, match="must not lead out"):
        PathMap.of({"volumeMounts": [mount]}, {"v": tmp_path}, {"POD": "../../.."})


def test_the_termination_message_path_is_rewritten(tmp_path: Path) -> None:
    container = {"name": "main", "terminationMessagePath": "/dev/termination-log"}
    word = TerminationMessage.of(container, PathMap([]), tmp_path)
    mine = str(tmp_path / "messages" / "main")
    assert word.rewrite("echo x > /dev/termination-log; exit 1") == f"echo x > {mine}; exit 1"
    for other in (
        "/dev/termination-log2",
        "/dev/termination-log/x",
        "/x/dev/termination-log",
        "/dev/termination-log.bak",
    ):
        assert word.rewrite(other) == other
    Path(mine).write_bytes(b"x" * 5000)
    assert word.read() == b"x" * 4096
    assert TerminationMessage.of(container, PathMap([]), tmp_path).read() == b""


def test_a_volume_path_with_a_nul_byte_is_rejected(tmp_path: Path) -> None:
    items = [{"path": "a\0b", "fieldRef": {"fieldPath": "metadata.name"}}]
    pod = {**POD, "spec": {"volumes": [{"name": "d", "downwardAPI": {"items": items}}]}}
    with pytest.raises(ConfigError, match="must stay inside"):
        prepare_volumes(pod, tmp_path, lambda _: None, lambda _: None)


@pytest.mark.parametrize(
    "container",
    [{"envFrom": [{"secretRef": {}}]}, {"env": [{}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}],
)
def test_invalid_variables_are_a_config_error(container: Json) -> None:
    with pytest.raises(ConfigError, match="variables are invalid"):
        variables(**container)


def test_an_invalid_volume_is_a_config_error(tmp_path: Path) -> None:
    pod = {**POD, "spec": {"volumes": [{"name": "d", "downwardAPI": {"items": [{"fieldRef": {}}]}}]}}
    with pytest.raises(ConfigError, match="volume d: the spec is invalid"):
        prepare_volumes(pod, tmp_path, lambda _: None, lambda _: None)
