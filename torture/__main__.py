"""`python -m torture [CALLS]`: send calls and break things at random until all are accepted, then count.

Every call has an Idempotency-Key and is sent until it is answered with 200 or refused as malformed, as a telephone
exchange would. SEED=... repeats the order of events, not their timing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx

from installer import supervisor
from tests.conftest import ROOT, upload
from tests.own_stack import Own, doubled, ended, orphans, own_stack

PAUSE_S = (3.0, 8.0)
FROZEN_S = 10.0
RESERVE_MB = 400
DISK_MB = 2500
PATIENCE_S = 1500.0
SAMPLES = sorted(file for file in (ROOT / "samples").glob("*-*.*") if file.suffix in {".wav", ".mp3", ".m4a"})


class Torture:
    def __init__(self, own: Own, calls: int, seed: int, *, full_disk: bool) -> None:
        self.own, self.calls = own, calls
        self.random = random.Random(seed)
        self.accepted: list[str] = []
        self.seen: Counter[str] = Counter()
        self.done = threading.Event()
        self.events: list[Callable[[], str]] = (
            [self.kill] * 6 + [self.freeze] * 2 + [self.kill_supervisor, self.cut_power]
        )
        self.events += [self.fill_disk] if full_disk else []

    def send_all(self) -> None:
        left = list(range(self.calls))
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    if not left:
                        return
                    number = left.pop()
                self.send(number)

        with ThreadPoolExecutor(3) as pool:
            for one in [pool.submit(work) for _ in range(3)]:
                one.result()

    def send(self, number: int) -> None:
        """Until it is accepted, or refused for what it is."""
        file = SAMPLES[number % len(SAMPLES)]
        content = file.read_bytes()
        malformed = number % 10 == 9
        if malformed:
            content = content[: len(content) // 3] if number % 20 == 9 else content[500:900] + b"\0" * number
        while True:
            answer = None
            with suppress(httpx.TransportError, AssertionError), self.own.client() as http:
                http.timeout = httpx.Timeout(20)
                answer = upload(http, (file.name, content), idempotency_key=f"torture-{number}")
            self.seen[str(answer.status_code) if answer is not None else "no answer"] += 1
            if answer is not None and answer.status_code == 200:
                self.accepted.append(answer.json()["id"])
                return
            if answer is not None and malformed and answer.status_code in {415, 422}:
                return
            assert answer is None or answer.status_code in {503, 507}, answer.text
            time.sleep(1)

    def break_things(self) -> None:
        while not self.done.wait(self.random.uniform(*PAUSE_S)):
            event = self.random.choice(self.events)
            try:
                name = event()
            except Exception as error:  # noqa: BLE001 - supervisor may be away in that moment
                name = f"(not possible: {type(error).__name__})"
            print(f"  {time.strftime('%H:%M:%S')} {event.__name__} {name}; accepted {len(self.accepted)}", flush=True)
            self.own_up()

    def own_up(self) -> None:
        """What the service manager of the machine does: start supervisor where it is not there."""
        if not supervisor.is_running(self.own.site):
            self.own.up()

    def kill(self) -> str:
        name = self.random.choice([*supervisor.APPLICATION, *supervisor.APPLICATION, *supervisor.INFRASTRUCTURE])
        self.own.signal(name, signal.SIGKILL)
        return name

    def freeze(self) -> str:
        name = self.random.choice(["postgres", "swift-proxy", "swift-object"])
        self.own.signal(name, signal.SIGSTOP)
        self.done.wait(FROZEN_S)
        self.own.signal(name, signal.SIGCONT)
        return name

    def kill_supervisor(self) -> str:
        pid = int((self.own.site.run_dir / "supervisord.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        return str(pid)

    def cut_power(self) -> str:
        self.own.cut_power()
        return "everything"

    def fill_disk(self) -> str:
        filler = self.own.site.data_dir / "filler"
        free = shutil.disk_usage(self.own.site.data_dir).free
        subprocess.run(["fallocate", "-l", str(max(1, free - 100 * 2**20)), str(filler)], check=True)
        self.done.wait(FROZEN_S)
        filler.unlink()
        return "for a while"


def report(torture: Torture, own: Own) -> bool:
    accepted = sorted(set(torture.accepted))
    became = ended(own, accepted, PATIENCE_S)
    completed = sum(state == "completed" for state in became.values())
    reasons = Counter(state.split(":")[1] for state in became.values() if state != "completed")
    twice = doubled(own, accepted)
    known = {row[0] for row in own.query("SELECT id::text FROM calls")}
    lost = [call for call in accepted if call not in known or call not in became]
    strangers = sorted(known - set(accepted))
    left = orphans(own) + strangers
    print("\n| what | count |\n|---|---|")
    for what, count in (
        ("accepted", len(accepted)),
        ("completed", completed),
        (f"failed with a reason {dict(reasons) or ''}".strip(), sum(reasons.values())),
        ("lost", len(lost)),
        ("doubled", len(twice)),
        ("orphans", len(left)),
    ):
        print(f"| {what} | {count} |")
    print(f"\nanswers on the way: {dict(torture.seen)}")
    return not (lost or twice or left) and completed + sum(reasons.values()) == len(accepted)


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(os.environ.get("SEED") or random.SystemRandom().randint(0, 10**6))
    print(f"{calls} calls, SEED={seed}")
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "torture", str(folder)], check=False, capture_output=True
        ).returncode
    )
    print(f"a disk of {DISK_MB} MB that is filled up" if mounted else "no small disk: needs root and mount")
    try:
        with own_stack(folder, DISK_RESERVE_MB=str(RESERVE_MB)) as own:
            torture = Torture(own, calls, seed, full_disk=mounted)
            with ThreadPoolExecutor(1) as pool:
                breaking = pool.submit(torture.break_things)
                try:
                    torture.send_all()
                finally:
                    torture.done.set()
                breaking.result()
            print("everything was sent; waiting for the ends", flush=True)
            good = report(torture, own)
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
