"""The two kinds of failure: what a caller did wrong or must know, and what a pipeline stage could not do."""

from __future__ import annotations

import errno
from typing import ClassVar


class ApplianceError(Exception):
    """A failure with a stable code and an HTTP status; its texts are for people and hold no personal data.

    Subclasses name the case as a sentence and give the texts; `params` fill the texts' placeholders and are sent along.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    ru: ClassVar[str] = "Внутренняя ошибка сервера"
    en: ClassVar[str] = "Internal server error"

    def __init__(self, *, headers: dict[str, str] | None = None, **params: str | float) -> None:
        self.params = params
        self.headers = headers or {}
        super().__init__(self.message("en"))

    def message(self, language: str) -> str:
        """The text in `ru` or `en`."""
        return (self.en if language == "en" else self.ru).format(**self.params)


class StageError(Exception):
    """A pipeline stage failed; `retryable` says whether trying again later can help. `code` is short and stable."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class EngineError(Exception):
    """An engine cannot do its work: unusable weights, an endpoint that answers nonsense. The message says why.

    wait_s: the fault is not the call's but that of something that is away; try again after so many seconds, as often
    as it takes.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.wait_s = wait_s


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the disk, or this process's share of it, holds no more."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
