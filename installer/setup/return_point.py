"""The database as it was before an upgrade: `python -m installer.setup.return_point save|migrate|restore|forget`.

Run as the appliance's own user while the tree is down. A copy within the cluster takes seconds where a dump takes
minutes, and nothing is in it that was not in the original.
"""

from __future__ import annotations

import sys

import psycopg
from psycopg import sql

from installer import postgres, stack
from installer.setup import layout
from installer.site import Site

DATABASE, COPY = "call_analytics", "call_analytics_before_upgrade"


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
    with _administer(site) as connection:
        if _exists(connection, COPY):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(rename.format(sql.Identifier(COPY), sql.Identifier(DATABASE)))


def forget(site: Site) -> None:
    """Drop the copy."""
    with _administer(site) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(COPY)))


def main() -> None:
    """Bring PostgreSQL and the store up, do what is asked, and take them down again."""
    asked = {"save": save, "migrate": migrate, "restore": restore, "forget": forget}[sys.argv[1]]
    port = int(Site(layout.DATA).facts()["PORT"])
    site = stack.up(layout.DATA, port, lambda _: None, infrastructure_only=True)
    try:
        asked(site)
    finally:
        stack.down(layout.DATA)


if __name__ == "__main__":
    main()
