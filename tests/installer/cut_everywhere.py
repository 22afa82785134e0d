"""A program of test_aside.py: a restore that is killed before each change of the file system in turn.

In the place of an installation, or, with one folder alone, in nothing. Apart from pytest, because it forks.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from installer.aside import ASIDE, UNFINISHED, in_nothing, put_back, set_aside
from installer.site import Site
from tests.installer.cut import forked

NAMES = ("swift", "ports.json", "appliance.env", "postgres-owner.password")


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


def in_place(folder: Path, elsewhere: Path) -> int:
    """How often it was cut before it came to its end."""

    def restore() -> None:
        with set_aside(Site(folder), NAMES, lambda _: None):
            restored(Site(folder))

    installed(folder, elsewhere)
    old = shape(folder, elsewhere)
    cuts, whole = 0, False
    while not whole:
        site = installed(folder, elsewhere)
        whole = forked(restore, cuts)
        marked = (folder / UNFINISHED).exists()
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
    return cuts


def of_nothing(folder: Path, *, fails: bool) -> int:
    """How often it was cut before it came to its end. fails: by itself, with everything filled."""

    def restore(name: str, *, fails: bool = False) -> None:
        with suppress(KeyError), in_nothing(Site(folder), lambda _: None):
            (folder / "appliance.env").write_text("JWT_SECRET=new\n")
            _content(Site(folder), name)
            if fails:
                raise KeyError

    def is_marked_or_empty() -> bool:
        return (folder / UNFINISHED).exists() or not folder.exists() or not any(folder.iterdir())

    cuts, whole = 0, False
    while not whole:
        shutil.rmtree(folder, ignore_errors=True)
        whole = forked(lambda: restore("half", fails=fails), cuts)
        if not whole:
            assert is_marked_or_empty(), f"cut {cuts}: {shape(folder)}"
            tries = 0
            while not forked(lambda: restore("new"), tries):
                assert is_marked_or_empty(), f"cut {cuts}, then {tries}: {shape(folder)}"
                tries += 1
        assert not (folder / UNFINISHED).exists()
        there = {place.name for place in folder.rglob("*")}
        assert (
            not there & {"half", "new"} if whole and fails else ("half" in there, "new" in there) == (whole, not whole)
        )
        cuts += 1
    return cuts


def main(folder: Path, *elsewhere: Path) -> None:
    for slow in ("sync", "fsync"):  # the power stays on
        setattr(os, slow, lambda *_: None)
    if elsewhere:
        print(in_place(folder, *elsewhere))
    else:
        print(min(of_nothing(folder, fails=False), of_nothing(folder, fails=True)))


main(*map(Path, sys.argv[1:]))
