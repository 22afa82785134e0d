"""`make torture`: kill, freeze, fill and cut off an appliance at work, and count what became of its calls."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.conftest import ROOT
from tests.own_stack import small_disk
from tests.torture.run import torture


def main() -> int:
    asked = argparse.ArgumentParser(prog="make torture", description=__doc__)
    asked.add_argument("--calls", type=int, default=500, help="at least so many calls")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--outage", type=float, default=60, help="seconds that what goes away stays away")
    asked.add_argument("--disk-mb", type=int, default=2048, help="size of the disk to fill (root; in memory)")
    wanted = asked.parse_args()
    console = Console(soft_wrap=True)
    console.print(f"seed {wanted.seed}, {wanted.calls} calls; the same again: SEED={wanted.seed} CALLS={wanted.calls}")
    with tempfile.TemporaryDirectory(prefix="torture-") as made, small_disk(Path(made), wanted.disk_mb) as disk:
        if disk is None:
            console.print("no disk of its own without root: the full disk is left out", style="yellow")
        is_clean = False
        try:
            verdict = torture(
                Path(made), wanted.calls, wanted.seed, outage_s=wanted.outage, disk=disk, say=console.print
            )
            console.print(verdict.table())
            for name, found in verdict.faults.items():
                for one in found:
                    console.print(f"{name}: {one}", style="red")
            is_clean = verdict.is_clean
        finally:
            if not is_clean:
                kept = ROOT / "build" / f"torture-{wanted.seed}"
                shutil.copytree(Path(made) / "log", kept, dirs_exist_ok=True)
                console.print(f"logs: {kept}")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
