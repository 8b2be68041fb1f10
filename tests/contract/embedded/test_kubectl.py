"""kubectl, unmodified, works with the embedded cluster (over TLS: it sends no token without)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.kubectl import Kubectl

pytestmark = [pytest.mark.needs("kubectl", "openssl"), pytest.mark.xdist_group("kubectl")]

_CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kc"}, "data": {"a": "b"}}


def test_version_and_api_resources(kubectl: Kubectl) -> None:
    assert "Server Version: v1.36" in kubectl("version")
    listed = {line.split()[0] for line in kubectl("api-resources", "--no-headers").splitlines()}
    assert {"pods", "configmaps", "jobs", "leases", "roles", "customresourcedefinitions"} <= listed


def test_get_supports_all_output_formats(kubectl: Kubectl) -> None:
    header, *rows = kubectl("get", "namespaces").splitlines()
    assert header.split() == ["NAME", "STATUS", "AGE"]
    assert [row.split()[:2] for row in rows] == [["default", "Active"], ["kube-system", "Active"]]
    assert kubectl("get", "ns", "-o", "name").split() == ["namespace/default", "namespace/kube-system"]
    assert json.loads(kubectl("get", "ns", "default", "-o", "json"))["metadata"]["name"] == "default"
    assert kubectl("get", "ns", "-o", "jsonpath={.items[*].status.phase}") == "Active Active"
    assert kubectl("get", "pods", "-A").strip() == "No resources found"


def test_create_label_patch_and_delete(kubectl: Kubectl) -> None:
    assert "created" in kubectl("create", "-f", "-", given=_CONFIG)
    assert "AlreadyExists" in kubectl("create", "-f", "-", given=_CONFIG, code=1)
    kubectl("label", "configmap", "kc", "x=y")
    kubectl("patch", "configmap", "kc", "-p", '{"data":{"z":"1"}}')
    found = json.loads(kubectl("get", "configmap", "-l", "x=y", "-o", "json"))["items"]
    assert [item["data"] for item in found] == [{"a": "b", "z": "1"}]
    assert "deleted" in kubectl("delete", "configmap", "kc")
    assert "NotFound" in kubectl("get", "configmap", "kc", code=1)


def test_raw_requests_have_no_content_type(kubectl: Kubectl) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    made = json.loads(kubectl("create", "--raw", path, "-f", "-", given={"metadata": {"name": "raw"}}))
    replaced = json.loads(kubectl("replace", "--raw", f"{path}/raw", "-f", "-", given=made | {"data": {"k": "v"}}))
    assert replaced["data"] == {"k": "v"}
    assert json.loads(kubectl("delete", "--raw", f"{path}/raw"))["status"] == "Success"


def test_base64_of_a_block_scalar_is_applied(kubectl: Kubectl) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrapped"}, "data": {"k": "aGVs\nbG8=\n"}}
    for options in ((), ("--server-side", "--force-conflicts")):
        kubectl("apply", *options, "-f", "-", given=secret)
        assert kubectl("get", "secret", "wrapped", "-o", "jsonpath={.data.k}") == "aGVsbG8="


def test_client_side_apply_removes_dropped_fields(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=_CONFIG | {"metadata": {"name": "applied"}})
    kubectl("apply", "-f", "-", given=_CONFIG | {"metadata": {"name": "applied"}, "data": {"c": "d"}})
    assert json.loads(kubectl("get", "cm", "applied", "-o", "jsonpath={.data}")) == {"c": "d"}


def test_server_side_apply_reports_conflicts(kubectl: Kubectl) -> None:
    def config(value: str) -> dict[str, Any]:
        return _CONFIG | {"metadata": {"name": "served"}, "data": {"a": value}}

    apply = ("apply", "--server-side", "-f", "-")
    kubectl(*apply, "--field-manager", "one", given=config("1"))
    output = kubectl(*apply, "--field-manager", "two", given=config("2"), code=1)
    assert 'Apply failed with 1 conflict: conflict with "one": .data.a' in output
    kubectl(*apply, "--field-manager", "two", "--force-conflicts", given=config("2"))
    assert kubectl("get", "cm", "served", "-o", "jsonpath={.data.a}") == "2"


def test_a_misspelled_field_is_rejected(kubectl: Kubectl) -> None:
    output = kubectl("apply", "-f", "-", given=_CONFIG | {"metadata": {"name": "m"}, "dta": {}}, code=1)
    assert 'unknown field "dta"' in output


def test_a_job_runs_and_its_log_is_read(kubectl: Kubectl) -> None:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", "echo out; echo more"]}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    kubectl(
        "apply", "-f", "-", given={"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    )
    kubectl("wait", "--for=condition=Complete", "job/j", "--timeout=60s")
    assert kubectl("logs", "job/j") == "out\nmore\n"
    assert kubectl("get", "job", "j", "--no-headers").split()[:3] == ["j", "Complete", "1/1"]
    assert "1 Succeeded" in kubectl("describe", "job", "j")
    kubectl("delete", "job", "j")
    assert kubectl("get", "pods", "-l", "job-name=j", "-o", "name") == ""


def test_a_custom_resource_has_the_columns_of_its_definition(kubectl: Kubectl) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }
    names = {"plural": "boxes", "singular": "box", "kind": "Box", "shortNames": ["bx"]}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    kubectl("apply", "-f", "-", given=definition)
    kubectl("wait", "--for=condition=Established", "crd/boxes.example.com", "--timeout=60s")
    box = {"apiVersion": "example.com/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"size": 3}}
    kubectl("apply", "-f", "-", given=box)
    assert [line.split() for line in kubectl("get", "bx").splitlines()] == [["NAME", "SIZE"], ["b", "3"]]


def test_create_commands_that_send_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "made")
    kubectl("create", "configmap", "c", "--from-literal=a=b", "-n", "made")
    kubectl("create", "secret", "generic", "s", "--from-literal=p=hunter2", "-n", "made")
    kubectl("create", "serviceaccount", "bot", "-n", "made")
    assert kubectl("create", "token", "bot", "-n", "made").count(".") == 2
    kubectl("create", "job", "j", "--image=x", "-n", "made", "--", "sh", "-c", "echo made")
    kubectl("wait", "--for=condition=Complete", "job/j", "-n", "made", "--timeout=60s")
    assert kubectl("logs", "job/j", "-n", "made") == "made\n"
    assert kubectl("get", "secret", "s", "-n", "made", "-o", "jsonpath={.data.p}") == "aHVudGVyMg=="
    kubectl("create", "quota", "q", "--hard=pods=0", "-n", "made")
    assert "exceeded quota: q" in kubectl("run", "p", "--image=x", "--restart=Never", "-n", "made", code=1)
    kubectl("delete", "namespace", "made", "--timeout=60s")
    assert "NotFound" in kubectl("get", "namespace", "made", code=1)


def test_whoami_and_can_i(kubectl: Kubectl) -> None:
    assert "system:masters" in kubectl("auth", "whoami")
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    ask = ("auth", "can-i", "get", "pods", "--as", "joe")
    assert kubectl(*ask, code=1).startswith("no")
    kubectl("create", "clusterrolebinding", "joe", "--clusterrole=view", "--user=joe")
    assert kubectl(*ask) == "yes\n"
    assert "Forbidden" in kubectl("get", "secrets", "--as", "joe", code=1)


def test_explain_knows_built_in_and_custom_kinds(kubectl: Kubectl) -> None:
    output = kubectl("explain", "job.spec.backoffLimit")
    assert "FIELD: backoffLimit <integer>" in output
    assert "before marking this job failed" in output
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"lid": {"type": "string", "description": "On top."}}}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {
        "group": "explained.example.com",
        "scope": "Namespaced",
        "names": {"plural": "jars", "kind": "Jar"},
        "versions": [version],
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "jars.explained.example.com"},
        "spec": spec,
    }
    kubectl("apply", "-f", "-", given=definition)
    kubectl("wait", "--for=condition=Established", "crd/jars.explained.example.com", "--timeout=60s")
    assert "On top." in kubectl("explain", "jar.spec.lid")
    assert "apiVersion" in kubectl("explain", "jar")
    kubectl("delete", "crd", "jars.explained.example.com", "--timeout=60s")
    assert "NotFound" in kubectl("get", "crd", "jars.explained.example.com", code=1)


def test_can_i_lists_the_permissions_of_a_user(kubectl: Kubectl) -> None:
    rows = [line.split() for line in kubectl("auth", "can-i", "--list").splitlines()]
    assert ["*.*", "[]", "[]", "[*]"] in rows
    kubectl("create", "role", "looker", "--verb=get", "--resource=secrets")
    kubectl("create", "rolebinding", "looker", "--role=looker", "--user=ann")
    rows = [line.split() for line in kubectl("auth", "can-i", "--list", "--as", "ann").splitlines()]
    assert ["secrets", "[]", "[]", "[get]"] in rows
    assert ["*.*", "[]", "[]", "[*]"] not in rows


def test_tables_have_the_columns_of_kubernetes(kubectl: Kubectl) -> None:
    def heads(*arguments: str) -> list[str]:
        return re.split(r"\s{2,}", kubectl("get", *arguments).splitlines()[0].strip())

    kubectl("create", "quota", "tabled", "--hard=configmaps=100")
    kubectl("wait", "--for=jsonpath={.status.hard.configmaps}=100", "quota/tabled", "--timeout=60s")
    row = re.split(r"\s{2,}", kubectl("get", "quota", "tabled", "--no-headers").strip())
    assert re.fullmatch(r"configmaps: \d+/100", row[1])
    kubectl("delete", "quota", "tabled")
    assert heads("sa") == ["NAME", "SECRETS", "AGE"]
    assert heads("clusterroles") == ["NAME", "CREATED AT"]
    assert heads("clusterrolebindings", "-o", "wide") == ["NAME", "ROLE", "AGE", "USERS", "GROUPS", "SERVICEACCOUNTS"]
    assert heads("nodes")[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]


def test_a_pod_is_listed_waited_for_and_deleted(kubectl: Kubectl) -> None:
    container = {"name": "main", "image": "x", "command": ["sh", "-c", "echo up; exec sleep 60"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "seen", "labels": {"seen": "yes"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    kubectl("create", "-f", "-", given=pod)
    kubectl("wait", "--for=condition=Ready", "pod/seen", "--timeout=60s")
    head, row = kubectl("get", "pods", "-l", "seen", "-o", "wide").splitlines()
    assert re.split(r"\s{2,}", head.strip())[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert row.split()[:4] == ["seen", "1/1", "Running", "0"]
    assert re.search(r"Status:\s+Running", kubectl("describe", "pod", "seen"))
    assert kubectl("logs", "-l", "seen=yes", "-c", "main") == "up\n"
    assert "hello" in kubectl("exec", "seen", "--", "sh", "-c", "echo hello; exit 4", code=4)
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", given=pod)
    kubectl("patch", "pod", "seen", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/more","value":"1"}]')
    assert json.loads(kubectl("get", "pod", "seen", "-o", "jsonpath={.metadata.labels}"))["more"] == "1"
    refused = kubectl("patch", "pod", "seen", "-p", '{"spec":{"restartPolicy":"Always"}}', code=1)
    assert "pod updates may not change fields" in refused
    kubectl("delete", "pod", "seen", "--grace-period=1", "--timeout=60s")
    assert "NotFound" in kubectl("get", "pod", "seen", code=1)


def test_unknown_fields_warn_and_dry_runs_change_nothing(kubectl: Kubectl) -> None:
    odd = _CONFIG | {"metadata": {"name": "odd"}, "dta": {"a": "b"}}
    output = kubectl("create", "--validate=warn", "-f", "-", given=odd)
    assert 'Warning: unknown field "dta"' in output
    kubectl("delete", "configmap", "odd", "--dry-run=server")
    kubectl("label", "configmap", "odd", "a=b", "--dry-run=server")
    assert kubectl("get", "configmap", "odd", "-o", "jsonpath={.metadata.labels}") == ""
    kubectl("apply", "--dry-run=server", "-f", "-", given=_CONFIG | {"metadata": {"name": "never"}})
    assert "NotFound" in kubectl("get", "configmap", "never", code=1)
