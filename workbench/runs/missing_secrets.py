"""Finds the secrets that a run would fail for, before it is started. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.pipeline.conditions import TriggerContext, evaluate_step
from workbench.client.models import SecretNames
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_label

_MAX_STEPS = 3
"""Maximum number of steps that are named for one secret."""


@dataclass(frozen=True)
class MissingSecret:
    """A key of a secret that does not exist, and the steps that use it."""

    name: str
    key: str
    steps: tuple[str, ...]

    def command(self, options: str = "") -> str:
        """The command that sets it; `options` select the controller, such as ` --name other`."""
        return f"c8s secrets set{options} {sanitize_label(self.name, 253)} {sanitize_label(self.key, 253)}"

    @property
    def used_by(self) -> str:
        """The steps that use it: `for build`, `for build, test and 2 more steps`."""
        named = ", ".join(sanitize_label(step, 60) for step in self.steps[:_MAX_STEPS])
        more = len(self.steps) - _MAX_STEPS
        return f"for {named} and {plural(more, 'more step')}" if more > 0 else f"for {named}"


def uses_secrets(definition: Mapping[str, Any]) -> bool:
    """Whether any step of a normalized pipeline uses a secret."""
    return any(step.get("secrets") for step in _steps(definition))


def trigger_context(event: str | None, branch: str | None, changed: tuple[str, ...] | None = None) -> TriggerContext:
    """The trigger of a run. The branch of a run for a tag is the tag's name."""
    name = branch or ""
    return TriggerContext(event or "push", name, name if event == "tag" else "", changed)


def missing_secrets(
    definition: Mapping[str, Any],
    stored: Iterable[SecretNames],
    context: TriggerContext,
    *,
    branch_known: bool = True,
    reused: Collection[str] = (),
) -> tuple[MissingSecret, ...]:
    """The missing secrets of the steps that would fail the run, in the order of the pipeline.

    Steps do not count whose failure is allowed, or whose condition is not met by `context`.

    Args:
        branch_known: whether `context` has the branch; if not, every condition on it counts as met.
        reused: names of steps that do not run again, as in the status of a run.
    """
    existing = {(secret.name, key) for secret in stored for key in secret.keys}
    found: dict[tuple[str, str], list[str]] = {}
    for step in _steps(definition):
        name = str(step.get("name", ""))
        if step.get("allowFailure") is True or name in reused or not _runs(step, context, branch_known):
            continue
        for use in step.get("secrets") or ():
            wanted = (str(use.get("secretRef", "")), str(use.get("key", "")))
            if wanted not in existing and name not in (users := found.setdefault(wanted, [])):
                users.append(name)
    return tuple(MissingSecret(name, key, tuple(steps)) for (name, key), steps in found.items())


def missing_secrets_title(missing: Sequence[MissingSecret]) -> str:
    """`1 secret that the run needs is missing`."""
    return f"{plural(len(missing), 'secret')} that the run needs {'is' if len(missing) == 1 else 'are'} missing"


def missing_secrets_text(missing: Iterable[MissingSecret], options: str = "") -> str:
    """One command a line, with the steps that need it."""
    return "\n".join(f"  {each.command(options)}    # {each.used_by}" for each in missing)


def _steps(definition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = definition.get("steps")
    return [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, (list, tuple)) else []


def _runs(step: Mapping[str, Any], context: TriggerContext, branch_known: bool) -> bool:
    conditional = dict(step.get("conditional") or {})
    if not branch_known:
        conditional.pop("branch", None)
    return evaluate_step(conditional, context).runs
