"""The certificate that the API answers with, and how long it is good."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel, Field

from appliance.config import settings

ENDS_SOON_DAYS = 30
"""A company's authority takes days to sign the next one."""


class Certificate(BaseModel):
    """What browsers are shown."""

    not_after: datetime
    days_left: int = Field(description="Below 0: it has ended, and browsers refuse it")
    self_made: bool = Field(description="Signed by this machine's own authority: `appliance certificate renew`")


def current() -> Certificate | None:
    """None over plain HTTP, and where the file cannot be read."""
    if not settings().tls_cert_file:
        return None
    try:
        return of(Path(settings().tls_cert_file))
    except (OSError, ValueError):
        return None


def of(file: Path) -> Certificate:
    """What a PEM file's first certificate says. Raises OSError, ValueError."""
    found = x509.load_pem_x509_certificate(file.read_bytes())
    ends = found.not_valid_after_utc
    authority = file.with_name("ca.pem")
    self_made = authority.is_file() and found.issuer == x509.load_pem_x509_certificate(authority.read_bytes()).subject
    return Certificate(not_after=ends, days_left=(ends - datetime.now(UTC)).days, self_made=self_made)
