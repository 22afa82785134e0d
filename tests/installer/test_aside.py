"""What a restore takes the place of comes back, wherever the restore was cut off."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from installer import aside
from installer.failures import RestoreRuns
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
            assert not (site.data_dir / "ports.json").exists()
