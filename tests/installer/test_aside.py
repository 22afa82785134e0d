"""What a restore takes the place of comes back, wherever the restore was cut off."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import aside
from installer.failures import HalfRestored, NotEmpty, RestoreCutOff, RestoreRuns
from installer.site import Site
from tests.conftest import ROOT, let_in


@pytest.mark.parametrize("elsewhere", ["/tmp", "/dev/shm"])
def test_killed_before_any_change_it_is_all_there_again(elsewhere: str) -> None:
    """With the settings on the same disk, and on another one."""
    if not Path(elsewhere).is_dir():
        pytest.skip(f"there is no {elsewhere}")
    with tempfile.TemporaryDirectory(prefix="aside-") as here, tempfile.TemporaryDirectory(dir=elsewhere) as there:
        let_in(Path(here))
        command = [sys.executable, "-m", "tests.installer.cut_everywhere", f"{here}/data", f"{there}/etc"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 12


def test_a_restore_that_runs_is_not_undone_by_a_start() -> None:
    with tempfile.TemporaryDirectory(prefix="aside-") as here:
        let_in(Path(here))
        site = Site(Path(here).resolve())
        (site.data_dir / "ports.json").write_text("{}")
        with aside.set_aside(site, ("ports.json",), lambda _: None):
            with pytest.raises(RestoreRuns):
                aside.put_back(site, lambda _: None)
            with pytest.raises(RestoreRuns):
                aside.check(site)
            assert not (site.data_dir / "ports.json").exists()
        aside.check(site)


def test_killed_before_any_change_there_is_nothing_or_it_is_marked() -> None:
    """In an empty folder, while it is filled and while what failed is removed; the next one leaves nothing of it."""
    with tempfile.TemporaryDirectory(prefix="aside-") as here:
        let_in(Path(here))
        command = [sys.executable, "-m", "tests.installer.cut_everywhere", f"{here}/data"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


@pytest.fixture
def site() -> Iterator[Site]:
    """A folder that holds nothing yet."""
    with tempfile.TemporaryDirectory(prefix="aside-") as here:
        let_in(Path(here))
        yield Site(Path(here).resolve())


def test_one_restore_at_a_time_fills_a_folder(site: Site) -> None:
    with aside.in_nothing(site, lambda _: None):
        (site.data_dir / "ports.json").write_text("{}")
        with pytest.raises(RestoreRuns), aside.in_nothing(site, lambda _: None):
            pass
        with pytest.raises(RestoreRuns):
            aside.put_back(site, lambda _: None)
        assert (site.data_dir / "ports.json").exists()
    aside.check(site)
    with pytest.raises(NotEmpty), aside.in_nothing(site, lambda _: None):
        pass


def test_what_was_cut_off_is_nobodys_and_the_remedy_is_told(site: Site) -> None:
    mark = site.data_dir / aside.UNFINISHED
    mark.touch()
    for asked in (lambda: aside.check(site), lambda: aside.put_back(site, lambda _: None)):
        with pytest.raises(HalfRestored) as half:
            asked()
        for language in ("ru", "en"):
            for part in ("appliance backup restore", "appliance down", str(site.data_dir)):
                assert part in half.value.message(language)
    mark.write_text("{}")
    with pytest.raises(RestoreCutOff):
        aside.check(site)
    with pytest.raises(NotEmpty), aside.in_nothing(site, lambda _: None):
        pass
    aside.put_back(site, lambda _: None)
    aside.check(site)


def test_who_is_tried_by_a_restore_ends_with_it(site: Site) -> None:
    """The lock is what tells: a restore that dies lets go of it."""
    ended = threading.Event()
    with aside.in_nothing(site, lambda _: None):
        aside.check_tried(site, ended.set)
        assert not ended.wait(0.3)
    assert ended.wait(10)
    (site.data_dir / aside.UNFINISHED).touch()
    with pytest.raises(HalfRestored):
        aside.check_tried(site, ended.set)
