"""What is looked up when Prometheus asks: the queues, and whether the database is there."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from appliance import metrics
from appliance.config import settings
from appliance.pipeline import plan
from appliance.services import failures
from appliance.store import db, pipelines


class QueueCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        """Calls that wait, by queue, and how long the first of them has."""
        up = GaugeMetricFamily("call_analytics_database_up", "Whether the database answers")
        depth = GaugeMetricFamily("call_analytics_queue_depth", "Calls that wait for a worker", labels=["queue"])
        age = GaugeMetricFamily(
            "call_analytics_queue_age_seconds", "How long the call that waits longest has waited", labels=["queue"]
        )
        try:
            with db.unit_of_work() as session:
                waiting = pipelines.waiting_by_stage(session)
        except SQLAlchemyError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        for queue in ("speech", "analysis"):
            rows = [row for row in waiting if plan.stage_named(row.stage).queue == queue]
            depth.add_metric([queue], sum(row.calls for row in rows))
            age.add_metric([queue], max((row.age_s for row in rows), default=0.0))
        yield from (up, depth, age)


def exposition(address: str) -> bytes:
    """The metrics, for an address that METRICS_ALLOW lets see them. Raises NotAllowed."""
    try:
        client = ip_address(address)
    except ValueError:
        raise failures.NotAllowed from None
    if not any(client in ip_network(network, strict=False) for network in settings().metrics_allow):
        raise failures.NotAllowed
    return metrics.exposition([QueueCollector()])
