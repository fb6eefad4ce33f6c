"""Runs charrnn commands in children forked from a process that has imported torch already.

Started with the fault shim preloaded; reads one JSON order a line on standard input, and answers
with one: how the child ended, and which file calls it made.
"""

import contextlib
import ctypes
import importlib
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import torch  # noqa: F401 (once, not in each child anew)

import charrnn.api
import charrnn.cli.app
import charrnn.display.report
import charrnn.display.training
import charrnn.loop
import charrnn.run
import charrnn.views.report
from charrnn.cli import main, run_command

LIMIT = 60.0  # seconds that a child may take


class KnownReports:
    """Measures each report once and has it from then on: only its writing is under test."""

    def __init__(self):
        self.measure, self.known = charrnn.views.report.measure_report, {}

    def __call__(self, request, budget):
        path = request.stored.path
        if path not in self.known:
            self.known[path] = yield from self.measure(request, budget)
        return self.known[path]


def signal_at(place, number, call, log):
    """Let the function at `place` ("module:name") begin its `call`-th time with a signal."""
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    real, counter = getattr(owner, name), itertools.count(1)

    def function(*args, **kwargs):
        if next(counter) == call:
            log.write_text(str(time.monotonic()))
            os.kill(os.getpid(), number)
        return real(*args, **kwargs)

    setattr(owner, name, function)


def limit(name, number):
    """Set a limit on resources; one on data leaves `number` bytes beside what is taken already."""
    kind = getattr(resource, f"RLIMIT_{name}")
    if name == "DATA":
        status = Path("/proc/self/status").read_text()
        number += 1024 * int(re.search(r"VmData:\s+(\d+)", status)[1])
    resource.setrlimit(kind, (number, number))


def run_child(order):
    """Be the process that the order asks for, and end as it would."""
    os.chdir(order["cwd"])
    os.environ.update(order["environ"])
    for number, path in ((0, os.devnull), (1, order["stdout"]), (2, order["stderr"])):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    for descriptor in order["closed"]:
        os.close(descriptor)
    for place, number, call, log in order["signals"]:
        signal_at(place, number, call, Path(log))
    for name, number in order["limits"].items():
        limit(name, number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever a nohup around the tests passes on
    sys.argv = ["charrnn", *order["arguments"]]
    code = 99
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait_for(child):
    """Return the exit code of `child` or the negative number of its signal, and CPU seconds."""
    deadline = time.monotonic() + LIMIT
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.002)


def serve():
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    shim.faultshim_name.restype = ctypes.c_char_p
    shim.faultshim_arm.argtypes = [
        ctypes.c_char_p,
        ctypes.c_long,
        ctypes.c_char_p,
        *[ctypes.c_int] * 2,
    ]
    charrnn.views.report.measure_report = KnownReports()
    for line in sys.stdin:
        order = json.loads(line)
        if "command" in order:  # another program, in the name space of this process
            done = subprocess.run(order["command"], capture_output=True, text=True, check=False)
            print(json.dumps({"code": done.returncode, "said": done.stderr}), flush=True)
            continue
        if order.get("here"):  # in this process, so that its children know what it found out
            with contextlib.redirect_stdout(sys.stderr):
                run_command(order["arguments"])
        shim.faultshim_arm(
            os.fsencode(order["under"]),
            order["at"],
            order["kind"].encode(),
            order["sticky"],
            order["reads"],
        )
        child = os.fork()
        if not child:
            run_child(order)
        code, seconds = wait_for(child)
        ended = time.monotonic()
        count = shim.faultshim_count()
        calls = [shim.faultshim_name(number).decode() for number in range(1, count + 1)]
        answer = {"code": code, "seconds": seconds, "hits": shim.faultshim_hits(), "calls": calls}
        answer["ended"] = ended
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
