import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
# of a shell's background job it is ignored, and so in all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)
