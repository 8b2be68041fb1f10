"""The sandbox's TLS certificate: kubectl sends its token only over TLS.

It is created on this machine for 127.0.0.1 and localhost, its key never leaves
the sandbox's folder, and only the sandbox's own kubeconfig trusts it.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.files import write_private

_LIFETIME = timedelta(days=800)
_RENEW_BEFORE = timedelta(days=30)
_DUE = "renew-after"


def ensure_certificate(folder: Path, now: datetime) -> tuple[Path, Path]:
    """The certificate and its key; created if missing or about to expire."""
    certificate, key, due = folder / "cluster.crt", folder / "cluster.key", folder / f"cluster.{_DUE}"
    if not (certificate.exists() and key.exists() and _good(due, now)):
        # `_make` loads a library that takes longer to import than the rest of a start.
        pem, key_pem = _make(now)
        write_private(key, key_pem)
        write_private(certificate, pem)
        write_private(due, (now + _LIFETIME - _RENEW_BEFORE).isoformat() + "\n")
    return certificate, key


def _good(due: Path, now: datetime) -> bool:
    try:
        return now < datetime.fromisoformat(due.read_text().strip())
    except (OSError, ValueError):
        return False


def _make(now: datetime) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "c8s sandbox")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The certificate must be valid even if the clock is set back.
        .not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now.astimezone(UTC) + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem.decode()
