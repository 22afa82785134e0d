"""What a restore takes the place of: moved aside until the restore is whole, and put back where it does not become so.

A mark that is on disk before the first change says what lies where. Whatever ends the restore (a failure, a connection
that is cut, kill -9, the power), whoever starts the installation or restores next finds it and puts back first. Where
there was nothing before, nobody works with the half that is there: only another restore, which begins by removing it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from installer import signals, supervisor
from installer.durable import sync_folder
from installer.failures import HalfRestored, NotEmpty, RestoreCutOff, RestoreRuns
from installer.site import Site

ASIDE = "before-restore"
"""Where what was there waits; after a restore that is whole until it is removed by hand or by the next one."""

UNFINISHED = "unfinished-restore"
"""The mark in the data folder: by each place that is filled anew where its content waits, null where there was none.

Empty where the whole folder was.
"""

SCRATCH = "restore-"
"""What folders begin with that a restore copies a backup's files to, one by one."""


def put_back(site: Site, report: Callable[[str], None]) -> None:
    """Where a restore was cut off, stop what it left and put back what was there. Raises RestoreRuns, HalfRestored."""
    mark = site.data_dir / UNFINISHED
    if not mark.exists():
        return
    with _held(mark):
        if mark.stat().st_size == 0:
            raise _half(site)
        report("a restore was cut off: putting back what was there / восстановление прервали: прежнее возвращается")
        for scratch in site.data_dir.glob(f"{SCRATCH}*"):
            _remove(scratch)
        _put_back(site, mark)


def check(site: Site) -> None:
    """Nobody works with what is not restored as a whole. Raises RestoreRuns, HalfRestored, RestoreCutOff."""
    mark = site.data_dir / UNFINISHED
    if mark.exists():
        with _held(mark, fcntl.LOCK_SH):  # may be asked by several at once
            raise RestoreCutOff if mark.stat().st_size else _half(site)


def check_tried(site: Site, end: Callable[[], object]) -> None:
    """As check; but who is tried by a restore that runs may go on, until that ends: `end` is called then."""
    try:
        check(site)
    except RestoreRuns:
        threading.Thread(target=_await_end, args=(site, end), name="restore", daemon=True).start()


def _await_end(site: Site, end: Callable[[], object]) -> None:
    with suppress(FileNotFoundError), (site.data_dir / UNFINISHED).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    end()


def _half(site: Site) -> HalfRestored:
    places = [site.data_dir] if _is_inside(site) else [site.data_dir, site.postgres_data.parent]
    return HalfRestored(folder=str(site.data_dir), places=" ".join(map(str, places)))


def _is_inside(site: Site) -> bool:
    try:
        return site.postgres_data.is_relative_to(site.data_dir)
    except PermissionError:  # where only the database's own user can look, it is beside the rest
        return True


@contextmanager
def in_nothing(site: Site, report: Callable[[str], None]) -> Iterator[None]:
    """The data folder is this restore's until the block ends; where that fails there is nothing again.

    What a restore that was cut off left goes first. Raises NotEmpty, RestoreRuns.
    """
    mark = site.data_dir / UNFINISHED
    if not mark.exists():
        if site.data_dir.exists() and any(site.data_dir.iterdir()):
            raise NotEmpty(folder=str(site.data_dir))
        site.data_dir.mkdir(parents=True, exist_ok=True)
        make_durably(mark)
    with _held(mark):
        if mark.stat().st_size:  # an installation waits to be put back
            raise NotEmpty(folder=str(site.data_dir))
        if len(list(site.data_dir.iterdir())) > 1:
            report("a restore was cut off: removing what it left / восстановление прервали: убираю его остатки")
        _clear(site)
        try:
            yield
        except BaseException:
            with signals.undisturbed():
                _clear(site)
                os.sync()
                mark.unlink()
                with suppress(OSError):  # a file system of its own
                    site.data_dir.rmdir()
            raise
        os.sync()
        mark.unlink()


def _clear(site: Site) -> None:
    """Nothing runs and nothing is there but the mark, which goes after everything else."""
    supervisor.stop(site)
    if not _is_inside(site):
        _remove(site.postgres_data.parent)
    for place in site.data_dir.iterdir():
        if place.name != UNFINISHED:
            _remove(place)


@contextmanager
def set_aside(site: Site, names: tuple[str, ...], report: Callable[[str], None]) -> Iterator[None]:
    """The database and these files of an installation are aside; they come back where the block fails."""
    supervisor.stop(site)  # what outlived its supervisor, too
    aside, database = site.data_dir / ASIDE, site.postgres_data
    # The settings may be a link that leads elsewhere: the link stays, what it leads to is moved.
    moves = {place.resolve(): aside / place.name for place in (site.data_dir / each for each in names)}
    moves[database] = database.with_name(f"{database.name}-{ASIDE}")  # on its own disk, with its own user
    for kept in (aside, moves[database]):
        _remove(kept)
    aside.mkdir(mode=0o700)
    mark = site.data_dir / UNFINISHED
    _write_durably(mark, aside, {str(place): str(kept) if place.exists() else None for place, kept in moves.items()})
    with _held(mark):
        try:
            for place, kept in moves.items():
                if place.exists():
                    _move(place, kept)
            yield
        except BaseException:
            with suppress(OSError):  # of a connection that was cut: nobody reads it
                report("that failed: putting back what was there / не удалось: прежнее возвращается")
            _put_back(site, mark)
            raise
        os.sync()  # what is new must be as safe as the old before nothing leads back
        mark.unlink()


def _put_back(site: Site, mark: Path) -> None:
    """May be cut off at any point, and run again."""
    with signals.undisturbed():
        supervisor.stop(site)
        moves: dict[str, str | None] = json.loads(mark.read_text(encoding="utf-8"))
        for place, kept in moves.items():
            if kept is None:
                _remove(Path(place))
            elif Path(kept).exists():  # else it was never moved, or is back already
                _remove(Path(place))
                _move(Path(kept), Path(place))
            for left in _halves(Path(place)):
                _remove(left)
        if str(site.postgres_data) not in moves:
            _remove(site.postgres_data)
        os.sync()
        mark.unlink()
        _remove(site.data_dir / ASIDE)


def _move(place: Path, kept: Path) -> None:
    """Whole or not at all; between disks both are there for a moment, never a half of either."""
    try:
        place.rename(kept)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return
    part, gone = _halves(kept)[0], _halves(place)[1]
    for left in (part, gone):
        _remove(left)
    if place.is_dir():
        shutil.copytree(place, part, symlinks=True)
    else:
        shutil.copy2(place, part)
    os.sync()
    part.rename(kept)
    place.rename(gone)
    _remove(gone)


def _halves(place: Path) -> tuple[Path, Path]:
    """What is not yet there as a whole, and what is no longer."""
    return place.with_name(f"{place.name}.part"), place.with_name(f"{place.name}.gone")


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def make_durably(mark: Path) -> None:
    """An empty file, for everybody to see. Raises RestoreRuns where another restore was quicker."""
    try:
        with mark.open("x") as file:
            mark.chmod(0o644)
            os.fsync(file.fileno())
    except FileExistsError:
        raise RestoreRuns from None
    sync_folder(mark.parent)


def _write_durably(mark: Path, aside: Path, moves: dict[str, str | None]) -> None:
    part = aside / f"{mark.name}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump(moves, file)
        file.flush()
        part.chmod(0o644)  # the processes, where those are other users, are to see it
        os.fsync(file.fileno())
    part.rename(mark)
    sync_folder(mark.parent)


@contextmanager
def _held(mark: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """A restore that runs holds its mark; the lock ends with the process. Raises RestoreRuns."""
    with ExitStack() as opened:
        try:
            fcntl.flock(opened.enter_context(mark.open()), how | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):  # or it has ended just now
            raise RestoreRuns from None
        yield
