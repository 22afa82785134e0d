"""A second machine in a network namespace of its own: let in, at work, cut off in mid-call, back, put out."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance.services.nodes import SILENT_S
from installer import join, nodes, postgres, stack, supervisor
from installer.bundle import seal
from installer.setup import layout, return_point
from installer.site import Site
from tests.conftest import ROOT, SAMPLES, let_in, processed, upload, wait_until
from tests.own_stack import Own, doubled, own_stack

pytestmark = pytest.mark.timeout(600)

APPLIANCE = str(Path(sys.prefix) / "bin" / "appliance")


@dataclass
class Network:
    """A machine that is reached by one cable. It has this one's disk, and nothing of its network."""

    name: str
    cable: str
    here: str
    there: str

    def inside(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {k: v for k, v in os.environ.items() if k != "APPLIANCE_ENV_FILE"}
        known |= {"LANG": "C", **environment}
        whole = ["ip", "netns", "exec", self.name, *command]
        return subprocess.run(whole, env=known, capture_output=True, text=True, check=False, timeout=200)

    def cut(self) -> None:
        ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        ip("link", "set", self.cable, "up")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def pair() -> tuple[str, str]:
    """Two neighbouring addresses of no network that this machine has: a run that was killed leaves its own behind."""
    listed = json.loads(subprocess.run(["ip", "-j", "address"], check=True, capture_output=True).stdout)
    taken = {each["local"] for interface in listed for each in interface["addr_info"]}
    pairs = ((f"10.213.{third}.1", f"10.213.{third}.2") for third in range(256))
    return next(each for each in pairs if not taken & set(each))


def sweep() -> None:
    """The namespaces of runs that were killed."""
    for name in subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout.split():
        if re.fullmatch(r"node-\d+", name) and not Path("/proc", name.removeprefix("node-")).exists():
            ip("netns", "delete", name)


@contextmanager
def network() -> Iterator[Network]:
    """Skips, loudly, where no namespaces can be made."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("NO NAMESPACES: needs root and ip (iproute2); nothing was tried with two machines")
    sweep()
    made = Network(f"node-{os.getpid()}", f"na{os.getpid()}", *pair())
    try:
        ip("netns", "add", made.name)
        ip("link", "add", made.cable, "type", "veth", "peer", "name", "uplink", "netns", made.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"NO NAMESPACES: {error.stderr.decode().strip()}; nothing was tried with two machines")
    try:
        ip("address", "add", f"{made.here}/30", "dev", made.cable)
        made.mend()
        ip("-n", made.name, "address", "add", f"{made.there}/30", "dev", "uplink")
        for interface in ("uplink", "lo"):
            ip("-n", made.name, "link", "set", interface, "up")
        yield made
    finally:
        ip("netns", "delete", made.name)


def on_first(own: Own, *arguments: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "APPLIANCE_ENV_FILE": str(own.site.env_file), "LANG": "C"}
    command = [APPLIANCE, *arguments, "--data-dir", str(own.site.data_dir)]
    return subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=200)


INSTALL = """
import sys
from pathlib import Path
from installer.setup import layout
top = Path(sys.argv.pop(1))
for name in ("CONFIG", "DATA", "LOGS", "RUN", "COMMAND", "UNITS", "HOME"):
    setattr(layout, name, top / name.lower())
layout.RELEASES, layout.CURRENT = layout.HOME / "releases", layout.HOME / "current"
from installer.setup import __main__, commission, tree
tree.Tree.__init__ = lambda self, journal: self.__dict__.update(journal=journal, by_systemd=False)
preparation = __main__.Preparation(__main__.options())
try:
    preparation.refuse_join()
except __main__.StepFails as failure:
    sys.exit(str(failure))
preparation._make_account()
preparation._make_folders()
sys.exit(commission.main())
"""
"""`./install` on a machine that has the packages and the release already, in folders of its own, without systemd."""


@dataclass
class Two:
    """The first machine with everything, and the node `second`."""

    first: Own
    network: Network
    folder: Path
    join_file: Path

    @property
    def second(self) -> Site:
        return Site(self.folder / "data")

    def install(self, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Of a bundle of this program under that version, called from the folder."""
        bundle = self.folder / version
        if not bundle.exists():
            bundle.mkdir()
            about = {"version": version, "variant": "cpu", "built_at": 0}
            (bundle / "bundle.json").write_text(json.dumps(about))
            seal.seal(bundle, self.folder / "signing-key")
        self.release(version)
        called = ["--bundle", str(bundle), "--called-from", str(self.folder), *arguments]
        return self.network.inside(sys.executable, "-c", INSTALL, str(self.folder), *called)

    def release(self, version: str) -> Path:
        place = self.folder / "home" / "releases" / version
        if not place.exists():
            place.mkdir(parents=True)
            (place / "installer").symlink_to(ROOT / "installer")
            (place / ".venv").symlink_to(sys.prefix)
        return place

    def pids(self) -> dict[str, int]:
        return {one["name"]: one["pid"] for one in stack.status(self.second.data_dir) if one["statename"] == "RUNNING"}

    def on_second(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.network.inside(APPLIANCE, *arguments, "--data-dir", str(self.second.data_dir))

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(on_first(self.first, "node", "list", "--json").stdout)
        return found

    def silent_s(self) -> float:
        seen = "SELECT extract(epoch FROM now() - greatest(speech_seen_at, analysis_seen_at)) FROM nodes"
        return float(self.first.query(f"{seen} WHERE name = 'second'")[0][0])

    def first_works(self, *, at_all: bool) -> None:
        with supervisor.asking(self.first.site) as asked:
            for name in ("speech", "analysis"):
                with suppress(xmlrpc.client.Fault):  # it is so already
                    (asked.startProcess if at_all else asked.stopProcess)(name, True)

    def ended_on_second(self, call_id: str, stage: str) -> bool:
        lines = [line for file in self.second.logs.glob("*.log") for line in file.read_text().splitlines()]
        return any(call_id in line and f'"{stage}"' in line and "stage_completed" in line for line in lines)


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with network() as cable, tempfile.TemporaryDirectory(prefix="node-") as folder, own_stack(LEASE_S="4") as first:
        let_in(Path(folder))
        file = Path(folder) / "second.join"
        refused = on_first(first, "node", "add", "second", "--address", cable.there)
        assert refused.returncode == 1
        assert "--listen ADDRESS" in refused.stderr
        added = on_first(
            first, "node", "add", "second", "--address", cable.there, "--listen", cable.here, "--file", str(file)
        )
        assert added.returncode == 0, added.stderr
        made = Two(first, cable, Path(folder).resolve(), file)
        try:
            assert [each["state"] for each in made.listed()] == ["expected"]
            joined = made.install("0.0.1", "--join", "second.join")
            assert joined.returncode == 0, joined.stdout + joined.stderr
            assert f"Delete {made.folder}/second.join" in joined.stdout
            yield made
        finally:
            stack.down(made.second.data_dir)


def test_the_second_machine_has_workers_and_the_first_hears_them(two: Two) -> None:
    assert {one["name"]: one["statename"] for one in stack.status(two.second.data_dir)} == {
        "analysis": "RUNNING",
        "speech": "RUNNING",
    }
    seen = next(each for each in two.listed() if each["name"] == "second")
    assert (seen["name"], seen["address"], seen["state"]) == ("second", two.network.there, "at work")
    assert max(seen["speech_silent_s"], seen["analysis_silent_s"]) < 20
    shown = json.loads(two.on_second("status", "--json").stdout)
    assert shown["ready"]
    assert "backup_old" not in shown["problems"]
    done = two.on_second("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    again = on_first(two.first, "node", "add", "second", "--address", two.network.there)
    assert "node remove second" in again.stderr
    elsewhere = two.on_second("node", "add", "third", "--address", two.network.there)
    assert "on the first" in elsewhere.stderr


def test_what_it_was_told_is_secret_and_no_more_than_it_needs(two: Two) -> None:
    assert stat.S_IMODE(two.join_file.stat().st_mode) == 0o600
    assert not stat.S_IMODE(two.second.env_file.stat().st_mode) & 0o027
    first, second = two.first.site.facts(), two.second.facts()
    told = two.join_file.read_text()
    for name in ("JWT_SECRET", "POSTGRES_PASSWORD", "S3_SECRET_KEY"):
        assert first[name] not in told
    assert first["LEASE_S"] == second["LEASE_S"]
    url = second["DATABASE_URL"]
    probe = f"""
import psycopg, sys
url = {url!r}
def refused(statement, address=url):
    try:
        with psycopg.connect(address, connect_timeout=3) as connection:
            connection.execute(statement)
    except psycopg.Error as error:
        print(type(error).__name__)
    else:
        print("allowed", statement)
refused("SELECT password_hash FROM users")
refused("SELECT * FROM refresh_tokens")
refused("DELETE FROM calls")
refused("UPDATE audit_log SET action = 'x'")
refused("INSERT INTO nodes (name, address) VALUES ('x', 'y')")
refused("UPDATE nodes SET address = 'y'")
refused("UPDATE segments SET text = 'x' WHERE false")
refused("UPDATE segments SET speaker = speaker, speaker_detail = speaker_detail WHERE false")
refused("SELECT 1", url.replace("verify-full", "disable"))
refused("SELECT 1", url.replace("node_second:", "appliance:"))
"""
    said = two.network.inside(sys.executable, "-c", probe).stdout.splitlines()
    turns = "allowed UPDATE segments SET speaker = speaker, speaker_detail = speaker_detail WHERE false"
    assert said == [*["InsufficientPrivilege"] * 7, turns, *["OperationalError"] * 2]
    store = """
import io
from appliance.store import objects
objects.check()
for attempt in (lambda: objects.put("x", io.BytesIO(b"x"), 1, "a/b"), lambda: objects.delete("x")):
    try:
        attempt()
    except objects.ObjectStoreUnavailable:
        print("refused")
"""
    tried = two.network.inside(sys.executable, "-c", store, APPLIANCE_ENV_FILE=str(two.second.env_file))
    assert tried.stdout.split() == ["refused", "refused"], tried.stderr


def long_call() -> bytes:
    """Several minutes, to be cut off in: a recording eight times over."""
    once = (SAMPLES / "ru-complaint.wav").read_bytes()
    begins = once.index(b"data") + 8
    sound = once[begins : begins + int.from_bytes(once[begins - 4 : begins], "little")] * 8
    head = once[8 : begins - 4] + len(sound).to_bytes(4, "little")
    return b"RIFF" + (len(head) + len(sound)).to_bytes(4, "little") + head + sound


HOLD = """
import psycopg, sys, time
with psycopg.connect(sys.argv[1], connect_timeout=3) as connection:
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('call-analytics audit'))")
    print("held", flush=True)
    time.sleep(120)
"""


def test_a_node_that_is_cut_off_loses_its_call_to_the_first_machine_and_comes_back(two: Two) -> None:
    http = two.first.client()
    two.first_works(at_all=False)
    alone = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    assert processed(http, alone)["aiAnalysis"]["processing_status"] == "completed"
    assert two.ended_on_second(alone, "transcribe")
    assert two.ended_on_second(alone, "publish")

    call_id = upload(http, ("long.wav", long_call())).json()["id"]
    lease = "SELECT lease_owner FROM pipelines WHERE call_id = %s AND state = 'running' AND stage = 'transcribe'"
    owner = wait_until(lambda: two.first.query(lease, call_id), 60, "the node to be in mid-call")[0][0]
    assert owner.startswith("node/second:")
    assert [each["calls"] for each in two.listed() if each["name"] == "second"] == [1]
    # In the midst of a transaction that everybody else waits for, too.
    holder = ["ip", "netns", "exec", two.network.name, sys.executable, "-c", HOLD, two.second.facts()["DATABASE_URL"]]
    with subprocess.Popen(holder, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        two.network.cut()
        assert two.first.query("SELECT state FROM pipelines WHERE call_id = %s", call_id) == [("running",)]
        two.first_works(at_all=True)
        cut_at = time.monotonic()
        two.first.client()  # a log-in is noted in the audit trail
        assert time.monotonic() - cut_at < 40
        ended = processed(http, call_id)
        holding.kill()
    assert ended["aiAnalysis"]["processing_status"] == "completed"
    assert not two.ended_on_second(call_id, "transcribe")
    assert doubled(two.first, [alone, call_id]) == []
    wait_until(lambda: two.silent_s() > SILENT_S, 30, "the node to be missed")

    two.first_works(at_all=False)
    two.network.mend()
    following = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    assert processed(http, following)["aiAnalysis"]["processing_status"] == "completed"
    assert two.ended_on_second(following, "transcribe")
    wait_until(lambda: two.silent_s() < SILENT_S, 30, "the node to be heard again")
    assert doubled(two.first, [alone, call_id, following]) == []
    two.first_works(at_all=True)


@contextmanager
def another_release(own: Own) -> Iterator[None]:
    """The first machine's database is as a later release has it."""

    def schema(number: str) -> None:
        with psycopg.connect(postgres.owner_address(own.site)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = %s", [number])

    now = own.query("SELECT version_num FROM alembic_version")[0][0]
    schema("9999")
    try:
        yield
    finally:
        schema(now)


def test_a_node_of_another_release_works_on_nothing(two: Two) -> None:
    two.first_works(at_all=False)
    with another_release(two.first):
        http = two.first.client()
        call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
        log = two.second.logs / "speech.log"
        wait_until(lambda: "node_release_differs" in log.read_text(), 30, "the node to see it")
        assert two.first.query("SELECT state FROM pipelines WHERE call_id = %s", call_id) == [("waiting",)]
        refused = two.on_second("node", "join", str(two.join_file))
        assert "9999" in refused.stderr
        assert "Install the same" in refused.stderr
    assert processed(http, call_id)["aiAnalysis"]["processing_status"] == "completed"
    two.first_works(at_all=True)


def test_installing_again_on_a_node_changes_nothing(two: Two) -> None:
    serving = (two.folder / "home" / "current").readlink().name
    before, told = two.pids(), two.second.facts()
    # The settings were written in the second in which the workers started; supervisor tells starts in whole ones.
    started = min(one["start"] for one in stack.status(two.second.data_dir))
    os.utime(two.second.env_file, (started + 0.9, started + 0.9))
    again = two.install(serving)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (two.pids(), two.second.facts()) == (before, told)
    assert "is no join file" in two.install(serving, "--join", "nothing.join").stderr
    assert two.pids() == before


def test_a_node_is_upgraded_after_the_first_machine_and_returns_where_that_fails(two: Two) -> None:
    current = two.folder / "home" / "current"
    before = two.pids()
    with another_release(two.first):
        refused = two.install("0.0.2")
    assert refused.returncode == 1
    assert "on the first one first" in refused.stdout
    assert two.pids() == before  # it was not even stopped

    broken = two.release("0.0.2")
    (broken / ".venv").unlink()
    (broken / ".venv" / "bin").mkdir(parents=True)
    (broken / ".venv" / "bin" / "appliance").write_text("#!/bin/sh\necho of no use >&2; exit 1\n")
    (broken / ".venv" / "bin" / "appliance").chmod(0o755)
    failed = two.install("0.0.2")
    assert failed.returncode == 1
    assert "version 0.0.1 serves as before" in failed.stdout, failed.stdout
    assert current.readlink() == Path("releases/0.0.1")
    returned = two.pids()
    assert returned.keys() == before.keys()
    assert returned != before

    done = two.install("0.0.3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert current.readlink() == Path("releases/0.0.3")
    assert not (two.second.data_dir / layout.UNFINISHED).exists()
    assert two.pids().keys() == before.keys()
    assert not set(two.pids().values()) & set(returned.values())
    assert [each.name for each in (two.folder / "home" / "releases").iterdir() if each.name == "0.0.2"] == []
    assert [each["state"] for each in two.listed() if each["name"] == "second"] == ["at work"]


def test_a_node_that_joins_anew_forgets_an_upgrade_that_was_cut_off(two: Two) -> None:
    """It holds nothing that there would be a way back to."""
    mark = two.second.data_dir / layout.UNFINISHED
    mark.write_text(json.dumps({"old": "0.0.1", "new": "9.9.9", "phase": "switched"}))
    joined = two.install((two.folder / "home" / "current").readlink().name, "--join", "second.join")
    assert joined.returncode == 0, joined.stdout + joined.stderr
    assert not mark.exists()
    assert [each["state"] for each in two.listed() if each["name"] == "second"] == ["at work"]


def test_the_first_machine_is_upgraded_with_nodes_at_work(two: Two) -> None:
    """Its database is copied and migrated while nobody else is in it, and nodes come back by themselves."""
    site = two.first.site
    address = two.second.facts()["DATABASE_URL"]
    enter = "import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=3)"
    stack.down(site.data_dir)
    stack.up(site.data_dir, two.first.port, lambda _: None, infrastructure_only=True)
    assert "refused" in two.network.inside(sys.executable, "-c", enter, address).stderr
    return_point.save(site)
    before = two.first.query("SELECT now()")[0][0]
    two.first.up()
    return_point.forget(site)
    seen = "SELECT 1 FROM nodes WHERE speech_seen_at > %s AND analysis_seen_at > %s"
    wait_until(lambda: two.first.query(seen, before, before), 60, "the node to be back")
    ask = f"""
from datetime import UTC, datetime, timedelta
from pathlib import Path
from installer import nodes, site
nodes.check_heard(site.Site(Path({str(two.second.data_dir)!r})), datetime.now(UTC) + timedelta(days=1))
"""
    assert "have not reported" in two.network.inside(sys.executable, "-c", ask).stderr


def test_an_upgrade_keeps_nodes_from_a_database_that_it_cannot_close(two: Two) -> None:
    """What a node was at begins anew afterwards, and nothing of it is written meanwhile."""
    site, log = two.first.site, two.second.logs / "speech.log"
    two.first_works(at_all=False)
    call_id = upload(two.first.client(), ("long.wav", long_call())).json()["id"]
    lease = "SELECT 1 FROM pipelines WHERE call_id = %s AND state = 'running' AND stage = 'transcribe'"
    wait_until(lambda: two.first.query(lease, call_id), 60, "the node to be in mid-call")
    lost = log.read_text().count("stage_lease_lost")
    with nodes.shut_out(site):
        row = "SELECT state, stage, lease_owner FROM pipelines WHERE call_id = %s"
        found = two.first.query(row, call_id)
        assert [state for state, _, _ in found] == ["waiting"]
        wait_until(lambda: log.read_text().count("stage_lease_lost") > lost, 60, "the node to see it")
        rung = "UPDATE pipelines SET rung_at = NULL WHERE call_id = %s"  # housekeeping rings for it once more
        with psycopg.connect(postgres.owner_address(site)) as connection:
            connection.execute(rung, [call_id])
        wait_until(lambda: two.first.query(f"{row} AND rung_at IS NOT NULL", call_id), 60, "the bell to be rung")
        time.sleep(3)  # workers look every 2 s
        assert two.first.query(row, call_id) == found
    wait_until(lambda: two.first.query(lease, call_id), 60, "the node to take it up again")
    two.first.client().delete(f"/api/calls/{call_id}").raise_for_status()
    two.first_works(at_all=True)


def test_a_node_that_joins_elsewhere_keeps_nothing_of_its_former_first_machine(tmp_path: Path) -> None:
    elsewhere = "postgresql://node_second:x@10.0.0.11:5432/call_analytics"
    told = {"NODE_NAME": "second", "NODE_WORKERS": "speech", "SEAL_KEY": "s", "DATABASE_URL": elsewhere}
    bundled = nodes.Join("second", "0.0.1", "1", "", "PEM", ["DATABASE_URL", "S3_ENDPOINT"], {**told, "REDIS_URL": "r"})
    company = nodes.Join("other", "0.0.1", "1", "", "", [], {**told, "NODE_NAME": "other", "LEASE_S": "9"})
    site = Site(tmp_path)
    join.settle(bundled, site, MODELS_DIR="/models", WHISPER_MODEL_PATH="/models/large")
    first = site.facts()
    assert first["S3_CA_FILE"] == str(tmp_path / "first-machine-ca.pem")
    join.settle(company, site)
    secret = first["JWT_SECRET"]
    own = {"MODELS_DIR": "/models", "WHISPER_MODEL_PATH": "/models/large", "JWT_SECRET": secret}
    assert site.facts() == {**own, **company.settings}
    site.change_settings(S3_CA_FILE="/etc/ssl/company.pem")
    join.settle(company, site)
    assert site.facts()["S3_CA_FILE"] == "/etc/ssl/company.pem"


def test_a_node_that_is_put_out_gets_in_no_more(two: Two) -> None:
    file = two.join_file.with_name("third.join")
    added = on_first(two.first, "node", "add", "third", "--address", two.network.there, "--file", str(file))
    assert added.returncode == 0, added.stderr
    told = json.loads(file.read_text())["settings"]
    stay = "import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=3).execute('SELECT pg_sleep(60)')"
    enter = ["ip", "netns", "exec", two.network.name, sys.executable, "-c"]
    with subprocess.Popen([*enter, stay, told["DATABASE_URL"]], stderr=subprocess.DEVNULL) as inside:
        there = "SELECT 1 FROM pg_stat_activity WHERE usename = 'node_third'"
        wait_until(lambda: two.first.query(there), 20, "the node to be in")
        removed = on_first(two.first, "node", "remove", "third")
        assert removed.returncode == 0, removed.stderr
        assert inside.wait(10) == 1
    assert two.first.query("SELECT 1 FROM pg_roles WHERE rolname = 'node_third'") == []
    assert two.network.inside(*enter[4:], stay, told["DATABASE_URL"]).returncode == 1
    known = {**two.second.facts(), "S3_ACCESS_KEY": told["S3_ACCESS_KEY"], "S3_SECRET_KEY": told["S3_SECRET_KEY"]}
    read = "from appliance.store import objects; objects.check()"
    ours = two.second.facts()
    wait_until(lambda: not two.network.inside(sys.executable, "-c", read, **ours).returncode, 30, "the store's front")
    assert "ObjectStoreUnavailable" in two.network.inside(sys.executable, "-c", read, **known).stderr
    assert [each["name"] for each in two.listed()] == ["second"]
    assert "There is no node third" in on_first(two.first, "node", "remove", "third").stderr
    trail = two.first.query("SELECT action, details FROM audit_log WHERE details ->> 'node' = 'third' ORDER BY id")
    assert trail == [
        ("node_added", {"node": "third", "address": two.network.there}),
        ("node_removed", {"node": "third"}),
    ]
