"""supervisor: keeps the processes running, and is asked over its socket how they are."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from appliance.config import card_environment
from installer import accounts, objects, ownership, postgres, vllm
from installer.failures import StepFailed
from installer.setup import layout
from installer.site import Site

TEMPLATES = Path(__file__).parent / "templates"
MARK = "CALL_ANALYTICS_SITE"
"""Variable that every process of an installation carries."""

COMPILED = Path(cache_from_source(str(Path(__file__).parent.parent / "appliance" / "worker.py")))
"""Beside the program only root may keep compiled modules; where it has not, each process keeps its own."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the tree. Lower priorities start first and stop last."""

    name: str
    command: list[str]
    priority: int
    autostart: bool = True
    stop_signal: str = "TERM"
    stop_wait_s: int = 10
    group: bool = True
    user: str = ""
    umask: str = "077"
    environment: dict[str, str] = field(default_factory=dict)


GIVING_WAY = ("nice", "-n", "10")
"""How workers begin: whoever waits for an answer goes before what computes for minutes."""

INFRASTRUCTURE = ("postgres", "swift-account", "swift-container", "swift-object", "swift-proxy", "swift-updater")
APPLICATION = ("housekeeping", "analysis", "speech", "api")


def application(site: Site) -> tuple[str, ...]:
    """The appliance's own processes here, in the order of their start. A further machine has workers alone."""
    if not site.node:
        return APPLICATION
    wanted = site.facts().get("NODE_WORKERS", "speech,analysis").split(",")
    return tuple(name for name in ("analysis", "speech") if name in {each.strip() for each in wanted})


def programs(site: Site, *, alone: bool = False) -> list[Program]:
    """The whole tree, in the order of its start. alone: further machines are not served."""
    separate = site.separate
    server_user = site.postgres_user if os.geteuid() == 0 else ""
    tree = []
    if site.own_database:
        database = postgres.server_command(site, alone=alone)
        # INT is PostgreSQL's fast shutdown; its own children must not be signalled beside it.
        tree.append(Program("postgres", database, 10, stop_signal="INT", stop_wait_s=30, group=False, user=server_user))
    if site.own_store:
        servers = objects.server_commands(site, alone=alone)
        tree += [Program(name, command, 20) for name, command in servers.items()]
    if language_model := vllm.server_command(site):
        # Minutes until it answers, which nobody waits for: analyses are tried again until it does.
        tree.append(Program("vllm", language_model, 20, stop_wait_s=30, environment=vllm.environment(site)))
    appliance = str(Path(sys.prefix) / "bin" / "appliance")
    for name in application(site):
        command = [appliance, "api"] if name == "api" else [*GIVING_WAY, appliance, "worker", name]
        tree.append(Program(name, command, 30, autostart=False, stop_signal="INT", stop_wait_s=30))
    return [_separated(site, program) for program in tree] if separate else tree


def _separated(site: Site, program: Program) -> Program:
    """The same program as its own user. What it makes is readable and writable to those who share it with it."""
    home = ownership.home(site, program.name)
    environment = {**program.environment, "HOME": str(home)}
    if not COMPILED.exists():
        environment["PYTHONPYCACHEPREFIX"] = str(home / "compiled")
    umask = "077" if program.name.split("-")[0] in accounts.OUTSIDE else "007"
    return replace(program, user=accounts.of(program.name), environment=environment, umask=umask)


def render(site: Site, *, alone: bool = False) -> Path:
    """Write supervisor's configuration. alone: as `programs` has it."""
    head = (TEMPLATES / "supervisor.conf").read_text(encoding="utf-8")
    body = (TEMPLATES / "program.conf").read_text(encoding="utf-8")
    card = card_environment(site.facts().get("GPU_DEVICE", ""))
    text = head.format(
        logs=site.logs,
        run=site.run_dir,
        data_dir=site.data_dir,
        env_file=site.env_file,
        card="".join(f',{name}="{value}"' for name, value in card.items()),
        as_root="user = root" if os.geteuid() == 0 else "",
        # Commands ask as the operator; no other process may stop its neighbours.
        asked_by=f"chown = {layout.USER}:{layout.USER}" if site.separate else "",
    )
    for program in programs(site, alone=alone):
        text += body.format(
            name=program.name,
            command=shlex.join(program.command).replace("%", "%%"),
            directory="/" if program.user else site.data_dir,
            priority=program.priority,
            autostart=str(program.autostart).lower(),
            stop_signal=program.stop_signal,
            stop_wait_s=program.stop_wait_s,
            group=str(program.group).lower(),
            logs=site.logs,
            user=f"user = {program.user}" if program.user else "",
            umask=program.umask,
            environment=_told(program.environment),
        )
    target = site.data_dir / "supervisor.conf"
    target.touch(mode=0o600)
    target.chmod(0o600)  # keys are among what programs are told
    target.write_text(text, encoding="utf-8")
    return target


def _told(environment: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in environment.items())
    return "environment = " + pairs.replace("%", "%%") if pairs else ""


@contextmanager
def asking(site: Site) -> Iterator[Any]:
    """Supervisor's XML-RPC interface."""
    transport = SupervisorTransport(None, None, f"unix://{site.run_dir}/supervisor.sock")
    try:
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def is_running(site: Site) -> bool:
    """Whether this installation's supervisor answers."""
    try:
        with asking(site) as supervisor:
            return bool(supervisor.getState()["statename"] == "RUNNING")
    except (OSError, xmlrpc.client.Error):
        return False


def start(site: Site) -> None:
    """Start supervisor in the background; it outlives the shell."""
    command = [str(Path(sys.prefix) / "bin" / "supervisord"), "-c", str(site.data_dir / "supervisor.conf")]
    # The installation's own file says where it lies and listens: what the caller's shell says may be relative, or old.
    # Nor are its processes to tell systemd that the unit is ready, as PostgreSQL and Swift would.
    theirs = {"DATA_DIR", "PORT", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment)
    if done.returncode:
        raise StepFailed(step="supervisord", reason=(done.stderr or done.stdout).strip()[-400:])


def start_program(site: Site, name: str) -> None:
    """Start one program; one that runs already is left alone."""
    try:
        with asking(site) as supervisor:
            supervisor.startProcess(name, False)
    except xmlrpc.client.Fault as fault:
        if "ALREADY_STARTED" not in fault.faultString:
            raise StepFailed(step=name, reason=fault.faultString) from None


def restart_program(site: Site, name: str) -> None:
    """Stop a program where it runs, and start it."""
    try:
        with asking(site) as supervisor:
            supervisor.stopProcess(name, True)
    except xmlrpc.client.Fault as fault:
        if "NOT_RUNNING" not in fault.faultString:
            raise StepFailed(step=name, reason=fault.faultString) from None
    start_program(site, name)


def update(site: Site) -> None:
    """Let a running supervisor follow its configuration as it was written anew: only what differs is restarted."""
    ran = {state["name"] for state in states(site) if state["statename"] in {"RUNNING", "STARTING"}}
    with asking(site) as supervisor:
        added, changed, removed = supervisor.reloadConfig()[0]
        for name in changed + removed:
            supervisor.stopProcessGroup(name, True)
            supervisor.removeProcessGroup(name)
        for name in added + changed:
            supervisor.addProcessGroup(name)
    for name in ran.intersection(changed):
        start_program(site, name)


def states(site: Site) -> list[dict[str, Any]]:
    """Supervisor's view of each process: name, statename, pid, start (seconds since 1970)."""
    with asking(site) as supervisor:
        found: list[dict[str, Any]] = supervisor.getAllProcessInfo()
    return found


def leftovers(site: Site) -> list[int]:
    """Processes of this installation that are there, whoever started them."""
    mark = f"{MARK}={site.data_dir}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # gone meanwhile, or another user's
    return found


def stop(site: Site, limit_s: float = 60) -> bool:
    """Stop everything in order; what does not stop within the limit is killed. Whether anything ran."""
    ran = False
    if is_running(site):
        ran = True
        with asking(site) as supervisor:
            supervisor.shutdown()
        deadline = time.monotonic() + limit_s
        while leftovers(site) and time.monotonic() < deadline:
            time.sleep(0.1)
    return end_leftovers(site) or ran


def end_leftovers(site: Site) -> bool:
    """End what outlived its supervisor: PostgreSQL properly, the others by TERM and then KILL."""
    postgres.stop_leftover(site)
    found = leftovers(site)
    for number, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for pid in leftovers(site):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience_s
        while leftovers(site) and time.monotonic() < deadline:
            time.sleep(0.05)
    return bool(found)
