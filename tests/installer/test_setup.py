"""What can be seen of bundle, certificate, units and steps with nothing installed; the rest: make test-appliance."""

from __future__ import annotations

import configparser
import ipaddress
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from installer import certificate, service
from installer.bundle import contents, debs, seal, wheels
from installer.failures import StepFailed
from installer.setup import commission, layout, tree
from installer.setup.__main__ import Preparation, options
from installer.setup.step import Journal, Step, StepFails
from installer.setup.upgrade import Upgrade
from installer.site import Site
from tests.conftest import PASSWORD, ROOT, Running, _free_port, wait_until

UNITS = ROOT / "installer" / "templates" / "systemd"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "release").mkdir(parents=True)
    (folder / "release" / "README.md").write_text("read me")
    (folder / "install").write_text("#!/bin/sh")
    seal.seal(folder, tmp_path / "key")
    return folder


def test_a_sealed_bundle_is_sound(bundle: Path, tmp_path: Path) -> None:
    assert seal.verify(bundle) == seal.verify(bundle, tmp_path / "key.pub") == seal.fingerprint(tmp_path / "key.pub")


def test_what_was_changed_added_or_lost_is_found(bundle: Path) -> None:
    (bundle / "install").write_text("#!/bin/sh\nrm -rf /")
    with pytest.raises(seal.BundleDamaged, match="install was changed"):
        seal.verify(bundle)
    (bundle / "install").unlink()
    with pytest.raises(seal.BundleDamaged, match="install is missing"):
        seal.verify(bundle)
    (bundle / "install").write_text("#!/bin/sh")
    (bundle / "release" / "sitecustomize.py").write_text("")
    with pytest.raises(seal.BundleDamaged, match="does not belong"):
        seal.verify(bundle)


def test_a_bundle_signed_by_somebody_else_is_refused(bundle: Path, tmp_path: Path) -> None:
    seal.seal(bundle, tmp_path / "stranger")
    with pytest.raises(seal.BundleNotSigned):
        seal.verify(bundle, tmp_path / "key.pub")
    (bundle / seal.SIGNATURE).unlink()
    with pytest.raises(seal.BundleNotSigned, match="missing"):
        seal.verify(bundle)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: nothing was installed")
def test_files_named_to_the_installer_lie_where_it_was_called(bundle: Path, tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "installer" / "setup" / "install.sh", bundle / "install")
    setup = bundle / "release" / "installer" / "setup"
    setup.mkdir(parents=True)
    (setup / "__main__.py").write_text(
        "import json, os, sys; print(json.dumps([os.environ['CALL_ANALYTICS_SIGNER'], *sys.argv[1:]]))"
    )
    seal.seal(bundle, tmp_path / "key")
    called = ["sh", "bundle/install", "--join", "second.join"]
    known = {**os.environ, "CALL_ANALYTICS_SIGNER": "key.pub"}
    done = subprocess.run(called, cwd=tmp_path, env=known, capture_output=True, text=True, check=True)
    signer, *told = json.loads(done.stdout.splitlines()[-1])
    assert signer == str(tmp_path / "key.pub")
    with pytest.MonkeyPatch.context() as line:
        line.setattr(sys, "argv", ["install", *told])
        assert options().join == tmp_path / "second.join"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "is no join file"),
        ("PORT=8000\nDATABASE_URL=postgresql://a:b@127.0.0.1/c\n", "installation of its own"),
    ],
)
def test_what_cannot_join_is_refused_before_anything_is_changed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, said: str
) -> None:
    for name in ("CONFIG", "DATA", "LOGS"):
        monkeypatch.setattr(layout, name, tmp_path / name.lower())
    layout.CONFIG.mkdir()
    (layout.CONFIG / "appliance.env").write_text(settings)
    (bundle / "bundle.json").write_text(json.dumps({"version": "0.1.0", "variant": "cpu"}))
    (tmp_path / "second.join").write_text("{}")
    line = ["install", "--bundle", str(bundle), "--join", str(tmp_path / "second.join"), "--language", "en"]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(StepFails, match=said):
        Preparation(options()).refuse_join()


def test_speech_is_recognised_by_the_weights_for_it_whatever_else_is_carried_along(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONFIG", "DATA", "LOGS"):
        monkeypatch.setattr(layout, name, tmp_path / name.lower())
    (bundle / "bundle.json").write_text(json.dumps({"version": "0.1.0", "variant": "cpu"}))
    for file in ("community-1/config.yaml", "large-v3/model.bin", "qwen/model.safetensors"):  # see test_carried.py
        (bundle / "weights" / file).parent.mkdir(parents=True)
        (bundle / "weights" / file).touch()
    monkeypatch.setattr(sys, "argv", ["install", "--bundle", str(bundle)])
    settings = commission.Commissioning()._own_settings()
    assert settings["WHISPER_MODEL_PATH"] == str(layout.DATA / "models" / "large-v3")


def test_browsers_trust_the_certificate_by_its_authority_and_nothing_else(tmp_path: Path) -> None:
    shown = certificate.make(tmp_path, "calls.dealer.example", ["10.1.2.3"])
    assert len(shown.split(":")) == 32
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "server.key", "server.pem"]
    made = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("10.1.2.3") in names.get_values_for_type(x509.IPAddress)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    for name, trusted in (("calls.dealer.example", True), ("other.example", False)):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=_serve, args=(server, theirs))
        thread.start()
        try:
            with client.wrap_socket(ours, server_hostname=name):
                assert trusted
        except ssl.SSLCertVerificationError:
            assert not trusted
        finally:
            ours.close()
            thread.join()


def _serve(context: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        context.wrap_socket(connection, server_side=True).close()
    except (ssl.SSLError, OSError):
        connection.close()


def test_the_unit_files_hold() -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(UNITS / "call-analytics.service")
    unit = parsed["Service"]
    assert (unit["Type"], unit["Restart"], unit["User"]) == ("notify", "always", "root")
    # What it takes to start processes as their own users, and to see and stop them; none of it is left to them.
    assert set(unit["CapabilityBoundingSet"].split()) == {
        *("CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE")
    }
    assert unit["NoNewPrivileges"] == "true"
    assert unit["AmbientCapabilities"] == "CAP_SETUID"  # else systemd 255 takes it from root
    assert unit["OOMPolicy"] == "continue"  # supervisor starts what was killed
    # nvidia-frontend of older drivers, nvidia of newer ones, -uvm, -caps
    assert unit["DeviceAllow"] == "char-nvidia* rw"
    assert "call-analytics-gpu.service" in parsed["Unit"]["Wants"].split()
    assert float(unit["WatchdogSec"]) >= 4 * service.LOOK_EVERY_S
    assert unit["Environment"].split()[0] == f"DATA_DIR={layout.DATA}"
    assert unit["ExecStart"].startswith(str(layout.CURRENT))


def test_nothing_starts_before_an_unfinished_upgrade_came_to_its_end() -> None:
    unit = dict(
        line.split("=", 1) for line in (UNITS / tree.RESUME).read_text(encoding="utf-8").splitlines() if "=" in line
    )
    assert unit["ConditionPathExists"] == str(layout.unfinished())
    assert (unit["Before"], unit["RequiredBy"]) == ("call-analytics.service",) * 2
    assert unit["ExecStart"] == f"{layout.upgrading()}/.venv/bin/python -m installer.setup.resume unit"
    assert unit["TimeoutStartSec"] == "infinity"  # a company's own database may take an hour to fill again


def test_a_backup_is_made_every_night_and_old_ones_go() -> None:
    timer, unit = (
        dict(line.split("=", 1) for line in (UNITS / name).read_text(encoding="utf-8").splitlines() if "=" in line)
        for name in ("call-analytics-backup.timer", "call-analytics-backup.service")
    )
    assert timer["OnCalendar"].startswith("*-*-* ")
    assert timer["Persistent"] == "true"  # a machine that was off at night makes it up
    assert "call-analytics-backup.timer" in tree.UNITS  # enabled by the installation
    assert unit["ExecStart"].endswith("appliance backup make ${BACKUP_DIR} --keep ${BACKUP_KEEP}")
    assert "BACKUP_KEEP=14" in unit["Environment"]
    assert unit["User"] == layout.USER


def test_systemd_finds_no_fault_with_the_unit_files(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("NO SYSTEMD-ANALYZE here: unit files were not verified")
    for template in UNITS.iterdir():  # the program is not installed here: any other stands for it
        text = re.sub(rf"{layout.HOME}/\S+", "/bin/true", template.read_text(encoding="utf-8"))
        (tmp_path / template.name).write_text(text, encoding="utf-8")
    for template in UNITS.iterdir():
        command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / template.name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "call-analytics" not in done.stderr, done.stderr


def test_a_start_finds_its_run_folder_gone_as_systemd_leaves_it(tmp_path: Path) -> None:
    """An upgrade and a restoration start PostgreSQL while the unit is stopped, and with it its folder is removed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "run").symlink_to(tmp_path / "run" / "call-analytics")
    Site(tmp_path / "data").make_folders()
    assert (tmp_path / "run" / "call-analytics").stat().st_mode & 0o777 == 0o700


def test_readiness_is_told_to_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        service.notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    service.notify("READY=1")


def test_a_step_is_done_once_and_a_failure_names_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "log", "en", 3)
    made = tmp_path / "made"
    step = Step("шаг", "step", made.exists, made.touch)
    journal.take(step)
    journal.take(step)
    failing = Step("сбой", "failing", lambda: False, lambda: journal.run("ls", "/nowhere/at/all") and None)
    with pytest.raises(StepFails, match=r"ls /nowhere/at/all: .*No such file"):
        journal.take(failing)
    shown = capsys.readouterr().out
    assert "[ 2/3] step ... already there" in shown
    assert "[ 3/3] failing ... FAILED" in shown
    assert "No such file" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("language", ["ru", "en"])
def test_settings_that_a_new_release_refuses_are_told_before_the_old_one_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """A cap without prices was taken by 0.1.0 before, and kept the next release from starting."""
    monkeypatch.setattr(layout, "CONFIG", tmp_path)
    file = tmp_path / "appliance.env"
    for name in ("OPENAI_PRICE_INPUT", "OPENAI_PRICE_OUTPUT", "OPENAI_DAILY_COST_CAP", "ANALYSIS_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    stopped: list[str] = []
    monkeypatch.setattr(tree.Tree, "stop", lambda _: stopped.append("tree"))
    upgrade = Upgrade(Journal(tmp_path / "log", language, 9), "0.1.0", "0.2.0")
    lines = ["PORT=8000", "OPENAI_PRICE_INPUT=0", "OPENAI_PRICE_OUTPUT=0", "OPENAI_API_KEY=not-for-the-log"]
    file.write_text("\n".join([*lines, "OPENAI_DAILY_COST_CAP=20", "ANALYSIS_WORKERS=0", ""]))
    with pytest.raises(StepFails) as refused:
        upgrade.run()
    said = str(refused.value)
    for part in ("OPENAI_DAILY_COST_CAP", "OPENAI_PRICE_INPUT", "ANALYSIS_WORKERS", str(file), "0.1.0"):
        assert part in said
    assert "not-for-the-log" not in said + (tmp_path / "log").read_text()
    assert not stopped
    file.write_text("\n".join([*lines, "OPENAI_DAILY_COST_CAP=", ""]))
    for step in upgrade.checks():
        upgrade.journal.take(step)


def test_a_copy_that_an_earlier_upgrade_left_is_not_returned_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as old as that upgrade; only a copy that this one has made is put back."""
    for place in ("DATA", "CONFIG", "HOME", "RELEASES"):
        monkeypatch.setattr(layout, place, tmp_path)
    monkeypatch.setattr(layout, "CURRENT", tmp_path / "current")
    monkeypatch.setattr(layout, "point_current_at", lambda _: None)
    monkeypatch.setattr("installer.setup.upgrade.write_units", lambda _: None)
    monkeypatch.setattr(tree.Tree, "start", lambda _: None)
    monkeypatch.setattr(tree.Tree, "resume_at_starts", lambda *_: None)
    monkeypatch.setattr(tree.Tree, "follow_units", lambda _: None)
    asked: list[str] = []

    def fail(*_: object) -> None:
        raise StepFails("no")

    def database(_: Upgrade, what: str) -> None:
        asked.append(what)
        if what == "migrate":
            fail()

    monkeypatch.setattr(Upgrade, "checks", lambda _: [])
    monkeypatch.setattr(Upgrade, "_database", database)
    monkeypatch.setattr(tree.Tree, "stop", fail)
    for expected in (["forget"], ["save", "migrate", "restore"]):
        with pytest.raises(StepFails):
            Upgrade(Journal(tmp_path / "log", "en", 9), "0.1.0", "0.2.0").run()
        assert asked == expected
        asked.clear()
        monkeypatch.setattr(tree.Tree, "stop", lambda _: None)


def test_versions_are_compared_by_their_numbers() -> None:
    assert layout.numbers("0.10.0") > layout.numbers("0.9.1")
    assert layout.numbers("1.0.0") == layout.numbers("1.0.0")


def test_a_package_index_is_one_that_apt_reads(tmp_path: Path) -> None:
    control = tmp_path / "root" / "DEBIAN"
    control.mkdir(parents=True)
    fields = "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@x.example>\nDescription: tiny\n"
    (control / "control").write_text(fields)
    file = tmp_path / "tiny_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(control.parent), str(file)], check=True, capture_output=True)
    stanza = debs._stanza(file)
    assert f"SHA256: {seal.digest(file)}\n" in stanza
    assert "Filename: ./tiny_1.0_all.deb\n" in stanza
    assert stanza.endswith("\n\n")


def test_packages_that_cannot_be_had_are_said_with_the_remedy(tmp_path: Path) -> None:
    target = {"os_id": "ubuntu", "keyring": str(tmp_path / "none.gpg"), "mirror": f"file:{tmp_path}/none"}
    target |= {"sources": ["deb [signed-by={keyring}] {mirror} noble main"], "packages": ["python3"]}
    with pytest.raises(StepFailed, match="ubuntu-keyring"):
        debs.collect(target, tmp_path / "debs", tmp_path / "apt")
    (tmp_path / "none.gpg").touch()
    with pytest.raises(StepFailed, match=r"--mirror URL(?s:.)*noble"):
        debs.collect(target, tmp_path / "debs", tmp_path / "apt")


def test_a_wheel_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = tmp_path / "some.lock"
    lock.write_text("nowhere-to-be-had==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(StepFailed, match="nowhere-to-be-had"):
        wheels.collect(lock, "3.11.2", tmp_path / "wheels")


def test_a_wheel_that_two_environments_need_is_carried_once(tmp_path: Path) -> None:
    for folder, torch, other in (("wheels-vllm", "torch", "a"), ("wheels-pyannote", "torch", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "torch-1-py3-none-any.whl").write_text(torch * 100_000)
        (tmp_path / folder / "other-1-py3-none-any.whl").write_text(other * 100_000)  # built here, and not the same
    wheels.share([tmp_path / "wheels-vllm", tmp_path / "wheels-pyannote"])
    archive = tmp_path / "bundle.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "wheels-vllm", "wheels-pyannote"], check=True)
    assert archive.stat().st_size < 800_000
    (tmp_path / "there").mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path / "there"], check=True)
    assert (tmp_path / "there" / "wheels-pyannote" / "torch-1-py3-none-any.whl").read_text() == "torch" * 100_000
    assert (tmp_path / "there" / "wheels-pyannote" / "other-1-py3-none-any.whl").read_text() == "b" * 100_000


def test_a_bundle_shows_what_it_holds_and_what_each_part_adds(tmp_path: Path) -> None:
    for folder in ("wheels", "wheels-vllm"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "torch.whl").write_bytes(b"x" * 2 * 1024**2)
    (tmp_path / "bundle.json").write_text("{}")
    wheels.share([tmp_path / "wheels", tmp_path / "wheels-vllm"])
    assert [line.split() for line in contents.table(tmp_path)] == [
        ["bundle.json", "1", "0.0", "MiB"],
        ["wheels", "1", "2.0", "MiB"],
        ["wheels-vllm", "1", "0.0", "MiB"],
        ["=", "3", "2.0", "MiB"],
    ]


def test_the_diarizer_and_vllm_have_one_torch() -> None:
    """torchaudio is loaded beside no torch of another CUDA than its own, and gigabytes are carried once."""
    parts = r"^(torch|torchaudio|cuda-toolkit|nvidia-cudnn-cu\d+)==(\S+)"
    of_vllm, of_pyannote = (
        dict(re.findall(parts, (ROOT / f"requirements-{name}.lock").read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("vllm", "pyannote")
    )
    assert len(of_vllm) == 4
    assert of_pyannote == of_vllm


def test_the_target_gets_what_its_own_python_needs() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    debian, later = (wheels.needed(lock, python) for python in ("3.11.2", "3.11.7"))
    assert "async-timeout==" in debian
    assert "async-timeout==" not in later
    locked, wanted = (re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==", text, re.MULTILINE) for text in (lock, debian))
    assert len(wanted) > 100
    assert sorted(set(locked)) == wanted  # each once, in the one version that is for this Python
    entries = debian.splitlines()
    assert all(
        "--hash=" in entries[number + 1] for number, line in enumerate(entries) if line.endswith(" \\") and "==" in line
    )
    assert "python_full_version" not in debian


def test_wheels_are_taken_for_the_target_and_not_for_this_machine() -> None:
    tags = wheels._tags("3.12.3")
    options = list(zip(tags[::2], tags[1::2], strict=True))
    assert ("--python-version", "3.12") in options
    assert [value for option, value in options if option == "--abi"] == ["cp312", "abi3", "none"]
    platforms = [value for option, value in options if option == "--platform"]
    assert {"manylinux_2_17_x86_64", "manylinux_2_27_x86_64", "manylinux_2_34_x86_64"} <= set(platforms)
    assert not [name for name in platforms if name.startswith("linux")]


class Secure(Running):
    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


def _use_the_cookie(url: str, email: str) -> None:
    """Over HTTPS it is bound to this host by its very name, and one of the plain name is worth nothing."""
    with httpx.Client(base_url=url) as browser:
        answer = browser.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        first = answer.headers["set-cookie"]
        assert first.startswith("__Host-refresh_token=")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=strict"} <= set(first.split("; "))
        renewed = browser.post("/api/auth/refresh", headers={"Origin": url})
        assert renewed.status_code == 200
        planted = {"Cookie": f"refresh_token={renewed.json()['refresh_token']}"}
        assert httpx.post(url + "/api/auth/refresh", headers=planted).status_code == 401
        left = browser.post("/api/auth/logout", headers={"Authorization": f"Bearer {renewed.json()['token']}"})
        assert left.headers["set-cookie"].startswith('__Host-refresh_token=""')
        assert browser.post("/api/auth/refresh").status_code == 401


def test_several_processes_serve_one_port_over_tls(
    site: Site, people: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate.make(tmp_path, "calls.dealer.example", [])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # what httpx trusts
    own = Secure(site, _free_port())
    own.environment = {
        "API_PROCESSES": "2",
        "TLS_CERT_FILE": str(tmp_path / "server.pem"),
        "TLS_KEY_FILE": str(tmp_path / "server.key"),
    }
    try:
        own.start("api")
        parent = own.processes["api"].pid
        children = Path(f"/proc/{parent}/task/{parent}/children")
        wait_until(lambda: len(children.read_text().split()) >= 2, 60, "two processes")
        http = own.client(people["admin"])
        assert {http.get("/api/auth/me").status_code for _ in range(20)} == {200}
        assert "max-age=31536000" in http.get("/api/auth/me").headers["strict-transport-security"]
        http.close()
        _use_the_cookie(own.url, people["admin"])
    finally:
        own.stop()
