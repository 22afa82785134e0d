"""The operator's language, and texts that are kept in both: `English / Русский`."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from typing import Any, NoReturn

SAYS_SO = ("APPLIANCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
"""Whichever is set first decides."""

BETWEEN = re.compile(r"\s+/\s+(?=[^/]*[А-Яа-яЁё])")


def spoken(environment: Mapping[str, str] = os.environ) -> str:
    """`ru` or `en`: what the environment says; Russian where it says nothing."""
    said = next((value for name in SAYS_SO if (value := environment.get(name))), "ru")
    return "ru" if said.lower().startswith("ru") else "en"


def pick(text: str, language: str) -> str:
    """One of the two sides of a text; one that has no second side (a name, a number) is as it is."""
    sides = BETWEEN.split(text, maxsplit=1)
    return sides[-1 if language == "ru" else 0].strip()


ARGPARSE = {
    "usage: ": "использование: ",
    "options:": "параметры:",
    "positional arguments:": "аргументы:",
    "show this help message and exit": "показать эту справку",
}

COMPLAINTS = (
    (r"the following arguments are required: (.*)", r"не заданы обязательные параметры: \1"),
    (r"unrecognized arguments: (.*)", r"неизвестные параметры: \1"),
    (r"argument (\S+): expected one argument", r"параметру \1 нужно значение"),
    (r"argument (\S+): invalid choice: (\S+) \(choose from (.*)\)", r"параметр \1: \2 не подходит, есть \3"),
    (r"argument (\S+): invalid \w+ value: (.*)", r"параметр \1: \2 не подходит"),
    (r"argument (\S+): ignored explicit argument (.*)", r"параметр \1 не принимает значения \2"),
    (r"ambiguous option: (\S+) could match (.*)", r"параметр \1 неоднозначен: \2"),
)
"""What argparse says, and the same in Russian."""


class Parser(argparse.ArgumentParser):
    """A command line whose help and complaints are in the operator's language; its texts are kept in both."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.language = spoken()
        super().__init__(*arguments, **options)

    def format_help(self) -> str:
        """In one language."""
        self.description = pick(self.description or "", self.language)
        for action in self._actions:
            if action.help and action.help != argparse.SUPPRESS:
                action.help = pick(action.help, self.language)
        return self._in_russian(super().format_help())

    def format_usage(self) -> str:
        """In one language."""
        return self._in_russian(super().format_usage())

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with 2."""
        if self.language == "ru":
            for english, russian in COMPLAINTS:
                message = re.sub(f"^{english}$", russian, message)
            self.print_usage()
            self.exit(2, f"{self.prog}: {message}\n")
        super().error(message)

    def _in_russian(self, text: str) -> str:
        if self.language == "ru":
            for english, russian in ARGPARSE.items():
                text = text.replace(english, russian)
        return text
