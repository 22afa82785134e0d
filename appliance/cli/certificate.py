"""`appliance certificate`: how long it is good, another one of this machine's own, or the company's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli import operate
from appliance.cli.language import ours
from appliance.cli.stack import DataDir

if TYPE_CHECKING:
    from installer.site import Site

app = typer.Typer(no_args_is_help=True, help="The certificate of TLS / Сертификат TLS.")

OWN_FOLDER = "tls"


@app.command("show")
def show_current(data_dir: DataDir = Path("var")) -> None:
    """Show for whom it is and until when / Показать, для кого и до какого дня сертификат."""
    from appliance.services import certificates
    from installer import certificate

    file = _file(operate.adopt(data_dir))
    found = certificates.of(file)
    typer.echo(f"{file}: {', '.join(certificate.names(file))}")
    typer.echo(f"{certificate.read(file).issuer.rfc4514_string()}, {operate.until(found)}")
    if found.self_made:
        authority = file.with_name("ca.pem")
        typer.echo(f"{authority}: SHA-256 {certificate.fingerprint(authority)}")


@app.command()
def renew(
    name: Annotated[str, typer.Option(help="Another name for browsers / Другое имя машины для браузеров")] = "",
    address: Annotated[
        list[str] | None, typer.Option(help="Other addresses (IP) instead of those in it / Другие адреса IP")
    ] = None,
    data_dir: DataDir = Path("var"),
) -> None:
    """Make the self-signed certificate and its authority anew / Выпустить собственный сертификат заново."""
    from installer import certificate

    site = operate.adopt(data_dir)
    file = _file(site)
    fingerprint = certificate.renew(file, name, address or ())
    _serve(site)
    authority = file.with_name("ca.pem")
    said = (
        f"Сертификат выпущен. Раздайте браузерам новый {authority}, отпечаток SHA-256: {fingerprint}",
        f"The certificate is made. Give browsers the new {authority}, SHA-256 fingerprint: {fingerprint}",
    )
    typer.echo(ours(said))
    said = (
        "Сертификат предприятия вместо него: appliance certificate install --cert ФАЙЛ --key ФАЙЛ",
        "The company's in its place: appliance certificate install --cert FILE --key FILE",
    )
    typer.echo(ours(said))


@app.command()
def install(
    cert: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="PEM with its chain / Сертификат PEM с цепочкой")
    ],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Its key, PEM / Его ключ, PEM")],
    data_dir: DataDir = Path("var"),
) -> None:
    """Let the company's certificate serve / Поставить сертификат предприятия."""
    from installer import certificate

    site = operate.adopt(data_dir)
    folder = site.env_file.resolve().parent / OWN_FOLDER
    certificate.put_in(cert, key, folder)
    files = {"TLS_CERT_FILE": str(folder / "server.pem"), "TLS_KEY_FILE": str(folder / "server.key")}
    if any(site.facts().get(name) != file for name, file in files.items()):
        site.change_settings(**files)
    _serve(site)
    typer.echo(ours((f"Сертификат стоит: {cert}", f"The certificate serves: {cert}")))


def _file(site: Site) -> Path:
    from installer.failures import NoCertificate

    if file := site.facts().get("TLS_CERT_FILE"):
        return Path(file)
    raise NoCertificate


def _serve(site: Site) -> None:
    """Hand the key to the API's user, and let a running API read it."""
    import os

    from installer import ownership, supervisor

    if os.geteuid() == 0:
        ownership.settle(site)
    if supervisor.is_running(site):
        supervisor.restart_program(site, "api")
