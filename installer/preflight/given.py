"""Settings that a company gives before the installation, and what they lead to. Standard library alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

ELSEWHERE = {"DATABASE_URL": 5432, "S3_ENDPOINT": 80, "REDIS_URL": 6379, "LOCAL_LLM_URL": 80}
"""Settings that name a part of the company's, and the port that is meant where none stands there."""


class Unreadable(ValueError):
    """What is no setting, or no value for one; the text says which, and not what stands in it: it may be a secret."""

    def __init__(self, where: str, en: str, ru: str) -> None:
        super().__init__(f"{where} {en}")
        self.in_russian = f"{where} {ru}"

    def message(self, language: str) -> str:
        """The text in `ru` or `en`."""
        return self.in_russian if language == "ru" else str(self)


def said(error: Exception, language: str) -> str:
    """What is wrong with what was given, in `ru` or `en` where it is known in both."""
    return error.message(language) if isinstance(error, Unreadable) else str(error)


def read(file: Path) -> dict[str, str]:
    """NAME=VALUE lines; empty ones and those that begin with # are passed over. Raises Unreadable, OSError.

    Two programs read the settings, a shell may too: what they would understand differently is refused.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.removeprefix("export ").partition("="))
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if not equals or not name.replace("_", "").isalnum() or name != name.upper():
            raise Unreadable(f"{file}:{number}:", "NAME=VALUE", "ИМЯ=ЗНАЧЕНИЕ")
        if any(sign in value for sign in (" #", "${", '"', "'")):
            signs = "' #', ${ or a quotation mark within the value", "' #', ${ или кавычка внутри значения"
            raise Unreadable(f"{file}:{number}: {name}:", *signs)
        if name in found:
            raise Unreadable(f"{file}:{number}: {name}", "stands there twice", "задано дважды")
        found[name] = value
    return found


def parts(settings: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Setting, host and port of every part that is the company's. Raises Unreadable for an address that is none."""
    for name, usual in ELSEWHERE.items():
        if address := settings.get(name):
            try:
                url = urlsplit(address)
                host, port = url.hostname, url.port
            except ValueError:  # whose text may hold a password
                host = port = None
            if not host:
                raise Unreadable(name, "is no address", "не адрес")
            yield name, host, port or (443 if url.scheme == "https" else usual)
