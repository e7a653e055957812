"""`python -m tests.demo`: run the main job, visibly."""

import signal
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to clean up yet, nor a trace to be shown
    from .command import main

    sys.exit(main())
