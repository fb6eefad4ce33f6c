import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # set: the tests that ask for a GPU run there
# of a shell's background job it is ignored, and so in all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)
