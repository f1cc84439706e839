"""Keeps the pages true: writes docs/help.md from the command line and checks every link.

``python docs/pages.py`` does both and exits with 1 when a link points nowhere. Links within the
repository are checked, with their anchors; addresses elsewhere are not visited.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HELP_PAGE = ROOT / "docs" / "help.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def help_text(*arguments: str) -> str:
    """Return what ``cyclorama ARGUMENTS --help`` prints."""
    from cyclorama.cli import app as cli

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.app(args=[*arguments, "--help"], prog_name="cyclorama")
    return printed.getvalue().strip()


def help_page() -> str:
    """Return the text of docs/help.md: the help of every command, as printed."""
    from typer.main import get_command

    from cyclorama.cli import app as cli

    names = sorted(getattr(get_command(cli.app), "commands"))  # noqa: B009 (typer types it as any)
    parts = [
        "# Commands\n\nWritten by `make docs` from the commands themselves; edit those instead.\n",
        f"```\n{help_text()}\n```\n",
        *(f"## {name}\n\n```\n{help_text(name)}\n```\n" for name in names),
    ]
    return "\n".join(parts)


def anchors(page: str) -> set[str]:
    """Return the anchors that the headings of a Markdown page get."""
    titles = re.findall(r"^#+ +(.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(root: Path) -> list[str]:
    """Return ``page: link`` for each link within ``root`` that points to nothing."""
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "src").rglob("*.md")]
    pages += (root / "benchmarks").rglob("*.md")
    found = []
    for page in sorted(pages):
        for link in LINK.findall(FENCE.sub("", page.read_text())):
            if "://" in link or link.startswith("mailto:"):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            missing = not target.exists()
            if not missing and anchor and target.suffix == ".md":
                missing = anchor not in anchors(target.read_text())
            if missing:
                found.append(f"{page.relative_to(root)}: {link}")
    return found


if __name__ == "__main__":
    HELP_PAGE.write_text(help_page())
    broken = broken_links(ROOT)
    print("\n".join(broken) or "docs/help.md is written; every link points to something")
    sys.exit(bool(broken))
