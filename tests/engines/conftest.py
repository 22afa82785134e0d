"""Weights for engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.engines.speech.demo_weights import materialise
from tests.conftest import ROOT


@pytest.fixture(scope="session")
def demo_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo weights, written out for both engines: a folder with ct2/ and ggml-demo.bin."""
    folder = tmp_path_factory.mktemp("demo-weights")
    materialise(ROOT / "weights" / "demo", folder)
    return folder
