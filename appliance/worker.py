"""Builds the worker process: a consumer of one queue, or the housekeeper."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from appliance import logs
from appliance.config import settings
from appliance.errors import EngineError
from appliance.pipeline import runner
from appliance.pipeline.stage import Queue
from appliance.services.arrivals import folder, recordings
from appliance.tasks import alive, housekeeping, node, pipeline, queue

log = logs.get(__name__)


def consume(name: Queue) -> None:
    """Work on a queue until SIGINT or SIGTERM. What runs then is given back and run again by the next worker."""
    alive.keep(name, runner.stopping)
    workers = settings().speech_workers if name == "speech" else settings().analysis_workers
    if settings().node_name:
        node.check_release()
        threading.Thread(target=node.keep_in_touch, args=(name, runner.stopping), name="node", daemon=True).start()
    if name == "speech":
        _warm_up()
    queue.bell(name)
    consumer = queue.queue(name).create_consumer(workers=workers, periodic=False, max_delay=2.0)
    consumer.start()
    stop = _stop_on_signal()
    log.info("worker_started", queue=name, workers=workers)
    checked: float | None = time.monotonic()
    while not stop.is_set():
        checked = consumer.loop(checked)
    runner.stopping.set()
    consumer.stop(graceful=True)


def _stop_on_signal() -> threading.Event:
    """Set when the process is asked to stop. The handlers only set it: what they interrupt may hold any lock."""
    stop = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop


def _warm_up() -> None:
    """Load the weights before the first call. Weights that cannot be used are said loudly, and tried again."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        engine = pipeline.equipment().speech
    except EngineError as error:
        log.error("speech_weights_unusable", code=error.code, reason=str(error))  # noqa: TRY400 - no trace helps
        return
    notice = "demo weights: understand the sample calls only" if engine.weights.startswith("demo") else None
    log.info("speech_weights_loaded", engine=engine.name, weights=engine.weights, notice=notice)
    try:
        log.info("diarizer_loaded", diarizer=pipeline.equipment().diarizer.name)
    except EngineError as error:
        log.error("diarizer_unusable", code=error.code, reason=str(error))  # noqa: TRY400 - no trace helps


def keep_house() -> None:
    """Do the housekeeping until SIGINT or SIGTERM."""
    stop = _stop_on_signal()
    alive.keep("housekeeping", stop)
    log.info("worker_started", queue="housekeeping", workers=1)
    if settings().watch_folder:
        # What it is in the midst of when the process ends is begun anew by the next one.
        threading.Thread(target=folder.watch, args=(stop,), name="watch folder", daemon=True).start()
    if settings().recording_hosts:
        threading.Thread(target=recordings.watch, args=(stop,), name="recordings", daemon=True).start()
    housekeeping.keep_house(stop)
