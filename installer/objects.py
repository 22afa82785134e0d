"""The bundled object store: OpenStack Swift with its S3 interface, one device, loopback only."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
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
        (etc / f"{server}.conf").write_text(text, encoding="utf-8")
        _make_ring(etc, server, ports[server])
    proxy = (TEMPLATES / "swift-proxy.conf").read_text(encoding="utf-8")
    target = etc / "proxy.conf"
    target.touch(mode=0o600)
    target.write_text(
        proxy.format(port=ports["s3"], user=user, etc=etc, secret=site.facts()["S3_SECRET_KEY"]), encoding="utf-8"
    )


def _make_ring(etc: Path, server: str, port: int) -> None:
    made_for = etc / f"{server}.port"
    if made_for.exists() and made_for.read_text(encoding="utf-8") == str(port):
        return
    builder = str(etc / f"{server}.builder")
    Path(builder).unlink(missing_ok=True)
    tool = str(Path(sys.prefix) / "bin" / "swift-ring-builder")
    for arguments in (["create", "6", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
        subprocess.run([tool, builder, *arguments], check=True, capture_output=True)
    made_for.write_text(str(port), encoding="utf-8")


def server_commands(site: Site) -> dict[str, list[str]]:
    """What supervisor runs, by program name."""
    programs = {}
    for server in (*BACKENDS, "proxy"):
        programs[f"swift-{server}"] = [
            str(Path(sys.prefix) / "bin" / f"swift-{server}-server"),
            str(site.swift / "etc" / f"{server}.conf"),
        ]
    return programs
