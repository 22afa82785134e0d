"""Workers that are killed: every accepted call still ends, once."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import delete, func, select, update

from appliance.models import AiAnalysis, Call, Event, LlmChoice, ObjectDeletion, Pipeline, StageOutput
from appliance.pipeline import plan
from appliance.pipeline.stage import Stage
from appliance.store import db, objects
from installer import postgres
from installer.site import Site
from tests.api.test_calls import wav
from tests.conftest import SAMPLES, Running, _free_port, processed, upload, wait_until
from tests.llm.scripted import serving
from tests.own_stack import end_of_sleep, fell_asleep, slow_to_commit


def state_of(call_id: str) -> tuple[str, str]:
    with db.unit_of_work() as session:
        row = session.execute(select(Pipeline.state, Pipeline.stage).where(Pipeline.call_id == call_id)).one()
    return row.state, row.stage


def count(model: type, call_id: str, **equal: str) -> int:
    with db.unit_of_work() as session:
        query = select(func.count()).select_from(model).where(model.call_id == call_id)  # type: ignore[attr-defined]
        return session.scalar(query.filter_by(**equal)) or 0


def assert_done_once(call_id: str) -> None:
    assert count(Event, call_id, type="call_processed") == 1
    assert count(Event, call_id, type="call_processing_failed") == 0
    assert count(AiAnalysis, call_id) == 1
    assert count(StageOutput, call_id) == 6


@pytest.mark.parametrize("stage", ["decode", "transcribe", "diarize"])
def test_a_speech_worker_killed_in_mid_call(apart: Running, people: dict[str, str], stage: str) -> None:
    """kill -9 while the stage runs: the lease expires, another worker finishes the call, exactly once."""
    http = apart.client(people["admin"])
    apart.start("housekeeping", "analysis")
    call_id = killed_in(stage, apart, http)
    apart.start("speech")
    call = processed(http, call_id)
    assert call["status"] == "completed"
    assert "processing_error" not in call
    assert len({segment["id"] for segment in call["transcript"]}) == len(call["transcript"]) > 0
    assert_done_once(call_id)


def killed_in(stage: str, apart: Running, http: httpx.Client) -> str:
    """A call whose worker was killed in a stage. Some stages are short: where the kill came too late, another call."""
    for _ in range(8):
        call_id: str = upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"]
        apart.start("speech")
        deadline = time.monotonic() + 60
        while state_of(call_id) != ("running", stage) and not passed(call_id, stage) and time.monotonic() < deadline:
            time.sleep(0.002)
        apart.kill("speech")
        if state_of(call_id) == ("running", stage):
            return call_id
    raise AssertionError(f"no worker was caught in {stage}")


def passed(call_id: str, stage: str) -> bool:
    return count(StageOutput, call_id, stage=stage) > 0


def test_a_worker_that_wakes_after_its_lease_adds_nothing(apart: Running, people: dict[str, str]) -> None:
    """SIGSTOP in mid-call, as a machine that is suspended: another has the call by then, and it is finished once."""
    http = apart.client(people["admin"])
    other = Running(apart.site, _free_port())
    apart.start("housekeeping", "analysis", "speech")
    sleeper = apart.processes["speech"]
    try:
        call_id, owner = frozen_in_transcribe(sleeper, http)
        other.start("speech")
        wait_until(lambda: owner_of(call_id) not in {None, owner}, 120, "another to take the call")
        sleeper.send_signal(signal.SIGCONT)
        call = processed(http, call_id)
    finally:
        sleeper.send_signal(signal.SIGCONT)
        if "speech" in other.processes:
            other.kill("speech")
    assert call["status"] == "completed"
    assert "processing_error" not in call
    assert len({segment["id"] for segment in call["transcript"]}) == len(call["transcript"]) > 0
    assert_done_once(call_id)
    behind = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]  # the sleeper's: nobody else is left
    assert "processing_error" not in processed(http, behind)
    assert sleeper.poll() is None


def frozen_in_transcribe(worker: subprocess.Popen[bytes], http: httpx.Client) -> tuple[str, str]:
    """A call, and by what name its worker holds it, who sleeps with no transaction open: that would hold up others."""
    for _ in range(8):
        call_id: str = upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"]
        wait_until(lambda c=call_id: passed(c, "decode"), 120, "stage transcribe")
        worker.send_signal(signal.SIGSTOP)
        with suppress(AssertionError):
            wait_until(lambda: not statements_and_transactions(), 2, "the end of transactions")
            if state_of(call_id) == ("running", "transcribe") and (owner := owner_of(call_id)):
                return call_id, owner
        worker.send_signal(signal.SIGCONT)
        processed(http, call_id)
    raise AssertionError("no worker was caught between two transactions")


def owner_of(call_id: str) -> str | None:
    with db.unit_of_work() as session:
        return session.scalar(select(Pipeline.lease_owner).where(Pipeline.call_id == call_id))


def statements_and_transactions() -> int:
    others = "SELECT FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid()"
    with db.connect() as connection:
        return len(connection.execute(others).fetchall())


EVENTS = "SELECT pg_advisory_xact_lock(hashtext('call-analytics events'))"
"""The lock that every event is written under: nothing that tells of one commits while somebody else has it."""


def someone_waits_for_a_lock() -> bool:
    with db.connect() as connection:
        waiting = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
    return bool(waiting and waiting[0])


@pytest.mark.parametrize("stage", plan.STAGES, ids=lambda stage: stage.name)
def test_a_worker_killed_before_its_commit(site: Site, apart: Running, people: dict[str, str], stage: Stage) -> None:
    """kill -9 in each stage, with everything written and nothing committed: nothing stays of it, the call ends once."""
    http = apart.client(people["admin"])
    call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    with (
        psycopg.connect(postgres.admin_address(site), autocommit=True) as admin,
        slow_to_commit(admin, stage.name),
    ):
        apart.start("housekeeping", "speech", "analysis")
        wait_until(lambda: state_of(call_id) == ("running", stage.name) and fell_asleep(admin), 180, stage.name)
        apart.kill(stage.queue)
        end_of_sleep(admin)
        assert count(StageOutput, call_id, stage=stage.name) == 0
    apart.start(stage.queue)
    assert processed(http, call_id)["aiAnalysis"]["processing_status"] == "completed"
    assert_done_once(call_id)


def test_the_api_killed_before_its_commit_leaves_no_orphan(site: Site, apart: Running, people: dict[str, str]) -> None:
    """kill -9 with the recording stored and its call not yet committed: the recording vanishes again."""
    other = Running(site, _free_port())
    other.start("api")
    http = other.client(people["admin"])
    before, calls_before = stored_keys(), call_count()
    with db.connect() as connection, connection.transaction(), ThreadPoolExecutor() as pool:
        connection.execute(EVENTS)
        sent = pool.submit(lambda: upload(http, SAMPLES / "ru-wrong-number.wav"))
        wait_until(lambda: stored_keys() > before and someone_waits_for_a_lock(), 60, "the recording in the store")
        other.kill("api")
        assert isinstance(sent.exception(60), httpx.TransportError)
    with db.unit_of_work() as session:
        session.execute(update(ObjectDeletion).values(not_before=func.now()))
    apart.start("housekeeping")
    wait_until(lambda: stored_keys() == before, 180, "the orphan's end")
    assert call_count() == calls_before
    assert not list((site.data_dir / "spool").iterdir())


def test_the_api_killed_while_a_recording_arrives(site: Site, apart: Running, people: dict[str, str]) -> None:
    """kill -9 with half a body on the disk: nothing is there of it, and the same request sent again is the first."""
    other = Running(site, _free_port())
    other.start("api")
    http = other.client(people["admin"])
    before, calls_before = stored_keys(), call_count()
    recording, key = ("long.wav", wav(200)), uuid4().hex
    form = {"type": "incoming", "managerName": "Анна Смирнова"}
    headers = {"Idempotency-Key": key}
    request = http.build_request("POST", "/api/calls", data=form, files={"audio": recording}, headers=headers)
    body = request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())

    def spooled_bytes() -> int:
        files = Path(f"/proc/{other.processes['api'].pid}/fd").iterdir()
        return sum(file.stat().st_size for file in files if "/spool/" in str(file.readlink()))

    with socket.create_connection(("127.0.0.1", other.port), 10) as line:
        line.sendall(f"POST /api/calls HTTP/1.1\r\n{head}\r\n".encode() + body[: len(body) * 2 // 3])
        wait_until(lambda: spooled_bytes() > len(body) // 2, 30, "half of the body on the disk")
        other.kill("api")
    assert (stored_keys(), call_count()) == (before, calls_before)
    assert not list((site.data_dir / "spool").iterdir())
    other.start("api")
    http = other.client(people["admin"])
    taken = [upload(http, recording, idempotency_key=key) for _ in range(2)]
    other.kill("api")
    assert [answer.status_code for answer in taken] == [200, 200], taken[0].text
    assert taken[0].json()["id"] == taken[1].json()["id"]
    assert call_count() == calls_before + 1
    apart.client(people["admin"]).delete(f"/api/calls/{taken[0].json()['id']}").raise_for_status()


def stored_keys() -> set[str]:
    found = objects.client().list_objects("call-recordings", "recordings/", recursive=True)
    return {str(one.object_name) for one in found}


def call_count() -> int:
    with db.unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(Call)) or 0


def test_a_call_that_kills_its_workers_is_parked(apart: Running, people: dict[str, str]) -> None:
    """kill -9 of three workers in one stage of a call: it is failed as poison, and the call behind it has its turn."""
    http = apart.client(people["admin"])
    apart.start("housekeeping", "analysis")
    call_id = upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"]
    behind = upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"]
    for deaths in (1, 2, 3):
        apart.start("speech")
        wait_until(lambda: state_of(call_id) == ("running", "transcribe"), 120, "stage transcribe")
        apart.kill("speech")
        wait_until(lambda d=deaths: deaths_of(call_id) == d, 60, "the lease to expire")
    call = processed(http, call_id)
    assert call["status"] == "completed"
    assert call["processing_error"]["code"] == "poison"
    assert call["aiAnalysis"]["processing_status"] == "failed"
    assert count(Event, call_id, type="call_processing_failed") == 1
    wait_until(lambda: not (apart.site.data_dir / "scratch" / call_id).exists(), 30, "what the dead left to go")
    apart.start("speech")
    assert "processing_error" not in processed(http, behind)
    assert_done_once(behind)


def deaths_of(call_id: str) -> int:
    with db.unit_of_work() as session:
        return session.scalars(select(Pipeline.deaths).where(Pipeline.call_id == call_id)).one()


def test_a_lost_bell_is_rung_again(apart: Running, people: dict[str, str]) -> None:
    """The queue forgets everything; the rows know."""
    http = apart.client(people["admin"])
    call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    with db.connect() as connection:
        connection.execute("DELETE FROM huey_task")
    apart.start("housekeeping", "analysis", "speech")
    assert processed(http, call_id)["status"] == "completed"
    assert_done_once(call_id)


def test_a_worker_that_is_stopped_gives_its_call_back(apart: Running, people: dict[str, str]) -> None:
    """A clean stop in mid-call counts as no death, and the next worker goes on at once."""
    http = apart.client(people["admin"])
    call_id = upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"]
    apart.start("speech")
    wait_until(lambda: state_of(call_id) == ("running", "transcribe"), 60, "stage transcribe")
    process = apart.processes.pop("speech")
    process.terminate()
    process.wait(30)
    with db.unit_of_work() as session:
        row = session.get_one(Pipeline, call_id)
        assert (row.state, row.deaths, row.lease_owner) == ("waiting", 0, None)
    apart.start("housekeeping", "analysis", "speech")
    assert processed(http, call_id)["status"] == "completed"
    assert_done_once(call_id)


def test_weights_that_cannot_be_used_do_not_take_the_worker_down(apart: Running, people: dict[str, str]) -> None:
    """The worker says so, stays up, and its calls wait; with good weights they go on by themselves."""
    broken = apart.site.data_dir / "ggml-broken.bin"
    broken.write_bytes(b"not a model")
    other = Running(apart.site, _free_port(), environment={"WHISPER_MODEL_PATH": str(broken)})
    http = apart.client(people["admin"])
    other.start("speech")
    call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    wait_until(lambda: _error_of(call_id) == "weights_not_a_model", 60, "the error on the call")
    assert other.processes["speech"].poll() is None
    log = (apart.site.logs / "test-speech.log").read_text(encoding="utf-8")
    assert "speech_weights_unusable" in log
    other.kill("speech")
    time.sleep(0.1)
    apart.start("housekeeping", "analysis", "speech")
    assert processed(http, call_id)["status"] == "completed"
    assert_done_once(call_id)


def _error_of(call_id: str) -> str | None:
    with db.unit_of_work() as session:
        return session.scalar(select(Pipeline.error_code).where(Pipeline.call_id == call_id))


def test_a_language_model_that_is_away_costs_no_call(apart: Running, people: dict[str, str]) -> None:
    """The call waits, with no attempt to lose, and goes on in the same process when the model answers."""
    with db.unit_of_work() as session:
        session.execute(delete(LlmChoice))
    port = _free_port()
    environment = {
        "LLM_PROVIDER": "local",
        "LOCAL_LLM_URL": f"http://127.0.0.1:{port}/v1",
        "LLM_TIMEOUT_S": "1",
        "STAGE_ATTEMPTS": "1",
    }
    other = Running(apart.site, _free_port(), environment=environment)
    other.start("analysis")
    try:
        http = apart.client(people["admin"])
        apart.start("housekeeping", "speech")
        call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
        wait_until(lambda: _error_of(call_id) == "llm_unavailable", 180, "the outage to be noticed")
        with serving(port=port):
            assert processed(http, call_id)["aiAnalysis"]["provider"] == "local"
        assert_done_once(call_id)
    finally:
        other.kill("analysis")
