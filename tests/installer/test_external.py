"""An installation whose database, store and queue are somebody else's: only what is its own is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis

from appliance.store.nodes import UPGRADE
from installer import backup, nodes, postgres, stack, supervisor
from installer.postgres import ADMIN
from installer.setup import return_point
from installer.site import Site
from tests.conftest import SAMPLES, Running, _free_port, let_in, processed, upload


def foreign_database(site: Site) -> str:
    """A database of its own on the tests' server, as a company's PostgreSQL would give it."""
    name = f"company_{uuid4().hex[:8]}"
    secret = (site.data_dir / "postgres-admin.password").read_text(encoding="utf-8")
    where = f"host=127.0.0.1 port={site.ports()['postgres']} user={ADMIN} password={secret}"
    with psycopg.connect(f"{where} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'company'")  # type: ignore[call-overload]
        connection.execute(f"CREATE DATABASE {name} OWNER {name}")  # type: ignore[call-overload]
    with psycopg.connect(f"{where} dbname={name}", autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
    return f"postgresql://{name}:company@127.0.0.1:{site.ports()['postgres']}/{name}"


def test_only_what_is_bundled_is_started(site: Site, tmp_path: Path) -> None:
    let_in(tmp_path)
    facts, url = site.facts(), foreign_database(site)
    company = {
        "DATABASE_URL": url,
        "S3_ENDPOINT": facts["S3_ENDPOINT"],
        "S3_ACCESS_KEY": "calls:company",
        "S3_SECRET_KEY": facts["S3_SECRET_KEY"],
    }
    own = Site(tmp_path)
    own.env_file.write_text("".join(f"{name}={value}\n" for name, value in company.items()), encoding="utf-8")
    assert not own.own_database
    assert not own.own_store
    own.choose_ports()
    own.write_settings(8000, demo=False)
    assert {name: own.facts()[name] for name in company} == company
    assert [program.name for program in supervisor.programs(own)] == list(supervisor.APPLICATION)


def test_an_external_database_serves_and_its_own_is_not_started(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in(tmp_path)
    own, url = Site(tmp_path), foreign_database(site)
    own.env_file.write_text(f"DATABASE_URL={url}\n", encoding="utf-8")
    stack.up(tmp_path, _free_port(), lambda _: None, infrastructure_only=True)
    try:
        stack.migrate(own)
        names = {state["name"] for state in stack.status(tmp_path)}
        assert "swift-proxy" in names
        assert "postgres" not in names
        assert not (tmp_path / "postgres").exists()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
            connection.execute("INSERT INTO users (id, name, role) VALUES (gen_random_uuid(), 'Анна', 'manager')")
        cut_off_return(own, monkeypatch)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('users')").fetchone() == (None,)
        stack.up(tmp_path, _free_port(), lambda _: None, infrastructure_only=True)
        with psycopg.connect(url) as connection:  # a start goes on with it, and makes no empty tables
            assert connection.execute("SELECT name FROM users").fetchall() == [("Анна",)]
        assert own.facts()["DATABASE_URL"] == url
        assert not [file for file in tmp_path.iterdir() if "return" in file.name or "before-upgrade" in file.name]
    finally:
        stack.down(tmp_path)


def cut_off_return(own: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the release before, with nothing left of the new one and nothing there of the old one."""

    def die(*_: object) -> None:
        raise SystemExit

    return_point.save(own)
    with monkeypatch.context() as patch:
        patch.setattr(backup, "load", die)
        with pytest.raises(SystemExit):
            return_point.restore(own)


def test_an_external_database_returns_to_where_it_was_before_an_upgrade(site: Site, tmp_path: Path) -> None:
    """What a failed migration made, changed and deleted is undone, once; without a copy nothing is touched."""
    let_in(tmp_path)
    own, url = Site(tmp_path), foreign_database(site)
    own.env_file.write_text(
        f"DATABASE_URL={url}\n" + "".join(f"{k}={v}\n" for k, v in site.facts().items() if k[:2] in {"S3", "JW"}),
        encoding="utf-8",
    )
    stack.migrate(own)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO users (id, name, role) VALUES (gen_random_uuid(), 'Анна', 'manager')")
        return_point.restore(own)
        assert connection.execute("SELECT name FROM users").fetchall() == [("Анна",)]
    return_point.save(own)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM users")
        connection.execute("CREATE TABLE made_by_a_migration (id int)")
        connection.execute("ALTER TABLE calls ADD COLUMN added int")
    lingering = psycopg.connect(url)
    lingering.execute("SELECT * FROM calls")  # holds a lock
    with nodes.shut_out(own) as shut, psycopg.connect(url) as node:
        return_point.restore(own)
        lingering.close()
        assert shut.execute("SELECT 1").fetchone() == (1,)
        entered = "SELECT pg_try_advisory_xact_lock_shared(hashtext(%s))"
        with pytest.raises(psycopg.OperationalError):  # it was put out, and comes back
            node.execute(entered, [UPGRADE])
        with psycopg.connect(url) as again:
            assert again.execute(entered, [UPGRADE]).fetchone() == (False,)
    with psycopg.connect(url) as node:
        assert node.execute(entered, [UPGRADE]).fetchone() == (True,)
    cut_off = nodes.shut_out(own)
    with nodes.shut_out(own), pytest.raises(psycopg.OperationalError):  # the one that goes on with it waits for nobody
        cut_off.execute("SELECT 1")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("Анна",)]
        columns = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'added'"
        assert connection.execute(columns).fetchone() == (0,)
        assert connection.execute("SELECT to_regclass('made_by_a_migration')").fetchone() == (None,)
    stack.migrate(own)
    assert not list(tmp_path.glob("before-upgrade*"))


def test_the_own_database_returns_in_one_step(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot, what is there stays: without a database the next start would make an empty one."""
    names = [f"return_{uuid4().hex[:8]}" for _ in range(3)]
    for attribute, name in zip(("DATABASE", "COPY", "FAILED"), names, strict=True):
        monkeypatch.setattr(return_point, attribute, name)
    database, copy = (postgres.admin_address(site, name) for name in names[:2])
    made = "SELECT to_regclass('made_by_a_migration') IS NOT NULL"
    with return_point._administer(site) as connection:
        connection.execute(f"CREATE DATABASE {names[0]}")  # type: ignore[call-overload]
    try:
        return_point.save(site)
        with psycopg.connect(database) as connection:
            connection.execute("CREATE TABLE made_by_a_migration (id int)")
        with psycopg.connect(copy), pytest.raises(psycopg.errors.ObjectInUse):
            return_point.restore(site)
        with psycopg.connect(database) as connection:
            assert connection.execute(made).fetchone() == (True,)
        for _ in range(2):  # the second time there is no copy
            return_point.restore(site)
            with psycopg.connect(database) as connection:
                assert connection.execute(made).fetchone() == (False,)
    finally:
        return_point.forget(site)
        with return_point._administer(site) as connection:
            return_point._drop(connection, names[0])


def test_a_call_goes_through_with_the_queue_in_redis(site: Site, people: dict[str, str], tmp_path: Path) -> None:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("NO REDIS: redis-server is not installed, the queue in Redis was not tried")
    port = _free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    url = f"redis://127.0.0.1:{port}/0"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        apart = Running(site, _free_port(), environment={"REDIS_URL": url})
        try:
            apart.start("analysis", "speech", "api")
            http = apart.client(people["admin"])
            call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
            assert processed(http, call_id)["aiAnalysis"]["processing_status"] == "completed"
            http.delete(f"/api/calls/{call_id}").raise_for_status()
            rung = redis.Redis.from_url(url).info("commandstats")
            assert rung["cmdstat_zadd"]["calls"] >= 2
            environment = {**os.environ, "APPLIANCE_ENV_FILE": str(site.env_file), "LANG": "C", "REDIS_URL": url}
            doctor = [str(Path(sys.prefix) / "bin" / "appliance"), "doctor", "--data-dir", str(site.data_dir)]
            done = subprocess.run(doctor, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout
            assert "Redis" in done.stdout
        finally:
            apart.stop()
            running.terminate()
