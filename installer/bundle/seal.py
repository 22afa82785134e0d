"""The manifest of a bundle (sha256 of every file) and its signature, and the proof of both."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from appliance.errors import ApplianceError

MANIFEST, SIGNATURE, KEY = "manifest.sha256", "manifest.sha256.sig", "signer.pub"
IDENTITY = NAMESPACE = "call-analytics"


class BundleDamaged(ApplianceError):
    code = "bundle_damaged"
    ru = "Комплект повреждён: {reason_ru}. Скопируйте его заново"
    en = "The bundle is damaged: {reason}. Copy it again"


class BundleNotSigned(ApplianceError):
    code = "bundle_not_signed"
    ru = "Подпись комплекта не подтверждена: {reason_ru}. Не устанавливайте его"
    en = "The bundle's signature does not hold: {reason}. Do not install it"


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    sealed = {MANIFEST, SIGNATURE}
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name not in sealed)


def seal(folder: Path, key: Path) -> str:
    """Write manifest and signature; returns the signing key's fingerprint. Makes the key where there is none."""
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", IDENTITY, "-f", str(key)]
        subprocess.run(make, check=True)
    public = key.with_name(key.name + ".pub")
    (folder / KEY).write_bytes(public.read_bytes())
    lines = [f"{digest(file)}  {file.relative_to(folder)}\n" for file in _files(folder)]
    manifest = folder / MANIFEST
    manifest.write_text("".join(lines), encoding="utf-8")
    (folder / SIGNATURE).unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(manifest)]
    subprocess.run(command, check=True, capture_output=True)
    return fingerprint(public)


def fingerprint(public: Path) -> str:
    """SHA256:... of a public key, to be compared with what the vendor published."""
    command = ["ssh-keygen", "-l", "-f", str(public)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def verify(folder: Path, key: Path | None = None) -> str:
    """Check every file and the signature; returns the signer's fingerprint.

    key: the public key that the vendor gave by another way. Without it the bundle's own is used, which proves only that
    nothing was damaged: its fingerprint must then be compared by eye. Raises BundleDamaged, BundleNotSigned.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BundleDamaged(reason=f"{MANIFEST} is missing", reason_ru=f"нет {MANIFEST}")
    stated = {}
    for line in manifest.read_text(encoding="utf-8").splitlines():
        value, _, name = line.partition("  ")
        stated[name] = value
    there = {str(file.relative_to(folder)): file for file in _files(folder)}
    for name in sorted(stated.keys() ^ there.keys()):
        if name in stated:
            raise BundleDamaged(reason=f"{name} is missing", reason_ru=f"нет {name}")
        raise BundleDamaged(reason=f"{name} does not belong to it", reason_ru=f"{name} лишний")
    for name, value in stated.items():
        if digest(there[name]) != value:
            raise BundleDamaged(reason=f"{name} was changed", reason_ru=f"{name} изменён")
    public = key or folder / KEY
    signers = f"{IDENTITY} {public.read_text(encoding='utf-8')}"
    _check_signature(folder, manifest, signers)
    return fingerprint(public)


def _check_signature(folder: Path, manifest: Path, signers: str) -> None:
    if not (folder / SIGNATURE).is_file():
        raise BundleNotSigned(reason=f"{SIGNATURE} is missing", reason_ru=f"нет {SIGNATURE}")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as known, manifest.open("rb") as stream:
        known.write(signers)
        known.flush()
        options = ["-I", IDENTITY, "-n", NAMESPACE, "-s", str(folder / SIGNATURE), "-f", known.name]
        command = ["ssh-keygen", "-Y", "verify", *options]
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-200:]
        raise BundleNotSigned(reason=said, reason_ru=said)
