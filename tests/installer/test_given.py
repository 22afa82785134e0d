"""Settings that a company gives before the installation: read, looked at, tried for real, taken."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import psycopg
import pytest

from installer import certificate, postgres, stack
from installer.preflight import facts, given
from installer.setup import commission, layout, taken
from installer.setup.__main__ import Preparation, options
from installer.setup.step import StepFails
from installer.site import Site
from tests.conftest import ROOT
from tests.installer.test_external import foreign_database


def test_lines_are_read_as_every_program_would(tmp_path: Path) -> None:
    file = tmp_path / "given.env"
    file.write_bytes("﻿# ours\r\n\r\nexport PORT = 8443\nS3_SECRET_KEY='a b=c#d'\nREDIS_URL=\n".encode())
    assert given.read(file) == {"PORT": "8443", "S3_SECRET_KEY": "a b=c#d", "REDIS_URL": ""}


@pytest.mark.parametrize(
    "line", ["PORT", "port=1", "S3 KEY=x", "PORT=8 # ours", "PORT=${X}", "PORT='8", "PORT=1\nPORT=2"]
)
def test_what_two_programs_would_read_differently_is_refused_without_telling_it(tmp_path: Path, line: str) -> None:
    file = tmp_path / "given.env"
    file.write_text(f"S3_SECRET_KEY=hush\n{line}\n")
    with pytest.raises(given.Unreadable) as refused:
        given.read(file)
    assert f"{file}:{2 + line.count(chr(10))}" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_an_address_that_is_none_is_named_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"^DATABASE_URL is no address$"):
        list(given.parts({"DATABASE_URL": "postgresql://calls:p:hush@db:port/calls"}))
    assert list(given.parts({"S3_ENDPOINT": "https://s3.example", "REDIS_URL": ""})) == [
        ("S3_ENDPOINT", "s3.example", 443)
    ]


def test_preflight_looks_at_what_is_named_and_at_nothing_else(site: Site, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{nobody.getsockname()[1]}"
        url = foreign_database(site)
        named = {"DATABASE_URL": url, "REDIS_URL": f"redis://{away}", "HOST": "192.0.2.7"}
        machine = facts.gather((), tmp_path, measure_disk=False, settings=named)
        found = {part.setting: part for part in machine.parts}
        assert found["DATABASE_URL"].answers
        assert int(found["DATABASE_URL"].version) >= 13
        assert found["REDIS_URL"] == facts.Part("REDIS_URL", away, answers=False)
        assert not machine.listens_here
        assert "company" not in machine.dump()
        assert facts.Machine.load(machine.dump()) == machine
        file = tmp_path / "given.env"
        file.write_text("".join(f"{name}={value}\n" for name, value in named.items()))
        command = [sys.executable, "-m", "installer.preflight", "--json", "--settings", str(file)]
        done = subprocess.run(
            [*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
        )
    said = {one["check"]: one["verdict"] for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert (said["database_url"], said["redis_url"], said["host"]) == ("ok", "refuse", "refuse")
    assert "postgresql" not in said


@pytest.fixture
def company(site: Site) -> dict[str, str]:
    """A database and a store as a company gives them."""
    store = {name: value for name, value in site.facts().items() if name.startswith("S3_")}
    return {"DATABASE_URL": foreign_database(site), **store, "S3_BUCKET": "companys-own", "HOST": "127.0.0.1"}


def test_each_part_is_tried_for_real_before_anything_starts(site: Site, company: dict[str, str]) -> None:
    taken.check(company, "en")
    client, _ = stack.store_of(site)
    assert client.bucket_exists("companys-own")
    assert list(client.list_objects("companys-own", recursive=True)) == []
    client.remove_bucket("companys-own")
    for changed, said in (
        ({"DATABASE_URL": company["DATABASE_URL"].replace(":company@", ":wrong@")}, "postgresql: "),
        ({"DATABASE_URL": _without_extension(site)}, "pg_trgm is missing"),
        ({"S3_SECRET_KEY": "wrong"}, "s3: "),
        ({"S3_SECRET_KEY": ""}, "All three are needed"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "queue: "),
        ({"DATABSE_URL": "x"}, "There are no such settings: DATABSE_URL"),
        ({"DATA_DIR": "/srv"}, "The installation writes these: DATA_DIR"),
        ({"UPLOAD_MAX_BYTES": "many"}, "UPLOAD_MAX_BYTES"),
    ):
        with pytest.raises(StepFails, match=said) as refused:
            taken.check({**company, **changed}, "en")
        assert company["S3_SECRET_KEY"] not in str(refused.value)
        assert ":company@" not in str(refused.value)


def _without_extension(site: Site) -> str:
    url = foreign_database(site)
    name = url.rpartition("/")[2]
    with psycopg.connect(postgres.admin_address(site, name), autocommit=True) as connection:
        connection.execute("DROP EXTENSION pg_trgm")
    return url


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "LOGS"):
        monkeypatch.setattr(layout, name, tmp_path / name.lower())
    layout.CONFIG.mkdir()
    (tmp_path / "bundle.json").write_text(json.dumps({"version": "0.1.0", "variant": "cpu"}))
    certificate.make(tmp_path / "company", "calls.dealer.example", [])
    return tmp_path


def told(monkeypatch: pytest.MonkeyPatch, bundle: Path, *line: str) -> commission.Commissioning:
    monkeypatch.setattr(sys, "argv", ["install", "--bundle", str(bundle), "--called-from", str(bundle), *line])
    return commission.Commissioning()


def test_the_companys_settings_are_taken_and_go_before_the_plans(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, company: dict[str, str]
) -> None:
    written = {**company, "PORT": "8443", "SPEECH_WORKERS": "2", "LOCAL_LLM_URL": "http://vllm.example/v1"}
    written |= {"TLS_CERT_FILE": str(bundle / "company" / "server.pem"), "APPLIANCE_LANG": "ru"}
    written |= {"TLS_KEY_FILE": str(bundle / "company" / "server.key")}
    lines = "".join(f"{name}={value}\n" for name, value in written.items())
    (layout.CONFIG / "appliance.env").write_text(lines)
    made = told(monkeypatch, bundle)
    assert (made.chosen.port, made.chosen.language) == (8443, "ru")
    assert [step.en for step in made.steps()][:3] == ["your settings", "certificate", "settings"]
    monkeypatch.setattr(made, "_own_settings", lambda: {"DEMO": "false", "VLLM_WEIGHTS": "/w", "SPEECH_WORKERS": "3"})
    for step in made.steps()[:3]:
        assert not step.done()
        step.do()
    known = Site(layout.CONFIG).facts()
    assert {name: known[name] for name in company} == company
    assert (known["PORT"], known["SPEECH_WORKERS"]) == ("8443", "2")
    assert not {"VLLM_WEIGHTS", "APPLIANCE_LANG"} & known.keys()
    assert known["TLS_CERT_FILE"] == str(layout.CONFIG / "tls" / "server.pem")
    assert (layout.CONFIG / "tls" / "server.key").read_bytes() == (bundle / "company" / "server.key").read_bytes()
    again = told(monkeypatch, bundle)
    assert (again.chosen.given, again.chosen.port) == ({}, 8443)
    assert all(step.done() for step in again.steps()[:2])


def test_the_line_goes_before_the_file(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundle / "ours").write_text("PORT=8443\nAPPLIANCE_LANG=ru\n")
    made = told(monkeypatch, bundle, "--settings", "ours", "--port", "9000", "--language", "en")
    assert (made.chosen.port, made.chosen.language) == (9000, "en")


def test_a_file_that_cannot_be_taken_is_refused_before_anything(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "ours").write_text("PORT=8443 # ours\n")
    for line, said in (
        (("--settings", "ours"), "ours:1"),
        (("--settings", "none"), "none"),
        (("--tls-cert", "x"), "--tls-key"),
    ):
        with pytest.raises(SystemExit):
            told(monkeypatch, bundle, *line)
        assert said in capsys.readouterr().err


def test_a_line_that_is_none_and_an_address_that_is_none_are_said_in_a_sentence(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (layout.CONFIG / "appliance.env").write_text("PORT\n")
    monkeypatch.setenv("APPLIANCE_LANG", "ru")
    with pytest.raises(SystemExit):
        told(monkeypatch, bundle)
    assert "appliance.env:1: ИМЯ=ЗНАЧЕНИЕ" in capsys.readouterr().err
    (layout.CONFIG / "appliance.env").write_text("\n   \nDATABASE_URL=db.dealer.example\n")
    with pytest.raises(StepFails, match=r"^DATABASE_URL не адрес$"):
        told(monkeypatch, bundle).preparation.examine(8000)


def test_a_key_that_is_not_the_certificates_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate.make(bundle / "other", "calls.dealer.example", [])
    pair = ("--tls-cert", "company/server.pem", "--tls-key", "company/server.key")
    told(monkeypatch, bundle, *pair).preparation.refuse_certificate()
    for wrong in ("other/server.key", "company/none", "company/ca.pem"):
        with pytest.raises(StepFails, match="without a password"):
            told(monkeypatch, bundle, *pair[:3], wrong, "--language", "en").preparation.refuse_certificate()
    assert Preparation(options()).language == "en"


def test_a_start_asks_where_the_api_listens(tmp_path: Path) -> None:
    with http.server.HTTPServer(
        ("127.0.0.2", 0), partial(http.server.SimpleHTTPRequestHandler, directory=ROOT)
    ) as server:
        threading.Thread(target=server.handle_request).start()
        Site(tmp_path).env_file.write_text(f"HOST=127.0.0.2\nPORT={server.server_port}\n")
        assert b"README.md" in stack.answer(Site(tmp_path), "/")
