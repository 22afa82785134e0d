"""Workers of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from appliance.models import Pipeline
from appliance.store import db
from installer.site import Site
from tests.conftest import Running, wait_until


@pytest.fixture
def apart(site: Site, running: Running, people: dict[str, str]) -> Iterator[Running]:
    """The running API with its workers stopped: the test starts and kills its own."""
    workers = [name for name in running.processes if name != "api"]
    for name in workers:
        running.kill(name)
    wait_until(_nobody_works, 30, "leases of the killed workers to be forgotten")
    yield running
    for name in [name for name in running.processes if name != "api"]:
        running.kill(name)
    running.start("housekeeping", "analysis", "speech")


def _nobody_works() -> bool:
    with db.unit_of_work() as session:
        session.execute(
            update(Pipeline)
            .where(Pipeline.state == "running")
            .values(state="waiting", lease_owner=None, lease_until=None)
        )
    return True
