"""The short form of `make torture`: some calls and some of the faults."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.own_stack import small_disk
from tests.torture.run import torture

FAULTS = {
    "speech worker killed in the midst of transcribe",
    "analysis worker killed before publish commits",
    "API killed in the midst of a body",
    "PostgreSQL killed with all its children",
    "disk full to the last byte",
    "language model unwell (500)",
}


@pytest.mark.timeout(1500)  # two minutes on an idle machine; a start and a power cut take their time on a busy one
def test_a_torture_in_short() -> None:
    """Every call that was taken ends once, whatever happens; nothing is left behind, and nobody gets a wrong answer."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, small_disk(Path(folder), 1024) as disk:
        verdict = torture(
            Path(folder), 16, seed=7, outage_s=4, disk=disk, say=print, chosen=FAULTS.__contains__, pause_s=(0.5, 2)
        )
    assert {name: found for name, found in verdict.faults.items() if found} == {}
    assert verdict.accepted == verdict.completed + verdict.failed.total() > 0
