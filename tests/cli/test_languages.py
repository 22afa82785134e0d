"""Every help text and every sentence of the commands is there in Russian and in English, and the right one is shown."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import rich_utils
from typer.main import get_command
from typer.testing import CliRunner

from appliance.cli import app, language, measures
from appliance.engines.language.answer import AnswerUnfit
from appliance.errors import IN_RUSSIAN
from appliance.evaluation import analysis_report, masking, speech_report
from installer.language import pick, spoken
from tests.conftest import ROOT

CYRILLIC = re.compile("[А-Яа-яЁё]")
SENTENCE = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}")
COMMANDS = re.compile(r"ufw |systemctl |make |proto tcp| ?\(?appliance | proto|Анна Смирнова$|assign roles$")
APPLIANCE = Path(sys.prefix) / "bin" / "appliance"


def walk(command: Any, path: str = "appliance") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from walk(each, f"{path} {name}")


def texts_of(path: str, command: Any) -> Iterator[tuple[str, str]]:
    """Where a text of the help stands, and the text."""
    yield path, command.help or ""
    for param in command.params:
        yield f"{path} {param.name}", param.help or ""
        for question in ("prompt", "confirmation_prompt"):
            if isinstance(asked := getattr(param, question, None), str):
                yield f"{path} {param.name} {question}", asked


def one_sided(text: str) -> bool:
    russian, english = pick(text, "ru"), pick(text, "en")
    return not CYRILLIC.search(russian) or bool(CYRILLIC.search(english)) or not english


def test_every_help_text_is_in_both_languages() -> None:
    found = [(where, text) for path, command in walk(get_command(app)) for where, text in texts_of(path, command)]
    assert len(found) > 150
    wrong = [(where, text) for where, text in found if text not in language.BUILT_IN and one_sided(text)]
    assert not wrong


def test_a_text_in_one_language_would_be_found() -> None:
    for text in ("Start everything", "Запустить всё", "Start / stop", ""):
        assert one_sided(text), text
    assert not one_sided("Start, or stop /var / Запустить /var")


@pytest.mark.parametrize(("wanted", "has_russian"), [("ru", True), ("en", False)])
def test_help_is_shown_in_one_language_everywhere(
    wanted: str, has_russian: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPLIANCE_LANG", wanted)
    for name in language.HEADINGS:
        monkeypatch.setattr(rich_utils, name, getattr(rich_utils, name))
    for path, command in walk(language.command_line(app)):
        context = typer.Context(command)
        helped = [text for _, text in texts_of(path, command)] + [command.get_help_option(context).help]
        assert all(bool(CYRILLIC.search(text)) is has_russian for text in helped), path
        assert ("Вызов:" in command.get_usage(context)) is has_russian


def said(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name not in {"LANG", "LC_ALL", "APPLIANCE_LANG"}}
    command = [str(APPLIANCE), *arguments]
    return subprocess.run(command, env=known | environment, capture_output=True, text=True, check=False, timeout=120)


def test_help_as_an_operator_sees_it() -> None:
    russian = said("backup", "make", "--help", LANG="ru_RU.UTF-8")
    assert russian.returncode == 0
    assert "Вызов: appliance backup make" in russian.stdout
    assert "[по умолчанию: 0]" in russian.stdout
    assert not SENTENCE.search(re.sub(r"appliance backup make|<[^>]*>", "", russian.stdout)), russian.stdout
    english = said("backup", "make", "--help", LANG="en_US.UTF-8").stdout
    assert "Usage: appliance backup make" in english
    assert not CYRILLIC.search(english)
    assert said("--help").stdout == said("--help", LANG="ru_RU.UTF-8").stdout, "Russian where nothing is said"


@pytest.mark.parametrize(
    ("arguments", "russian", "english"),
    [
        (("bogus",), "Команды «bogus» нет", "No such command"),
        (("status", "--bogus"), "Параметра --bogus нет", "No such option"),
        (("users", "create"), "Не задан аргумент email", "Missing argument"),
        (("down", "extra"), "Лишние аргументы: extra", "unexpected extra argument"),
        (("logs", "--lines"), "Параметру --lines нужно значение", "requires an argument"),
        (("audit", "list", "--limit", "0"), "не меньше 1", "greater than or equal to 1"),
        (("audit", "list", "--limit", "x"), "нужно целое число", "valid integer"),
        (("audit", "list", "--call", "x"), "нужен номер (UUID)", "valid UUID"),
        (("users", "create", "a@b.ru", "--role", "boss"), "есть 'admin', 'manager', 'analyst'", "is not one of"),
        (("process", "/nowhere.wav"), "«/nowhere.wav» не существует", "does not exist"),
    ],
)
def test_a_wrong_command_line_is_told_in_both(arguments: tuple[str, ...], russian: str, english: str) -> None:
    for tongue, wanted in (("ru_RU.UTF-8", russian), ("C", english)):
        done = said(*arguments, LANG=tongue)
        assert done.returncode == 2
        assert done.stderr.startswith("appliance: ")
        assert wanted in done.stderr
        assert "--help)" in done.stderr


def test_the_environment_decides_and_russian_is_the_default() -> None:
    assert spoken({}) == spoken({"LANG": ""}) == "ru"
    assert spoken({"LANG": "C.UTF-8"}) == spoken({"LANG": "en_US.UTF-8"}) == "en"
    assert spoken({"LANG": "en_US.UTF-8", "LC_ALL": "ru_RU.UTF-8"}) == "ru"
    assert spoken({"LANG": "ru_RU.UTF-8", "LC_ALL": "ru_RU.UTF-8", "APPLIANCE_LANG": "en"}) == "en"


def pieces(node: ast.AST) -> str:
    """The constant text below a node."""
    return " ".join(str(part.value) for part in ast.walk(node) if isinstance(part, ast.Constant))


def in_one_language(file: Path) -> list[str]:
    """Sentences in a file of commands that have no counterpart."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    fine: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            fine.add(id(node.value))
        sides = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        if len(sides) == 2 and CYRILLIC.search(pieces(sides[0])) and not CYRILLIC.search(pieces(sides[1])):
            fine |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.Dict) and not CYRILLIC.search(" ".join(pieces(key) for key in node.keys if key)):
            fine |= {id(part) for part in ast.walk(node)}  # by code, of one language
        if isinstance(node, ast.Call | ast.Subscript) and ast.unparse(node).startswith(("map(heading", "outputs[")):
            fine |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "ApplianceError" for base in node.bases):
            fine |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.JoinedStr | ast.Constant) and not one_sided(pieces(node)):
            fine |= {id(part) for part in ast.walk(node)}
    constants = (part for part in ast.walk(tree) if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return [
        f"{file.name}:{part.lineno}: {part.value}"
        for part in constants
        if id(part) not in fine and (SENTENCE.search(part.value) or CYRILLIC.search(part.value))
        if not COMMANDS.match(part.value)
    ]


def test_no_sentence_of_the_commands_is_in_one_language_only() -> None:
    tables = {"language.py", "measures.py"}  # whose keys are English, and whose values Russian
    files = [file for file in (ROOT / "appliance" / "cli").glob("*.py") if file.name not in tables]
    assert len(files) > 15
    assert not [found for file in files for found in in_one_language(file)]


def test_every_step_that_is_told_is_in_both() -> None:
    told = [
        (file.name, pieces(call.args[0]))
        for file in (ROOT / "installer").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "report" and pieces(call.args[0])
    ]
    assert len(told) > 15
    assert not [where for where in told if one_sided(where[1])]


def codes() -> Iterator[str]:
    """Codes that engines fail with."""
    for file in (ROOT / "appliance").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            made = isinstance(call, ast.Call) and ast.unparse(call.func) == "EngineError"
            if made and isinstance(code := call.args[0], ast.Constant):
                yield str(code.value)
        if file.name == "pyannote_child.py":
            yield from re.findall(r'"(diarizer_\w+)"', file.read_text(encoding="utf-8"))
    yield from (kind.code for kind in (AnswerUnfit, *AnswerUnfit.__subclasses__()))


def test_every_failure_of_an_engine_has_a_russian_sentence() -> None:
    found = set(codes())
    assert len(found) > 35
    assert not found - IN_RUSSIAN.keys()


def test_headings_of_measures_are_in_both() -> None:
    tables = [speech_report.totals([]), analysis_report._agreement([])]
    tables += [
        analysis_report._grid(title, [], columns)
        for title, columns in (
            ("Labels", analysis_report.LABEL_COLUMNS),
            ("Answers", analysis_report.ANSWER_COLUMNS),
            ("Effort", analysis_report.EFFORT_COLUMNS),
        )
    ]
    headings = {text for table in tables for text in (table.title, *table.headings)}
    headings |= {str(column.header) for column in masking.table([], "").columns}
    assert not headings - measures.RUSSIAN.keys()


@pytest.mark.parametrize("command", ["installer.setup", "installer.preflight"])
def test_the_installer_helps_in_both(command: str) -> None:
    shown = {}
    for tongue in ("ru_RU.UTF-8", "C"):
        known = {name: value for name, value in os.environ.items() if name not in {"LC_ALL", "APPLIANCE_LANG"}}
        line = [sys.executable, "-m", command, "--help"]
        shown[tongue] = subprocess.run(
            line, env={**known, "LANG": tongue}, capture_output=True, text=True, check=True
        ).stdout
    assert "использование:" in shown["ru_RU.UTF-8"]
    assert not SENTENCE.search(shown["ru_RU.UTF-8"]), shown["ru_RU.UTF-8"]
    assert "usage:" in shown["C"]
    assert not CYRILLIC.search(shown["C"])


def test_a_password_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("appliance.services.users.create", lambda *given, **_: made.append(given[2]))
    monkeypatch.setenv("APPLIANCE_LANG", "ru")
    typed = "Анна\none password\nanother\nthe password\nthe password\n"
    done = CliRunner().invoke(app, ["users", "create", "a@b.ru"], input=typed)
    assert done.exit_code == 0, done.output
    assert made == ["the password"]
    assert "Пароли не совпали" in done.output
