"""Keeps the pages true: what can be written from the code is, and every link is checked.

``python docs/pages.py`` writes docs/help.md from the command line and the README's tree from the
modules' first sentences, and exits with 1 when a link points nowhere. Links within the repository
are checked, with their anchors; addresses elsewhere are not visited.
"""

import ast
import contextlib
import io
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HELP_PAGE = ROOT / "docs" / "help.md"
README = ROOT / "README.md"
PACKAGE = ROOT / "src" / "cyclorama"
TREE = re.compile(r"(<!-- tree, written by make docs -->\n).*?(<!-- end of tree -->)", re.DOTALL)
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


def first_sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring, on one line, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    line = " ".join(text.split("\n\n")[0].split()).replace("``", "").replace("`", "")
    return re.split(r"\.(?: |$)", line)[0]


def tree() -> str:
    """Return the package as a text tree: every file with its first sentence."""
    lines = [f"{path.stem:<20}{first_sentence(path)}" for path in sorted(PACKAGE.glob("[!_]*.py"))]
    for folder in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        lines.append(f"{folder.name + '/':<20}{first_sentence(folder / '__init__.py')}")
        files = sorted(path for path in folder.glob("*.py") if path.stem != "__init__")
        lines += [f"    {path.stem:<16}{first_sentence(path)}" for path in files]
    return "\n".join(lines)


def readme_page() -> str:
    """Return the README with its tree brought up to date."""
    return TREE.sub(lambda found: f"{found[1]}```\n{tree()}\n```\n{found[2]}", README.read_text())


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
    README.write_text(readme_page())
    broken = broken_links(ROOT)
    print("\n".join(broken) or "help page and tree are written; every link points to something")
    sys.exit(bool(broken))
