"""`charrnn` with a run that never was; the environment says how it goes.

READY: file that is made when the run is at PHASE (reading, step); CLOSED: file that is made when
the run is tidied up; STEPS: how many there are; DEAF: the run does not stop when asked.
"""

import os
import sys
import time
from pathlib import Path

from training_reports import end, evaluation, log, start, step

import charrnn.run
from charrnn.cli import main
from charrnn.reports import SampleReport, SaveReport

STEPS = int(os.environ.get("STEPS", "8"))


def reached(phase):
    if os.environ.get("PHASE") == phase:
        Path(os.environ["READY"]).touch()
        time.sleep(0.05)


def run_training(request, stop):
    directory = request.output or Path("runs/play")
    try:
        if os.environ.get("PHASE") == "reading":
            reached("reading")
            time.sleep(60)
        yield start(directory)
        for number in range(1, STEPS + 1):
            yield step(number, total=STEPS)
            yield log(number)
            reached("step")
            if stop() and not os.environ.get("DEAF"):
                yield SaveReport(number, directory / "checkpoint")
                yield end(number, directory, stopped="signal")
                return
            time.sleep(0.01)
        yield evaluation(STEPS)
        yield SampleReport(STEPS, "\x1b[31mTo be\n[/x]")
        yield end(STEPS, directory)
    finally:
        if "CLOSED" in os.environ:
            Path(os.environ["CLOSED"]).touch()


charrnn.run.run_training = run_training
if __name__ == "__main__":
    sys.argv[0] = "charrnn"
    main()
