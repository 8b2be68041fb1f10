"""The plan of `c8s install`: the controller in an existing cluster, by a context of a kubeconfig."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.kube import KubeClient, KubeError, connect
from kind import apply, kustomize, object_store, readiness
from kind.access import service_account_token
from kind.errors import KindError
from kind.plan import ProgressCallback, Step

_API_SECONDS = 20.0
_READY_SECONDS = 300.0


@dataclass(frozen=True)
class InstallOptions:
    """The cluster and what to install.

    `public_url`: the URL of the API for users, if there is one already. `dashboard`: whether the API serves it.
    `auth_proxies`: the addresses (CIDR) of a proxy that signs people in to the dashboard, if there is one.
    """

    kubeconfig: Path
    context: str
    image: str = kustomize.CONTROLLER_IMAGE
    minio_image: str = kustomize.MINIO_IMAGE
    s3: object_store.S3Config | None = None
    public_url: str | None = None
    dashboard: bool = False
    auth_proxies: Sequence[str] = ()
    namespace: str = "default"
    token_file: Path = Path()
    settings: Mapping[str, str] = field(default_factory=dict)


def render_objects(target: InstallOptions) -> list[kustomize.Json]:
    """The objects to apply in their order, without the Secrets."""
    folder = kustomize.MANIFESTS_FOLDER / ("overlays/minio" if target.s3 is None else "base")
    settings = {"C8S_STORE": target.s3.url()} if target.s3 is not None else {}
    if target.public_url:
        # What forges link to: inside of the cluster, the API has another address.
        pages = "ui" if target.dashboard else "api/v1"
        settings["C8S_RUN_URL"] = f"{target.public_url.rstrip('/')}/{pages}/namespaces/{{namespace}}/runs/{{run}}"
        settings["C8S_ALLOWED_HOST"] = target.public_url.split("://", 1)[-1].split("/")[0].split(":")[0]
    if target.dashboard:
        settings["C8S_ENABLE_DASHBOARD"] = "true"
    if target.auth_proxies:
        settings["C8S_AUTH_PROXY_ADDRESS"] = ",".join(target.auth_proxies)
        settings["C8S_AUTH_PROXY_SECRET_FILE"] = f"{kustomize.AUTH_PROXY_FOLDER}/{kustomize.AUTH_PROXY_KEY}"
    values = kustomize.ManifestValues(target.image, target.minio_image, {**settings, **target.settings})
    found = kustomize.render_values(kustomize.render(folder), values)
    return [*found[:-1], kustomize.build_workbench_binding(target.namespace), found[-1]]


class Installation:
    """Builds the plan and runs its steps."""

    def __init__(self, target: InstallOptions) -> None:
        self.options = target

    def steps(self) -> list[Step]:
        """The plan."""
        deployments = [
            each["metadata"]["name"] for each in render_objects(self.options) if each["kind"] == "Deployment"
        ]
        plan = [
            Step("cluster", "Reach the cluster", f"ask {self.options.context} for its version", self._reach_cluster),
            Step(
                "objects",
                "Apply CRDs, roles and settings",
                "apply kind/manifests; existing Secrets are kept",
                self._apply,
                needs=("cluster",),
            ),
            Step(
                "controller",
                "Wait for the controller",
                f"until {', '.join(deployments)} are ready",
                self._wait,
                needs=("objects",),
            ),
        ]
        if self.options.public_url:
            does = f"ask {self.options.public_url}/readyz; token of the service account {service_account_token.ACCOUNT}"
            plan.append(
                Step("context", "Create the workbench's token", does, self._create_token, needs=("controller",))
            )
        return plan

    async def _reach_cluster(self, report: ProgressCallback) -> str:
        async with self._client() as client:
            return f"Kubernetes {await apply.wait_for_api(client, timeout=_API_SECONDS)}"

    async def _apply(self, report: ProgressCallback) -> str:
        found = render_objects(self.options)
        async with self._client() as client:
            first = [each for each in found if each["kind"] != "Deployment"]
            count = await apply.apply(client, first)
            keys = self.options.s3.credentials() if self.options.s3 is not None else object_store.generate_credentials()
            await apply.ensure_secret(client, kustomize.build_secret(kustomize.STORE_SECRET, keys))
            await apply.ensure_keys(client)
            if self.options.auth_proxies:
                await apply.ensure_auth_proxy_secret(client)
            count += await apply.apply(client, [each for each in found if each["kind"] == "Deployment"])
        return f"{count} objects, and {'four' if self.options.auth_proxies else 'three'} Secrets"

    async def _wait(self, report: ProgressCallback) -> str:
        names = [each["metadata"]["name"] for each in render_objects(self.options) if each["kind"] == "Deployment"]
        async with self._client() as client:
            await apply.wait_for_rollout(client, names, timeout=_READY_SECONDS, report=report)
        return ", ".join(names)

    async def _create_token(self, report: ProgressCallback) -> str:
        assert self.options.public_url is not None
        await readiness.wait_until_ready(self.options.public_url, timeout=_API_SECONDS)
        ours = service_account_token.ServiceAccountToken(
            self.options.token_file, self.options.kubeconfig, self.options.context
        )
        async with self._client() as client:
            await service_account_token.renew(ours, client, time.time())
        return f"its token is in {self.options.token_file}"

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[KubeClient]:
        try:
            async with connect(self.options.kubeconfig, self.options.context) as client:
                yield client
        except KubeError as error:
            what = f"the cluster of the context {self.options.context}: {error}"
            raise KindError(what, "Check it with `kubectl --context`.") from error
