"""Which writes are reviewed by webhooks at all."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.api.scheme import CONFIG_MAPS, JOBS, PODS, VALIDATING_WEBHOOKS, ObjectRef
from embedded.apiserver.webhook_admission import WebhookAdmission
from embedded.registry.registry import Registry

Json = dict[str, Any]


def configuration(**rule: Any) -> Json:
    webhook = {
        "name": "check.example.com",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/check"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], **rule}],
    }
    return {"metadata": {"name": "check"}, "webhooks": [webhook]}


@pytest.fixture
def admission(registry: Registry) -> WebhookAdmission:
    return WebhookAdmission(registry)


def test_without_webhooks_nothing_is_reviewed(admission: WebhookAdmission) -> None:
    assert not admission.reviews("CREATE", PODS)


def test_only_what_the_rules_name_is_reviewed(admission: WebhookAdmission, registry: Registry) -> None:
    registry.create(VALIDATING_WEBHOOKS, configuration(resources=["configmaps"]))
    assert admission.reviews("CREATE", CONFIG_MAPS)
    assert not admission.reviews("UPDATE", CONFIG_MAPS)
    assert not admission.reviews("CREATE", PODS)
    assert not admission.reviews("CREATE", JOBS)


def test_changed_rules_hold_at_once(admission: WebhookAdmission, registry: Registry) -> None:
    registry.create(VALIDATING_WEBHOOKS, configuration(resources=["configmaps"]))
    assert not admission.reviews("CREATE", PODS)
    ref = ObjectRef(VALIDATING_WEBHOOKS, None, "check")
    registry.patch(ref, configuration(resources=["*"]))
    assert admission.reviews("CREATE", PODS)
    registry.delete(ref)
    assert not admission.reviews("CREATE", PODS)


def test_configurations_of_webhooks_are_never_reviewed(admission: WebhookAdmission, registry: Registry) -> None:
    registry.create(VALIDATING_WEBHOOKS, configuration(resources=["*"], apiGroups=["*"], operations=["*"]))
    assert admission.reviews("DELETE", PODS)
    assert not admission.reviews("DELETE", VALIDATING_WEBHOOKS)
