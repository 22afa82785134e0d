"""Python packages for the target: what the lock names, each as a wheel, with the hashes of the bundle's own."""

from __future__ import annotations

import filecmp
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

from installer.failures import StepFailed

PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)), "manylinux2014_x86_64")
"""Of the older target's libc (Debian 12: 2.36) and below."""


def collect(lock: Path, python: str, folder: Path) -> Path:
    """Download wheels for the target, build those that are published as source alone; returns its requirements.

    python: the target's version in full; it need not be this machine's. Hashes of what is downloaded are the lock's; a
    wheel built here has a new one, so the bundle's file names its own. Raises StepFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    with tempfile.NamedTemporaryFile("w", suffix=".lock", encoding="utf-8") as wanted:
        wanted.write(needed(lock.read_text(encoding="utf-8"), python))
        wanted.flush()
        hold = ["--no-deps", "--require-hashes", "-r", wanted.name, "-d", str(folder)]
        _run([*pip, "download", "-q", *_tags(python), *hold])
    sources = [file for file in folder.iterdir() if file.suffix != ".whl"]
    for source in sources:
        _run([*pip, "wheel", "-q", "--no-deps", "-w", str(folder), str(source)])
        source.unlink()
    lines = []
    for wheel in sorted(folder.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name}=={version.replace('_', '+') if '+' not in version else version} --hash=sha256:{digest}\n")
        if re.search(r"-linux_x86_64\.whl$", wheel.name):  # what is plain Python fits any machine
            raise StepFailed(step="wheels", reason=f"{wheel.name} was compiled for this machine alone")
    target = folder / "requirements.txt"
    target.write_text("".join(lines), encoding="utf-8")
    return target


def share(folders: Iterable[Path]) -> None:
    """Let a wheel that several environments need lie in the archive once, by hard links: torch alone is gigabytes."""
    first: dict[str, Path] = {}
    for wheel in (wheel for folder in folders for wheel in sorted(folder.glob("*.whl"))):
        other = first.setdefault(wheel.name, wheel)
        if other is not wheel and filecmp.cmp(other, wheel, shallow=False):
            wheel.unlink()
            wheel.hardlink_to(other)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(step="Python packages", reason=(done.stderr or done.stdout).strip()[-800:])


def _tags(python: str) -> list[str]:
    """What pip takes for the target: its interpreter's wheels, those for any later one, and plain Python."""
    number = python.rpartition(".")[0]
    interpreter = ["--python-version", number, "--implementation", "cp"]
    abis = [f"cp{number.replace('.', '')}", "abi3", "none"]
    return [*interpreter, *_each("--abi", abis), *_each("--platform", PLATFORMS)]


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def needed(lock: str, python: str) -> str:
    """Of a lock what the target needs, without conditions: pip here would decide them by the Python that runs it.

    3.11.2 of Debian 12, say, needs packages that 3.11.3 does not.
    """
    target = {**default_environment(), "python_full_version": python, "python_version": python.rpartition(".")[0]}
    lines = []
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        head, _, hashes = entry.partition("\\\n")
        if not hashes:
            continue  # comments before the first package
        requirement = Requirement(head)
        if requirement.marker is None or requirement.marker.evaluate({k: str(v) for k, v in target.items()}):
            lines.append(f"{head.partition(';')[0].strip()} \\\n{hashes}")
    return "".join(lines)


def licences(folder: Path, into: Path) -> list[tuple[str, str, str]]:
    """Write each package's licence files; returns name, version and licence of each."""
    found = []
    for wheel in sorted(folder.glob("*.whl")):
        found.append(described(wheel))
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if re.search(r"\.dist-info/.*(licen[cs]e|copying|notice)", name, re.IGNORECASE) and not name.endswith(
                    "/"
                ):
                    target = into / found[-1][0] / Path(name).name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))
    return found


def described(wheel: Path) -> tuple[str, str, str]:
    """Name, version and licence, as a wheel itself states them."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        headers = Parser().parsestr(archive.read(metadata).decode("utf-8", "replace"), headersonly=True)
    return headers["Name"], headers["Version"], _licence(headers)


def _licence(headers: object) -> str:
    get = headers.get_all  # type: ignore[attr-defined]
    stated = (get("License-Expression") or get("License") or [""])[0].strip().splitlines()
    classes = [line.rsplit("::", 1)[1].strip() for line in get("Classifier") or [] if line.startswith("License ::")]
    short = stated[0] if stated and len(stated[0]) < 80 else ""
    return short or ", ".join(classes) or "see its files"
