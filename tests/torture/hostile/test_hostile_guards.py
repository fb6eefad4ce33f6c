"""What must never come into the package, found on its syntax trees; each guard is shown to fire.

tests/test_architecture.py has the plain ones: pickle, eval, archives, writes outside the store.
These look behind other names, and at what is foreign: markup of terminals and of pages.
"""

import ast
import re
from pathlib import Path

import pytest

import charrnn

PACKAGE = Path(charrnn.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TEMPLATES = sorted(PACKAGE.rglob("*.j2"))
CODE_MODULES = {
    "pickle", "_pickle", "cPickle", "shelve", "marshal", "dill", "joblib", "cloudpickle", "copyreg",
    "zipfile", "tarfile", "zipimport", "runpy", "code", "codeop", "pty", "ctypes", "cffi",
    "subprocess", "yaml", "torch.hub", "torch.package", "torch.jit", "torch.distributed.rpc",
    "torch.serialization",
}  # fmt: skip
NETWORK_MODULES = {
    "socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "ftplib", "smtplib",
    "xmlrpc", "webbrowser", "socketserver", "asyncio",
}  # fmt: skip
CODE_CALLS = {
    "eval", "exec", "compile", "__import__", "execfile", "breakpoint",
}  # fmt: skip
CODE_METHODS = {
    "system", "popen", "unpack_archive", "exec_module", "load_module", "loadtxt", "genfromtxt",
    "fromfile", "memmap", "load_state_dict_from_url", "broadcast_object_list", "send_object_list",
    "recv_object_list", "all_gather_object", "gather_object", "scatter_object_list", "load_library",
}  # fmt: skip
LOADERS = {"np", "numpy", "torch", "joblib", "pickle", "marshal", "yaml", "dill"}  # X.load(..)
WRITING_METHODS = {
    "write_text", "write_bytes", "mkdir", "makedirs", "unlink", "rmdir", "rename", "renames",
    "touch", "symlink_to", "hardlink_to", "symlink", "link", "chmod", "truncate", "ftruncate",
    "rmtree", "copyfile", "copytree", "copy2", "move", "save", "savez", "savez_compressed",
    "savetxt", "tofile", "mkstemp", "mkdtemp", "save_file", "mkfifo", "mknod",
}  # fmt: skip
WRITING_NAMES = {"NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "mkstemp", "mkdtemp"}
OS_WRITERS = {"open", "write", "replace", "remove", "pwrite", "writev", "sendfile", "removedirs"}
RICH_MODULES = {
    "rich.markup", "rich.prompt", "rich.markdown", "rich.syntax", "rich.panel", "rich.traceback",
    "rich.logging", "rich.pretty", "rich.tree", "rich.columns",
}  # fmt: skip
PLAIN = {"markup": "False", "emoji": "False", "highlight": "False"}
OWN_MARKUP = {  # what is markup without being spelled out there, and why it may
    ("page.py", "style"): "our own style sheet",
    ("page.py", "script"): "our own script",
    ("svg.py", "form"): "elements spelled out by the caller; values are escaped",
    ("paint.py", "''.join(parts)"): "tokens escaped one by one",
    ("paint.py", "text.replace('\\u2423', ' ')"): "text that is escaped already",
    ("paint.py", "text"): "JSON without <, > and &",
}
IMPORTERS = {"__init__.py"}  # import modules of the package by a name of their own list


def all_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_of(name, modules):
    return any(name == module or name.startswith(module + ".") for module in modules)


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def last_name(node):
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def runs_code(tree, file=""):
    """Return what could run something that was read, or reach another machine."""
    names = list(all_imports(tree))
    if file == "threads.py" and tunes_memory_alone(tree):
        names.remove("ctypes")
    found = [name for name in names if is_of(name, CODE_MODULES | NETWORK_MODULES)]
    found += [name for name in names if name in ("torch.load", "numpy.load", "os.system")]
    for call in calls(tree):
        name = last_name(call.func)
        whole = ast.unparse(call.func)
        found += [whole] if isinstance(call.func, ast.Name) and name in CODE_CALLS else []
        if isinstance(call.func, ast.Attribute):
            base = ast.unparse(call.func.value)
            found += [whole] if name in CODE_METHODS else []
            found += [whole] if name in ("load", "loads") and base.split(".")[0] in LOADERS else []
        if name == "import_module" and file not in IMPORTERS:
            found.append(whole)
        found += [whole for key in call.keywords if key.arg == "allow_pickle"]
        found += [whole for key in call.keywords if key.arg == "shell"]
    return found


def tunes_memory_alone(tree):
    """Whether of ctypes a file takes one function only, of the process itself."""
    code = ast.unparse(tree)
    return code.count("ctypes") == 2 and "getattr(ctypes.CDLL(None), 'mallopt', None)" in code


def writes(tree):
    """Return what changes a file or makes one."""
    found = [n for n in all_imports(tree) if n == "shutil" or n.rsplit(".", 1)[-1] in WRITING_NAMES]
    found += [n for n in all_imports(tree) if n in {f"os.{name}" for name in OS_WRITERS}]
    for call in calls(tree):
        name, whole = last_name(call.func), ast.unparse(call.func)
        found += [whole] if name in ("save_file", "copyfileobj") else []
        if isinstance(call.func, ast.Attribute):
            found += [whole] if name in WRITING_METHODS else []
            found += [whole] if whole in {f"os.{writer}" for writer in OS_WRITERS} else []
        if name == "open" and whole not in ("gzip.open", "bz2.open", "lzma.open"):
            found += [ast.unparse(call)] if is_open_to_write(call) else []
        if name == "FileIO" and is_open_to_write(call) and not is_descriptor(call):
            found.append(ast.unparse(call))
    return found


def is_descriptor(call):
    """Whether what is opened is a descriptor of the process, or the file that takes anything."""
    place = call.args[0]
    number = isinstance(place, ast.Constant) and isinstance(place.value, int)
    return number or ast.unparse(place) == "os.devnull"


def is_open_to_write(call):
    place = 0 if isinstance(call.func, ast.Attribute) and last_name(call.func) == "open" else 1
    modes = [*call.args[place : place + 1], *(k.value for k in call.keywords if k.arg == "mode")]
    for mode in modes:
        if not isinstance(mode, ast.Constant) or set(str(mode.value)) & set("wax+"):
            return True
    return False


def marks_up(tree):
    """Return what would read styles, links or faces out of a text that Rich is given."""
    names = list(all_imports(tree))
    found = [name for name in names if is_of(name, RICH_MODULES) or name == "rich.print"]
    for call in calls(tree):
        name, given = last_name(call.func), {k.arg: ast.unparse(k.value) for k in call.keywords}
        if name == "Console":
            found += [f"Console without {k}=False" for k, v in PLAIN.items() if given.get(k) != v]
        if name == "TextColumn" and given.get("markup") != "False":
            found.append("TextColumn with markup")
        if name in ("from_markup", "from_ansi", "render_markup"):
            found.append(ast.unparse(call.func))
        if name == "Typer" and given.get("rich_markup_mode") != "None":
            found.append("Typer with markup")
        ours = f"charrnn.display.report.blocks.{name}" in names  # a part of a page, not Rich's
        if name in ("Table", "Progress", "Live") and {"title", "caption"} & set(given) and not ours:
            found.append(f"{name} with a title, which may be markup")
    return found


def escapes_nothing(tree, file=""):
    """Return what would put a text into a page as elements."""
    literals = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_spelled(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for call in calls(tree):
        name = last_name(call.func)
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        if name == "Environment" and given.get("autoescape") != "True":
            found.append("Environment without autoescape")
        if name in ("Template", "from_string", "safe"):
            found.append(ast.unparse(call.func))
        if name == "Markup" and call.args and not is_spelled(call.args[0], literals):
            argument = ast.unparse(call.args[0])
            known = {(a, b.encode().decode("unicode_escape")) for a, b in OWN_MARKUP}
            found += [] if (file, argument) in known else [f"Markup({argument})"]
    return found


def is_spelled(node, literals):
    """Whether a value is spelled out in the code."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return is_spelled(node.left, literals) and is_spelled(node.right, literals)
    if isinstance(node, ast.Name):
        return node.id in literals
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


ALL_FILES = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))


@pytest.mark.slow
@ALL_FILES
def test_nothing_that_is_read_can_run_and_nothing_reaches_a_network(path):
    assert runs_code(tree_of(path), path.name) == []


@ALL_FILES
def test_only_the_store_changes_files(path):
    if path.relative_to(PACKAGE).parts[0] != "store":
        assert writes(tree_of(path)) == []


@ALL_FILES
def test_no_text_passes_through_markup(path):
    assert marks_up(tree_of(path)) == []


@pytest.mark.slow
@ALL_FILES
def test_pages_escape_what_is_not_spelled_out_in_the_code(path):
    assert escapes_nothing(tree_of(path), path.name) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_templates_escape_everything(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape\s+false|\binclude\b.*\bwithout", text)


def test_there_are_templates_and_files_to_guard():
    assert len(FILES) > 100
    assert TEMPLATES


@pytest.mark.parametrize(
    "code",
    [
        "import pickle as p",
        "from pickle import loads",
        "import zipfile, os",
        "from torch import load",
        "from numpy import load as read",
        "import torch\nnetwork = torch.load(path)",
        "numpy.load(path)",
        "np.fromfile(path)",
        "np.loadtxt(path)",
        "torch.jit.load(path)",
        "eval(text)",
        "exec(text, {})",
        "compile(text, '', 'exec')",
        "__import__(name)",
        "importlib.import_module(config['class'])",
        "os.system(command)",
        "import subprocess",
        "shutil.unpack_archive(path)",
        "distributed.broadcast_object_list(parts)",
        "f(path, allow_pickle=True)",
        "import urllib.request",
        "from socket import socket",
        "from ctypes import CDLL",
    ],
)
def test_the_guard_against_code_fires(code):
    assert runs_code(ast.parse(code), "model.py")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("adjust = getattr(ctypes.CDLL(None), 'mallopt', None)", "model.py"),
        ("adjust = getattr(ctypes.CDLL(path), 'mallopt', None)", "threads.py"),
        ("adjust = getattr(ctypes.CDLL(None), 'system', None)", "threads.py"),
        ("x = getattr(ctypes.CDLL(None), 'mallopt', None); load = ctypes.CDLL", "threads.py"),
    ],
)
def test_the_guard_lets_one_file_tune_the_memory_and_no_more(code, name):
    adjusts = "import ctypes; adjust = getattr(ctypes.CDLL(None), 'mallopt', None)"
    assert not runs_code(ast.parse(adjusts), "threads.py")
    assert runs_code(ast.parse(f"import ctypes; {code}"), name)


@pytest.mark.parametrize(
    "code",
    [
        "path.write_text('x')",
        "open(path, 'wb')",
        "open(path, mode='a')",
        "open(path, how)",
        "path.open('w')",
        "path.open(mode='r+')",
        "io.open(path, 'x')",
        "io.FileIO(path, 'w')",
        "os.open(path, flags)",
        "os.replace(a, b)",
        "from os import replace",
        "import shutil",
        "np.save(path, array)",
        "array.tofile(path)",
        "torch.save(model, path)",
        "save_file(tensors, path)",
        "safetensors.numpy.save_file(tensors, path)",
        "from tempfile import NamedTemporaryFile",
        "tempfile.mkstemp()",
        "path.symlink_to(other)",
        "Path(a).rename(b)",
        "shutil.rmtree(path)",
    ],
)
def test_the_guard_against_writing_fires(code):
    assert writes(ast.parse(code))


@pytest.mark.parametrize("code", ["path.open('rb')", "open(path)", "text.replace('a', 'b')",
                                  "gzip.open(path, mode)", "dataclasses.replace(a, b=1)",
                                  "io.FileIO(os.devnull, 'w')", "model.load_state_dict(x)",
                                  "strictjson.loads(data, name)"])  # fmt: skip
def test_the_guards_leave_reading_alone(code):
    assert writes(ast.parse(code)) == runs_code(ast.parse(code), "model.py") == []


@pytest.mark.parametrize(
    "code",
    [
        "Console()",
        "Console(markup=False, emoji=False)",
        "rich.console.Console(markup=True, emoji=False, highlight=False)",
        "Text.from_markup(name)",
        "Text.from_ansi(sample)",
        "from rich.markup import escape",
        "from rich.panel import Panel",
        "from rich import print",
        "TextColumn('{task.description}')",
        "Table(title=path)",
        "typer.Typer(help='x')",
        "typer.Typer(rich_markup_mode='rich')",
    ],
)
def test_the_guard_against_markup_fires(code):
    assert marks_up(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "Markup(symbol)",
        "Markup(f'<b>{symbol}</b>')",
        "Markup('<b>' + symbol)",
        "Environment(loader=loader)",
        "Environment(autoescape=False)",
        "Template(text)",
        "form = name\nMarkup(form)",
    ],
)
def test_the_guard_against_elements_fires(code):
    assert escapes_nothing(ast.parse(code), "page.py")
