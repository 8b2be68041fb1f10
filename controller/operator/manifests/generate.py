"""Generates the CustomResourceDefinitions and roles that the controller needs.

`python -m controller.operator.manifests.generate` writes them beside this module, where the sandbox and an
installation read them; a test compares them with what the code generates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from controller.operator.manifests import crds, rbac
from controller.operator.manifests.connection_crd import repository_connection

Json = dict[str, Any]

FOLDER = Path(__file__).parent


def manifests() -> dict[str, Json]:
    """File name -> a List of objects. `crds` and `roles` serve any cluster, `rights` a sandbox on this machine."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": rbac.SERVICE_ACCOUNT, "namespace": rbac.SYSTEM_NAMESPACE},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rbac.SYSTEM_NAMESPACE}}
    developers = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": rbac.DEVELOPERS}
    bound = {"kind": "ServiceAccount", "name": rbac.SERVICE_ACCOUNT, "namespace": rbac.SYSTEM_NAMESPACE}
    definitions = [crds.pipeline_config(), crds.pipeline_run(), repository_connection()]
    roles = [
        rbac.cluster_role("c8s-operator", rbac.operator_rules()),
        rbac.cluster_role("c8s-api", rbac.api_rules()),
        rbac.cluster_role("c8s-webhook", rbac.webhook_rules()),
        rbac.developer_role(),
        rbac.viewer_role(),
    ]
    rights = [
        namespace,
        account,
        rbac.controller_role(),
        rbac.cluster_role_binding(rbac.SERVICE_ACCOUNT, bound),
        rbac.cluster_role_binding("c8s-developer", developers),
    ]
    return {
        name: {"apiVersion": "v1", "kind": "List", "items": items}
        for name, items in (("crds.json", definitions), ("rights.json", rights), ("roles.json", roles))
    }


def render(document: Json) -> str:
    return json.dumps(document, indent=1) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, document in manifests().items():
        (FOLDER / name).write_text(render(document))


if __name__ == "__main__":
    main()
