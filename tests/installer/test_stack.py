"""The process tree, for real: start, ports, secrets, kill, stop."""

from __future__ import annotations

import configparser
import io
import os
import secrets
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import urllib3
from minio import Minio
from minio.error import MinioException

from appliance.errors import ApplianceError
from installer import postgres, stack, supervisor
from installer.failures import StepFailed
from installer.site import Site
from tests.conftest import _free_port, let_in, wait_until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("stack")
    let_in(folder)
    yield stack.up(folder, _free_port(), lambda _: None, infrastructure_only=True)
    stack.down(folder)


def store(site: Site) -> Minio:
    facts = site.facts()
    address = facts["S3_ENDPOINT"].removeprefix("http://")
    return Minio(
        address, access_key=facts["S3_ACCESS_KEY"], secret_key=facts["S3_SECRET_KEY"], secure=False, region="us-east-1"
    )


def remember(site: Site, value: str) -> None:
    with psycopg.connect(postgres.owner_address(site), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS remembered (value text)")
        connection.execute("INSERT INTO remembered VALUES (%s)", [value])
    store(site).put_object("call-recordings", value, io.BytesIO(value.encode()), len(value))


def remembered(site: Site, value: str) -> bool:
    with psycopg.connect(postgres.owner_address(site)) as connection:
        rows = [row[0] for row in connection.execute("SELECT value FROM remembered")]
    answer = store(site).get_object("call-recordings", value)
    try:
        return value in rows and answer.read() == value.encode()
    finally:
        answer.close()
        answer.release_conn()


def pid_of(site: Site, name: str) -> int:
    return next(int(state["pid"]) for state in stack.status(site.data_dir) if state["name"] == name)


def test_ranges_and_deletion_work_on_the_bundled_store(own: Site) -> None:
    client = store(own)
    client.put_object("call-recordings", "a/b.wav", io.BytesIO(b"0123456789"), 10)
    part = client.get_object("call-recordings", "a/b.wav", offset=3, length=4)
    assert part.read() == b"3456"
    part.close()
    part.release_conn()
    client.remove_object("call-recordings", "a/b.wav")
    assert not list(client.list_objects("call-recordings", prefix="a/", recursive=True))


def test_secrets_are_the_owners_alone(own: Site) -> None:
    # With users of their own, the group of those that need them; who that is: test_accounts.py.
    assert stat.S_IMODE(own.env_file.stat().st_mode) == (0o640 if own.separate else 0o600)
    facts = own.facts()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("JWT_SECRET", "POSTGRES_PASSWORD", "S3_SECRET_KEY") if facts[name] in listed]
    assert len(facts["JWT_SECRET"]) == 64


def test_no_log_grows_for_ever(own: Site) -> None:
    """As docs/security.md says how long each is kept."""
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read(own.data_dir / "supervisor.conf")
    kept = {
        name: (parsed[name]["stdout_logfile_maxbytes"], parsed[name]["stdout_logfile_backups"])
        for name in parsed.sections()
        if name.startswith("program:")
    }
    assert len(kept) == len(supervisor.INFRASTRUCTURE) + len(supervisor.APPLICATION)
    assert set(kept.values()) == {("20MB", "5")}
    head = parsed["supervisord"]
    assert (head["logfile_maxbytes"], head["logfile_backups"]) == ("5MB", "2")


def test_changed_passwords_are_good_from_the_next_start(own: Site) -> None:
    """As docs/security.md says how keys are changed; the old ones are good for nothing."""
    remember(own, "before-change")
    before = own.facts()
    old = [before["DATABASE_URL"], postgres.owner_address(own)]
    text = own.env_file.read_text(encoding="utf-8")
    for name in ("POSTGRES_PASSWORD", "S3_SECRET_KEY"):
        text = text.replace(before[name], secrets.token_hex(32))
    stack.down(own.data_dir)
    own.env_file.write_text(text, encoding="utf-8")
    (own.data_dir / "postgres-owner.password").unlink()
    stack.up(own.data_dir, int(before["PORT"]), lambda _: None, infrastructure_only=True)
    assert remembered(own, "before-change")
    psycopg.connect(own.facts()["DATABASE_URL"]).close()
    for address in old:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address)


def test_every_inner_service_listens_on_loopback_alone(own: Site) -> None:
    listening = {}
    for pid in supervisor.leftovers(own):
        sockets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
        for family in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
                local, state, inode = (line.split()[column] for column in (1, 3, 9))
                if state == "0A" and f"socket:[{inode}]" in sockets:
                    listening[int(local.split(":")[1], 16)] = local.split(":")[0]
    inner = own.ports()
    assert {inner[name] for name in ("postgres", "s3", "account", "container", "object")} <= listening.keys()
    assert set(listening.values()) == {"0100007F"}


def test_starting_again_changes_nothing(own: Site) -> None:
    before = (pid_of(own, "postgres"), own.facts())
    stack.up(own.data_dir, int(own.facts()["PORT"]), lambda _: None, infrastructure_only=True)
    assert (pid_of(own, "postgres"), own.facts()) == before


def test_a_killed_server_is_started_again(own: Site) -> None:
    remember(own, "before-kill")
    before = pid_of(own, "swift-proxy")
    os.kill(before, signal.SIGKILL)
    os.kill(pid_of(own, "postgres"), signal.SIGKILL)

    def back() -> bool:
        try:
            return pid_of(own, "swift-proxy") not in {0, before} and remembered(own, "before-kill")
        except Exception:  # noqa: BLE001 - not yet
            return False

    wait_until(back, 60, "both servers")


def test_a_killed_supervisor_leaves_no_mess(own: Site) -> None:
    remember(own, "before-supervisor")
    os.kill(int((own.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not supervisor.is_running(own), 10, "supervisor's end")
    stack.up(own.data_dir, int(own.facts()["PORT"]), lambda _: None, infrastructure_only=True)
    assert remembered(own, "before-supervisor")

    def all_run() -> bool:
        states = {state["name"]: state["statename"] for state in stack.status(own.data_dir)}
        return all(states[name] == "RUNNING" for name in supervisor.INFRASTRUCTURE)

    wait_until(all_run, 20, "the whole infrastructure")


def test_stopping_leaves_no_process_and_keeps_the_data(own: Site) -> None:
    remember(own, "before-stop")
    assert stack.down(own.data_dir)
    assert not supervisor.leftovers(own)
    assert not stack.down(own.data_dir)
    assert stack.status(own.data_dir) == []
    with socket.socket() as taken:  # somebody takes the database's port meanwhile
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", own.ports()["postgres"]))
        taken.listen()
        stack.up(own.data_dir, int(own.facts()["PORT"]), lambda _: None, infrastructure_only=True)
    assert remembered(own, "before-stop")


def test_a_taken_port_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ApplianceError) as caught:
            stack.up(tmp_path / "x", port, lambda _: None)
    assert f"make demo PORT={port + 1}" in caught.value.message("en")


def test_the_whole_tree_is_described(own: Site) -> None:
    names = [program.name for program in supervisor.programs(own)]
    assert names == [*supervisor.INFRASTRUCTURE, *supervisor.APPLICATION]
    text = (own.data_dir / "supervisor.conf").read_text(encoding="utf-8")
    for name in names:
        assert f"[program:{name}]" in text


def test_the_store_works_at_once_after_an_outage_of_its_backend(own: Site) -> None:
    with supervisor.asking(own) as asked:
        asked.stopProcess("swift-object", True)
        with pytest.raises(StepFailed):
            stack.wait_for("swift-object", own, lambda: stack._store_answers(own), within_s=1)
        for number in range(15):
            with pytest.raises((MinioException, urllib3.exceptions.HTTPError)):
                impatient(own).put_object("call-recordings", f"lost-{number}", io.BytesIO(b"x"), 1)
        asked.startProcess("swift-object", True)

    def accepts() -> bool:
        try:
            impatient(own).put_object("call-recordings", "kept", io.BytesIO(b"x"), 1)
        except (MinioException, urllib3.exceptions.HTTPError):
            return False
        return True

    wait_until(accepts, 10, "the store to take objects again")


def impatient(site: Site) -> Minio:
    """A client that tries once."""
    client = store(site)
    client._http = urllib3.PoolManager(timeout=10, retries=False)
    return client


def test_the_tree_goes_by_the_installation_not_by_the_shell_that_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in(tmp_path)
    monkeypatch.setenv("DATA_DIR", "somewhere/else")
    monkeypatch.setenv("PORT", "1")
    site = stack.up(tmp_path, _free_port(), lambda _: None, infrastructure_only=True)
    try:
        pid = next(one["pid"] for one in supervisor.states(site) if one["name"] == "swift-proxy")
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not [line for line in environment if line.startswith((b"DATA_DIR=", b"PORT="))]
    finally:
        stack.down(tmp_path)


def test_the_database_stays_where_it_was_made(tmp_path: Path) -> None:
    """A folder above that is closed later must not have an empty database made elsewhere."""
    let_in(tmp_path)
    site = Site(tmp_path / "data")
    (site.data_dir / "postgres").mkdir(parents=True)
    (site.data_dir / "postgres" / "PG_VERSION").write_text("15")
    before = site.postgres_data
    tmp_path.chmod(0o700)
    assert site.postgres_data == before == site.data_dir / "postgres"


def test_a_language_model_runs_under_supervisor_with_its_share_of_the_card(own: Site, tmp_path: Path) -> None:
    site = Site(tmp_path)
    (tmp_path / "ports.json").write_text((own.data_dir / "ports.json").read_text())
    site.env_file.write_text("VLLM_WEIGHTS=/models/a-model\nVLLM_SHARE=0.61\nVLLM_CONTEXT=24576\nGPU_DEVICE=1\n")
    site.write_settings(8000, demo=False)
    command = next(program.command for program in supervisor.programs(site) if program.name == "vllm")
    told = dict(zip(command[3::2], command[4::2], strict=True))
    assert (told["--model"], told["--gpu-memory-utilization"]) == ("/models/a-model", "0.61")
    assert (told["--host"], told["--max-model-len"]) == ("127.0.0.1", "24576")
    assert site.facts()["LOCAL_LLM_URL"] == f"http://127.0.0.1:{told['--port']}/v1"
    supervisor.render(site)
    written = tmp_path / "supervisor.conf"
    assert "[program:vllm]" in written.read_text()
    assert 'CUDA_DEVICE_ORDER="PCI_BUS_ID",CUDA_VISIBLE_DEVICES="1"' in written.read_text()
    for silence in ('VLLM_NO_USAGE_STATS="1"', 'DO_NOT_TRACK="1"', 'HF_HUB_OFFLINE="1"'):
        assert silence in written.read_text()
    key = site.facts()["LOCAL_LLM_API_KEY"]
    assert len(key) == 64
    assert f'environment = VLLM_API_KEY="{key}"' in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert key not in " ".join(command)
    site.write_settings(8000, demo=False)
    assert site.facts()["LOCAL_LLM_API_KEY"] == key


def test_a_program_is_told_its_secrets_where_only_its_user_can_read(own: Site, tmp_path: Path) -> None:
    """By its environment, never by its command; nothing of it in the list of processes."""
    secret = "a%secret 'of' 64"
    out = tmp_path / "out"
    command = ["/bin/sh", "-c", f'printf %s "$VLLM_API_KEY" > {out}; exec sleep 600']
    text = (supervisor.TEMPLATES / "program.conf").read_text()
    told = supervisor._told({"VLLM_API_KEY": secret})
    fields = {
        "directory": "/",
        "priority": 1,
        "autostart": "true",
        "stop_signal": "TERM",
        "stop_wait_s": 1,
        "umask": "077",
    }
    head = f"[supervisord]\nnodaemon = true\nlogfile = {tmp_path}/log\npidfile = {tmp_path}/pid\nuser = root\n"
    quoted = shlex.join(command).replace("%", "%%")
    made = text.format(name="x", command=quoted, group="true", logs=tmp_path, user="", environment=told, **fields)
    (tmp_path / "conf").write_text((head if os.geteuid() == 0 else head.replace("user = root\n", "")) + made)
    supervisord = [str(Path(sys.prefix) / "bin" / "supervisord"), "-c", str(tmp_path / "conf")]
    with subprocess.Popen(supervisord, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            wait_until(out.exists, 20, "the program")
            wait_until(lambda: out.read_text() == secret, 5, "what it was told")
            listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
            assert secret not in listed
        finally:
            running.terminate()
