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


def test_nothing_but_the_documented_table_is_inherited() -> None:
    machine = dict.fromkeys(
        [*INHERITED_VARIABLES, "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "VIRTUAL_ENV", "C8S_TOKEN"], "x"
    )
    assert set(inherited_environment(machine)) == {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
    assert all(INHERITED_VARIABLES.values())


def test_values_come_from_secrets_maps_and_fields_and_later_ones_win() -> None:
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
def test_what_is_missing_is_named_as_a_kubelet_names_it(reference: Json, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variables(env=[{"name": "X", "valueFrom": reference}])


@given(st.text())
def test_text_without_a_dollar_stays_as_it_is(text: str) -> None:
    plain = text.replace("$", "")
    assert expand_variables(plain, {"A": "x"}) == plain


@given(st.text())
def test_doubled_dollars_give_back_the_text(text: str) -> None:
    assert expand_variables(text.replace("$", "$$"), {"A": "x"}) == text


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True), st.text()))
def test_values_are_put_in_once_and_not_looked_into(values: dict[str, str]) -> None:
    text = "".join(f"[$({name})]" for name in values)
    assert expand_variables(text, values) == "".join(f"[{value}]" for value in values.values())


def test_values_that_begin_with_a_mount_path_lead_to_the_volume() -> None:
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


def test_volumes_are_folders_for_nobody_else(tmp_path: Path) -> None:
    projected = {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}
    spec = {"volumes": [{"name": "e", "emptyDir": {}}, {"name": "all", "projected": projected}]}
    made = prepare_volumes({"spec": spec}, tmp_path, lambda _: SECRET, lambda _: CONFIG)
    assert {path.name for path in made["all"].iterdir()} == {"key", "colour"}
    assert (made["all"] / "key").read_bytes() == b"v\xff"
    assert (made["all"] / "key").stat().st_mode & 0o777 == 0o600
    assert made["e"].stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_no_item_of_a_volume_leads_out_of_it(tmp_path: Path, path: str) -> None:
    secret = {"secretName": "s", "items": [{"key": "key", "path": path}]}
    with pytest.raises(ConfigError, match="must stay inside"):
        prepare_volumes(
            {"spec": {"volumes": [{"name": "v", "secret": secret}]}}, tmp_path, lambda _: SECRET, lambda _: None
        )
    with pytest.raises(ConfigError, match="must not lead out"):
        PathMap.of({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": path}]}, {"v": tmp_path})


def test_read_only_folders_are_removed_too_and_what_links_point_to_is_not(tmp_path: Path) -> None:
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


def test_a_container_is_told_its_limits_and_its_host_name() -> None:
    def told(resource: str, divisor: str = "0") -> Json:
        return {"valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}

    got = variables(
        resources={"limits": {"memory": "64Mi", "cpu": "1500m"}, "requests": {"cpu": "250m"}},
        env=[
            {"name": "BYTES", **told("limits.memory")},
            {"name": "MIB", **told("limits.memory", "1Mi")},
            {"name": "CPUS", **told("limits.cpu")},
            {"name": "MILLIS", **told("requests.cpu", "1m")},
            {"name": "NONE", **told("requests.memory")},
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
        variables(env=[{"name": "X", **told("limits.gold")}])


def test_files_tell_of_the_pod(tmp_path: Path) -> None:
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


def test_a_mount_may_be_below_a_path_that_a_variable_names(tmp_path: Path) -> None:
    mount = {"name": "v", "mountPath": "/logs", "subPathExpr": "pods/$(POD)"}
    paths = PathMap.of({"volumeMounts": [mount]}, {"v": tmp_path}, {"POD": "p-1"})
    assert paths.map("/logs/x") == f"{tmp_path}/pods/p-1/x"
    with pytest.raises(ConfigError, match="must not lead out"):
        PathMap.of({"volumeMounts": [mount]}, {"v": tmp_path}, {"POD": "../../.."})


def test_the_path_of_the_last_word_is_rewritten_where_it_stands_alone(tmp_path: Path) -> None:
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


def test_a_path_with_a_nul_byte_is_refused_as_one_that_leads_out(tmp_path: Path) -> None:
    items = [{"path": "a\0b", "fieldRef": {"fieldPath": "metadata.name"}}]
    pod = {**POD, "spec": {"volumes": [{"name": "d", "downwardAPI": {"items": items}}]}}
    with pytest.raises(ConfigError, match="must stay inside"):
        prepare_volumes(pod, tmp_path, lambda _: None, lambda _: None)


@pytest.mark.parametrize(
    "container",
    [{"envFrom": [{"secretRef": {}}]}, {"env": [{}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}],
)
def test_variables_that_make_no_sense_are_an_error_of_their_container(container: Json) -> None:
    with pytest.raises(ConfigError, match="variables are invalid"):
        variables(**container)


def test_a_volume_that_makes_no_sense_is_an_error_of_its_pod(tmp_path: Path) -> None:
    pod = {**POD, "spec": {"volumes": [{"name": "d", "downwardAPI": {"items": [{"fieldRef": {}}]}}]}}
    with pytest.raises(ConfigError, match="volume d: the spec is invalid"):
        prepare_volumes(pod, tmp_path, lambda _: None, lambda _: None)
