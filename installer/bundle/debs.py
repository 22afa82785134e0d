"""Debian packages for a bare system: chosen by apt as if nothing were installed, with an index to install from."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from installer.failures import StepFailed

KEYRING_MISSING = (
    "the key of the packages of {os_id} is missing: {keyring}. Install the package {os_id}-keyring or "
    "{os_id}-archive-keyring, or copy the file from a machine of that system"
)


def collect(target: dict[str, Any], folder: Path, scratch: Path) -> None:
    """Download the target's packages with everything that they depend on into a folder, and index them.

    Raises StepFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not Path(target["keyring"]).exists():
        raise StepFailed(step="Debian packages", reason=KEYRING_MISSING.format(**target))
    options = _private_apt(target, scratch)
    _apt(target, *options, "update", "-qq", "-oAPT::Update::Error-Mode=any")
    install = ["install", "--download-only", "--yes", "-qq", "--no-install-recommends", *target["packages"]]
    _apt(target, *options, f"-oDir::Cache::archives={folder}", *install)
    (folder / "lock").unlink(missing_ok=True)
    for left in folder.glob("partial"):
        left.rmdir()
    (folder / "Packages").write_text("".join(_stanza(file) for file in sorted(folder.glob("*.deb"))), encoding="utf-8")


def _apt(target: dict[str, Any], *arguments: str) -> None:
    done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-800:]
        raise StepFailed(step="Debian packages", reason=f"{target['mirror']} (another one: --mirror URL)\n{said}")


def _private_apt(target: dict[str, Any], scratch: Path) -> list[str]:
    """Options that let apt work on a state of its own: what is installed here is of no matter."""
    for name in ("lists/partial", "archives/partial", "parts"):
        (scratch / name).mkdir(parents=True, exist_ok=True)
    lines = [line.format(**target) for line in target["sources"]]
    (scratch / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (scratch / "status").touch()
    chosen = {
        "Dir::State::status": scratch / "status",
        "Dir::State::lists": scratch / "lists",
        "Dir::Etc::sourcelist": scratch / "sources.list",
        "Dir::Etc::sourceparts": scratch / "parts",
        "Dir::Etc::preferencesparts": scratch / "parts",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Acquire::http::Timeout": "30",
    }
    return [f"-o{name}={value}" for name, value in chosen.items()]


def _stanza(file: Path) -> str:
    """One entry of a Packages file, as apt reads it."""
    fields = subprocess.run(["dpkg-deb", "-f", str(file)], check=True, capture_output=True, text=True).stdout.rstrip()  # noqa: S607
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{fields}\nFilename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n\n"


def licences(folder: Path, into: Path) -> None:
    """Each package's copyright file."""
    into.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.glob("*.deb")):
        name = file.name.split("_")[0]
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(file)], check=True, capture_output=True).stdout  # noqa: S607
        member = f"./usr/share/doc/{name}/copyright"
        found = subprocess.run(["tar", "-xO", member], input=data, capture_output=True, check=False)  # noqa: S607
        if found.returncode == 0:
            (into / f"{name}.copyright").write_bytes(found.stdout)
