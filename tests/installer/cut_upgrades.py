"""A program of test_unfinished.py: an upgrade that is killed before each change of the file system in turn.

Apart from pytest, because it forks. Processes and database are files here: a release that runs writes its name down,
migrates and takes in a call; one that is older than the database does not start. In test_unfinished.py they are real.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from installer.setup import layout, upgrade
from installer.setup.step import Journal, StepFails
from installer.setup.tree import RESUME, Tree, facts
from installer.setup.unfinished import Mark
from installer.setup.upgrade import Upgrade
from tests.installer.cut import forked

OLD, NEW = "0.1.0", "0.2.0"
AGAIN = 5
"""What comes next is cut off after so many more changes each time; from cut to cut at other ones."""


def installed(top: Path, *, node: bool) -> None:
    shutil.rmtree(top, ignore_errors=True)
    for name in ("CONFIG", "DATA", "LOGS", "HOME", "UNITS"):
        setattr(layout, name, top / name.lower())
        getattr(layout, name).mkdir(parents=True)
    layout.COMMAND = top / "command"
    layout.RELEASES, layout.CURRENT = layout.HOME / "releases", layout.HOME / "current"
    for version in ("0.0.9", OLD, NEW):
        templates = layout.RELEASES / version / "installer" / "templates" / "systemd"
        templates.mkdir(parents=True)
        for unit in ("call-analytics.service", RESUME):
            (templates / unit).write_text(version)
            (layout.UNITS / unit).write_text(OLD)
    layout.point_current_at(OLD)
    (layout.CONFIG / "appliance.env").write_text("NODE_NAME=second\n" if node else "")
    write("database", schema=OLD, calls=["old"])
    write("copy", schema="0.0.9", calls=["ancient"])  # of an upgrade that could not forget it
    write("running", version=OLD)


def write(name: str, **content: Any) -> None:
    part = layout.DATA / f"{name}.part"
    part.write_text(json.dumps(content))
    part.replace(layout.DATA / name)


def read(name: str) -> dict[str, Any]:
    file = layout.DATA / name
    return json.loads(file.read_text()) if file.exists() else {}


class Processes(Tree):
    def __init__(self, journal: Journal) -> None:
        self.journal, self.by_systemd = journal, False

    def start(self) -> None:
        serve()

    def stop(self) -> None:
        (layout.DATA / "running").unlink(missing_ok=True)


def serve(*_: Any) -> None:
    version, database = layout.current_version(), read("database")
    if "NODE_NAME" in facts():  # whose first machine has been upgraded already
        write("running", version=version)
        return
    if version < database["schema"]:
        raise StepFails(f"{version} cannot read the database of {database['schema']}")
    write("running", version=version)
    write("database", schema=version, calls=[*database["calls"], version])


class Filed(Upgrade):
    def __init__(self, *, sound: bool) -> None:
        super().__init__(Journal(layout.LOGS / "log", "en", 0), OLD, NEW)
        self.tree, self.sound = Processes(self.journal), sound

    def _database(self, what: str) -> None:
        if what == "save":
            write("copy", **read("database"))
        elif what == "migrate":
            for _ in range(2):
                write("database", schema=NEW, calls=[])
            write("database", schema=NEW, calls=read("copy")["calls"])
        elif what == "restore" and read("copy"):
            write("database", schema=OLD, calls=[])
            (layout.DATA / "copy").replace(layout.DATA / "database")
        elif what == "forget":
            (layout.DATA / "copy").unlink(missing_ok=True)

    def _prove_first(self) -> None:
        if not self.sound or read("running") != {"version": NEW}:
            raise StepFails("it does not answer")

    _prove_node = _prove_first

    def checks(self) -> list[Any]:
        return []


def run(*, sound: bool) -> None:
    try:
        Filed(sound=sound).run()
    except StepFails:
        assert not sound


def resume(*, sound: bool) -> None:
    if mark := Mark.read():
        Filed(sound=sound).resume(mark)


def cut(top: Path, *, sound: bool, power: bool, node: bool) -> int:
    """How many cuts there are. sound: the new release serves. power: every process dies with the upgrade."""
    cuts, whole, ends = 0, False, set()
    while not whole:
        installed(top, node=node)
        whole = forked(lambda: run(sound=sound), cuts)
        marked = whole or Mark.read() is not None
        if power:
            Processes.stop(None)  # type: ignore[arg-type]
        served = NEW in read("database")["calls"] and sound
        tried = (Mark.read() or Mark(OLD, NEW)).phase == "tried"
        after = cuts % AGAIN
        while not forked(lambda: resume(sound=sound), after):
            tried = tried or (Mark.read() or Mark(OLD, NEW)).phase == "tried"
            after += AGAIN
        if not read("running"):
            serve()
        where = f"cut {cuts}, sound: {sound}, power: {power}, node: {node}"
        version = layout.current_version()
        ends.add(version)
        assert not layout.unfinished().exists(), where
        assert read("running") == {"version": version}, where
        assert read("database")["schema"] == (OLD if node else version), where
        assert read("database")["calls"][0] == "old", where
        assert {(layout.UNITS / unit).read_text() for unit in ("call-analytics.service",)} == {version}, where
        assert node or not (marked and read("copy")), where
        assert sound or version == OLD, where
        if served and not tried:  # what it took in is kept
            assert version == NEW, where
        if whole:
            assert version == (NEW if sound else OLD), where
        cuts += 1
    assert ends == ({OLD, NEW} if sound else {OLD}), ends
    return cuts


def main(top: Path) -> None:
    for slow in ("sync", "fsync"):  # the power stays on
        setattr(os, slow, lambda *_: None)
    Journal._print = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    upgrade.stack.up = serve  # type: ignore[assignment]
    upgrade.stack.down = Processes.stop  # type: ignore[assignment]
    upgrade.supervisor.is_running = lambda _: bool(read("running"))
    both = (True, False)
    cuts = [cut(top, sound=sound, power=power, node=False) for sound in both for power in both]
    cuts += [cut(top, sound=sound, power=True, node=True) for sound in both]
    sys.stdout.write(f"{min(cuts)}\n")


main(Path(sys.argv[1]))
