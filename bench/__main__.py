"""The command `bench`, and `python -m bench`: an interruption while the program itself is imported is no traceback."""

from __future__ import annotations

import os

try:
    import signal
    from types import FrameType
except KeyboardInterrupt:
    os.write(2, b"bench: interrupted\n")
    os._exit(130)


def main() -> None:
    """Import the command line, which takes a third of a second, and run it."""

    def leave(signum: int, frame: FrameType | None) -> None:
        os.write(2, b"bench: interrupted\n")
        os._exit(130)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from bench import cli

    cli.main()


if __name__ == "__main__":
    main()
