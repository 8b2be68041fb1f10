"""What is applied to a cluster: as kubectl would have it, as Kubernetes' own schemas want it, and safe to admit."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.operator.manifests.generate import manifests as generated
from controller.settings import parse_settings
from kind.install import InstallOptions, render_objects
from kind.kustomize import (
    AUTH_PROXY_KEY,
    AUTH_PROXY_SECRET,
    CONTROLLER_IMAGE,
    MANIFESTS_FOLDER,
    ManifestValues,
    build_secret,
    build_workbench_binding,
    render,
    render_values,
)
from tests.contract.schemas.schemas import problems

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]
FOLDERS = ("base", "overlays/kind", "overlays/kind-s3", "overlays/minio", "team")


def key(obj: Json) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


def pods(found: list[Json]) -> dict[str, Json]:
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in found if each["kind"] == "Deployment"
    }


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("folder", FOLDERS)
def test_rendering_equals_that_of_kubectl(folder: str) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS_FOLDER / folder)], capture_output=True, text=True, timeout=60, check=True
    )
    theirs = [each for each in yaml.safe_load_all(done.stdout) if each]
    assert sorted(render(MANIFESTS_FOLDER / folder), key=key) == sorted(theirs, key=key)


@pytest.mark.parametrize("folder", FOLDERS)
def test_manifests_match_the_schemas(folder: str) -> None:
    found = render_values(render(MANIFESTS_FOLDER / folder), ManifestValues("registry.example.org/c8s-controller:1"))
    assert {key(each): problems(each) for each in found if problems(each)} == {}


def test_generated_objects_match_the_schemas() -> None:
    made = [
        build_secret("c8s-store", {"a": "b"}),
        build_workbench_binding("default"),
        *generated()["rights.json"]["items"],
    ]
    assert [problem for each in made for problem in problems(each)] == []


def test_unknown_field_is_found() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []}}
    assert "'prots' was unexpected" in problems(service)[0]


def test_unknown_field_of_a_network_policy_is_found() -> None:
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"ingress": [{"form": []}]}}
    assert problems(policy) == [".spec.ingress[0]: 'form' was unexpected"]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("base", {"c8s-api", "c8s-operator", "c8s-webhook"}),
        ("overlays/kind", {"c8s-api", "c8s-operator", "c8s-webhook", "c8s-minio"}),
        ("overlays/minio", {"c8s-api", "c8s-operator", "c8s-webhook", "c8s-minio"}),
    ],
)
def test_connections_to_the_controllers_pods_are_restricted(folder: str, names: set[str]) -> None:
    """Each pod is selected by one policy besides that which denies all, which names ports that the pod has."""
    found = render(MANIFESTS_FOLDER / folder)
    policies = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "NetworkPolicy"}
    assert policies.pop("c8s-default-deny") == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert policies.keys() == names == pods(found).keys()
    for name, spec in pods(found).items():
        assert policies[name]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        ports = {port["name"] for container in spec["containers"] for port in container["ports"]}
        assert {port["port"] for rule in policies[name]["ingress"] for port in rule["ports"]} == ports
    steps = {"app.kubernetes.io/managed-by": "c8s"}
    if "c8s-minio" in names:
        sources = policies["c8s-minio"]["ingress"][0]["from"]
        assert steps in [each.get("podSelector", {}).get("matchLabels") for each in sources]
        assert all("ipBlock" in each or "podSelector" in each for each in sources)


@pytest.mark.parametrize("folder", ["overlays/kind", "overlays/minio"])
def test_images_of_others_are_pinned_by_digest(folder: str) -> None:
    images = {each["image"] for spec in pods(render(MANIFESTS_FOLDER / folder)).values() for each in spec["containers"]}
    assert {image for image in images if "@sha256:" not in image} == {CONTROLLER_IMAGE}, "ours has a digest in its tag"


@pytest.mark.parametrize("folder", ["overlays/kind", "overlays/minio"])
def test_pods_meet_the_restricted_profile(folder: str) -> None:
    """The fields that https://kubernetes.io/docs/concepts/security/pod-security-standards/ asks for."""
    specs = pods(render(MANIFESTS_FOLDER / folder))
    assert {"c8s-operator", "c8s-api"} <= specs.keys()
    for spec in specs.values():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {kind for volume in spec["volumes"] for kind in volume} <= {
            "name", "secret", "emptyDir", "configMap", "persistentVolumeClaim", "projected", "downwardAPI",
        }  # fmt: skip
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_sandbox_has_one_replica_behind_node_ports() -> None:
    found = {key(each): each for each in render(MANIFESTS_FOLDER / "overlays" / "kind")}
    assert found["Deployment", "c8s-operator"]["spec"]["replicas"] == 1
    assert found["Service", "c8s-api"]["spec"]["ports"][0]["nodePort"] == 30080
    assert found["Service", "c8s-minio"]["spec"]["ports"][0]["nodePort"] == 30900
    base = {key(each): each for each in render(MANIFESTS_FOLDER / "base")}
    assert base["Deployment", "c8s-operator"]["spec"]["replicas"] == 2
    assert "type" not in base["Service", "c8s-api"]["spec"]
    assert ("Deployment", "c8s-minio") not in base


def test_changed_image_and_settings_replace_the_pods() -> None:
    def made(**settings: str) -> tuple[Json, dict[str, Json]]:
        values = ManifestValues("mine:7", "minio:8", settings)
        found = render_values(render(MANIFESTS_FOLDER / "overlays" / "kind"), values)
        return next(each for each in found if each["kind"] == "ConfigMap"), {
            each["metadata"]["name"]: each["spec"]["template"] for each in found if each["kind"] == "Deployment"
        }

    settings, templates = made(C8S_LOG_LEVEL="debug")
    assert settings["data"]["C8S_AGENT_IMAGE"] == "mine:7"
    assert settings["data"]["C8S_LOG_LEVEL"] == "debug"
    images = {
        container["image"]
        for template in templates.values()
        for container in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
    }
    assert images == {"mine:7", "minio:8"}
    _, others = made(C8S_LOG_LEVEL="info")
    assert templates["c8s-api"]["metadata"]["annotations"] != others["c8s-api"]["metadata"]["annotations"]
    assert templates["c8s-minio"] == others["c8s-minio"]


def test_objects_are_applied_in_order_of_dependency() -> None:
    kinds = [each["kind"] for each in render_objects(InstallOptions(MANIFESTS_FOLDER, "any"))]
    assert kinds[0] == "Namespace"
    assert kinds.index("CustomResourceDefinition") < kinds.index("ServiceAccount") < kinds.index("ClusterRoleBinding")
    assert kinds[-1] == "Deployment"


def test_manifests_contain_no_secret() -> None:
    for folder in FOLDERS:
        assert not [each for each in render(MANIFESTS_FOLDER / folder) if each["kind"] == "Secret"]


@pytest.mark.parametrize("file", ["api.yaml", "operator.yaml"])
def test_only_readiness_depends_on_other_services(file: str) -> None:
    """A container that is restarted while the store or Kubernetes is away is no help."""
    documents = yaml.safe_load_all((MANIFESTS_FOLDER / "base" / file).read_text())
    (deployment,) = [each for each in documents if each["kind"] == "Deployment"]
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
        assert paths == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}


def test_dashboard_is_served_and_linked_to_only_if_wanted() -> None:
    for dashboard, pages in ((False, "api/v1"), (True, "ui")):
        options = InstallOptions(MANIFESTS_FOLDER, "any", public_url="https://c8s.example.org", dashboard=dashboard)
        settings = next(each for each in render_objects(options) if each["metadata"]["name"] == "c8s-settings")["data"]
        assert settings.get("C8S_ENABLE_DASHBOARD") == ("true" if dashboard else None)
        assert settings["C8S_RUN_URL"] == f"https://c8s.example.org/{pages}/namespaces/{{namespace}}/runs/{{run}}"
        assert settings["C8S_ALLOWED_HOST"] == "c8s.example.org"


def test_controller_takes_the_settings_of_an_installation_with_a_proxy() -> None:
    options = InstallOptions(MANIFESTS_FOLDER, "any", dashboard=True, auth_proxies=("10.244.0.0/16", "fd00::/64"))
    found = render_objects(options)
    shared = next(each for each in found if each["metadata"]["name"] == "c8s-settings")["data"]
    for name in ("c8s-api", "c8s-operator", "c8s-webhook"):
        container = pods(found)[name]["containers"][0]
        own = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        proxy = parse_settings([], shared | own).auth_proxy
        assert proxy is not None
        assert [str(each) for each in proxy.addresses] == ["10.244.0.0/16", "fd00::/64"]
    spec = pods(found)["c8s-api"]
    mount = next(each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "auth-proxy")
    volume = next(each for each in spec["volumes"] if each["name"] == "auth-proxy")
    assert str(proxy.secret_file) == f"{mount['mountPath']}/{AUTH_PROXY_KEY}"
    assert volume["secret"]["secretName"] == AUTH_PROXY_SECRET


def test_example_of_a_proxy_is_one_that_kubernetes_takes() -> None:
    text = (ROOT / "docs" / "single-sign-on.md").read_text()
    found = list(yaml.safe_load_all(text.split("```yaml\n")[1].split("```")[0]))
    assert [each["kind"] for each in found] == ["Deployment", "Service", "NetworkPolicy", "Ingress"]
    assert [problem for each in found for problem in problems(each)] == []
    environment = found[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    secret = {"name": AUTH_PROXY_SECRET, "key": AUTH_PROXY_KEY}
    assert secret in [each["valueFrom"]["secretKeyRef"] for each in environment]
