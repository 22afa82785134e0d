"""Who runs what: every process as an unprivileged user of its own, which may touch what it needs and nothing else.

So it is wherever root starts the tree: an installation makes the accounts, a demonstration makes them when it first
starts. Where they cannot be made, or could not reach the program and the data, everything runs as root, but PostgreSQL,
which root hands to the user `postgres`. Whoever is not root has one user for everything.

The group may read the settings: the API, the workers and the operator's commands. The database, the store and the
language model are not in it. The operator's account is the one that commands run as; no process listens as it.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from installer.setup import layout

SUFFIXES = {
    "postgres": "db",
    "swift": "store",
    "vllm": "llm",
    "api": "api",
    "speech": "speech",
    "analysis": "analysis",
    "housekeeping": "house",
}
"""By program; the four servers of the store are one."""

SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"

OUTSIDE = ("postgres", "swift", "vllm")
"""Programs that have no business with the settings."""


def of(program: str) -> str:
    """The account of a program."""
    return f"{layout.USER}-{SUFFIXES[program.split('-', maxsplit=1)[0]]}"


def exists(user: str) -> bool:
    """Whether there is such an account on this machine."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def missing() -> list[list[str]]:
    """The commands that make what is not there yet."""
    system = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir", str(layout.DATA)]
    commands = []
    if not exists(layout.USER):
        commands.append(["useradd", *system, "--user-group", layout.USER])
    for program in SUFFIXES:
        if not exists(of(program)):
            group = ["--user-group"] if program in OUTSIDE else ["--no-user-group", "--gid", layout.USER]
            commands.append(["useradd", *system, *group, of(program)])
    return commands


def ensure(data_dir: Path, report: Callable[[str], None]) -> None:
    """Make the accounts that are missing, where root could use them. A system that takes none is left as it is."""
    if os.geteuid() != 0:
        return
    if closed := out_of_reach(data_dir):
        report(f"no users of their own, {closed} is closed to others / без отдельных пользователей: {closed} закрыта")
        return
    if commands := missing():
        report("making an account for each process / учётная запись для каждого процесса")
    for command in commands:
        # Another start beside this one may be about it, too.
        subprocess.run(command, env={**os.environ, "PATH": SBIN}, capture_output=True, check=False)


def out_of_reach(data_dir: Path) -> Path | None:
    """The uppermost folder that keeps other users from the program or the data."""
    for place in places(data_dir):
        for part in [*reversed(place.parents), place]:
            if not reachable_by("nobody", part):
                return part
    return None


def separate(data_dir: Path) -> bool:
    """Whether processes get users of their own: root asks, the accounts are there, and can reach program and data."""
    if os.geteuid() != 0 or not all(exists(of(program)) for program in SUFFIXES):
        return False
    return all(reachable_by(of(program), place) for program in SUFFIXES for place in places(data_dir))


def places(data_dir: Path) -> tuple[Path, ...]:
    """The interpreter, its packages, the program, and the folder that the data folder is in."""
    return Path(sys.prefix), Path(sys.executable).resolve().parent, Path(__file__).parent, data_dir.parent


def reachable_by(user: str, folder: Path) -> bool:
    """Whether a user may pass through every folder above."""
    account = pwd.getpwnam(user)
    groups = set(os.getgrouplist(user, account.pw_gid))
    for part in [folder, *folder.parents]:
        if part.exists():
            status = part.stat()
            shift = 6 if status.st_uid == account.pw_uid else 3 if status.st_gid in groups else 0
            if not status.st_mode >> shift & 1:
                return False
    return True


def give(path: Path, user: str, mode: int, group: str = "") -> None:
    """Make a file or folder somebody's; nothing where it is not there. A link is not followed."""
    if not path.exists() or path.is_symlink():
        return
    os.chown(path, pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid if group else pwd.getpwnam(user).pw_gid)
    path.chmod(mode)


def give_all(top: Path, user: str) -> None:
    """Make a whole tree somebody's, its top last; the modes stay."""
    account = pwd.getpwnam(user)
    for folder, _, files in os.walk(top, topdown=False):
        for path in (folder, *(os.path.join(folder, file) for file in files)):  # noqa: PTH118 - may be a million
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
