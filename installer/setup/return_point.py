"""The database as it was before an upgrade: `python -m installer.setup.return_point save|migrate|restore|forget`.

Run as root while the tree is down. A copy within the cluster takes seconds where a dump takes
minutes, and nothing is in it that was not in the original. A company's own database, where nobody here may make a
second one, is dumped into a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
from psycopg import sql

from appliance.errors import ApplianceError
from appliance.store.nodes import UPGRADE
from installer import aside, backup, postgres, stack, supervisor
from installer.language import spoken
from installer.setup import layout
from installer.site import Site

DATABASE, COPY, FAILED = "call_analytics", "call_analytics_before_upgrade", "call_analytics_failed_upgrade"

UNFINISHED = "unfinished-return"
"""Beside a dump while it is put back: until that is whole, a start goes on with it and serves nothing."""


def _administer(site: Site) -> psycopg.Connection:
    secret = (site.data_dir / "postgres-admin.password").read_text(encoding="utf-8")
    port = site.ports()["postgres"]
    return psycopg.connect(
        host="127.0.0.1", port=port, user=postgres.ADMIN, password=secret, dbname="postgres", autocommit=True
    )


def _exists(connection: psycopg.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _owner(connection: psycopg.Connection, name: str) -> str:
    found = connection.execute("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [name]).fetchone()
    return str(found[0]) if found else postgres.ADMIN


def save(site: Site) -> None:
    """Copy the database; an older copy goes."""
    if not site.own_database:
        part = _dump(site).with_suffix(".part")
        part.touch(mode=0o600)
        dump = [str(postgres.bin_dir() / "pg_dump"), "--format=custom", f"--file={part}"]
        backup.run("pg_dump", dump, site.facts()["DATABASE_URL"])
        part.replace(_dump(site))
        return
    with _administer(site) as connection:
        forget(site)
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        names = (COPY, DATABASE, _owner(connection, DATABASE))
        connection.execute(command.format(*map(sql.Identifier, names)))


def migrate(site: Site) -> None:
    """Bring the database to this release."""
    stack.migrate(site)


def restore(site: Site) -> None:
    """Put the copy in the database's place; nothing where there is no copy: then nothing was changed yet."""
    if not site.own_database:
        if _dump(site).exists():
            _fill_again(site)
        return
    with _administer(site) as connection:
        _drop(connection, FAILED)  # a return may have been cut off after the names were changed
        if not _exists(connection, COPY):
            return
        lingering = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(lingering, [DATABASE])
        with connection.transaction():  # both or neither: where there is no database, a start makes an empty one
            if _exists(connection, DATABASE):
                _rename(connection, DATABASE, FAILED)
            _rename(connection, COPY, DATABASE)
        _drop(connection, FAILED)


def forget(site: Site) -> None:
    """Drop the copy."""
    if not site.own_database:
        _dump(site).unlink(missing_ok=True)
        _dump(site).with_suffix(".part").unlink(missing_ok=True)
        return
    with _administer(site) as connection:
        for name in (COPY, FAILED):
            _drop(connection, name)


def _drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _rename(connection: psycopg.Connection, old: str, new: str) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _dump(site: Site) -> Path:
    return site.data_dir / "before-upgrade.dump"


def finish(site: Site, report: stack.Report) -> None:
    """Where putting a dump back was cut off, put it back: the database may be empty, or half full."""
    if (site.data_dir / UNFINISHED).exists():
        report("the return to the release before was cut off: going on / возврат к прежней версии прервали: продолжаю")
        _fill_again(site)


def _fill_again(site: Site) -> None:
    """What a failed migration made goes, then everything is as the dump has it. Cut off, it is run again."""
    mark = site.data_dir / UNFINISHED
    if not mark.exists():
        aside.make_durably(mark)
    url = site.facts()["DATABASE_URL"]
    with psycopg.connect(url, connect_timeout=5) as connection:
        # Sessions of what was stopped just now may linger, and hold what is to be dropped.
        # The one that keeps further machines out lives on.
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND datname ="
        mine = "pid <> pg_backend_pid() AND application_name <> %s"
        connection.execute(f"{others} current_database() AND {mine}", [UPGRADE])
        made = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user"
        for (name,) in connection.execute(made).fetchall():
            connection.execute(sql.SQL("DROP TABLE public.{} CASCADE").format(sql.Identifier(name)))
    backup.load(_dump(site), url, "--clean", "--if-exists")
    mark.unlink()
    forget(site)


def main() -> None:
    """Bring PostgreSQL and the store up, do what is asked, and take them down again; what runs already goes on."""
    asked = {"save": save, "migrate": migrate, "restore": restore, "forget": forget}[sys.argv[1]]
    aside.put_back(Site(layout.DATA), lambda _: None)  # the port is in the settings
    site = Site(layout.DATA.resolve())
    if asked is forget and supervisor.is_running(site):
        forget(site)
        return
    stack.up(site.data_dir, int(site.facts()["PORT"]), lambda _: None, infrastructure_only=True)
    try:
        asked(site)
    finally:
        stack.down(site.data_dir)


if __name__ == "__main__":
    try:
        main()
    except ApplianceError as error:
        sys.exit(error.message(spoken()))
