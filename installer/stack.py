"""Bring the whole appliance up on this machine, and down again. Every step may be run again at any time."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from installer import accounts, aside, nodes, objects, ownership, postgres, supervisor
from installer.failures import PortTaken, StepFailed
from installer.ports import is_free
from installer.site import Site, free_port

Report = Callable[[str], None]

READY_WITHIN_S = 90.0
RECENTLY = timedelta(seconds=15)
"""When a worker that is at work was last heard of."""

PACKAGE = Path(__file__).parent.parent / "appliance"


def up(
    data_dir: Path,
    port: int,
    report: Report,
    *,
    demo: bool = False,
    infrastructure_only: bool = False,
    restoring: bool = False,
) -> Site:
    """Start what does not run and wait until it answers. Returns the installation.

    infrastructure_only: PostgreSQL and the store alone, and for this machine alone: a database that is copied, migrated
    or restored is nobody else's to work in.
    restoring: a restore asks, whose own what is set aside is. For everybody else one that was cut off is undone first,
    or, where there was nothing before it, is a reason to start nothing.
    Raises PortTaken, RestoreRuns, HalfRestored and StepFailed, which say what to do.
    """
    from installer.setup import return_point  # which brings the infrastructure up by this module

    site = Site(data_dir.resolve())
    if not restoring:
        aside.put_back(site, report)
    if site.node:
        return _up_node(site, port, report)
    if not supervisor.is_running(site):
        _prepare(site, port, report, demo=demo, serves=not infrastructure_only)
        report("starting PostgreSQL and the object store / запуск PostgreSQL и хранилища записей")
        supervisor.start(site)
    elif not infrastructure_only:
        _adopt_port(site, port, demo=demo)
        if site.nodes_listen:
            supervisor.render(site)
            supervisor.update(site)
    wait_for("postgres", site, lambda: _database_answers(site))
    return_point.finish(site, report)
    wait_for("swift-proxy", site, lambda: _store_answers(site))
    if infrastructure_only:
        return site
    started_before = _application_is_current(site)
    if not started_before:
        report("bringing the database up to date / обновление базы данных")
        migrate(site)
        report("starting the API and the workers / запуск API и обработчиков")
        for name in supervisor.APPLICATION:
            supervisor.restart_program(site, name)
    wait_for("api", site, lambda: answer(site, "/api/ready"))
    return site


def _up_node(site: Site, port: int, report: Report) -> Site:
    """A further machine: nothing but workers, once the first one's database answers and this release fits it."""
    if not supervisor.is_running(site):
        _prepare(site, port, report, demo=False, serves=False)
        supervisor.start(site)
    report("asking the first machine's database / связь с базой первой машины")
    wait_for("database", site, lambda: _database_answers(site))
    nodes.check_release(site)
    since = nodes.now(site)
    if _application_is_current(site):
        since -= RECENTLY
    else:
        report("starting the workers / запуск обработчиков")
        for name in supervisor.application(site):
            supervisor.restart_program(site, name)
    wait_for("workers", site, lambda: nodes.check_heard(site, since))
    return site


def try_api(site: Site) -> None:
    """Start the API where the infrastructure runs, for this machine alone, and see that it answers. Raises StepFailed.

    No workers: calls that wait, a watch folder and what is due for deletion are not a trial's to touch.
    """
    known = site.facts()
    site.change_settings(HOST="127.0.0.1", PORT=str(free_port(site.ports().values())))
    try:
        if os.geteuid() == 0:
            ownership.settle(site)
        supervisor.start_program(site, "api")
        wait_for("api", site, lambda: answer(site, "/api/ready"))
    finally:
        site.replace_settings(known)


def down(data_dir: Path) -> bool:
    """Stop everything of an installation; whether anything ran."""
    return supervisor.stop(Site(data_dir.resolve()))


def status(data_dir: Path) -> list[dict[str, Any]]:
    """The processes as supervisor sees them; empty where nothing runs."""
    site = Site(data_dir.resolve())
    return supervisor.states(site) if supervisor.is_running(site) else []


def _prepare(site: Site, port: int, report: Report, *, demo: bool, serves: bool) -> None:
    accounts.ensure(site.data_dir, report)
    supervisor.end_leftovers(site)
    site.make_folders()
    if serves and not is_free(port):
        raise PortTaken(port=port, other=port + 1)
    site.choose_ports()
    site.write_settings(port, demo=demo)
    if site.nodes_listen:
        nodes.certify(site)
    if site.own_database:
        if not (site.postgres_data / "PG_VERSION").exists():
            report("creating the database cluster / создание кластера базы данных")
        postgres.initialise(site)
        postgres.take_certificate(site)
    if site.own_store:
        objects.configure(site)
    if os.geteuid() == 0:
        ownership.settle(site)
    supervisor.render(site, alone=not serves)


def _adopt_port(site: Site, port: int, *, demo: bool) -> None:
    """A running stack may be asked to serve on another port."""
    if site.facts().get("PORT") != str(port):
        if not is_free(port):
            raise PortTaken(port=port, other=port + 1)
        site.write_settings(port, demo=demo)
        if os.geteuid() == 0:
            ownership.settle(site)


def _application_is_current(site: Site) -> bool:
    """Whether every process runs and was started after the code and the settings last changed."""
    # In whole seconds, as supervisor tells starts: settings are often written in the second in which a start follows.
    changed = int(max(path.stat().st_mtime for path in [site.env_file, *PACKAGE.rglob("*.py")]))
    found = {state["name"]: state for state in supervisor.states(site)}
    return all(
        found[name]["statename"] in {"RUNNING", "STARTING"} and found[name]["start"] >= changed
        for name in supervisor.application(site)
    )


def wait_for(name: str, site: Site, check: Callable[[], object], within_s: float = READY_WITHIN_S) -> None:
    """Repeat a real check until it holds. Raises StepFailed with the end of the program's log."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            check()
        except (psycopg.Error, OSError, MinioException, urllib3.exceptions.HTTPError) as error:
            if time.monotonic() > deadline:
                raise StepFailed(step=name, reason=f"{error}\n{_end_of_log(site, name)}") from None
            time.sleep(0.1)
        else:
            return


def _end_of_log(site: Site, name: str) -> str:
    file = site.logs / f"{name}.log"
    if not file.exists():
        return ""
    return f"{file}:\n" + "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])


def _database_answers(site: Site) -> None:
    if site.own_database:
        postgres.create_database(site)
    else:
        psycopg.connect(site.facts()["DATABASE_URL"], connect_timeout=3).close()


def store_of(site: Site, timeout_s: float = 120) -> tuple[Minio, str]:
    """A client of the installation's object store, and the bucket of its recordings."""
    facts = site.facts()
    url = urlsplit(facts["S3_ENDPOINT"])
    client = Minio(
        url.netloc,
        access_key=facts["S3_ACCESS_KEY"],
        secret_key=facts["S3_SECRET_KEY"],
        secure=url.scheme == "https",
        region=facts.get("S3_REGION", "us-east-1"),
        http_client=urllib3.PoolManager(timeout=timeout_s, retries=False, ca_certs=facts.get("S3_CA_FILE")),
    )
    return client, facts.get("S3_BUCKET", "call-recordings")


def _store_answers(site: Site) -> None:
    client, bucket = store_of(site, timeout_s=3)
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    # Only a question about an object reaches the server that keeps them.
    try:
        client.stat_object(bucket, "none")
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise


def migrate(site: Site) -> None:
    """Bring the database to this release. Raises StepFailed."""
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "migrate"]
    owner = {"DATABASE_OWNER_URL": postgres.owner_address(site)}
    environment = {**os.environ, "APPLIANCE_ENV_FILE": str(site.env_file), **owner}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(step="migrate", reason=done.stderr.strip()[-1000:])


def answer(site: Site, path: str) -> bytes:
    """What the API says, asked over the loopback interface. Raises OSError where it does not answer with a success."""
    facts = site.facts()
    secure = "TLS_CERT_FILE" in facts
    # The company's certificate is for its own name, not for 127.0.0.1; nobody stands between a machine and itself.
    context = ssl._create_unverified_context() if secure else None  # noqa: S323, SLF001
    host = facts.get("HOST") or "0.0.0.0"
    # Where it listens on one address, it does not on the loopback interface.
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    address = f"{'https' if secure else 'http'}://{here}:{facts['PORT']}{path}"
    with urllib.request.urlopen(address, timeout=5, context=context) as said:  # noqa: S310
        return bytes(said.read())
