"""`python -m appliance.engines.speech.proof PATH DEVICE`: load weights and listen to a second of noise, or die."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    """Exit with 0 where the weights work, with their error otherwise."""
    import numpy as np

    from appliance.engines.speech.chunks import Chunk, Piece
    from appliance.engines.speech.recognition import Recogniser
    from appliance.engines.speech.weights import inspect, load
    from appliance.errors import EngineError

    path, device = Path(sys.argv[1]), sys.argv[2]
    noise = np.random.default_rng(0).normal(0, 0.01, 16_000).astype(np.float32)
    try:
        engine: Recogniser = load(inspect(path), device, 1)  # type: ignore[assignment]
        engine.recognise([Chunk(noise, (Piece(0, 0, 1000),))], "en")
    except (EngineError, RuntimeError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
