"""A program of test_aside.py: a restore that is killed before each change of the file system in turn.

Apart from pytest, because it forks.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from installer.aside import ASIDE, UNFINISHED, put_back, set_aside
from installer.site import Site

NAMES = ("swift", "ports.json", "appliance.env", "postgres-owner.password")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.copyfile"}
CUT = 9


def installed(folder: Path, elsewhere: Path) -> Site:
    """An installation whose settings lie elsewhere, as in production, and that has no file of one of the names."""
    for place in (folder, elsewhere):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o755)
    site = Site(folder)
    (elsewhere / "appliance.env").write_text("JWT_SECRET=old\n")
    site.env_file.symlink_to(elsewhere / "appliance.env")
    (folder / "ports.json").write_text("{}")
    _content(site, "old")
    return site


def restored(site: Site) -> None:
    site.env_file.write_text("JWT_SECRET=new\n")
    (site.data_dir / "postgres-owner.password").write_text("new")
    _content(site, "new")


def _content(site: Site, of: str) -> None:
    for place in (site.swift / "srv" / of, site.data_dir / "postgres" / of):
        place.parent.mkdir(parents=True)
        place.write_text(of)
    (site.data_dir / "postgres" / "PG_VERSION").write_text("15")


def shape(*folders: Path) -> dict[str, str | None]:
    """Every file and link with its content."""
    return {str(p): p.read_text() if p.is_file() else None for folder in folders for p in sorted(folder.rglob("*"))}


def forked(work: Any, after: int) -> bool:
    """Do it in a process that dies before change number `after`; whether it came to its end."""
    child = os.fork()
    if not child:
        left = [after]

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or writes:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(CUT)

        sys.addaudithook(count)
        work()
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in {0, CUT}, ended
    return ended == 0


def main(folder: Path, elsewhere: Path) -> None:
    for slow in ("sync", "fsync"):  # the power stays on
        setattr(os, slow, lambda *_: None)

    def restore() -> None:
        with set_aside(Site(folder), NAMES, lambda _: None):
            restored(Site(folder))

    installed(folder, elsewhere)
    old = shape(folder, elsewhere)
    cuts, whole = 0, False
    while not whole:
        site = installed(folder, elsewhere)
        whole = forked(restore, cuts)
        marked = (folder / ASIDE / UNFINISHED).exists()
        assert not (whole and marked)
        tries = 0
        while not forked(lambda: put_back(Site(folder), lambda _: None), tries):
            tries += 1
        kept = str(folder / ASIDE)
        left = {path: said for path, said in shape(folder, elsewhere).items() if not path.startswith(kept)}
        if whole:
            assert site.env_file.read_text() == "JWT_SECRET=new\n"
            assert (folder / ASIDE / "appliance.env").read_text() == "JWT_SECRET=old\n"
        else:
            assert left == old, f"cut {cuts}, marked: {marked}: {left.keys() ^ old.keys()}"
        cuts += 1
    print(cuts)


main(Path(sys.argv[1]), Path(sys.argv[2]))
