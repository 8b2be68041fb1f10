"""Role-based access control: decides whether a rule that is bound to a user allows a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from embedded.api.scheme import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, RBAC_RESOURCES, ROLE_BINDINGS, ROLES, ObjectRef
from embedded.auth.tokens import AUTHENTICATED, MASTERS, User
from embedded.registry.registry import Registry
from embedded.types import JsonObject

# Every authenticated user may use discovery and review their own identity and permissions.
_DISCOVERY_PATHS = ("/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/openapi")
_SELF_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews")
AUTHENTICATED_RULES: tuple[JsonObject, ...] = (
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "verbs": ["create"],
    },
    {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    {"nonResourceURLs": [url for path in _DISCOVERY_PATHS for url in (path, f"{path}/*")], "verbs": ["get"]},
)


@dataclass(frozen=True)
class AccessRequest:
    """A request to authorize: on a resource (`resource` or `resource/subresource`) or on a non-resource path."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class _BoundRule:
    """A rule of a role, and why it applies to a subject."""

    rule: JsonObject
    reason: str


class Authorizer:
    """Authorizes by the roles and bindings in the registry, cached until one of them changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._rules: dict[tuple[str, str], list[_BoundRule]] = {}
        """By subject and namespace; empty: not loaded."""
        watched = {resource.key for resource in RBAC_RESOURCES}
        registry.store.subscribe(lambda event: self._rules.clear() if event.key.resource in watched else None)

    def allows(self, user: User, request: AccessRequest) -> bool:
        return self.allowed_by(user, request) is not None

    def allowed_by(self, user: User, request: AccessRequest) -> str | None:
        """The reason why a request is allowed, worded as by a real server; None when it is not allowed."""
        if MASTERS in user.groups:
            return ""
        authenticated = AUTHENTICATED in user.groups
        if authenticated and request.path and request.verb == "get" and _is_below(request.path, _DISCOVERY_PATHS):
            return _authenticated_origin("system:discovery")
        if authenticated and request.resource in _SELF_REVIEWS and request.verb == "create":
            return _authenticated_origin("system:basic-user")
        allows = _rule_allows_path if request.path else _rule_allows
        scopes = ("", request.namespace) if request.namespace and not request.path else ("",)
        for subject in _subject_keys(user):
            for scope in scopes:
                for bound in self._bound_rules(subject, scope):
                    if allows(bound.rule, request):
                        return bound.reason
        return None

    def _bound_rules(self, subject: str, namespace: str) -> list[_BoundRule]:
        """The rules of a subject (`User:name`, `Group:name`) in a namespace (empty: cluster-wide), with the reasons."""
        if not self._rules:
            self._load()
        return self._rules.get((subject, namespace), [])

    def _load(self) -> None:
        # An entry that no subject has, so that a cluster without bindings is cached as well.
        self._rules = {("", ""): []}
        for resource in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            for binding in self._registry.list(resource):
                namespace = binding["metadata"].get("namespace", "")
                rules = role_rules(self._registry, binding.get("roleRef") or {}, namespace)
                for subject, display_name in _binding_subjects(binding):
                    origin = _binding_origin(binding, display_name)
                    self._rules.setdefault((subject, namespace), []).extend(_BoundRule(rule, origin) for rule in rules)

    def rules_for(self, user: User, namespace: str) -> list[JsonObject]:
        """All rules that apply to a user in a namespace."""
        found = [*AUTHENTICATED_RULES]
        for subject in _subject_keys(user):
            for scope in dict.fromkeys(("", namespace)):
                found += [bound.rule for bound in self._bound_rules(subject, scope)]
        return found


def role_rules(registry: Registry, reference: JsonObject, namespace: str) -> list[JsonObject]:
    """The rules of the role that a binding in a namespace references; none when the role does not exist."""
    name = str(reference.get("name", ""))
    if reference.get("kind") == "Role":
        role = registry.find(ObjectRef(ROLES, namespace, name))
    else:
        role = registry.find(ObjectRef(CLUSTER_ROLES, None, name))
    return list((role or {}).get("rules") or [])


def _subject_keys(user: User) -> Iterator[str]:
    yield f"User:{user.name}"
    for group in user.groups:
        yield f"Group:{group}"


def _authenticated_origin(role: str) -> str:
    return f'RBAC: allowed by ClusterRoleBinding "{role}" of ClusterRole "{role}" to Group "{AUTHENTICATED}"'


def _binding_origin(binding: JsonObject, subject: str) -> str:
    name, namespace, role = binding["metadata"]["name"], binding["metadata"].get("namespace"), binding["roleRef"]
    bound = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
    return f'RBAC: allowed by {bound} of {role.get("kind")} "{role.get("name")}" to {subject}'


def _binding_subjects(binding: JsonObject) -> Iterator[tuple[str, str]]:
    """The subjects of a binding: their keys in the cache, and their names in reasons."""
    for subject in binding.get("subjects") or []:
        if subject.get("kind") == "ServiceAccount":
            namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
            name = subject["name"]
            yield f"User:system:serviceaccount:{namespace}:{name}", f'ServiceAccount "{name}/{namespace}"'
        else:
            kind, name = subject.get("kind"), subject.get("name")
            yield f"{kind}:{name}", f'{kind} "{name}"'


def _rule_allows_path(rule: JsonObject, request: AccessRequest) -> bool:
    """Whether a rule on non-resource paths (`/metrics`, `/debug/*`) allows a request."""
    if not {"*", request.verb} & set(rule.get("verbs") or ()):
        return False
    return any(
        url in ("*", request.path) or (url.endswith("*") and request.path.startswith(url[:-1]))
        for url in rule.get("nonResourceURLs") or ()
    )


def _rule_allows(rule: JsonObject, request: AccessRequest) -> bool:
    def listed(field: str, value: str) -> bool:
        values = rule.get(field) or []
        return "*" in values or value in values

    if not listed("verbs", request.verb) or not listed("apiGroups", request.group):
        return False
    _, slash, subresource = request.resource.partition("/")
    resources = rule.get("resources") or []
    if not listed("resources", request.resource) and not (slash and f"*/{subresource}" in resources):
        return False
    names = rule.get("resourceNames")
    return not names or request.name in names


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)
