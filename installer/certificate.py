"""TLS: the company's certificate where there is one, else one signed by an authority made on this machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from installer.failures import CertificateUnfit, CompanyCertificate

AUTHORITY_DAYS, SERVER_DAYS = 3650, 820
"""Browsers refuse a server's certificate that is valid for more than 825 days, also from an own authority."""


def make(folder: Path, name: str, addresses: list[str], days: float = SERVER_DAYS) -> str:
    """Write ca.pem, server.pem and server.key for a host name and IP addresses; returns the authority's fingerprint.

    The authority's key is thrown away: nobody can make a second certificate that machines of the company would trust.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Call Analytics {name}"[:64])])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    hosts: list[x509.GeneralName] = [x509.DNSName(each) for each in dict.fromkeys((name, "localhost"))]
    hosts += [x509.IPAddress(ipaddress.ip_address(each)) for each in dict.fromkeys(("127.0.0.1", *addresses))]
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        _begin(issuer, issuer, authority_key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _begin(subject, issuer, server_key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(folder / "ca.pem", authority.public_bytes(pem), 0o644)
    _write(folder / "server.pem", server.public_bytes(pem), 0o644)
    _write(folder / "server.key", key, 0o600)
    return fingerprint(folder / "ca.pem")


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and with this mode whatever the caller's umask: the API is another user."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_bytes(content)
    part.chmod(mode)
    part.replace(file)


def renew(file: Path, name: str = "", addresses: Collection[str] = ()) -> str:
    """Make a self-signed certificate anew, for the names that it has or for others; returns the fingerprint.

    The authority is a new one, too: browsers need its file. Nothing is changed where that fails. Raises
    CompanyCertificate, CertificateUnfit.
    """
    old = read(file)
    authority = file.with_name("ca.pem")
    if not authority.is_file() or read(authority).subject != old.issuer:
        raise CompanyCertificate(issuer=old.issuer.rfc4514_string())
    hosts = names(file)
    kept = [each for each in hosts if _is_address(each)]
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".renewed-") as made:
        make(Path(made), name or hosts[0], list(addresses) or kept)
        for part in ("server.key", "server.pem", "ca.pem"):
            (Path(made) / part).replace(file.with_name(part))
    return fingerprint(authority)


def put_in(certificate: Path, key: Path, folder: Path) -> None:
    """Let the company's certificate with its chain, and its key, serve. Raises CertificateUnfit."""
    found = read(certificate)
    if found.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise CertificateUnfit(file=str(certificate), reason="it has ended", reason_ru="срок истёк")
    try:
        own = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no PEM key without a password"
        raise CertificateUnfit(file=str(key), reason=str(said), reason_ru="нет ключа PEM без пароля") from None
    if _public(own.public_key()) != _public(found.public_key()):
        raise CertificateUnfit(file=str(key), reason="it is another certificate's key", reason_ru="ключ не от него")
    folder.mkdir(parents=True, exist_ok=True)
    for source, name, mode in ((key, "server.key", 0o600), (certificate, "server.pem", 0o644)):
        _write(folder / name, source.read_bytes(), mode)
    (folder / "ca.pem").unlink(missing_ok=True)  # nobody goes by it any more


def read(file: Path) -> x509.Certificate:
    """The first certificate in a PEM file. Raises CertificateUnfit."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as error:
        raise CertificateUnfit(file=str(file), reason=str(error.strerror), reason_ru="не читается") from None
    except ValueError:
        raise CertificateUnfit(file=str(file), reason="no PEM certificate", reason_ru="нет сертификата PEM") from None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _public(key: Any) -> bytes:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.DER, public))


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a certificate, as browsers show it."""
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()


def names(file: Path) -> list[str]:
    """Host names and addresses that a certificate is for. Raises CertificateUnfit."""
    try:
        named = read(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts = named.get_values_for_type(x509.DNSName)
    return [*hosts, *(str(each) for each in named.get_values_for_type(x509.IPAddress))]
