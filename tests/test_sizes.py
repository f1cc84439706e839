"""The budgets of the house: short files, short functions, few parameters, empty inits.

A file that outgrows its budget is split; the budget is not raised.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "cyclorama"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 8
MAX_POSITIONAL = 2
Function = ast.FunctionDef | ast.AsyncFunctionDef
FORBIDDEN = ("trainer", "pipeline", "registry", "factory", "manager", "mixin", "utils", "helpers")


def functions(source: str) -> list[tuple[str, Function, bool]]:
    """Return every function with its qualified name and whether it is a method."""
    found = []

    def visit(node: ast.AST, prefix: str, *, in_class: bool) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    found.append((prefix + child.name, child, in_class))
                    visit(child, f"{prefix}{child.name}.<locals>.", in_class=False)
                case ast.ClassDef():
                    visit(child, f"{prefix}{child.name}.", in_class=True)
                case _:
                    visit(child, prefix, in_class=in_class)

    visit(ast.parse(source), "", in_class=False)
    return found


def is_public(name: str) -> bool:
    """Tell what others may call: no underscore in its name, not local to a function."""
    parts = [part for part in name.split(".") if part != "__init__"]
    return "<locals>" not in parts and not any(part.startswith("_") for part in parts)


def over_budget(source: str, *, is_command_line: bool = False) -> list[str]:
    """Return one line for each budget that a file's source exceeds.

    In the command line's file a command's parameters are its options and are not counted.
    """
    problems = []
    if (lines := len(source.splitlines())) > MAX_FILE_LINES:
        problems.append(f"{lines} lines, at most {MAX_FILE_LINES}")
    for name, node, is_method in functions(source):
        assert node.end_lineno is not None
        if (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES:
            problems.append(f"{name}: {lines} lines, at most {MAX_FUNCTION_LINES}")
        positional = len(node.args.posonlyargs + node.args.args)
        bound = is_method and not any(
            isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list
        )
        positional -= bound
        total = positional + len(node.args.kwonlyargs)
        if is_command_line:
            continue
        if total > MAX_PARAMETERS:
            problems.append(f"{name}: {total} parameters, at most {MAX_PARAMETERS}")
        if is_public(name) and positional > MAX_POSITIONAL:
            problems.append(f"{name}: {positional} positional parameters, at most {MAX_POSITIONAL}")
    return problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_budgets(path):
    problems = over_budget(path.read_text(), is_command_line=path == PACKAGE / "cli" / "app.py")
    assert not problems, "\n".join(f"{path.relative_to(PACKAGE)}: {line}" for line in problems)


def test_inits_are_a_docstring():
    for path in FILES:
        if path.name == "__init__.py" and path.parent != PACKAGE:
            body = ast.parse(path.read_text()).body
            assert len(body) == 1, f"{path.relative_to(PACKAGE)} holds more than its docstring"
            assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_name_promises_everything():
    for path in FILES:
        names = [
            path.stem,
            *(n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)),
        ]
        for name in names:
            assert not any(word in name.lower() for word in FORBIDDEN), f"{path}: {name}"


def test_sources_are_ascii():
    for path in FILES:
        assert path.read_text().isascii(), f"{path.relative_to(PACKAGE)} is not ASCII"


def test_the_check_can_fail():
    long_function = "def f():\n" + "    x = 1\n" * 60
    assert over_budget(long_function) == ["f: 61 lines, at most 60"]
    assert over_budget("x = 1\n" * 401) == ["401 lines, at most 400"]
    assert over_budget("def f(a, b, c): ...") == ["f: 3 positional parameters, at most 2"]
    assert over_budget("class A:\n  def f(self, a, b, *, c): ...") == []
    assert over_budget("class A:\n  def __init__(self, a, b, c): ...") == [
        "A.__init__: 3 positional parameters, at most 2"
    ]
    assert over_budget("def _f(a, b, c): ...") == []
    assert over_budget("def f():\n  def g(a, b, c): ...") == []
    nine = ", ".join("abcdefghi")
    assert over_budget(f"def _f({nine}): ...") == ["_f: 9 parameters, at most 8"]
    assert over_budget(f"def f(*, {nine}): ...") == ["f: 9 parameters, at most 8"]
    assert over_budget(f"def f({nine}): ...", is_command_line=True) == []
