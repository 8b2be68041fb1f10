"""The run's own Secrets: copies of the values its steps and its clone step use, and the tokens of its agents.

The copies are created once, at the start, and never change: a secret that is renewed while the run goes on would
otherwise appear unmasked in its logs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.capability import AgentRole, Capability, mint
from controller.forge_secrets import is_for_forges, withheld_reason
from controller.kube import SECRETS, AlreadyExistsError, KubeClient, NotFoundError
from controller.operator import names
from controller.operator.interfaces import CloneTokenError, CloneTokens
from controller.operator.run_object import is_from_fork
from controller.operator.settings import OperatorSettings
from controller.operator.workload.clone_step import git_source
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import SecretUse
from controller.run_types.keys import AttemptKey
from controller.signing import derive_key, sign

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]

_TOKEN_USER = "x-access-token"  # noqa: S105 - a name
"""The name that goes with a token; GitHub's documentation names it, and other forges take any."""
_TOKEN_USERS = {"gitlab": "oauth2", "bitbucket": "x-token-auth"}


@dataclass(frozen=True)
class CopiedSecrets:
    """What the steps of a run, and its clone step, use of the namespace's Secrets.

    Attributes:
        values: by their key in the run's own Secret.
        withheld: names of Secrets that exist but are not for pipelines.
    """

    values: dict[str, bytes]
    withheld: frozenset[str] = frozenset()
    git_problem: str = ""
    """Why there are no credentials for the run's repository, if its forge gives none."""
    is_untrusted: bool = False
    """Whether the run gets no secrets at all, because it is of a pull request from a fork."""

    @property
    def has_git_credentials(self) -> bool:
        """Whether there are any for the run's repository."""
        return any(names.git_secret_key(key) in self.values for key in names.GIT_CREDENTIAL_KEYS)


async def copy_secrets(
    client: KubeClient,
    run: RunObject,
    steps: Sequence[ExpandedStep],
    *,
    is_of_connection: bool = False,
    clone_tokens: CloneTokens | None = None,
) -> CopiedSecrets:
    """Create the run's Secret, or read the existing one.

    Args:
        is_of_connection: whether the run was proven to be of a connection: its clone step uses that one's credentials.
        clone_tokens: gets tokens for credentials that are none themselves.

    Raises:
        KubeError, CloneTokenError: call again.
    """
    untrusted = is_from_fork(run)
    uses = {} if untrusted else {names.secret_key(use): use for step in steps for use in step.step.secrets}
    git = git_source(run)
    credentials = git.get("secretRef") if git is not None else None
    if not uses and not credentials:
        return CopiedSecrets({}, is_untrusted=untrusted)
    metadata = run["metadata"]
    namespace, name = metadata["namespace"], names.run_secret_name(run)
    problem = ""
    sources: dict[str, Json | None] = {}
    for source in {use.secret_ref for use in uses.values()} | ({credentials} if credentials else set()):
        sources[source] = await find_secret(client, namespace, source)
    withheld = frozenset(name for name, found in sources.items() if found is not None and not is_for_pipelines(found))
    data = {
        key: found["data"][use.key]
        for key, use in uses.items()
        if use.secret_ref not in withheld
        and (found := sources[use.secret_ref]) is not None
        and use.key in (found.get("data") or {})
    }
    if git is not None and credentials and sources[credentials] is not None:
        withheld_from_git = why_not_clone_with(
            credentials, sources[credentials] or {}, git["url"], is_of_connection=is_of_connection
        )
        data |= {} if withheld_from_git else _git_data(sources[credentials])
        if is_of_connection and not withheld_from_git:
            data |= _plain_token_data(run, sources[credentials] or {})
        if clone_tokens is not None and is_of_connection and not withheld_from_git:
            try:
                data |= await _token_data(client, run, name, sources[credentials] or {}, clone_tokens)
            except CloneTokenError as error:
                if not error.is_final:
                    raise
                problem = str(error)
    secret = await create_run_secret(client, run, name, {"data": data, "immutable": True})
    values = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
    return CopiedSecrets(values, withheld, problem, untrusted)


def _plain_token_data(run: RunObject, secret: Json) -> Json:
    """What a Secret of a connection that has nothing but a token gives git: the token is the password."""
    data = secret.get("data") or {}
    if "token" not in data or {"password", "ssh-privatekey"} & set(data):
        return {}
    provider = (run["spec"].get("trigger") or {}).get("provider", "")
    username = base64.b64encode(_TOKEN_USERS.get(provider, _TOKEN_USER).encode()).decode()
    values = {"username": data.get("username", username), "password": data["token"]}
    return {names.git_secret_key(key): value for key, value in values.items()}


async def _token_data(
    client: KubeClient, run: RunObject, name: str, source: Json, clone_tokens: CloneTokens
) -> dict[str, str]:
    """What the run's Secret is to have of a token that the forge gives; nothing if that Secret exists already."""
    existing = await find_secret(client, run["metadata"]["namespace"], name)
    token = None if existing is not None else await clone_tokens.token(run, source)
    if token is None:
        return {}
    values = {"username": _TOKEN_USER, "password": token}
    return {names.git_secret_key(key): base64.b64encode(value.encode()).decode() for key, value in values.items()}


def _git_data(secret: Json | None) -> Json:
    data = (secret.get("data") or {}) if secret is not None else {}
    return {names.git_secret_key(key): data[key] for key in names.GIT_CREDENTIAL_KEYS if key in data}


async def create_agent_tokens(
    client: KubeClient,
    run: RunObject,
    attempt: AttemptKey,
    roles: Iterable[AgentRole],
    settings: OperatorSettings,
    now: float,
) -> None:
    """Create the Secret with the capability tokens of an attempt's agents, one for each role."""
    metadata = run["metadata"]
    data = {}
    for role in roles:
        capability = Capability(
            metadata["namespace"], metadata["name"], metadata["uid"], attempt.slug, attempt.number, role
        )
        token = mint(settings.agent_key, capability, expires=now + settings.capability_lifetime)
        data[role] = base64.b64encode(token.encode()).decode()
    name = names.agent_secret_name(metadata["name"], metadata["uid"], attempt.slug, attempt.number)
    await create_run_secret(client, run, name, {"data": data, "immutable": True})


def missing_secrets(steps: Sequence[ExpandedStep], copied: CopiedSecrets) -> dict[str, str]:
    """Step name -> the secret that it lacks, as a sentence."""
    found = {}
    for step in steps:
        for use in step.step.secrets:
            if names.secret_key(use) not in copied.values:
                found[step.name] = _describe_missing(use, copied)
                break
    return found


def secret_digests(steps: Sequence[ExpandedStep], copied: CopiedSecrets, key: bytes) -> dict[str, str]:
    """Step name -> a digest of the values of its secrets, for steps that have some and lack none.

    Without the controller's key, nobody can try whether a value that they guess has this digest.
    """
    own = derive_key(key, "c8s versions of secrets v1")
    versions = {name: sign(own, name, base64.b64encode(value).decode()) for name, value in copied.values.items()}
    return {
        step.name: sign(own, *(versions[name] for name in used))
        for step in steps
        if (used := [names.secret_key(use) for use in step.step.secrets]) and all(name in versions for name in used)
    }


def _describe_missing(use: SecretUse, copied: CopiedSecrets) -> str:
    name, key = use.secret_ref, use.key
    if copied.is_untrusted:
        return f"the run of a pull request from a fork gets no secrets, and the step uses {name}"
    if name in copied.withheld:
        return describe_withheld(name)
    return f"the secret {name} has no key {key}; set it with `c8s secrets set {name} {key}`"


async def find_secret(client: KubeClient, namespace: str, name: str) -> Json | None:
    """A Secret of the namespace; None if there is none."""
    try:
        return await client.get(SECRETS, name, namespace)
    except NotFoundError:
        return None


def is_for_pipelines(secret: Json) -> bool:
    """Whether a pipeline may use a Secret: one that is labelled for it, and that no controller made for a run.

    Everyone who may create runs can read what their steps are given. Without the label, that would be every Secret
    of the namespace: certificates, registry passwords, tokens of service accounts, and those of agents.
    """
    secret_labels = secret["metadata"].get("labels") or {}
    return secret_labels.get(labels.SECRET) == "true" and labels.RUN not in secret_labels


def why_not_clone_with(name: str, secret: Json, url: str, *, is_of_connection: bool) -> str:
    """Why a clone step may not use a Secret for a URL, as a sentence; empty if it may.

    It may use one for pipelines, and that of the connection that started the run, for the hosts that it names.
    """
    if is_for_pipelines(secret):
        return ""
    if is_of_connection and is_for_forges(secret):
        return withheld_reason(name, secret, url)
    return describe_withheld(name)


def describe_withheld(name: str) -> str:
    """Why a pipeline may not use an existing Secret, and what to do."""
    label = f"{labels.SECRET}=true"
    return (
        f"the Secret {name} is not for pipelines: it lacks the label {label}; set another one with `c8s secrets set`, "
        f"or have an administrator allow this one with `kubectl label secret {name} {label}`"
    )


async def create_run_secret(client: KubeClient, run: RunObject, name: str, content: Json) -> Json:
    """Create a Secret of a run, or read the existing one. Raises AlreadyExistsError if it is that of another run."""
    namespace = run["metadata"]["namespace"]
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": names.run_labels(run),
        "ownerReferences": [names.owner_reference(run)],
    }
    try:
        return await client.create(SECRETS, {"metadata": metadata, "type": "Opaque", **content}, namespace)
    except AlreadyExistsError:
        existing = await client.get(SECRETS, name, namespace)
        owners = existing["metadata"].get("ownerReferences") or []
        if not any(owner.get("uid") == run["metadata"]["uid"] for owner in owners):
            # Left by a run of the same name that is being collected: ours must not use its values.
            raise
        return existing
