"""No pattern that texts of others are matched with can be made to run away (ReDoS)."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import appliance
from tests.conftest import ROOT

LENGTH = 5_000
"""Longer than what recognition writes in one piece; what is quadratic at heart takes too long with it."""

WITHIN_S = 30
"""Of processor time, for all of them."""

SEEDS = (
    "a",
    "А",
    "1",
    " ",
    "-",
    "a ",
    "а ",
    "1-",
    "1 ",
    ".",
    "a.",
    "Аа ",
    "+7 ",
    "@",
    "a@",
    '"',
    "\n",
    "_",
    "ул. ",
    "www.",
)
ENDS = ("", "!", "\x00", "@")


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every pattern that a module of the application keeps, by its place."""
    for found in pkgutil.walk_packages(appliance.__path__, "appliance."):
        if ".cli" in found.name or ".evaluation" in found.name or found.name == "appliance.engines.sandbox":
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            for number, pattern in enumerate(kept(value)):
                yield f"{found.name}.{name}[{number}]", pattern


def kept(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from kept(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from kept(inner)


def try_all() -> None:
    """Match each pattern with everything that repeats, and say which one it is; the limit of the process ends it."""
    for place, pattern in patterns():
        sys.stdout.write(f"{place}\n")
        sys.stdout.flush()
        for seed in SEEDS:
            for end in ENDS:
                pattern.search(seed * (LENGTH // len(seed)) + end)


@pytest.mark.timeout(900)
def test_patterns_that_are_kept_end_in_time() -> None:
    script = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({WITHIN_S}, {WITHIN_S}))"
    script += "\nfrom tests.test_patterns import try_all; try_all()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    tried = done.stdout.split()
    assert done.returncode == 0, f"ran away: {tried[-1:]} {done.stderr[-2000:]}"
    assert len(tried) > 50
