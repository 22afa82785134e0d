"""What a bundle says of its contents, and that the same contents make the same bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from appliance.cli import app
from installer.bundle import __main__ as building
from installer.bundle import contents, inventory, seal
from installer.failures import StepFailed
from installer.setup import __main__ as setup
from installer.setup import layout
from installer.setup.step import StepFails
from tests.conftest import ROOT

ABOUT = {"version": "0.1.0", "variant": "cpu", "os_id": "debian", "os_version": "12", "built_at": 1_760_000_000}


def wheel(file: Path, name: str, version: str, licence: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{licence}\n"
        archive.writestr(f"{name}-{version}.dist-info/METADATA", head)


def package(debs: Path, name: str, version: str) -> None:
    control = debs.parent / "root" / name / "DEBIAN"
    control.mkdir(parents=True)
    fields = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@x.example>\nDescription: x\n"
    (control / "control").write_text(fields)
    debs.mkdir(exist_ok=True)
    made = ["dpkg-deb", "--build", str(control.parent), str(debs / f"{name}_1_all.deb")]
    subprocess.run(made, check=True, capture_output=True)
    shutil.rmtree(debs.parent / "root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle that is laid out, small but of every kind of part."""
    made = tmp_path / "call-analytics-0.1.0-debian12-nvidia"
    made.mkdir()
    wheel(made / "wheels" / "Some_Thing-1.0-py3-none-any.whl", "Some_Thing", "1.0", "License-Expression: MIT")
    wheel(made / "wheels" / "other-2-py3-none-any.whl", "other", "2", "License: BSD")
    wheel(made / "wheels-vllm" / "torch-2+cu-py3-none-any.whl", "torch", "2+cu", "License: BSD")
    shutil.copy(made / "wheels" / "other-2-py3-none-any.whl", made / "wheels-vllm")
    package(made / "debs", "libtiny", "1:2.0~rc1-3+b1")
    package(made / "debs", "odd", "1")
    licences = made / "licences" / "debian"
    licences.mkdir(parents=True)
    (licences / "libtiny.copyright").write_text(
        "Files: *\nLicense: GPL-2+\n\nFiles: y\nLicense: MIT\n\nLicense: GPL-2+\n"
    )
    (made / "weights" / "large-v3").mkdir(parents=True)
    (made / "weights" / "large-v3" / "model.bin").write_text("parameters")
    (made / "weights" / "qwen").mkdir()
    (made / "weights" / "qwen" / "README.md").write_text("---\nlanguage: ru\nlicense: apache-2.0\n---\nA model\n")
    for name in inventory.EMBEDDED:
        (made / "release" / "weights" / name).mkdir(parents=True)
        (made / "release" / "weights" / name / "file").write_text(name)
    (made / "bundle.json").write_text(json.dumps(ABOUT))
    return made


def listed(folder: Path) -> dict[str, Any]:
    bill = json.loads(inventory.write(folder, ABOUT).read_text())
    return {component["bom-ref"]: component for component in bill["components"]}


def test_everything_that_is_carried_is_listed_once_with_its_licence(folder: Path) -> None:
    found = list(listed(folder).values())
    assert all(component["licenses"] for component in found)
    by_url = {component["purl"]: component for component in found if "purl" in component}
    tiny = by_url["pkg:deb/debian/libtiny@1%3A2.0~rc1-3%2Bb1?arch=all&distro=debian-12"]
    assert tiny["licenses"] == [{"license": {"name": "GPL-2+, MIT"}}]
    assert tiny["hashes"] == [{"alg": "SHA-256", "content": seal.digest(folder / "debs" / "libtiny_1_all.deb")}]
    assert by_url["pkg:pypi/some-thing@1.0"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert "pkg:pypi/torch@2%2Bcu" in by_url
    names = [component["name"] for component in found]
    assert names.count("other") == 1
    assert {"odd", "large-v3", "qwen", "call-analytics-demo", "call-analytics-speaker"} <= set(names)
    weights = {c["name"]: c for c in found if c["type"] == "machine-learning-model"}
    assert weights["large-v3"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert weights["large-v3"]["purl"].startswith("pkg:huggingface/Systran/faster-whisper-large-v3@")
    assert weights["qwen"]["licenses"] == [{"license": {"name": "apache-2.0"}}]
    [file] = weights["large-v3"]["components"]
    assert file["hashes"][0]["content"] == seal.digest(folder / "weights" / "large-v3" / "model.bin")
    assert contents.counts(folder) == {"python": 3, "debian": 2, "weights": 5}


def test_weights_of_this_release_are_all_known() -> None:
    there = {place.name for place in (ROOT / "weights").iterdir() if place.is_dir()}
    assert there == set(inventory.EMBEDDED)


def test_the_same_bundle_is_described_and_packed_by_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    digests = []
    for number in range(2):
        inventory.write(folder, ABOUT)
        for moment, file in enumerate(folder.rglob("*")):
            os.utime(file, (time.time() - number * 1000, moment + number))
            file.chmod(file.stat().st_mode & 0o700 | (0o22 if number else 0))  # as another umask would have it
        archive = tmp_path / "out.tar"
        building.pack(folder, archive, ABOUT["built_at"])
        digests.append(seal.digest(archive))
    assert digests[0] == digests[1]
    assert not list(tmp_path.glob("*.part"))
    (folder / "bundle.json").write_text("{}")
    building.pack(folder, archive, ABOUT["built_at"])
    assert seal.digest(archive) != digests[0], "the older archive is replaced"


def test_a_moment_is_that_of_the_sources() -> None:
    assert building._moment() == building._moment() < time.time()


def test_the_bill_holds_to_the_schema(folder: Path) -> None:
    if not building.CHECKER.exists():
        pytest.skip("NO CYCLONEDX: make .venv-bundle/.installed")
    bill = inventory.write(folder, ABOUT)
    inventory.check(bill, building.CHECKER)
    wrong = json.loads(bill.read_text())
    wrong["components"][0]["type"] = "nonsense"
    bill.write_text(json.dumps(wrong))
    with pytest.raises(StepFailed, match="SBOM"):
        inventory.check(bill, building.CHECKER)


def test_verifying_shows_what_there_is(folder: Path, tmp_path: Path) -> None:
    inventory.write(folder, ABOUT)
    seal.seal(folder, tmp_path / "key")
    done = CliRunner(env={"APPLIANCE_LANG": "en"}).invoke(app, ["bundle", "verify", str(folder)])
    assert done.exit_code == 0, done.output
    assert "Python packages: 3, Debian packages: 2, weights: 5 (sbom.cdx.json)" in done.output
    assert "Every file is sound" in done.output
    rows = {line.split()[0]: line.split()[1:] for line in done.output.splitlines() if line.startswith("  ")}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert rows["="][0] == str(len(files))
    assert rows["wheels-vllm"][0] == "2"


@pytest.fixture
def installed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> setup.Preparation:
    """The release of the bundle is laid down and can run."""
    for name in ("CONFIG", "DATA", "LOGS", "RELEASES"):
        monkeypatch.setattr(layout, name, tmp_path / name.lower())
    layout.RELEASES.mkdir()
    layout.CONFIG.mkdir()
    seal.seal(folder, tmp_path / "key")
    monkeypatch.setattr(sys, "argv", ["install", "--bundle", str(folder), "--language", "en"])
    preparation = setup.Preparation(setup.options())
    preparation._copy_release()
    return preparation


def test_the_same_bundle_again_is_there_already(installed: setup.Preparation) -> None:
    assert installed._has_release()
    (installed.release / ".venv").mkdir()
    (installed.release / ".venv" / ".complete").touch()
    installed.refuse_other_build()


def test_another_build_of_a_version_that_serves_is_refused_with_the_way(
    installed: setup.Preparation, folder: Path, tmp_path: Path
) -> None:
    (installed.release / ".venv").mkdir()
    (installed.release / ".venv" / ".complete").touch()
    (folder / "release" / "new.py").write_text("")
    seal.seal(folder, tmp_path / "key")
    with pytest.raises(StepFails, match=r"--version 0\.1\.0\+1"):
        installed.refuse_other_build()
    assert layout.numbers("0.1.0+1") > layout.numbers("0.1.0"), "so it comes in as an upgrade"


def test_another_build_takes_the_place_of_one_that_was_cut_off(
    installed: setup.Preparation, folder: Path, tmp_path: Path
) -> None:
    (installed.release / "left.py").write_text("of the first build")
    (folder / "release" / "new.py").write_text("")
    seal.seal(folder, tmp_path / "key")
    installed.refuse_other_build()
    assert not installed._has_release()
    installed._copy_release()
    assert installed._has_release()
    assert (installed.release / "new.py").exists()
    assert not (installed.release / "left.py").exists()
