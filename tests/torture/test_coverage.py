"""COVERAGE.md names tests that are there."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
NAMED = set(re.findall(r"\btest_\w+", (HERE / "COVERAGE.md").read_text(encoding="utf-8")))


def test_each_test_that_the_list_names_is_there():
    files = list(HERE.parent.rglob("test_*.py"))
    there = {file.stem for file in files}
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        there |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    lost = [name for name in NAMED if not any(known.startswith(name) for known in there)]
    assert len(NAMED) > 100
    assert lost == []
