"""Take the README's pictures anew, beside a running demonstration: `make pictures`. Needs Chromium."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
WIDTH, HEIGHT = 1280, 1160
COLUMNS, LINE_PX = 116, 19
TERMINAL = """<!DOCTYPE html><html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 18px 24px; background: {background}; color: {foreground} }}
pre {{ font: 16px/{line}px "DejaVu Sans Mono", "Liberation Mono", monospace; margin: 0 }}
</style><body><pre>{code}</pre></body></html>"""


def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit(f"Install one of these first: {', '.join(BROWSERS)}")
    return found


def take(address: str, height: int, target: Path) -> None:
    """A picture of a page, in as few colours as it has use for."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "page.png"
        # The pages are the appliance's own, and root may run no sandbox.
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        options += [f"--window-size={WIDTH},{height}", "--virtual-time-budget=15000", f"--screenshot={raw}"]
        subprocess.run([browser(), *options, address], check=True, capture_output=True, timeout=120)
        with Image.open(raw) as page:
            page.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    sys.stdout.write(f"  {target}: {target.stat().st_size / 1024:.0f} KiB\n")


def typed(commands: list[list[str]]) -> Text:
    """What a terminal shows after these commands of the appliance."""
    screen = Text()
    environment = {**os.environ, "LANG": "C.UTF-8", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    for command in commands:
        line = [str(Path(sys.prefix) / "bin" / "appliance"), *command]
        done = subprocess.run(
            line, env=environment | {"COLUMNS": str(COLUMNS)}, capture_output=True, text=True, check=True
        )
        screen.append("$ ", "green").append(f"appliance {shlex.join(command)}\n", "bold")
        screen.append_text(Text.from_ansi(done.stdout.rstrip())).append("\n\n")
    return screen


def terminal(commands: list[list[str]], target: Path) -> None:
    """A picture of a terminal."""
    screen = typed(commands)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(screen, end="")
    page = console.export_html(theme=MONOKAI, inline_styles=True, code_format=TERMINAL.replace("{line}", str(LINE_PX)))
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as file:
        file.write(page)
        file.flush()
        take(f"file://{file.name}", screen.plain.rstrip().count("\n") * LINE_PX + 2 * LINE_PX + 18, target)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    take(f"http://localhost:{os.environ['PORT']}/docs", HEIGHT, IMAGES / "docs.png")
    terminal([["status"], ["llm", "show"]], IMAGES / "cli.png")


if __name__ == "__main__":
    main()
