"""The rules of the house, each checked on the syntax tree of every file, and shown to fire."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn

PACKAGE = Path(charrnn.__file__).parent
ORDER = [
    "errors",
    "config",
    "cores",
    "sidebyside",
    "strictjson",
    "seal",
    "tensors",
    "store",
    "corpus",
    "reading",
    "documents",
    "splitting",
    "tokenizer_json",
    "tokenizer",
    "vocabulary",
    "cache",
    "encoding",
    "dataset",
    "modeldir",
    "request",
    "resume",
    "asked",
    "prepare",
    "reports",
    "rows",
    "adamw",
    "soap",
    "machine",
    "onednn",
    "wide",
    "costs",
    "regularisers",
    "plan",
    "batches",
    "cells",
    "model",
    "evaluate",
    "adapting",
    "shards",
    "softmax",
    "ranks",
    "losses",
    "trainer",
    "steps",
    "captured",
    "checkpoint",
    "packing",
    "fbgemm",
    "int8",
    "gates",
    "stepper",
    "torch_backend",
    "filters",
    "drawing",
    "devicedraws",
    "blocks",
    "stops",
    "draft",
    "growing",
    "halfsize",
    "sampler",
    "card",
    "recorder",
    "session",
    "follow",
    "schedule",
    "validate",
    "loop",
    "run",
    "api",
    "views",
    "display",
    "cli",
]
ONLY_IN = {"typer": {"cli"}, "click": {"cli"}, "rich": {"display"}}
WRITERS = {"write_text", "write_bytes", "mkdir", "unlink", "rename", "replace_file", "touch"}
OS_WRITERS = {
    "open",
    "write",
    "rename",
    "replace",
    "remove",
    "unlink",
    "mkdir",
    "makedirs",
    "rmdir",
}
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "shelve",
    "marshal",
    "dill",
    "joblib",
    "zipfile",
    "tarfile",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "np.load"}
TORCH = {
    "rows",
    "adamw",
    "soap",
    "adapting",
    "machine",
    "fbgemm",
    "onednn",
    "int8",
    "wide",
    "batches",
    "cells",
    "model",
    "evaluate",
    "shards",
    "softmax",
    "losses",
    "trainer",
    "steps",
    "captured",
    "checkpoint",
    "session",
}
TORCH |= {
    "torch_backend",
    "devicedraws",
    "blocks",
    "recorder",
    "validate",
    "loop",
    "ranks",
    "follow",
}  # may at import
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path):
    """The first part of a file's place in the package: cli/train.py -> cli."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree, everywhere=True):
    """Yield the names of modules that are imported; not `everywhere`: when the file is imported."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "charrnn":
                yield from (f"charrnn.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""
        lazy = isinstance(node, ast.FunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        if everywhere or not lazy:
            todo += ast.iter_child_nodes(node)


def calls(tree):
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def breaches(tree, module):
    """Return what in `tree` must never be in the package outside its own place."""
    found = [n for n in imports(tree) if n.split(".")[0] in FORBIDDEN_MODULES]
    used = calls(tree)
    found += [name for name in used if name in FORBIDDEN_CALLS]
    if module != "store":
        found += [name for name in used if "." in name and name.rsplit(".", 1)[-1] in WRITERS]
        found += [name for name in used if name in {f"os.{f}" for f in OS_WRITERS}]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "io.open"):
                mode = ast.unparse(node.args[1]) if len(node.args) > 1 else "'r'"
                found += [ast.unparse(node)] if set(mode) & set("wax+") else []
    return found


def test_every_module_has_its_place_in_the_order():
    found = {module_of(path) for path in FILES} - {"__init__", "__main__"}
    assert found <= set(ORDER), found - set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_modules_before_it(path):
    module = module_of(path)
    if module in ("__init__", "__main__"):
        return
    before = set(ORDER[: ORDER.index(module) + 1])
    used = {n.split(".")[1] for n in imports(tree_of(path)) if n.startswith("charrnn.")}
    assert used - before <= {"__version__"}, f"{module} imports {used - before}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_terminal_libraries_stay_at_the_edge(path):
    for name in imports(tree_of(path)):
        owners = ONLY_IN.get(name.split(".")[0])
        assert owners is None or module_of(path) in owners, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_must_start_fast_imports_no_torch(path):
    if module_of(path) not in TORCH:
        names = set(imports(tree_of(path), everywhere=False))
        assert {name.split(".")[0] for name in names}.isdisjoint({"torch"})
        assert names.isdisjoint({f"charrnn.{module}" for module in TORCH - {"batches"}})


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_can_run_code_and_only_the_store_writes(path):
    assert breaches(tree_of(path), module_of(path)) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from zipfile import ZipFile",
        "torch.load(path)",
        "eval(text)",
        "np.load(path)",
        "path.write_text('x')",
        "open(path, 'wb')",
        "os.rename(a, b)",
        "Path('x').mkdir()",
    ],
)
def test_each_guard_fires(code):
    assert breaches(ast.parse(code), "model")


def test_the_store_may_write_but_not_unpickle():
    assert breaches(ast.parse("os.rename(a, b)"), "store") == []
    assert breaches(ast.parse("import pickle"), "store")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_have_at_most_40_lines_and_files_250(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            signature = node.body[0].lineno - node.lineno
            documented = ast.get_docstring(node) is not None
            first = node.body[1] if documented and len(node.body) > 1 else node.body[0]
            body = (node.end_lineno or 0) - first.lineno + 1
            assert body <= 40, f"{node.name}: {length} lines, {signature} of them signature"


def test_no_submodule_has_the_name_of_a_public_function():
    modules = {module_of(path) for path in FILES}
    assert modules & set(charrnn.__all__) == set()


def test_importing_the_package_and_asking_for_help_imports_no_torch():
    for code in ("import charrnn", "import charrnn.cli"):
        check = f"import sys; {code}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
