"""Growing past one machine, on the first one: what a further machine is let in by, and put out by."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
import socket
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from appliance import __version__
from appliance.config import LOOPBACK, Settings
from installer import certificate, objects, postgres, supervisor
from installer.failures import (
    AddressNotHere,
    AddressUnfit,
    FirstMachineAway,
    JoinFileUnfit,
    NodeNameUnfit,
    NotListening,
    OutOfReach,
)
from installer.site import OWN_STORE_KEY, Site

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
VALID_DAYS = 3650
"""Nothing here is looked at by a browser, and the end of a certificate would stop every further machine."""

OWN = {
    *("DATABASE_URL", "DATABASE_OWNER_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_CA_FILE"),
    *("JWT_SECRET", "SEAL_KEY", "POSTGRES_PASSWORD", "NODES_LISTEN", "NODE_NAME", "NODE_WORKERS", "DEMO"),
    *("DATA_DIR", "MODELS_DIR", "WHISPER_MODEL_PATH", "VOCABULARY_FILE", "SPEECH_DEVICE", "SPEECH_THREADS"),
    *("SPEECH_WORKERS", "SPEECH_BATCH_SIZE", "ANALYSIS_WORKERS", "GPU_DEVICE"),
    *("PYANNOTE_WEIGHTS", "PYANNOTE_PYTHON", "PYANNOTE_MEMORY_MB"),
    *("VLLM_WEIGHTS", "VLLM_SHARE", "VLLM_CONTEXT"),
}
"""Each machine has its own of these: secrets, places, and what its hardware can bear."""

SERVING = (
    *(
        "HOST",
        "PORT",
        "API_",
        "TLS_",
        "PUBLIC_",
        "TRUSTED_",
        "CORS_",
        "JWT_",
        "SESSION_",
        "FIRST_",
        "PASSWORD_",
        "LINK_",
    ),
    *("INGEST_", "MANGO_", "UIS_", "BITRIX24_", "RECORDING_", "WATCH_", "METRICS_", "RETENTION_", "QUEUE_"),
)
"""What only the API and the housekeeping read begins so; a further machine has neither, and learns none of it."""

ROLE_SETTINGS = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "idle_in_transaction_session_timeout": "15000",
}
"""A machine that was cut off in mid-transaction holds its rows, and with them everybody else, for no longer."""


@dataclass(frozen=True, slots=True)
class Join:
    """What a further machine is told.

    `authority`: the certificate (PEM) that it checks the addresses in `bundled` by; empty where nothing is bundled.
    """

    node: str
    version: str
    schema: str
    weights: str
    authority: str
    bundled: list[str]
    settings: dict[str, str]

    def write(self, file: Path) -> None:
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Join:
        """Raises JoinFileUnfit."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise JoinFileUnfit(file=str(file)) from None


def is_told(setting: str) -> bool:
    """Whether a further machine has this setting from the first one."""
    known = setting.lower() in Settings.model_fields
    return known and setting not in OWN and not setting.startswith(SERVING)


def role(name: str) -> str:
    """The database role of a node."""
    return f"node_{name}"


def check_name(name: str) -> None:
    """Raises NodeNameUnfit."""
    if not NAME.fullmatch(name):
        raise NodeNameUnfit


def address_of(said: str) -> str:
    """One address of the company's network, as people write it. Raises AddressUnfit."""
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        raise AddressUnfit(address=said) from None
    if address.is_unspecified or address.is_loopback or address.is_multicast:
        raise AddressUnfit(address=said)
    return str(address)


def listen(site: Site, said: str) -> None:
    """Let the bundled database and store serve further machines on an address of this one.

    Raises AddressUnfit, AddressNotHere.
    """
    address = address_of(said)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            raise AddressNotHere(address=said) from None
    site.change_settings(NODES_LISTEN=address)


def certify(site: Site) -> None:
    """A certificate for the address that is listened on, by an authority that machines are told when they join."""
    known, address = site.nodes_tls / "address", site.nodes_listen
    if known.exists() and known.read_text(encoding="utf-8") == address:
        return
    certificate.make(site.nodes_tls, "nodes", [address], VALID_DAYS)
    known.write_text(address, encoding="utf-8")


def check_reach(site: Site, name: str) -> None:
    """Raises OutOfReach, NotListening: what the node needs would be found on its own loopback interface."""
    facts = site.facts()
    for setting, bundled in (
        ("DATABASE_URL", site.own_database),
        ("S3_ENDPOINT", site.own_store),
        ("REDIS_URL", False),
    ):
        host = urlsplit(facts.get(setting, "")).hostname
        if not bundled and host in LOOPBACK:
            raise OutOfReach(setting=setting, host=str(host))
    if (site.own_database or site.own_store) and not site.nodes_listen:
        ports = site.ports()
        raise NotListening(name=name, database=ports["postgres"], store=ports["nodes"])


def let_in(site: Site, name: str, addresses: dict[str, str], seal_key: str, *, workers: str, schema: str) -> Join:
    """Make a node's role and keys, and open what is bundled to it. `addresses`: every node's, this one's included."""
    facts = site.facts()
    told = {key: value for key, value in facts.items() if is_told(key)}
    told |= {"NODE_NAME": name, "NODE_WORKERS": workers, "SEAL_KEY": seal_key}
    told |= {key: facts[key] for key in ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "DATABASE_URL")}
    bundled = []
    if site.nodes_listen:
        certify(site)
    if site.own_store:
        bundled.append("S3_ENDPOINT")
        key = secrets.token_hex(32)
        site.keep_node_keys(site.node_keys() | {name: key})
        objects.configure_for_nodes(site)
        account = OWN_STORE_KEY.split(":", maxsplit=1)[0]
        told |= {"S3_ENDPOINT": f"https://{_host(site)}:{site.ports()['nodes']}", "S3_SECRET_KEY": key}
        told["S3_ACCESS_KEY"] = f"{account}:{name}"
    if site.own_database:
        postgres.take_certificate(site)
    _follow(site)
    if site.own_database:
        bundled.append("DATABASE_URL")
        password = secrets.token_hex(32)
        make_role(site, name, password)
        admit(site, addresses)
        where = f"{_host(site)}:{site.ports()['postgres']}/{postgres.DATABASE}"
        told["DATABASE_URL"] = f"postgresql://{role(name)}:{password}@{where}"
    authority = (site.nodes_tls / "ca.pem").read_text(encoding="ascii") if bundled else ""
    weights = Path(facts.get("WHISPER_MODEL_PATH", "")).name
    return Join(name, __version__, schema, weights, authority, bundled, told)


def put_out(site: Site, name: str, addresses: dict[str, str]) -> None:
    """Take a node's role and keys away, and end what it is doing. `addresses`: of those that stay."""
    if site.own_database:
        admit(site, addresses)
        with psycopg.connect(postgres.admin_address(site), autocommit=True, connect_timeout=3) as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role(name)]).fetchone():
                mine = sql.Identifier(role(name))
                connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(mine))
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role(name)]
                )
                connection.execute(sql.SQL("DROP ROLE {}").format(mine))
    if site.own_store:
        site.keep_node_keys({each: key for each, key in site.node_keys().items() if each != name})
        objects.configure_for_nodes(site)
        _follow(site)


def _host(site: Site) -> str:
    return f"[{site.nodes_listen}]" if ":" in site.nodes_listen else site.nodes_listen


def _follow(site: Site) -> None:
    """Let the running tree go by the settings as they are now; the front for nodes reads its keys when it starts."""
    from installer import ownership, stack

    if os.geteuid() == 0:
        ownership.settle(site)
    supervisor.render(site)
    if not supervisor.is_running(site):
        return
    ran = {state["name"] for state in supervisor.states(site)}
    supervisor.update(site)
    if "swift-nodes" in ran.intersection(program.name for program in supervisor.programs(site)):
        supervisor.restart_program(site, "swift-nodes")
    if site.own_database:
        stack.wait_for("postgres", site, lambda: postgres.create_database(site))


def make_role(site: Site, name: str, password: str) -> None:
    """A role that may do what workers do, and nothing else."""
    from appliance.store.rights import WORKERS

    mine = sql.Identifier(role(name))
    with psycopg.connect(postgres.admin_address(site), autocommit=True, connect_timeout=3) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role(name)]).fetchone()
        made = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(made.format(mine, sql.Literal(password)))
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(WORKERS), mine))
        for setting, value in ROLE_SETTINGS.items():
            change = sql.SQL("ALTER ROLE {} SET {} = {}")
            connection.execute(change.format(mine, sql.Identifier(setting), sql.Literal(value)))
    with psycopg.connect(postgres.owner_address(site), connect_timeout=3) as connection:
        from appliance.store import rights

        rights.grant_workers(connection)


BEGINS = "# further machines, written by `appliance node`"


def admit(site: Site, addresses: dict[str, str]) -> None:
    """Each node's role is let in from its own address, over TLS, by its password; nobody else's from anywhere.

    The server writes the file itself: its folder is closed to everybody else.
    """
    with psycopg.connect(postgres.admin_address(site), autocommit=True, connect_timeout=3) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None  # noqa: S101 - there always is one
        path = str(row[0])
        kept = _lines(connection, path)
        lines = [*kept, BEGINS]
        for name, address in sorted(addresses.items()):
            length = ipaddress.ip_address(address).max_prefixlen
            lines.append(f'hostssl {postgres.DATABASE} "{role(name)}" {address}/{length} scram-sha-256')
        write = sql.SQL("COPY (SELECT unnest({}::text[])) TO {}")
        connection.execute(write.format(sql.Literal(lines), sql.Literal(path)))
        connection.execute("SELECT pg_reload_conf()")


def _lines(connection: psycopg.Connection[Any], path: str) -> list[str]:
    row = connection.execute("SELECT pg_read_file(%s)", [path]).fetchone()
    lines = str(row[0]).splitlines() if row else []
    return lines[: lines.index(BEGINS)] if BEGINS in lines else lines


def check_release(site: Site) -> None:
    """On a further machine: whether this release was written for the first one's database as it is.

    Raises ReleaseDiffers, FirstMachineAway.
    """
    from appliance.store.nodes import ReleaseDiffers, expected_schema

    url = site.facts()["DATABASE_URL"]
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.OperationalError as error:
        where = urlsplit(url)
        raise FirstMachineAway(address=f"{where.hostname}:{where.port}", reason=str(error).strip()) from None
    schema = str(row[0]) if row else ""
    if schema != expected_schema():
        raise ReleaseDiffers(theirs=schema, ours=expected_schema(), version=__version__)


def shut_out(site: Site) -> psycopg.Connection[Any]:
    """Keep further machines from calls for as long as the returned session lives; what they are at begins anew later.

    For an upgrade of the first machine, where the database is the company's: its door is not ours to close. Every node
    asks for this lock before it takes a call, and for its lease before it writes. Raises psycopg.Error.
    """
    from appliance.store.nodes import NODES, UPGRADE

    session = psycopg.connect(
        postgres.owner_address(site),
        autocommit=True,
        connect_timeout=5,
        application_name=UPGRADE,
        keepalives_idle=30,
    )
    free = "SET state = 'waiting', lease_owner = NULL, lease_until = NULL"
    theirs = "WHERE state = 'running' AND starts_with(lease_owner, %s)"
    try:
        # Of an upgrade that the power cut off the server may think for hours that it lives.
        before = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
        mine = "datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()"
        session.execute(f"{before} AND {mine}", [UPGRADE])
        session.execute("SELECT pg_advisory_lock(hashtext(%s))", [UPGRADE])
        session.execute(f"UPDATE pipelines {free}, rung_at = NULL {theirs}", [NODES])
        session.execute(f"UPDATE reanalysis_tasks {free} {theirs}", [NODES])
    except psycopg.Error:
        session.close()
        raise
    return session


def now(site: Site) -> datetime:
    """The time by the first machine's clock, which says when workers were heard."""
    with psycopg.connect(site.facts()["DATABASE_URL"], connect_timeout=5) as connection:
        row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # noqa: S101 - there always is one
    return cast("datetime", row[0])


def check_heard(site: Site, since: datetime) -> None:
    """On a further machine: whether the first one has heard each of its workers, of this release, since then.

    Raises OSError where it has not.
    """
    columns = [f"{name}_seen_at > %(since)s" for name in supervisor.application(site)]
    heard = f"SELECT {' AND '.join(columns)} FROM nodes WHERE name = %(node)s AND version = %(version)s"  # noqa: S608
    with psycopg.connect(site.facts()["DATABASE_URL"], connect_timeout=5) as connection:
        told = {"since": since, "node": site.node, "version": __version__}
        row = connection.execute(heard, told).fetchone()
    if row is None or not row[0]:
        raise OSError("the workers have not reported to the first machine")
