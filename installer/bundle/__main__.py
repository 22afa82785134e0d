"""`python -m installer.bundle`: build the archive for one target. Needs apt, pip and git; shows what it holds."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from appliance import __version__
from installer import weights
from installer.bundle import contents, debs, inventory, seal, wheels
from installer.failures import StepFailed
from installer.preflight import plan

ROOT = Path(__file__).parent.parent.parent
TARGETS = tomllib.loads((Path(__file__).parent / "targets.toml").read_text(encoding="utf-8"))
CHECKER = ROOT / ".venv-bundle" / "bin" / "python"
VARIANTS = {
    "cpu": {"wheels": "requirements.lock"},
    "nvidia": {
        "wheels": "requirements-gpu.lock",
        "wheels-vllm": "requirements-vllm.lock",
        "wheels-pyannote": "requirements-pyannote.lock",
    },
}
"""The environments of each variant: a folder of wheels each, and the lock that names them."""


def command_line() -> argparse.ArgumentParser:
    """What a bundle may be told."""
    options = argparse.ArgumentParser(prog="make bundle", description=__doc__)
    options.add_argument("--target", choices=TARGETS, default="debian12")
    options.add_argument("--variant", choices=VARIANTS, default="cpu")
    options.add_argument("--weights", type=Path, action="append", default=[], help="a folder of weights to carry along")
    options.add_argument(
        "--profile", choices=plan.profiles()[0], help="carry what this memory profile names, from --models"
    )
    options.add_argument(
        "--models", type=Path, default=Path("/var/lib/call-analytics/models"), help="folder of weights"
    )
    options.add_argument("--key", type=Path, default=Path.home() / ".config" / "call-analytics" / "signing-key")
    options.add_argument("--out", type=Path, default=ROOT / "dist")
    options.add_argument("--mirror", help="the target's package mirror, where it is not the usual one")
    options.add_argument("--version", default=__version__)
    return options


def main() -> None:
    options = command_line()
    chosen = options.parse_args()
    for path in chosen.weights:
        if not path.is_dir():
            options.error(f"--weights {path}: there is no such folder")
    try:
        if chosen.profile:
            chosen.weights += weights_of(chosen.profile, chosen.models)
        make(chosen)
    except StepFailed as failure:
        sys.exit(f"\n{failure}\nNo bundle was made.")


def weights_of(profile: str, models: Path) -> list[Path]:
    """The folders that hold what a memory profile names. Raises StepFailed where one is missing, or holds another kind.

    A diarizer's may have any name: its publisher lets nobody pass it on, so each company has its own.
    """
    wanted = plan.profiles()[0][profile]
    kinds = {wanted["speech"]: "speech", wanted.get("language_model"): "language model"}
    names = [name for name in kinds if name and name != "demo"]
    missing = [name for name in names if weights.kind(models / name) != kinds[name]]
    if missing:
        raise StepFailed(
            step="weights",
            reason=f"{models} has no such weights in a folder {', '.join(missing)}: `appliance weights fetch`, "
            "or the language model from its publisher",
        )
    folders = [models / name for name in names]
    if wanted["diarizer"] != "built-in":
        found = sorted(folder for folder in models.iterdir() if weights.kind(folder) == "diarizer")
        folders += found[:1]
        if not found:
            _say("no diarizer's weights are carried: the built-in one will serve")
    return folders


def make(chosen: argparse.Namespace) -> None:
    """Build, sign and pack. Raises StepFailed."""
    if not CHECKER.exists():
        raise StepFailed(step="SBOM", reason="cyclonedx-bom is not installed: make bundle installs it")
    # What is built here, a wheel of a source, bears this time instead of its own.
    os.environ["SOURCE_DATE_EPOCH"] = str(_moment())
    name = f"call-analytics-{chosen.version}-{chosen.target}-{chosen.variant}"
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        folder = Path(scratch) / name
        target = dict(TARGETS[chosen.target])
        if chosen.mirror:
            target["mirror"] = chosen.mirror
        target["packages"] = target["packages"] + target.get(f"packages_{chosen.variant}", [])
        build(folder, target, chosen, Path(scratch))
        fingerprint = seal.seal(folder, chosen.key)
        chosen.out.mkdir(parents=True, exist_ok=True)
        archive = chosen.out / f"{name}.tar"
        _say("packing")
        pack(folder, archive, _moment())
        sys.stdout.write("".join(f"{line}\n" for line in contents.table(folder)))
    _say(f"{archive}: {archive.stat().st_size / 1024**2:.0f} MiB, signed by {fingerprint}")


def build(folder: Path, target: dict[str, Any], chosen: argparse.Namespace, scratch: Path) -> None:
    """Lay everything out in a folder."""
    folder.mkdir()
    _release(folder, chosen.version)
    _say("Debian packages")  # the first to fail, where they cannot be had
    debs.collect(target, folder / "debs", scratch / "apt")
    debs.licences(folder / "debs", folder / "licences" / "debian")
    locks = VARIANTS[chosen.variant]
    listed = []
    for name, lock in locks.items():
        _say(f"Python packages of {lock}")
        into = folder / name
        wheels.collect(ROOT / lock, target["python"], into)
        listed += wheels.licences(into, folder / "licences" / "python")
    wheels.share(folder / name for name in locks)
    table = "".join(f"{package}\t{version}\t{licence}\n" for package, version, licence in sorted(set(listed)))
    (folder / "licences" / "python.tsv").write_text(table, encoding="utf-8")
    (folder / "weights").mkdir()
    for path in chosen.weights:
        shutil.copytree(path, folder / "weights" / path.name)
    about = {
        "version": chosen.version,
        "variant": chosen.variant,
        "os_id": target["os_id"],
        "os_version": target["os_version"],
        "built_at": _moment(),
        "packages": target["packages"],
    }
    (folder / "bundle.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    _say("bill of materials")
    inventory.check(inventory.write(folder, about), CHECKER)


def _moment() -> int:
    """When what is built was committed, in seconds since 1970: the same sources make the same bundle at any time."""
    asked = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def pack(folder: Path, archive: Path, moment: int) -> None:
    """One archive: of the same files always the same bytes. One that is there is replaced when the new one is whole."""
    same = ["--sort=name", "--format=gnu", f"--mtime=@{moment}", "--owner=0", "--group=0", "--numeric-owner"]
    part = archive.with_name(f"{archive.name}.part")
    command = ["tar", "-cf", str(part), *same, "--mode=u+rwX,go+rX,go-w", "-C", str(folder.parent), folder.name]
    subprocess.run(command, check=True)
    part.replace(archive)


def _release(folder: Path, version: str) -> None:
    """The files under version control, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)  # noqa: S607
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = folder / "release" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    project = folder / "release" / "pyproject.toml"
    text = project.read_text(encoding="utf-8").replace(f'version = "{__version__}"', f'version = "{version}"', 1)
    project.write_text(text, encoding="utf-8")
    shutil.copy2(ROOT / "installer" / "setup" / "install.sh", folder / "install")
    (folder / "install").chmod(0o755)


def _say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
