"""The reason that an agent gives for its failure: the end of its log, which the kubelet puts into the status of a pod.

Agents' containers have the termination message policy `FallbackToLogsOnError`, so that the reason is known together
with the failure, also while the log can't be archived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns

Json = dict[str, Any]

_PREFIX = "c8s agent: "
"""What the agent's entry point writes in front of an error."""
_MAX_LENGTH = 300


def failure_reason(terminated: Json | None, secrets: Sequence[bytes]) -> str:
    """The reason in one printable line, without secrets; empty if the agent gave none.

    Args:
        terminated: the state of the agent's container.
        secrets: the values that its step uses, which may occur in names of files.
    """
    if not terminated or not terminated.get("exitCode"):
        return ""
    if terminated.get("reason") == "OOMKilled":
        return "the agent ran out of memory"
    lines = str(terminated.get("message") or "").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    if not last.startswith(_PREFIX):
        return ""
    text = _mask(last.removeprefix(_PREFIX), secrets)
    text = "".join(character if character.isprintable() else "\ufffd" for character in text).strip()
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"


def _mask(text: str, secrets: Sequence[bytes]) -> str:
    patterns = SecretPatterns(secrets)
    if not patterns:
        return text
    masker = SecretMasker(patterns)
    return (masker.feed(text.encode("utf-8", "surrogatepass")) + masker.flush()).decode("utf-8", "replace")
