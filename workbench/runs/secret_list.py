"""Lists the secrets that a pipeline uses, set or missing, and the others that are stored. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.client.models import SecretNames
from workbench.text.sanitize import sanitize_label

SecretState = Literal["set", "missing", "unused"]
_MAX_STEPS = 4
"""Maximum number of steps that are named for one secret."""


@dataclass(frozen=True)
class SecretRow:
    """A key of a secret. `used_by`: the steps of the pipeline that use it, in its order."""

    name: str
    key: str
    state: SecretState
    used_by: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.name}/{self.key}"

    @property
    def users(self) -> str:
        """The steps that use it, as a text."""
        named = ", ".join(sanitize_label(step, 40) for step in self.used_by[:_MAX_STEPS])
        more = len(self.used_by) - _MAX_STEPS
        return f"{named} and {more} more" if more > 0 else named


def secret_rows(definition: Mapping[str, Any] | None, stored: Iterable[SecretNames]) -> tuple[SecretRow, ...]:
    """First the secrets of a normalized pipeline in the order of its steps, then the stored ones that it does not use.

    `definition` is None without a pipeline.
    """
    existing = dict.fromkeys((secret.name, key) for secret in stored for key in secret.keys)
    users: dict[tuple[str, str], list[str]] = {}
    for step in (definition or {}).get("steps") or ():
        for use in step.get("secrets") or ():
            wanted = (str(use.get("secretRef", "")), str(use.get("key", "")))
            if (name := str(step.get("name", ""))) not in (steps := users.setdefault(wanted, [])):
                steps.append(name)
    used = (
        SecretRow(name, key, "set" if (name, key) in existing else "missing", tuple(steps))
        for (name, key), steps in users.items()
    )
    others = (SecretRow(name, key, "unused") for name, key in sorted(existing) if (name, key) not in users)
    return (*used, *others)


def summary(rows: Iterable[SecretRow], pipeline: str | None) -> str:
    """`webshop uses 3 secrets, 1 is missing`."""
    if pipeline is None:
        return "There is no pipeline in this folder; all secrets of the namespace are listed."
    states = [row.state for row in rows]
    used, missing = len(states) - states.count("unused"), states.count("missing")
    name = sanitize_label(pipeline, 60)
    if not used:
        return f"{name} uses no secrets."
    words = f"{name} uses {used} secret{'' if used == 1 else 's'}"
    if not missing:
        return f"{words}, which is set." if used == 1 else f"{words}; all are set."
    return f"{words}, {missing} {'is' if missing == 1 else 'are'} missing."


def typed_value(text: str) -> str:
    """The value of a secret that was typed or pasted: of a single line without its line break."""
    return text[:-1] if text.endswith("\n") and text.count("\n") == 1 else text
