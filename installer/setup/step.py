"""A step of the installation: checked, done where it is not done yet, told in one line, written to the log in full."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


class StepFails(Exception):
    """A step could not be done; the text says which command, and the end of what it said."""


@dataclass(frozen=True)
class Step:
    """`done` looks and changes nothing; `do` brings it about and may be run again after it was cut off."""

    ru: str
    en: str
    done: Callable[[], bool]
    do: Callable[[], None]


@dataclass
class Journal:
    """The person's progress lines and the log."""

    log: Path
    language: str
    total: int
    number: int = field(default=0)

    def take(self, step: Step) -> None:
        """Do a step where it is not done. Raises StepFails."""
        self.number += 1
        name = step.ru if self.language == "ru" else step.en
        self._print(f"  [{self.number:>2}/{self.total}] {name} ... ", end="")
        began = time.monotonic()
        if step.done():
            self._print("уже есть" if self.language == "ru" else "already there")
            return
        try:
            step.do()
        except StepFails:
            self._print("НЕ УДАЛОСЬ" if self.language == "ru" else "FAILED")
            raise
        self._print(f"{time.monotonic() - began:.0f} " + ("с" if self.language == "ru" else "s"))

    def say(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str, end: str = "\n") -> None:
        with suppress(OSError):  # of a connection that was cut: nobody reads it
            sys.stdout.write(text + end)
            sys.stdout.flush()
        self._note(text + "\n")

    def _note(self, text: str) -> None:
        """A full disk, say, must not keep what was there before from being put back."""
        with suppress(OSError), self.log.open("a", encoding="utf-8") as file:
            file.write(text)

    def run(self, *command: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run a command, its output into the log; returns what it printed. Raises StepFails."""
        self._note("$ " + " ".join(command) + "\n")
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=cwd)
        self._note(done.stdout + done.stderr)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-600:]
            raise StepFails(f"{' '.join(command[:6])}: {said}")
        return done.stdout
