"""The command line: options in, one call per stage, results out. `main` is its only way in.

Importing this imports neither Typer nor torch.
"""

import os
import signal
import sys

PROGRAM = "charrnn"


def main() -> None:
    """Run the command that this process was started with, and end the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while this loads
    from charrnn.cli.process import run_process

    raise SystemExit(run_process(lambda: run_command(sys.argv[1:])))


def run_command(arguments: list[str]) -> int:
    """Run the command that `arguments` name; return its exit code.

    Raises what the command raises, and Typer's own errors for arguments that cannot be read.
    """
    import typer

    from charrnn.cli.app import app

    command = typer.main.get_command(app)
    if os.environ.get(f"_{PROGRAM.upper()}_COMPLETE"):
        command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        return 0
    try:
        # Not command.main: it turns Ctrl-C and a closed pipe into exit codes of its own.
        with command.make_context(PROGRAM, arguments) as context:
            command.invoke(context)
    except typer.Exit as error:
        return error.exit_code
    return 0
