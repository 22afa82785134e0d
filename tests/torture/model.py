"""The language model that analyses in a torture: a process of its own, beside the appliance, that can be taken away."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import ROOT, _free_port, wait_until


@dataclass
class Model:
    """An OpenAI-compatible server. `unwell`: while this file is there, every answer is 500."""

    port: int
    unwell: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """For an appliance that is to analyse with it, and soon finds out that it does not answer."""
        return {
            "LLM_PROVIDER": "local",
            "LOCAL_LLM_URL": f"http://127.0.0.1:{self.port}/v1",
            "LLM_TIMEOUT_S": "3",
        }

    def start(self) -> None:
        """Nothing where it runs."""
        if self.process is None:
            command = [sys.executable, "-m", "tests.llm.scripted", str(self.port), str(self.unwell)]
            self.process = subprocess.Popen(command, cwd=ROOT)
            wait_until(self._answers, 60, "the language model")

    def _answers(self) -> bool:
        """501: it takes POST alone."""
        return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5).status_code == 501

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(number)

    def heal(self) -> None:
        """Whatever was done to it, it answers."""
        self.unwell.unlink(missing_ok=True)
        self.signal(signal.SIGCONT)
        self.start()


@contextmanager
def language_model(unwell: Path) -> Iterator[Model]:
    made = Model(_free_port(), unwell)
    made.start()
    try:
        yield made
    finally:
        made.kill()
