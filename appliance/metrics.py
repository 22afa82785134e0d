"""What Prometheus is told of this installation. Labels are of bounded number and never personal.

Every process counts into files of PROMETHEUS_MULTIPROC_DIR, which supervisor sets; `exposition` adds them up. Without
that variable a process counts for itself alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600)
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 120)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1)
FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

STAGE_SECONDS = Histogram(
    "call_analytics_stage_seconds", "Time that a stage of the pipeline took", ["stage"], buckets=CALL_SECONDS
)
STAGE_FAILURES = Counter(
    "call_analytics_stage_failures", "Stages that failed, retried or not", ["stage", "code", "retried"]
)
AUDIO_SECONDS = Counter("call_analytics_audio_seconds", "Sound that was transcribed, every channel counted")
REAL_TIME_FACTOR = Histogram("call_analytics_real_time_factor", "Time of recognition by time of sound", buckets=FACTORS)
CONFIDENCE = Histogram("call_analytics_confidence", "Mean confidence of a call's transcript, 0-1", buckets=SHARES)
WORDS = Counter("call_analytics_words", "Words that were recognised", ["language"])
LLM_SECONDS = Histogram("call_analytics_llm_seconds", "Time of a whole analysis", ["provider"], buckets=CALL_SECONDS)
LLM_TOKENS = Counter("call_analytics_llm_tokens", "Tokens sent and received, failed or not", ["provider", "kind"])
LLM_COST = Counter("call_analytics_llm_cost_usd", "What requests cost by the profile's prices", ["provider"])
LLM_ERRORS = Counter("call_analytics_llm_errors", "Analyses that failed", ["provider", "code"])
UPLOAD_BYTES = Counter("call_analytics_upload_bytes", "Bytes of recordings that were accepted")
REQUESTS = Counter("call_analytics_http_requests", "Requests that were answered", ["method", "route", "status"])
REQUEST_TIME = Histogram(
    "call_analytics_http_request_seconds", "Time to the end of the answer", ["route"], buckets=REQUEST_SECONDS
)
WEBSOCKET_CLIENTS = Gauge("call_analytics_websocket_clients", "Connections to /ws/calls", multiprocess_mode="livesum")


def forget_the_dead() -> None:
    """Drop what processes that were killed said of themselves, such as the clients that they had."""
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    for file in folder.glob("gauge_live*.db"):
        pid = file.stem.rsplit("_", 1)[1]
        if not Path("/proc", pid).exists():
            mark_process_dead(int(pid))  # type: ignore[no-untyped-call]


def exposition(collectors: Iterable[Collector]) -> bytes:
    """Everything in Prometheus' text format: what all processes counted, and what the collectors look up now."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)
