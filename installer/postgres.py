"""The appliance's own PostgreSQL: loopback only, on its own port, every connection with a password."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from installer.failures import PostgresMissing, StepFailed
from installer.site import Site

ADMIN = "appliance_admin"
OWNER = "appliance_owner"
DATABASE = "call_analytics"
CERTIFICATE, KEY = "nodes.pem", "nodes.key"
"""Beside the data: the server takes a key that is its own user's alone."""


def bin_dir() -> Path:
    """The newest installed server's programs. Raises PostgresMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        raise PostgresMissing
    return found[-1].parent


def as_owner(site: Site, command: list[str]) -> list[str]:
    """A command that runs as whoever owns the cluster: a start may be about to give it to another user."""
    if os.geteuid() != 0:
        return command
    owner = site.postgres_data.stat()
    return ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command]


def initialise(site: Site) -> None:
    """Create the cluster where there is none. A half-made one of an interrupted run is made anew."""
    data = site.postgres_data
    if (data / "PG_VERSION").exists() and (data / "global" / "pg_control").exists():
        return
    folder = data.parent
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["rm", "-rf", str(data)], check=True)  # noqa: S607
    data.mkdir(mode=0o700)
    secret = site.data_dir / "postgres-admin.password"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32), encoding="utf-8")
    passing = data.with_name("postgres.pw")
    passing.touch(mode=0o600)
    passing.write_text(secret.read_text(encoding="utf-8"), encoding="utf-8")
    if os.geteuid() == 0:
        for path in (data, passing):
            subprocess.run(["chown", f"{site.postgres_user}:", str(path)], check=True)  # noqa: S607
    command = [
        str(bin_dir() / "initdb"),
        *("-D", str(data), "-U", ADMIN, f"--pwfile={passing}", "-E", "UTF8", "--locale=C.UTF-8"),
        *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--data-checksums"),
    ]
    done = subprocess.run(as_owner(site, command), cwd="/", capture_output=True, text=True, check=False)
    passing.unlink()
    if done.returncode:
        raise StepFailed(step="initdb", reason=done.stderr.strip()[-400:])


def server_command(site: Site, *, alone: bool = False) -> list[str]:
    """What supervisor runs. alone: further machines are not let in."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": site.ports()["postgres"],
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": "256MB",
        "work_mem": "16MB",
        "jit": "off",  # compiling takes longer than any of our queries
        "timezone": "UTC",
    }
    if site.nodes_listen:
        options |= {
            "listen_addresses": "127.0.0.1" if alone else f"127.0.0.1,{site.nodes_listen}",
            "ssl": "on",
            "ssl_cert_file": CERTIFICATE,
            "ssl_key_file": KEY,
        }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [str(bin_dir() / "postgres"), "-D", str(site.postgres_data), *arguments]


def take_certificate(site: Site) -> None:
    """Copy what the server shows to further machines to where its user can read it."""
    if site.nodes_listen:
        owner = site.postgres_data.stat()
        for name, copy in (("server.pem", CERTIFICATE), ("server.key", KEY)):
            target = site.postgres_data / copy
            target.touch(mode=0o600)
            target.write_bytes((site.nodes_tls / name).read_bytes())
            if os.geteuid() == 0:
                os.chown(target, owner.st_uid, owner.st_gid)


def address(site: Site, user: str, password: str, database: str = DATABASE) -> str:
    """How a role reaches the server."""
    return f"postgresql://{user}:{password}@127.0.0.1:{site.ports()['postgres']}/{database}"


def admin_address(site: Site, database: str = DATABASE) -> str:
    """The superuser's address: for creating roles, for nothing else."""
    return address(site, ADMIN, (site.data_dir / "postgres-admin.password").read_text(encoding="utf-8"), database)


def owner_address(site: Site) -> str:
    """The address of the role that owns the tables: for migrations and backups. An external database has but one."""
    return address(site, OWNER, site.owner_password()) if site.own_database else site.facts()["DATABASE_URL"]


def create_database(site: Site) -> None:
    """The database, the role that owns it, and the application's role, which owns nothing.

    What an older version gave to the application's role passes to the owner.
    """
    from appliance.store.rights import WORKERS

    passwords = {OWNER: site.owner_password(), "appliance": site.facts()["POSTGRES_PASSWORD"]}
    with psycopg.connect(admin_address(site, "postgres"), autocommit=True, connect_timeout=3) as connection:
        for role, password in passwords.items():
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            # A password that was changed in its file is the role's from the next start.
            command = sql.SQL("ALTER ROLE {} PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(command.format(sql.Identifier(role), sql.Literal(password)))
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [WORKERS]).fetchone():
            connection.execute(f"CREATE ROLE {WORKERS} NOLOGIN")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            create = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(create.format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
    with psycopg.connect(admin_address(site), autocommit=True, connect_timeout=3) as connection:
        for statement in (
            f"REASSIGN OWNED BY appliance TO {OWNER}",
            f"ALTER DATABASE {DATABASE} OWNER TO {OWNER}",
            f"ALTER SCHEMA public OWNER TO {OWNER}",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {DATABASE} TO appliance, {WORKERS}",
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        ):
            connection.execute(statement)


def stop_leftover(site: Site) -> None:
    """Stop a server that outlived its supervisor."""
    if (site.postgres_data / "postmaster.pid").exists():
        command = [str(bin_dir() / "pg_ctl"), "-D", str(site.postgres_data), "-m", "fast", "-w", "-t", "30", "stop"]
        subprocess.run(as_owner(site, command), cwd="/", capture_output=True, check=False)
