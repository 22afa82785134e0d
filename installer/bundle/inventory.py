"""A bundle's bill of materials, CycloneDX 1.6: all that it carries, with licence, checksum and package URL."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from appliance.engines.speech import catalogue
from installer.bundle import seal, wheels
from installer.failures import StepFailed

FILE = "sbom.cdx.json"
UNSTATED = "see its files"
OWN_LICENCE = "Apache-2.0"

EMBEDDED = {
    "analysis": "classifiers of intents, topics and outcomes, trained by this project",
    "demo": "speech weights for the sample calls, trained by this project",
    "speaker": "voice encoder of Resemblyzer 0.1.4, converted to ONNX",
}
"""Weights within the release, all under OWN_LICENCE (see the README of each)."""

CHECK = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1], encoding="utf-8").read())
sys.exit(repr(wrong)[:2000] if wrong else 0)
"""

Component = dict[str, Any]


def write(folder: Path, about: dict[str, Any]) -> Path:
    """Describe a bundle that is laid out. about: as its bundle.json. The same bundle is described by the same bytes."""
    components = sorted(
        [*_wheels(folder), *_packages(folder, about), *_weights(folder), *_embedded(folder)],
        key=lambda component: component["bom-ref"],
    )
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(about["built_at"], UTC).isoformat(),
            "component": {
                "type": "application",
                "bom-ref": "call-analytics",
                "name": "call-analytics",
                "version": about["version"],
                "licenses": [{"license": {"id": OWN_LICENCE}}],
            },
        },
        "components": components,
    }
    serial = uuid5(NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    target = folder / FILE
    target.write_text(json.dumps({**bill, "serialNumber": f"urn:uuid:{serial}"}, indent=1), encoding="utf-8")
    return target


def check(bill: Path, python: Path) -> None:
    """Hold a bill to CycloneDX's schema, by a Python that has its library. Raises StepFailed."""
    done = subprocess.run([str(python), "-c", CHECK, str(bill)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(step="SBOM", reason=done.stderr.strip()[-800:])


def _component(kind: str, name: str, version: str, licence: str, **more: Any) -> Component:
    made: Component = {"type": kind, "name": name, "version": version, **more}
    made["licenses"] = [{"license": {"name": licence}}]
    return made


def _sha256(file: Path) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": seal.digest(file)}]


def _wheels(folder: Path) -> Iterator[Component]:
    """Each file once, although several environments may have it."""
    known: set[str] = set()
    for wheel in sorted(folder.glob("wheels*/*.whl")):
        hashes = _sha256(wheel)
        ref = f"{wheel.name}#{hashes[0]['content'][:12]}"
        if ref in known:
            continue
        known.add(ref)
        name, version, licence = wheels.described(wheel)
        package = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version)}"
        yield _component("library", name, version, licence, purl=package, hashes=hashes, **{"bom-ref": ref})


def _packages(folder: Path, about: dict[str, Any]) -> Iterator[Component]:
    for file in sorted((folder / "debs").glob("*.deb")):
        asked = ["dpkg-deb", "-f", str(file), "Package", "Version", "Architecture"]
        said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        fields = dict(line.split(": ", 1) for line in said.splitlines())
        name, version = fields["Package"], fields["Version"]
        system = f"{about['os_id']}-{about['os_version']}"
        package = f"pkg:deb/{about['os_id']}/{name}@{quote(version, safe='')}"
        package += f"?arch={fields['Architecture']}&distro={system}"
        licence = stated(folder / "licences" / "debian" / f"{name}.copyright")
        more = {"purl": package, "hashes": _sha256(file), "bom-ref": file.name}
        yield _component("library", name, version, licence, **more)


def stated(copyright_file: Path) -> str:
    """The licences that a Debian package's copyright file names, each once (its machine-readable form), or UNSTATED."""
    if not copyright_file.is_file():
        return UNSTATED
    text = copyright_file.read_text(encoding="utf-8", errors="replace")
    names = [name.strip() for name in re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)]
    return ", ".join(dict.fromkeys(names)) or UNSTATED


def _weights(folder: Path) -> Iterator[Component]:
    """What the bundle carries along: the catalogue knows whence and under which licence, else the folder does."""
    for place in sorted((folder / "weights").glob("*")):
        entry = catalogue.catalogue().get(place.name)
        version = entry.revision if entry else "as carried"
        licence = entry.licence if entry else _licence_beside(place)
        more: Component = {"bom-ref": f"weights/{place.name}", "components": list(_files(place, folder))}
        if entry:
            more["purl"] = f"pkg:huggingface/{entry.repository}@{entry.revision}"
        yield _component("machine-learning-model", place.name, version, licence, **more)


def _embedded(folder: Path) -> Iterator[Component]:
    for place in sorted((folder / "release" / "weights").glob("*")):
        ref = f"release/weights/{place.name}"
        more: Component = {"bom-ref": ref, "description": EMBEDDED[place.name]}
        more["components"] = [file for file in _files(place, folder) if "/training/" not in file["name"]]
        yield _component("machine-learning-model", f"call-analytics-{place.name}", "embedded", OWN_LICENCE, **more)


def _files(place: Path, folder: Path) -> Iterator[Component]:
    for file in sorted(path for path in place.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        yield {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": _sha256(file)}


def _licence_beside(place: Path) -> str:
    """As publishers at the hub state it: `license:` at the head of the README, or a file."""
    readme = place / "README.md"
    if readme.is_file():
        head = readme.read_text(encoding="utf-8", errors="replace").split("---")[1:2]
        if found := re.search(r"^license:\s*(\S+)", "".join(head), re.MULTILINE):
            return found[1]
    return next((f"see {file.name}" for file in sorted(place.glob("LICEN[CS]E*"))), UNSTATED)
