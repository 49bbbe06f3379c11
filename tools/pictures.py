"""Make the pictures of the README from real runs: ``python tools/pictures.py`` writes into ``docs/pictures/``.

The report's picture needs a Chromium (``CHROMIUM``, or one on PATH); without one the old picture stays.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

ROOT: Final = Path(__file__).parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"
COLUMNS: Final = 110
FAILING: Final = """
import time

import pytest
from shop import Shop

SLOW = {
    "name": "lunch rush",
    "trigger": {"type": "time"},
    "action": {"type": "generate_load", "target": {"service_url": "{{SHOP_URL}}/checkout", "qps": 200}},
    "verify": "the till is quick",
    "verify_phases": ["before", "during", "after"],
    "recover_within": 2,
}


@pytest.fixture
def chaos_verifiers(shop: Shop):
    began = time.monotonic()
    return {"the till is quick": lambda: not 0.8 < time.monotonic() - began < 1.6}


@pytest.mark.chaos(SLOW)
def test_the_till_is_quick_in_a_rush(shop: Shop) -> None:
    time.sleep(1.2)
"""


def main() -> int:
    """Return 0 if every picture could be made."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("conftest.py", "shop.py", "test_shop.py"):
            shutil.copy(ROOT / "examples" / name, folder / name)
        (folder / "test_rush.py").write_text(FAILING, encoding="utf-8")
        report = folder / "chaos.html"
        terminal(folder, "summary", "test_shop.py", part=r"(?s)^=+ chaos =+$.*")
        terminal(folder, "failure", "test_rush.py", part=r"(?s)^-+ chaos -+$.*?(?=^=+ chaos =+$)")
        pytest(folder, "test_shop.py", "test_rush.py", f"--chaos-report={report}")
        return 0 if screenshot(report) else 1


def pytest(folder: Path, *arguments: str) -> str:
    """Run pytest in ``folder`` and return what it printed, colours included."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=yes", *arguments]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout


def terminal(folder: Path, name: str, *arguments: str, part: str) -> None:
    """Draw the part of pytest's output that matches ``part``."""
    printed = Text.from_ansi(pytest(folder, *arguments))
    found = re.search(part, printed.plain, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{name}: pytest printed something else:\n{printed.plain}")
    shown = printed[found.start() : found.end()]
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"))  # noqa: SIM115 - it lives as long as we
    console.print(shown, overflow="fold")
    svg = console.export_svg(title=f"pytest {' '.join(arguments)}")
    # What is on a page must not load anything from elsewhere: whoever looks at it has a monospaced font.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")


def screenshot(report: Path) -> bool:
    """Take a picture of the report, if there is a browser; tell whether there is one."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if name and (found := shutil.which(name))), None)
    if browser is None:
        print("no Chromium: the picture of the report stays as it is")
        return False
    picture = PICTURES / "report.png"
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1200,720",
    ]
    subprocess.run([*command, f"--screenshot={picture}", report.as_uri()], check=True, capture_output=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
