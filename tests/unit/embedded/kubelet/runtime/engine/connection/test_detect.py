"""What an engine says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.kubelet.runtime.engine.connection.detect import EngineFacts

_LIMITS = {"MemoryLimit": True, "CpuCfsQuota": True, "CgroupVersion": "2"}


@pytest.mark.parametrize(
    ("system", "rootless", "enforces_limits"),
    [
        (_LIMITS, False, True),
        ({**_LIMITS, "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, True, True),
        # Podman 4.3 as an ordinary user.
        ({**_LIMITS, "SecurityOptions": ["name=seccomp,profile=default"], "Rootless": True}, True, True),
        ({**_LIMITS, "CgroupVersion": "1", "Rootless": True}, True, False),
        ({**_LIMITS, "CgroupVersion": "1"}, False, True),
        ({**_LIMITS, "MemoryLimit": False}, False, False),
        ({}, False, False),
    ],
)
def test_whether_it_is_rootless_and_enforces_limits(
    system: dict[str, Any], rootless: bool, enforces_limits: bool
) -> None:
    facts = EngineFacts.of(system)
    assert (facts.rootless, facts.enforces_limits) == (rootless, enforces_limits)
