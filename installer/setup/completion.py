"""The shells complete `call-analytics` by Tab: a script for each in the folder where it looks for them."""

from __future__ import annotations

from pathlib import Path

from installer.setup import layout


def files() -> dict[str, Path]:
    """Where each shell looks for the script of a command that lies in /usr/local/bin."""
    name, share = layout.COMMAND.name, layout.COMMAND.parents[1] / "share"
    return {
        "bash": share / "bash-completion" / "completions" / name,
        "zsh": share / "zsh" / "site-functions" / f"_{name}",
        "fish": share / "fish" / "vendor_completions.d" / f"{name}.fish",
    }


def write() -> None:
    """For every shell: one that is installed later finds its own."""
    # Not at the top: the first half of ./install runs before there is Typer.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it re-exports it

    name = layout.COMMAND.name
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    for shell, file in files().items():
        script = get_completion_script(prog_name=name, complete_var=variable, shell=shell)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script + "\n", encoding="utf-8")


def remove() -> None:
    """Folders stay: they are the shells'."""
    for file in files().values():
        file.unlink(missing_ok=True)
