"""What the pages tell a reader to type is real: every command exists, with these very options.

Shell blocks of README.md, CONTRIBUTING.md and the quickstart are read line by line. A `make`
word must be a target. A `cyclorama` command is parsed by the command line itself, so an option
that is gone is an error; those that need no weights and little time are run as well, in
tests/test_cli.py. Python blocks are compiled, and their imports are made.
"""

import ast
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from cyclorama.cli import app as cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MAKEFILE = (ROOT / "Makefile").read_text()
KNOWN = {
    "git",
    "cd",
    "cyclorama",
    "make",
    "pip",
    "python",
    "tensorboard",
    "apt-get",
    "sudo",
    "kill",
}
KNOWN |= {"source", "."}


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) of every fenced block in a language."""
    return [
        (page.name, text)
        for page in PAGES
        for found, text in BLOCK.findall(page.read_text())
        if found == language
    ]


def commands() -> list[tuple[str, list[str]]]:
    """Return (page, words) of every command in the shell blocks, those joined by && apart."""
    found = []
    for page, text in blocks("bash"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                found.append((page, words[:end]))
                words = words[end + 1 :]
    return found


def problem_with(words: list[str]) -> str | None:
    """Return what is wrong with a command, or None."""
    program = Path(words[0]).name
    if program not in KNOWN:
        return f"{program} is no program that a reader can be expected to have"
    if program == "make":
        targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
        return None if set(words[1:]) <= targets else f"no such target: {words[1:]}"
    if program == "cyclorama":
        return cli_problem(words[1:])
    return None


def cli_problem(arguments: list[str]) -> str | None:
    """Let the command line parse its arguments, without running anything."""
    from typer.main import get_command

    group = get_command(cli.app)
    try:
        with group.make_context("cyclorama", list(arguments)) as context:
            name, command, rest = group.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            if "--help" not in rest:
                command.make_context(name, rest, parent=context)
    except SystemExit as stop:
        return None if stop.code == 0 else f"exit {stop.code}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize(
    ("page", "words"), [pytest.param(*c, id=f"{c[0]}: {' '.join(c[1])}") for c in commands()]
)
def test_every_command_is_real(page, words):
    problem = problem_with(words)
    assert problem is None, f"{page}: {shlex.join(words)}: {problem}"


def test_the_check_can_fail():
    assert problem_with(["make", "tea"])
    assert problem_with(["cyclorama", "dream"])
    assert problem_with(["cyclorama", "info", "x.mp4", "--no-such-option"])
    assert problem_with(["cyclorama", "info"])
    assert problem_with(["cyclorama", "info", "x.mp4"]) is None
    assert problem_with(["cyclorama", "info", "--help"]) is None
    assert problem_with(["frobnicate"])


def test_readme_opens_with_the_two_commands():
    first = [words for page, words in commands() if page == "README.md" and words[0] == "make"]
    assert first[:2] == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize(
    ("page", "text"), [pytest.param(*b, id=f"{b[0]}-{n}") for n, b in enumerate(blocks("python"))]
)
def test_python_blocks_import_what_exists(page, text):
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import():
                for alias in node.names:
                    importlib.import_module(alias.name)
            case ast.ImportFrom(module=str(module)):
                for alias in node.names:
                    assert hasattr(importlib.import_module(module), alias.name), alias.name


def pages_module():
    """Load docs/pages.py, which is a script and no part of the package."""
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_link_points_to_something(tmp_path):
    pages = pages_module()
    assert pages.broken_links(ROOT) == []
    (tmp_path / "a.md").write_text("# Top\n[b](b.md) [c](#top) [d](#low) `[e](x)`\n")
    assert pages.broken_links(tmp_path) == ["a.md: b.md", "a.md: #low", "a.md: x"]


def test_the_help_page_is_current():
    pages = pages_module()
    assert pages.HELP_PAGE.read_text() == pages.help_page(), "run: make docs"
    assert "## info" in pages.help_page()


def test_the_tree_is_current():
    pages = pages_module()
    assert pages.README.read_text() == pages.readme_page(), "run: make docs"
    assert "    samplers " in pages.readme_page()


def test_the_map_names_files_that_exist():
    rows = (ROOT / "docs" / "map.md").read_text().partition("## Where is")[2]
    names = re.findall(r"`([a-z]\w*(?:/\w+)?)`", rows)
    package = ROOT / "src" / "cyclorama"
    assert len(names) > 20
    for name in names:
        assert (package / name).is_dir() or (package / f"{name}.py").is_file(), name


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {page.name for page in folder.glob("[0-9]*.md")}
