"""`appliance reanalyse` on a real installation: a preview, the whole, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from click.testing import Result
from sqlalchemy import delete, select
from typer.testing import CliRunner

from appliance.cli import app
from appliance.models import Reanalysis
from appliance.store import db
from installer.site import Site
from tests.conftest import SAMPLES, Running, processed, upload

ID = re.compile(r"[0-9a-f-]{36}")


def reanalyse(*arguments: str, lang: str = "C") -> Result:
    return CliRunner().invoke(app, ["reanalyse", *arguments], env={"LANG": lang, "APPLIANCE_LANG": ""})


@pytest.fixture
def call_id(running: Running, people: dict[str, str]) -> Iterator[str]:
    http = running.client(people["admin"])
    made = processed(http, upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"])["id"]
    yield made
    http.delete(f"/api/calls/{made}").raise_for_status()
    with db.unit_of_work() as session:
        session.execute(delete(Reanalysis))


def test_a_call_is_previewed_compared_and_analysed_anew(call_id: str) -> None:
    chosen = ("--call", call_id, "--profile", "builtin")
    begun = reanalyse("begin", *chosen, "--preview", "1", "--wait", lang="ru_RU.UTF-8")
    assert begun.exit_code == 0, begun.output
    assert "предпросмотр готов: builtin, готово 1 из 1" in begun.output
    assert "совпадение" in begun.output
    assert call_id in begun.output
    order = ID.findall(begun.output)[0]
    assert f"Все звонки, 1 (~0.00 USD): appliance reanalyse start {order}" in begun.output
    shown = reanalyse("show", order).output
    assert "preview done: builtin, 1 of 1 done" in shown
    assert "agreement" in shown
    started = reanalyse("start", order, "--wait")
    assert f"{order}  completed: builtin, 1 of 1 done" in started.output
    assert order in reanalyse("list").output
    again = reanalyse("cancel", order)
    assert str(again.exception) == "The re-analysis has ended already"
    with db.unit_of_work() as session:
        assert session.scalars(select(Reanalysis.started_by_id)).all() == [None]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "whole archive"),
        (["--all", "--manager", "X"], "whole archive"),
        (["--manager", "Nobody"], "No processed call"),
        (["--sentiment", "married"], "sentiment"),
        (["--manager", "X", "--profile", "openai"], "DATA_RESIDENCY=local-only"),
    ],
    ids=["nothing chosen", "both", "nobody's", "no sentiment", "the cloud"],
)
def test_orders_that_are_refused(site: Site, arguments: list[str], said: str) -> None:
    refused = reanalyse("begin", *arguments)
    assert refused.exit_code != 0
    assert said in refused.output + str(refused.exception)
