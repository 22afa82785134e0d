"""The tree under systemd: ready when the API answers, alive as long as supervisor and API do, stopped in order."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

from installer import stack, supervisor
from installer.language import spoken
from installer.site import Site

LOOK_EVERY_S = 20.0


def notify(message: str) -> None:
    """Tell systemd (sd_notify's protocol: one datagram); nothing where it did not start this process."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.connect("\0" + address[1:] if address.startswith("@") else address)
            out.send(message.encode())


def run(data_dir: Path, port: int, report: stack.Report) -> None:
    """Start the tree and stay until SIGTERM or SIGINT; then stop it. Raises as stack.up."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    site = _up(data_dir, port, report, stopping)
    if site is None:
        return
    notify("READY=1")
    while not stopping.wait(LOOK_EVERY_S):
        if _is_alive(site):
            notify("WATCHDOG=1")
    notify("STOPPING=1")
    stack.down(data_dir)


def _up(data_dir: Path, port: int, report: stack.Report, stopping: threading.Event) -> Site | None:
    """Raises as stack.up. A further machine waits for the first one's release: systemd would give up starting it."""
    if not Site(data_dir.resolve()).node:
        return stack.up(data_dir, port, report)
    from appliance.store.nodes import ReleaseDiffers

    while not stopping.is_set():
        try:
            return stack.up(data_dir, port, report)
        except ReleaseDiffers as error:
            report(error.message(spoken()))
            stopping.wait(LOOK_EVERY_S)
    stack.down(data_dir)
    return None


def _is_alive(site: Site) -> bool:
    """No sign of life for WatchdogSec makes systemd start everything anew: only for what supervisor cannot mend."""
    if site.node:
        return supervisor.is_running(site)
    try:
        stack.answer(site, "/api/health")
    except OSError:
        return False
    return supervisor.is_running(site)
