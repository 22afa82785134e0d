"""The bundled object store: OpenStack Swift with its S3 interface, one device, loopback only."""

from __future__ import annotations

import os
import pwd
import secrets
import sys
from pathlib import Path

from installer import accounts
from installer.site import Site

TEMPLATES = Path(__file__).parent / "templates"
BACKENDS = ("account", "container", "object")


def configure(site: Site) -> None:
    """Write the configuration; the rings only where their ports changed, the hash salt once for ever."""
    etc, devices = site.swift / "etc", site.swift / "srv"
    for folder in (etc, devices / "d1"):
        folder.mkdir(parents=True, exist_ok=True)
    etc.chmod(0o700)
    salt = etc / "swift.conf"
    if not salt.exists():
        salt.write_text(
            f"[swift-hash]\nswift_hash_path_prefix = {secrets.token_hex(8)}\n"
            f"swift_hash_path_suffix = {secrets.token_hex(8)}\n[storage-policy:0]\nname = default\ndefault = yes\n",
            encoding="utf-8",
        )
    ports = site.ports()
    user = accounts.of("swift") if site.separate else pwd.getpwuid(os.geteuid()).pw_name
    backend = (TEMPLATES / "swift-backend.conf").read_text(encoding="utf-8")
    for server in BACKENDS:
        text = backend.format(port=ports[server], user=user, etc=etc, devices=devices, server=server)
        if server == "object":
            text += (TEMPLATES / "swift-updater.conf").read_text(encoding="utf-8").format(notes=devices / "d1")
        (etc / f"{server}.conf").write_text(text, encoding="utf-8")
        _make_ring(etc, server, ports[server])
    owner = f"user_calls_appliance = {site.facts()['S3_SECRET_KEY']} .admin"
    _write_proxy(site, "proxy", "127.0.0.1", ports["s3"], owner)
    configure_for_nodes(site)


def configure_for_nodes(site: Site) -> None:
    """The front for further machines: its own address and keys, TLS, and nothing can be written by it."""
    if site.nodes_listen:
        etc = site.swift / "etc"
        for name in ("server.pem", "server.key"):  # where the store's user can read them
            target = etc / f"nodes-{name}"
            target.touch(mode=0o600)
            target.write_bytes((site.nodes_tls / name).read_bytes())
        tls = f"cert_file = {etc}/nodes-server.pem\nkey_file = {etc}/nodes-server.key"
        readers = "\n".join(f"user_calls_{name} = {key} .admin" for name, key in site.node_keys().items())
        _write_proxy(site, "nodes", site.nodes_listen, site.ports()["nodes"], readers, tls, read_only=True)


def _write_proxy(
    site: Site, name: str, address: str, port: int, users: str, tls: str = "", *, read_only: bool = False
) -> None:
    template = (TEMPLATES / "swift-proxy.conf").read_text(encoding="utf-8")
    etc = site.swift / "etc"
    target = etc / f"{name}.conf"
    target.touch(mode=0o600)
    target.write_text(
        template.format(
            address=address,
            port=port,
            user=accounts.of("swift") if site.separate else pwd.getpwuid(os.geteuid()).pw_name,
            etc=etc,
            tls=tls,
            users=users,
            read_only=str(read_only).lower(),
        ),
        encoding="utf-8",
    )


def _make_ring(etc: Path, server: str, port: int) -> None:
    made_for = etc / f"{server}.port"
    if made_for.exists() and made_for.read_text(encoding="utf-8") == str(port):
        return
    from swift.common.ring import RingBuilder  # takes its time, and is needed once

    builder = RingBuilder(part_power=6, replicas=1, min_part_hours=1)
    where = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1"}
    builder.add_dev({**where, "weight": 1.0, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(str(etc / f"{server}.ring.gz"))
    builder.save(str(etc / f"{server}.builder"))
    made_for.write_text(str(port), encoding="utf-8")


def server_commands(site: Site, *, alone: bool = False) -> dict[str, list[str]]:
    """What supervisor runs, by program name. alone: without the front for further machines."""
    programs = {}
    for server in (*BACKENDS, "proxy"):
        programs[f"swift-{server}"] = [
            str(Path(sys.prefix) / "bin" / f"swift-{server}-server"),
            str(site.swift / "etc" / f"{server}.conf"),
        ]
    # An object that is written or removed while its container's server is away gets into the listing afterwards.
    object_server = str(site.swift / "etc" / "object.conf")
    programs["swift-updater"] = [sys.executable, "-m", "installer.object_updater", object_server]
    if site.nodes_listen and site.node_keys() and not alone:
        programs["swift-nodes"] = [programs["swift-proxy"][0], str(site.swift / "etc" / "nodes.conf")]
    return programs
