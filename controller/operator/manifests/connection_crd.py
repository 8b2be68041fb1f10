"""The CustomResourceDefinition of RepositoryConnection."""

from __future__ import annotations

from typing import Any

from controller.operator.manifests import crds
from controller.run_types import patterns
from controller.run_types.schema import connection_status_schema

Json = dict[str, Any]

MAX_PIPELINES = 50
FORK_POLICIES = ("approve", "never", "always")
STATUS_POLICIES = ("run", "step", "off")


def repository_connection() -> Json:
    """Which repository's events start which pipelines, and how the outcome is reported to the forge."""
    name = crds.text(patterns.NAME_PATTERN, patterns.MAX_NAME_LENGTH)
    secret = crds.text(patterns.SUBDOMAIN_PATTERN, patterns.MAX_SUBDOMAIN_LENGTH)
    spec = crds.object_schema(
        {
            "repository": crds.text(patterns.GIT_URL_PATTERN, patterns.MAX_GIT_URL_LENGTH),
            "provider": {"type": "string", "enum": list(patterns.PROVIDERS)},
            "apiUrl": crds.text("^https?://[^\\s\\x00-\\x1f\\x7f@]+$", patterns.MAX_GIT_URL_LENGTH),
            "webhookSecretRef": crds.object_schema({"name": secret}, "name"),
            "authSecretRef": crds.object_schema({"name": secret}, "name"),
            "pipelines": {
                "type": "array",
                "items": crds.object_schema({"name": name}, "name"),
                "maxItems": MAX_PIPELINES,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "pipelineFile": crds.text(patterns.FILE_NAME_PATTERN, 255, minLength=1),
            "forks": crds.object_schema({"run": {"type": "string", "enum": list(FORK_POLICIES)}}),
            "statuses": {"type": "string", "enum": list(STATUS_POLICIES)},
        },
        *("repository", "provider", "webhookSecretRef"),
    )
    spec["x-kubernetes-validations"] = [
        crds.rule(
            "!self.repository.matches('^https?://[^/]*@') && !self.repository.matches('^[a-z]+://[^/@]*:[^/@]*@')",
            "repository must not contain a password: put it into a Secret and name that in authSecretRef",
        ),
        crds.rule(
            "!has(self.pipelines) || size(self.pipelines) == 0 || !has(self.pipelineFile)",
            "pipelineFile is for pipelines of the repository itself: give either pipelines or pipelineFile",
        ),
        crds.rule("self.provider == oldSelf.provider", "a connection's provider can't be changed: create another"),
    ]
    columns = [
        crds.column("Repository", ".spec.repository"),
        crds.column("Provider", ".spec.provider"),
        crds.column("Ready", ".status.conditions[0].status"),
        crds.column("Last", ".status.deliveries[0].about"),
        crds.column("Outcome", ".status.deliveries[0].outcome"),
        crds.column("Why", ".status.deliveries[0].reason", priority=1),
        crds.AGE,
    ]
    status = connection_status_schema()
    found = crds.crd("repositoryconnections", "RepositoryConnection", "rc", spec, status, columns)
    crds.root_schema(found)["x-kubernetes-validations"] = [crds.name_rule("RepositoryConnection")]
    return found
