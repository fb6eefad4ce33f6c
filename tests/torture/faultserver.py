"""Runs charrnn commands in children forked from a process that has imported torch already.

Started with the fault shim preloaded; reads one JSON order a line on standard input, and answers
with one: how the child ended, and which file calls it made.
"""

import contextlib
import ctypes
import json
import os
import sys
import time
import traceback

import torch._dynamo  # noqa: F401 (the optimizer would load it, in each child anew)

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


def run_child(order):
    """Be the process that the order asks for, and end as it would."""
    os.chdir(order["cwd"])
    os.environ.update(order["environ"])
    for number, path in ((0, os.devnull), (1, order["stdout"]), (2, order["stderr"])):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
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
    """Return the exit code of `child`, or the negative number of the signal that killed it."""
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
        count = shim.faultshim_count()
        calls = [shim.faultshim_name(number).decode() for number in range(1, count + 1)]
        answer = {"code": code, "seconds": seconds, "hits": shim.faultshim_hits(), "calls": calls}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
