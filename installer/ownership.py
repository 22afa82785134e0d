"""What each process of an installation may touch, where processes have users of their own (see installer.accounts).

The data folder and whatever root reads or writes at a start belongs to root: no process may lay a trap there.
"""

from __future__ import annotations

import pwd
from pathlib import Path

from installer import accounts
from installer.setup import layout
from installer.site import Site

HOMES = "home"
SHARED = ("spool", "scratch", "metrics", "demo-weights", "alive")
"""Folders that the API and the workers write together."""


def settle(site: Site) -> None:
    """Give everything to whom it belongs; done at every start, what is right already stays. Root's alone."""
    if site.separate:
        hand_over(site)
        return
    # The accounts may have been there at the last start.
    _tree(site.postgres_data, site.postgres_user)
    _tree(site.swift / "srv", "root")


def hand_over(site: Site) -> None:
    """Give everything to the users of the processes."""
    group = layout.USER
    accounts.give(site.data_dir, "root", 0o751, group)
    accounts.give(site.env_file.resolve(), "root", 0o640, group)
    if site.env_file.is_symlink():
        accounts.give(site.env_file.resolve().parent, "root", 0o750, group)
    accounts.give(site.data_dir / "ports.json", "root", 0o644)
    accounts.give(site.data_dir / "postgres-admin.password", "root", 0o600)
    if site.own_database:
        site.owner_password()  # made now: after the first start it would be root's until the next one
    accounts.give(site.data_dir / "postgres-owner.password", layout.USER, 0o400)  # for backups
    accounts.give(site.logs.resolve(), "root", 0o750, group)
    # The API and the commands tell by it which processes are down; systemd's UMask would keep it from them.
    ends = site.logs.resolve() / "supervisord.log"
    ends.touch()
    accounts.give(ends, "root", 0o640, group)
    accounts.give(site.run_dir.resolve(), "root", 0o751)
    for name in SHARED:
        (site.data_dir / name).mkdir(exist_ok=True)
        accounts.give(site.data_dir / name, "root", 0o770, group)
    accounts.give(site.backups, layout.USER, 0o750, group)  # the API tells when the last one was made
    _homes(site)
    _tree(site.postgres_data, accounts.of("postgres"))
    store = accounts.of("swift")
    accounts.give(site.swift, "root", 0o750, store)
    _tree(site.swift / "srv", store)
    for path in (site.swift / "etc", *(site.swift / "etc").glob("*")):  # written by root at every start
        accounts.give(path, "root", 0o750 if path.is_dir() else 0o640, store)
    if key := site.facts().get("TLS_KEY_FILE"):
        _certificate(Path(key).resolve())


def home(site: Site, program: str) -> Path:
    """Where libraries of a process may keep what they like."""
    return site.data_dir / HOMES / program.split("-", maxsplit=1)[0]


def _homes(site: Site) -> None:
    (site.data_dir / HOMES).mkdir(exist_ok=True)
    accounts.give(site.data_dir / HOMES, "root", 0o751)
    for program in accounts.SUFFIXES:
        home(site, program).mkdir(exist_ok=True)
        accounts.give(home(site, program), accounts.of(program), 0o700)


def _tree(top: Path, user: str) -> None:
    if top.exists() and top.stat().st_uid != pwd.getpwnam(user).pw_uid:
        accounts.give_all(top, user)
        top.chmod(0o700)


def _certificate(key: Path) -> None:
    """The installation's own; a key that lies elsewhere is the company's, who lets the API's user read it."""
    if key.is_relative_to(layout.CONFIG):
        accounts.give(key.parent, "root", 0o750, layout.USER)
        accounts.give(key, accounts.of("api"), 0o400)
