"""The roles of operator and API grant what their code calls, and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import controller
import kind
from controller import kube
from controller.admission import registration
from controller.operator.manifests import rbac
from controller.operator.manifests.rbac import Grant
from controller.run_numbers import CONFIG_MAP
from controller.runtime.manager import LEASE

CODE = Path(controller.__file__).parent
VERBS = {"get", "list", "create", "update", "patch", "delete"}
EXEC = {("", "pods/exec", "get"), ("", "pods/exec", "create")}
OTHER_CALLS = {".stream_log": {("", "pods/log", "get")}, "execute": EXEC}
"""By the name of a function, or of a method with a dot before it."""


class Right(NamedTuple):
    group: str
    resource: str
    verb: str


def called(*places: str) -> set[Right]:
    """What the code in these files and folders of the controller asks Kubernetes for."""
    files: list[Path] = []
    for place in places:
        files += [CODE / place] if place.endswith(".py") else (CODE / place).rglob("*.py")
    return {right for file in files for node in ast.walk(ast.parse(file.read_text())) for right in rights_of(node)}


def rights_of(node: ast.AST) -> Iterator[Right]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    verbs = {name} & VERBS or ({"list", "watch"} if name == "Informer" else set())
    constants = {each.arg: each.value.value for each in node.keywords if isinstance(each.value, ast.Constant)}
    subresource = f"/{constants['subresource']}" if "subresource" in constants else ""
    for argument in node.args[:2]:
        resource = getattr(kube, argument.id, None) if isinstance(argument, ast.Name) else None
        if isinstance(resource, kube.Resource):
            yield from (Right(resource.group, resource.plural + subresource, verb) for verb in verbs)
    yield from (
        Right(*each) for each in OTHER_CALLS.get(f".{name}" if isinstance(node.func, ast.Attribute) else name, ())
    )


def granted(grants: Iterable[Grant]) -> set[Right]:
    return {Right(grant.group, grant.resource, verb) for grant in grants for verb in grant.uses}


REVIEWS = granted(rbac._REVIEWS)


def test_the_operator_has_the_rights_that_it_uses_and_no_more() -> None:
    used = called("operator", "forges", "logs", "kube/leader_election.py", "runtime/operator_runner.py") | REVIEWS
    used |= called("run_numbers.py", "statistics", "usage")
    assert granted((*rbac.OPERATOR_GRANTS, *rbac.LEASE_GRANTS)) == used


def test_the_api_has_the_rights_that_it_uses_and_no_more() -> None:
    used = called("api", "admission", "log_relay", "run_numbers.py") | REVIEWS
    used |= {Right("c8s.dev", "pipelineruns", verb) for verb in ("list", "watch")}  # the informer of the manager
    used.add(Right("c8s.dev", "repositoryconnections/status", "patch"))  # a delivery that is handled again
    assert granted((*rbac.API_GRANTS, *rbac.LEADER_GRANTS)) == used


def test_the_receiver_has_the_rights_that_it_uses_and_no_more() -> None:
    used = called("webhooks") | REVIEWS
    assert used - granted(rbac.WEBHOOK_GRANTS) == {Right("", "secrets", "get")}, "by the Roles that the operator keeps"
    assert granted(rbac.WEBHOOK_GRANTS) <= used


def test_rights_on_single_objects_name_those_of_the_code() -> None:
    assert (rbac.RUN_NUMBERS, rbac.LEADER_LEASE) == (CONFIG_MAP, LEASE)
    assert rbac.WEBHOOK_CONFIGURATION == registration.NAME


@pytest.mark.parametrize(("role", "grants"), [("c8s-lease", rbac.LEASE_GRANTS), ("c8s-leader", rbac.LEADER_GRANTS)])
def test_roles_in_the_own_namespace_are_those_of_the_manifests(role: str, grants: tuple[Grant, ...]) -> None:
    accounts = Path(kind.__file__).parent / "manifests" / "base" / "accounts.yaml"
    roles = (each for each in yaml.safe_load_all(accounts.read_text()) if each["kind"] == "Role")
    rules = next(each["rules"] for each in roles if each["metadata"]["name"] == role)
    assert rules == [grant.rule() for grant in grants]


def test_developers_have_no_right_on_core_secrets() -> None:
    rules = rbac.developer_role()["rules"]
    assert not [rule for rule in rules if "" in rule["apiGroups"] and "pods/exec" not in rule["resources"]]
