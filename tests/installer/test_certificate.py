"""The certificate: how long it is good, made anew, or the company's in its place."""

from __future__ import annotations

import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from appliance.cli import app
from appliance.services import certificates, readiness
from installer import certificate
from installer.failures import CertificateUnfit, CompanyCertificate, NoCertificate

RUN = CliRunner(env={"APPLIANCE_LANG": "en"})


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / "tls"
    certificate.make(folder, "calls.dealer.local", ["10.0.0.7"])
    return folder


@pytest.mark.parametrize(
    ("days", "problems"),
    [(31.5, set()), (29.5, {"certificate_ends"}), (0.5, {"certificate_ends"}), (-0.5, {"certificate_ended"})],
)
def test_its_end_is_told_below_thirty_days(tls: Path, days: float, problems: set[str]) -> None:
    certificate.make(tls, "calls.dealer.local", [], days)
    found = certificates.of(tls / "server.pem")
    assert found.days_left == int(days // 1)
    assert found.self_made
    of_machine = readiness.Machine(processes_down=[], processes_restarting=[], workers_silent=[], certificate=found)
    assert {name for name, is_so in readiness.problems_of(of_machine).items() if is_so} == problems


def serves(tls: Path) -> None:
    """A client that goes by the authority's file alone is answered by the host name and by the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        by = ssl.create_default_context(cafile=str(tls / "ca.pem"))
        for host in ("localhost", "127.0.0.1"):
            assert httpx.get(f"https://{host}:{server.server_port}/", verify=by).status_code == 204
    finally:
        server.shutdown()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """To nobody."""


def test_made_anew_it_keeps_its_names_and_browsers_get_another_authority(tls: Path) -> None:
    names, old = certificate.names(tls / "server.pem"), (tls / "ca.pem").read_bytes()
    fingerprint = certificate.renew(tls / "server.pem")
    assert certificate.names(tls / "server.pem") == names
    assert {"calls.dealer.local", "10.0.0.7", "127.0.0.1"} <= set(names)
    assert (tls / "ca.pem").read_bytes() != old
    assert certificate.fingerprint(tls / "ca.pem") == fingerprint
    assert (tls / "server.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tls.iterdir()) == ["ca.pem", "server.key", "server.pem"]
    serves(tls)
    certificate.renew(tls / "server.pem", "other.dealer.local", ["10.0.0.9"])
    assert {"other.dealer.local", "10.0.0.9"} <= set(certificate.names(tls / "server.pem"))


def test_the_companys_is_not_made_anew_and_takes_the_place_of_an_own(tls: Path, tmp_path: Path) -> None:
    company = tmp_path / "company"
    certificate.make(company, "calls.company.ru", [])
    certificate.put_in(company / "server.pem", company / "server.key", tls)
    assert certificate.names(tls / "server.pem")[0] == "calls.company.ru"
    assert not (tls / "ca.pem").exists()
    assert not certificates.of(tls / "server.pem").self_made
    with pytest.raises(CompanyCertificate, match="certificate install"):
        certificate.renew(tls / "server.pem")


def test_the_apis_user_reads_it_whatever_the_umask(tls: Path) -> None:
    umask = os.umask(0o077)
    try:
        certificate.renew(tls / "server.pem")
        certificate.put_in(tls / "server.pem", tls / "server.key", tls)  # from where it is already, too
    finally:
        os.umask(umask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tls.iterdir()}
    assert modes == {"server.key": 0o600, "server.pem": 0o644}


def test_a_certificate_that_does_not_do_changes_nothing(tls: Path, tmp_path: Path) -> None:
    before = (tls / "server.pem").read_bytes()
    company, ended = tmp_path / "company", tmp_path / "ended"
    certificate.make(company, "calls.company.ru", [])
    certificate.make(ended, "calls.company.ru", [], -0.5)
    torn = tmp_path / "torn.pem"
    torn.write_text("-----BEGIN CERTIFICATE-----\nx")
    for cert, key, reason in (
        (company / "server.pem", tls / "server.key", "another certificate"),
        (ended / "server.pem", ended / "server.key", "ended"),
        (torn, company / "server.key", "no PEM certificate"),
        (company / "server.pem", torn, "no PEM key"),
        (tmp_path / "none.pem", company / "server.key", "No such file"),
    ):
        with pytest.raises(CertificateUnfit, match=reason):
            certificate.put_in(cert, key, tls)
        assert (tls / "server.pem").read_bytes() == before


@pytest.fixture
def installation(tls: Path, tmp_path: Path) -> Path:
    """Nothing runs in it; its settings are where the installer puts them."""
    data = tmp_path / "data"
    data.mkdir()
    settings = tls.parent / "appliance.env"
    settings.write_text(f"PORT=8000\nTLS_CERT_FILE={tls}/server.pem\nTLS_KEY_FILE={tls}/server.key\n")
    (data / "appliance.env").symlink_to(settings)
    return data


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_ENV_FILE", "")  # so that what the command sets is taken back
    monkeypatch.setenv("DATA_DIR", "")
    monkeypatch.setattr("installer.ownership.settle", lambda _: None)


def test_the_commands(installation: Path, tls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str) -> str:
        monkeypatch.setenv("APPLIANCE_ENV_FILE", "")
        done = RUN.invoke(app, ["certificate", *arguments, "--data-dir", str(installation)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "calls.dealer.local" in run("show")
    assert "819 days left" in run("show")
    old = certificate.fingerprint(tls / "ca.pem")
    told = run("renew")
    assert certificate.fingerprint(tls / "ca.pem") in told
    assert old not in told
    assert "certificate install --cert FILE --key FILE" in told
    company = tmp_path / "company"
    certificate.make(company, "calls.company.ru", [])
    run("install", "--cert", str(company / "server.pem"), "--key", str(company / "server.key"))
    assert "calls.company.ru" in run("show")


def test_plain_http_is_said_to_be_so_and_gets_tls(
    installation: Path, tls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = installation / "appliance.env"
    settings.write_text("PORT=8000\n")
    where = ["--data-dir", str(installation)]
    with pytest.raises(NoCertificate, match="certificate install"):
        RUN.invoke(app, ["certificate", "show", *where], catch_exceptions=False)
    monkeypatch.setenv("APPLIANCE_ENV_FILE", "")
    company = tls.parent / "company"
    certificate.make(company, "calls.company.ru", [])
    files = ["--cert", str(company / "server.pem"), "--key", str(company / "server.key")]
    assert RUN.invoke(app, ["certificate", "install", *files, *where]).exit_code == 0
    assert f"TLS_CERT_FILE={tls}/server.pem" in settings.read_text()
    assert settings.samefile(tls.parent / "appliance.env"), "still the link that the installer made"
    assert certificate.names(tls / "server.pem")[0] == "calls.company.ru"
