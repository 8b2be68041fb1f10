"""The certificate of the webhook: made, kept in a Secret that all replicas share, and renewed in time."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from controller import labels
from controller.kube import SECRETS, AlreadyExistsError, ConflictError, KubeClient, NotFoundError
from controller.tls_certificate import make_certificate

Json = dict[str, Any]

LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
SECRET = "c8s-admission"  # noqa: S105 - the name of a Secret
_CERTIFICATE, _KEY, _TRUSTED = "tls.crt", "tls.key", "trusted.crt"
_ATTEMPTS = 5
_log = logging.getLogger("c8s.admission")


@dataclass(frozen=True, repr=False)
class Certificate:
    """What the server shows, and what its clients trust: this certificate and those before it that are still valid."""

    certificate: str
    private_key: str
    trusted: str

    def is_fit(self, names: Sequence[str], addresses: Sequence[str], now: datetime) -> bool:
        """Whether it is for these names and addresses, and valid for long enough."""
        from cryptography import x509

        try:
            found = x509.load_pem_x509_certificate(self.certificate.encode())
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, x509.ExtensionNotFound):
            return False
        known = {*alternatives.get_values_for_type(x509.DNSName)}
        known |= {str(each) for each in alternatives.get_values_for_type(x509.IPAddress)}
        is_valid = found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW_BEFORE
        return is_valid and {*names, *addresses} <= known


class CertificateStore:
    """Keeps the certificate in the Secret `c8s-admission`. `now`: the wall clock."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        names: Sequence[str],
        addresses: Sequence[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._names = names
        self._addresses = addresses
        self._now = now

    async def ensure(self) -> Certificate:
        """The certificate of today; made or renewed if need be. Raises KubeError."""
        for _ in range(_ATTEMPTS):
            try:
                stored = await self._client.get(SECRETS, SECRET, self._namespace)
            except NotFoundError:
                stored = None
            known = _read(stored)
            if known is not None and known.is_fit(self._names, self._addresses, self._now()):
                return known
            new = self._make(known)
            try:
                await self._write(stored, new)
            except (AlreadyExistsError, ConflictError, NotFoundError):
                # Another replica was quicker: what it made is as good.
                continue
            _log.info("the certificate of the admission webhook was %s", "renewed" if known else "made")
            return new
        raise ConflictError(f"the Secret {SECRET} keeps being changed by others", status=409)

    def _make(self, known: Certificate | None) -> Certificate:
        certificate, key = make_certificate(SECRET, self._names, self._addresses, self._now(), LIFETIME)
        # Replicas show the one before for a while.
        before = _valid(known.trusted, self._now()) if known is not None else []
        return Certificate(certificate, key, "".join([certificate, *before]))

    async def _write(self, stored: Json | None, new: Certificate) -> None:
        values = {_CERTIFICATE: new.certificate, _KEY: new.private_key, _TRUSTED: new.trusted}
        data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
        if stored is not None:
            await self._client.update(SECRETS, {**stored, "data": data})
            return
        metadata = {"name": SECRET, "namespace": self._namespace, "labels": {labels.MANAGED_BY: labels.MANAGER}}
        await self._client.create(SECRETS, {"metadata": metadata, "type": "Opaque", "data": data}, self._namespace)


def _read(secret: Json | None) -> Certificate | None:
    """The certificate in a Secret; None if it is damaged."""
    data = (secret or {}).get("data") or {}
    try:
        values = [base64.b64decode(data[name]).decode() for name in (_CERTIFICATE, _KEY, _TRUSTED)]
    except (KeyError, ValueError):
        return None
    return Certificate(*values)


def _valid(bundle: str, now: datetime) -> list[str]:
    """The certificates of a bundle that are not expired, the last few."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(bundle.encode())
    except ValueError:
        return []
    return [each.public_bytes(Encoding.PEM).decode() for each in found if each.not_valid_after_utc > now][:3]
