"""How many tokens a text is: exactly where the model's tokenizer is at hand, on the safe side otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from appliance.errors import EngineError

BYTES_PER_TOKEN = 3.0
"""Fewer than any current tokenizer's on Russian (5-7 bytes) or English (4-5) text, so that the estimate is too high."""


@lru_cache(maxsize=8)
def counter(tokenizer: str) -> Callable[[str], int]:
    """Counts tokens by a tokenizer.json, or by bytes where none is named. Raises EngineError: tokenizer_unusable."""
    if not tokenizer:
        return lambda text: int(len(text.encode()) / BYTES_PER_TOKEN) + 1
    from tokenizers import Tokenizer

    if not Path(tokenizer).is_file():
        raise EngineError("tokenizer_unusable", "the profile's tokenizer file is missing", retryable=True, wait_s=0)
    try:
        loaded = Tokenizer.from_file(tokenizer)
    except Exception as error:  # noqa: BLE001 - the library raises Exception itself
        raise EngineError(
            "tokenizer_unusable",
            f"the profile's tokenizer cannot be read: {type(error).__name__}",
            retryable=True,
            wait_s=0,
        ) from None
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)
