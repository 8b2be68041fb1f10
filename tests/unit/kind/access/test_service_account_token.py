"""The workbench's token: renewed at half of its life, kept private, and a cluster that is away is asked again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from controller.kube import KubeClient, UnreachableError
from kind.access import service_account_token
from kind.errors import KindError

NOW = 1_800_000_000.0


class TokenIssuer:
    """Gives tokens that are good for an hour from `NOW`."""

    def __init__(self, away: bool = False) -> None:
        self.unreachable = away

    async def request_token(self, account: str, namespace: str, *, expiration_seconds: int) -> dict[str, Any]:
        if self.unreachable:
            raise UnreachableError("no answer")
        assert (account, namespace) == ("c8s-workbench", "c8s-system")
        return {"token": "secret-token", "expirationTimestamp": "2027-01-15T09:00:00Z"}


def ours(folder: Path) -> service_account_token.ServiceAccountToken:
    return service_account_token.ServiceAccountToken(folder / "credentials" / "workbench.token", folder / "kubeconfig")


async def test_token_is_renewed_after_half_of_its_lifetime(tmp_path: Path) -> None:
    mine = ours(tmp_path)
    assert service_account_token.needs_renewal(mine, NOW)
    due = await service_account_token.renew(mine, cast(KubeClient, TokenIssuer()), NOW)
    assert due == NOW + 1800
    assert not service_account_token.needs_renewal(mine, NOW + 1799)
    assert service_account_token.needs_renewal(mine, NOW + 1800)
    assert mine.token_file.read_text() == "secret-token\n"
    assert mine.token_file.stat().st_mode & 0o777 == 0o600


async def test_missing_or_damaged_files_require_a_renewal(tmp_path: Path) -> None:
    mine = ours(tmp_path)
    await service_account_token.renew(mine, cast(KubeClient, TokenIssuer()), NOW)
    mine.renew_after_file.write_text("soon")
    assert service_account_token.needs_renewal(mine, NOW)
    await service_account_token.renew(mine, cast(KubeClient, TokenIssuer()), NOW)
    mine.token_file.unlink()
    assert service_account_token.needs_renewal(mine, NOW)


async def test_unreachable_cluster_keeps_the_old_token(tmp_path: Path) -> None:
    mine = ours(tmp_path)
    await service_account_token.renew(mine, cast(KubeClient, TokenIssuer()), NOW)
    with pytest.raises(KindError, match="no answer"):
        await service_account_token.renew(mine, cast(KubeClient, TokenIssuer(away=True)), NOW)
    assert mine.token_file.read_text() == "secret-token\n"


async def test_renewal_continues_while_the_cluster_is_unreachable(tmp_path: Path) -> None:
    said: list[str] = []
    tries = 0

    async def pause(seconds: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await service_account_token.renew_periodically(
            ours(tmp_path), on_error=said.append, clock=lambda: NOW, sleep=pause
        )
    assert len(said) == 3
