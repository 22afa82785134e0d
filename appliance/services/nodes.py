"""Further machines: added, listed and removed by the operator; each is noted in the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from appliance.config import LOOPBACK, settings
from appliance.errors import ApplianceError
from appliance.pipeline.providers import chosen
from appliance.store import audit, db, nodes

SILENT_S = 20.0
"""Workers say every five seconds that they are there."""

NodeState = Literal["expected", "at work", "silent"]
"""expected: was added and has not joined. silent: not one of its workers was heard of for SILENT_S."""


class NodeKnown(ApplianceError):
    code = "node_known"
    ru = "Машина {name} уже добавлена. Чтобы выдать ей новые ключи: node remove {name}, затем node add {name}"
    en = "The node {name} was added already. To give it new keys: node remove {name}, then node add {name}"


class NodeUnknown(ApplianceError):
    code = "node_unknown"
    ru = "Машины {name} нет. Показать все: node list"
    en = "There is no node {name}. To see all: node list"


@dataclass(frozen=True, slots=True)
class Shown:
    """A node as the operator sees it. Seconds are None for a worker that was never heard of."""

    name: str
    address: str
    state: NodeState
    version: str
    speech_silent_s: float | None
    analysis_silent_s: float | None
    calls: int


def check_new(name: str) -> None:
    """Raises NodeKnown."""
    with db.unit_of_work() as session:
        if name in nodes.known(session):
            raise NodeKnown(name=name)


def add(name: str, address: str) -> None:
    """Write a node down."""
    with db.unit_of_work() as session:
        nodes.add(session, name, address)
        audit.append(session, "node_added", details={"node": name, "address": address})


def remove(name: str) -> None:
    """Raises NodeUnknown."""
    with db.unit_of_work() as session:
        if not nodes.remove(session, name):
            raise NodeUnknown(name=name)
        audit.append(session, "node_removed", details={"node": name})


def addresses() -> dict[str, str]:
    """Every node's address, by name."""
    with db.unit_of_work() as session:
        return nodes.known(session)


def listed() -> list[Shown]:
    """Every node, and when it was last heard of."""
    with db.unit_of_work() as session:
        rows = nodes.listed(session)
    found = []
    for row in rows:
        silent = [None if s is None else round(float(s), 1) for s in (row.speech_silent_s, row.analysis_silent_s)]
        heard = [seconds for seconds in silent if seconds is not None]
        state: NodeState = "expected" if not heard else "at work" if min(heard) < SILENT_S else "silent"
        node = row.Node
        found.append(Shown(node.name, node.address, state, node.version or "", silent[0], silent[1], row.calls))
    return found


def model_is_out_of_reach() -> bool:
    """Whether who analyses answers on this machine's loopback interface alone."""
    with db.unit_of_work() as session:
        profile = chosen(settings(), session).profile
    return urlsplit(profile.base_url).hostname in LOOPBACK
