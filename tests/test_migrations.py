"""The migrations make what the entities describe, from nothing and back."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from appliance.store import db
from appliance.store.nodes import MIGRATIONS
from installer.site import Site


@pytest.fixture
def alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def test_the_entities_and_the_migrations_agree(site: Site, alembic: Config) -> None:
    command.check(alembic)


def test_every_constraint_has_a_name_of_ours(site: Site) -> None:
    with db.unit_of_work() as session:
        query = "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
        names = session.scalars(text(query)).all()
    ours = [name for name in names if not name.startswith("huey_") and not name.startswith("alembic_")]
    assert ours
    assert all(name.startswith(("pk_", "fk_", "uq_", "ck_")) for name in ours)
