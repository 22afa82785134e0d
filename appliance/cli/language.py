"""What the commands say, in the operator's language. Help is kept in both: `English / Русский`; see `spoken`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer import rich_utils
from typer.main import get_command

from installer.language import pick, spoken

Text = TypeVar("Text")


def ours(texts: tuple[Text, Text]) -> Text:
    """Of a Russian and an English text, or row of them, the operator's."""
    return texts[0] if spoken() == "ru" else texts[1]


def in_both(text: str) -> str:
    """The operator's side of `English / Русский`."""
    return pick(text, spoken())


BUILT_IN = {
    "Show this message and exit.": "Показать эту справку.",
    "Install completion for the current shell.": "Включить дополнение команд по Tab в этой оболочке.",
    "Show completion for the current shell, to copy it or customize the installation.": (
        "Показать сценарий дополнения команд для этой оболочки."
    ),
    "Install completion for the specified shell.": "Включить дополнение команд по Tab в названной оболочке.",
    "Show completion for the specified shell, to copy it or customize the installation.": (
        "Показать сценарий дополнения команд для названной оболочки."
    ),
}
"""Help of what Typer itself adds to every command line."""

HEADINGS = {
    "ARGUMENTS_PANEL_TITLE": "Аргументы",
    "OPTIONS_PANEL_TITLE": "Параметры",
    "COMMANDS_PANEL_TITLE": "Команды",
    "DEFAULT_STRING": "[по умолчанию: {}]",
    "ENVVAR_STRING": "[переменная: {}]",
    "REQUIRED_LONG_STRING": "[обязательно]",
}
"""Constants of typer.rich_utils, which draws the help."""

COMPLAINTS = (
    (r"No such command '(.*?)'\.(?: Did you mean (.*)\?)?", r"Команды «\1» нет. Похожие: \2"),
    (r"Missing command\.", "Не названа команда."),
    (r"No such option: (\S+)(?: \(Possible options: (.*)\))?", r"Параметра \1 нет. Похожие: \2"),
    (r"Missing argument '(.*?)'\.(?: Choose from: (.*))?", r"Не задан аргумент \1. \2"),
    (r"Missing option '(.*?)'\.", r"Не задан параметр \1."),
    (r"Got unexpected extra argument\(?s?\)? \((.*)\)", r"Лишние аргументы: \1"),
    (r"Option '(\S+)' requires an argument\.", r"Параметру \1 нужно значение."),
    (r"Option '(\S+)' does not take a value\.", r"Параметр \1 не принимает значения."),
    (r"Invalid value for (.*?): (.*)", r"Значение \1 не подходит: \2"),
    (r"Invalid value: (.*)", r"Значение не подходит: \1"),
)
"""Complaints about a command line, and the same in Russian."""

REASONS = (
    (r"(?:File|Path|Directory) '(.*)' does not exist\.", r"«\1» не существует."),
    (r"(?:File|Path) '(.*)' is a directory\.", r"«\1» это папка."),
    (r"(?:File|Path) '(.*)' is not readable\.", r"«\1» нельзя прочитать."),
    (r"Input should be greater than or equal to (\S+)", r"не меньше \1."),
    (r"Input should be less than or equal to (\S+)", r"не больше \1."),
    (r"Input should be a valid integer.*", "нужно целое число."),
    (r"Input should be a valid number.*", "нужно число."),
    (r"Input should be a valid UUID.*", "нужен номер (UUID)."),
    (r"Input should be ('.*)", r"есть \1."),
    (r"'(.*)' is not one of (.*)\.", r"«\1», есть \2."),
    (r"'?(.*?)'? does not match the formats? (.*)\.?", r"«\1», нужна дата вида \2"),
    (r"'?(.*?)'? is not a valid (?:UUID|integer|float)\.?.*", r"«\1»."),
    (r"(\S+) is not in the range (.*)\.", r"\1, нужно \2."),
)


def command_line(app: typer.Typer) -> Any:
    """The command of the whole tree, its help in the operator's language."""
    command = get_command(app)
    if spoken() == "ru":
        for name, heading in HEADINGS.items():
            setattr(rich_utils, name, heading)
    _speak(command)
    return command


def _speak(command: Any) -> None:
    command.help = in_both(command.help or "")
    for param in command.params:
        param.help = _said(param.help or "")
        if param.type_descriptor.annotation is Path:
            param.process_value = partial(_from_where_called, param.process_value)
        for question in ("prompt", "confirmation_prompt"):
            if isinstance(asked := getattr(param, question, None), str):
                setattr(param, question, in_both(asked))
    if (option := command.get_help_option(typer.Context(command))) is not None:
        option.help = _said(option.help or "")
    if spoken() == "ru":
        told = command.get_usage
        command.get_usage = lambda context: told(context).replace("Usage:", "Вызов:", 1)
    for each in getattr(command, "commands", {}).values():
        _speak(each)


def _from_where_called(process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    return process(context, where_called(value) if isinstance(value, str | Path) else value)


def where_called(name: str | Path) -> Path:
    """A file as the caller means it: the installed command runs elsewhere, and says from where it was called."""
    return Path(os.environ.get("APPLIANCE_CALLED_FROM", "")) / name


def _said(text: str) -> str:
    if spoken() == "ru" and text in BUILT_IN:
        return BUILT_IN[text]
    return in_both(text)


def complaint(error: typer.TyperException) -> str:
    """What is wrong with a command line, as a sentence in the operator's language."""
    said = " ".join(error.format_message().split()).replace(": Value error, ", ": ")
    if spoken() != "ru":
        return said
    for english, russian in COMPLAINTS:
        if found := re.fullmatch(english, said):
            said = found.expand(russian).removesuffix(" Похожие: ")
            break
    head, between, reason = said.partition(": ")
    for english, russian in REASONS:
        if found := re.fullmatch(f"(?i:{english})", reason):
            return head + between + found.expand(russian)
    return said


def where_to_look(error: typer.TyperException) -> str:
    """The help of the command whose line is wrong."""
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else "--help"
