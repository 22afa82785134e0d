"""Every command line in the documents is one that the program takes: commands, options, numbers of arguments."""

from __future__ import annotations

import enum
import inspect
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from appliance.cli import app
from installer.bundle import __main__ as bundle
from installer.language import Parser
from installer.setup import __main__ as setup
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "weights").rglob("*.md")]
PROGRAM = r"(?:sudo +)?(?:[A-Z_]+=\S+ +)*(?:\S*/)?(?:appliance|call-analytics)"
SPAN = re.compile(rf"`{PROGRAM} +([a-z-][^`]*)`")
LINE = re.compile(rf"(?:^|&& |; |\$ ?){PROGRAM} +([^#|>&;\n]*)", re.MULTILINE)
PLACEHOLDER = re.compile(r"^[^a-z]*$")

APP = get_command(app)


def command_lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for block in blocks:
            yield from ((page.name, line) for line in LINE.findall(block.replace("\\\n", " ")))
        prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        yield from ((page.name, " ".join(line.split())) for line in SPAN.findall(prose))


def unfit(line: str) -> str:
    """What is wrong with a command line; empty where nothing is. What may be left out, [so], is looked at as well."""
    words = shlex.split(re.split(r" [|>#] ?", line.replace("[", " ").replace("]", " "))[0])
    command: Any = APP
    room = 0
    while words:
        if words[0].startswith("-"):
            if wrong := _option(command, words):
                return wrong
        elif hasattr(command, "commands"):
            if words[0] not in command.commands:
                return f"no command {words[0]}"
            command = command.commands[words.pop(0)]
            room = sum(1 for param in command.params if param.param_type_name == "argument")
        elif words.pop(0) not in {"...", "…"}:
            room -= 1
            if room < 0:
                return "too many arguments"
    return ""


def _option(command: Any, words: list[str]) -> str:
    """Take one off the line."""
    known = {name: param for param in command.params for name in (*param.opts, *param.secondary_opts)} | {
        "--help": None
    }
    name, given, value = words.pop(0).partition("=")
    if name not in known:
        return f"no option {name}"
    param = known[name]
    if param is None or param.is_flag:
        return ""
    if not given:
        if not words:
            return f"{name} lacks its value"
        value = words.pop(0)
    kind = param.type_descriptor.annotation
    is_choice = inspect.isclass(kind) and issubclass(kind, enum.Enum)
    if is_choice and not PLACEHOLDER.match(value) and value not in {each.value for each in kind}:
        return f"{name} does not take {value}"
    return ""


def test_every_command_line_in_the_documents_is_taken() -> None:
    lines = list(command_lines())
    assert len(lines) > 100
    assert {"manual.ru.md", "manual.en.md", "README.md", "operation.md", "growing.md"} <= {page for page, _ in lines}
    assert not [(page, line, wrong) for page, line in lines if (wrong := unfit(line))]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("backup make /mnt/x --keep 14", ""),
        ("backup mak /mnt/x", "no command mak"),
        ("backup make /mnt/x --kep 14", "no option --kep"),
        ("backup make /mnt/x other", "too many arguments"),
        ("backup make /mnt/x --keep", "lacks its value"),
        ("users create EMAIL --role boss", "does not take boss"),
        ("users create EMAIL --role ROLE", ""),
        ("node add NAME --address ADDRESS [--listen ADDRESS]", ""),
        ("status --json --watch", ""),
        ("--install-completion", ""),
    ],
)
def test_a_wrong_line_would_be_found(line: str, wrong: str) -> None:
    assert (wrong in unfit(line)) if wrong else not unfit(line)


def test_every_make_target_in_the_documents_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert len(named) > 8
    assert not named - targets


def flags(parser: Any) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings}


def test_every_option_of_the_installer_and_of_the_bundle_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"./install": flags(parser_of_install(monkeypatch)), "make bundle": flags(bundle.command_line())}
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for name, options in known.items():
            for line in re.findall(rf"{re.escape(name)} +([^`#|\n]*)", text):
                wrong = set(re.findall(r"(?<![\w-])--[a-z-]+", line)) - options
                assert not wrong, f"{page.name}: {name} {line}"


def parser_of_install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What reads the line of ./install."""
    found: list[Any] = []
    monkeypatch.setattr("sys.argv", ["./install", "--bundle", "."])
    read = Parser.parse_args
    monkeypatch.setattr(Parser, "parse_args", lambda self: (found.append(self), read(self))[1])
    setup.options()
    return found[0]
