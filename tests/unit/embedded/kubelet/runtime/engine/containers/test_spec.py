"""What a container's spec and its image become for an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.config.mounts import Mount
from embedded.kubelet.runtime.engine.containers.spec import (
    EngineOptions,
    Placement,
    container_body,
    resolve_argv,
    resolve_user,
)
from embedded.kubelet.runtime.engine.images.store import EngineImage
from embedded.kubelet.runtime.interface import Launch, StartError

Json = dict[str, Any]
IMAGE = EngineImage("sha256:1", "sha256:1", ("/entry",), ("default",), "", "SIGTERM", 1)
POD: Json = {"metadata": {"name": "p"}, "spec": {}}


def image(**changes: Any) -> EngineImage:
    return EngineImage(**{**IMAGE.__dict__, **changes})


def body(spec: Json, pod: Json | None = None, mounts: tuple[Mount, ...] = ()) -> Json:
    launch = Launch({"name": "main", **spec}, 0, {"A": "1"}, mounts)
    return container_body(launch, pod or POD, IMAGE, Placement("none"), EngineOptions({"mine": "yes"}))


@pytest.mark.parametrize(
    ("spec", "argv"),
    [
        ({}, ["/entry", "default"]),
        ({"args": ["x"]}, ["/entry", "x"]),
        ({"command": ["c"]}, ["c"]),
        ({"command": ["c"], "args": ["$(A)", "$$(A)", "$(NO)"]}, ["c", "1", "$(A)", "$(NO)"]),
    ],
)
def test_words_of_spec_and_image_combine_as_in_kubernetes(spec: Json, argv: list[str]) -> None:
    assert resolve_argv({"name": "main", **spec}, IMAGE, {"A": "1"}) == argv


def test_a_container_without_any_command_can_not_start() -> None:
    with pytest.raises(StartError, match="neither has its image x:1"):
        resolve_argv({"name": "main", "image": "x:1"}, image(entrypoint=(), command=()), {})


@pytest.mark.parametrize(
    ("pod", "own", "image_user", "user"),
    [
        ({}, {}, "app", ""),
        ({"runAsUser": 5}, {}, "", "5"),
        ({"runAsUser": 5, "runAsGroup": 6}, {"runAsUser": 7}, "", "7:6"),
        ({}, {"runAsGroup": 6}, "8:9", "8:6"),
        ({"runAsNonRoot": True}, {}, "8:9", ""),
    ],
)
def test_the_user_is_the_specs_or_the_images(pod: Json, own: Json, image_user: str, user: str) -> None:
    found = resolve_user({"securityContext": own}, {"spec": {"securityContext": pod}}, image(user=image_user))
    assert found == user


@pytest.mark.parametrize(
    ("security", "image_user", "message"),
    [
        ({"runAsUser": 0}, "", "breaks non-root policy"),
        ({}, "", "image will run as root"),
        ({}, "0:5", "image will run as root"),
        ({}, "app", r"non-numeric user \(app\)"),
    ],
)
def test_root_is_refused_where_the_spec_says_so(security: Json, image_user: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_user({"securityContext": {"runAsNonRoot": True, **security}}, {"spec": {}}, image(user=image_user))


def test_limits_leave_no_swap_and_follow_the_request() -> None:
    resources = {"limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"cpu": "250m"}}
    config = body({"resources": resources})["HostConfig"]
    assert config["Memory"] == config["MemorySwap"] == 64 << 20
    assert (config["CpuPeriod"], config["CpuQuota"], config["CpuShares"]) == (100_000, 50_000, 256)
    tiny = body({"resources": {"limits": {"memory": "1", "cpu": "1m"}}})["HostConfig"]
    assert (tiny["Memory"], tiny["CpuQuota"], tiny["CpuShares"]) == (6 << 20, 1000, 2)


def test_volumes_are_bound_and_no_log_is_kept_by_the_engine() -> None:
    config = body({}, mounts=(Mount("/w", Path("/data/w"), read_only=True),))["HostConfig"]
    assert config["Mounts"] == [{"Type": "bind", "Source": "/data/w", "Target": "/w", "ReadOnly": True}]
    assert config["LogConfig"] == {"Type": "none"}


def test_security_contexts_become_options() -> None:
    pod = {"spec": {"securityContext": {"fsGroup": 9, "supplementalGroups": [8]}}}
    own = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
        "seccompProfile": {"type": "Unconfined"},
    }
    config = body({"securityContext": own}, pod)["HostConfig"]
    assert config["GroupAdd"] == ["8", "9"]
    assert (config["CapDrop"], config["CapAdd"]) == (["ALL"], ["CHOWN"])
    assert config["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]
    assert (config["ReadonlyRootfs"], config["Privileged"]) == (True, False)
    with pytest.raises(ConfigError, match="Localhost is not supported"):
        body({"securityContext": {"seccompProfile": {"type": "Localhost"}}})
