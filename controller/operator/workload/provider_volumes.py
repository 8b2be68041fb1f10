"""The volumes of the Secrets Store CSI driver: one for each SecretProviderClass that a step mounts."""

from __future__ import annotations

from typing import Any

from controller.operator import names
from controller.pipeline.model import Step
from controller.secret_providers import DRIVER

Json = dict[str, Any]


def environment(step: Step) -> list[Json]:
    """The variable that says where the files are; none for a step that mounts nothing."""
    return [{"name": "C8S_SECRET_PROVIDERS", "value": names.PROVIDERS_FOLDER}] if step.secret_providers else []


def mounts(step: Step) -> list[Json]:
    """In the step's own container alone: neither agent nor services get the files."""
    return [
        {"name": f"provider-{n}", "mountPath": f"{names.PROVIDERS_FOLDER}/{use.provider_class}", "readOnly": True}
        for n, use in enumerate(step.secret_providers)
    ]


def volumes(step: Step) -> list[Json]:
    return [
        {
            "name": f"provider-{n}",
            "csi": {
                "driver": DRIVER,
                "readOnly": True,
                "volumeAttributes": {"secretProviderClass": use.provider_class},
            },
        }
        for n, use in enumerate(step.secret_providers)
    ]
