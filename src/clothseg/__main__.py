"""The program: `clothseg`, and `python -m clothseg` for `torchrun` and wherever the script is not on the path."""

import sys


def main() -> None:
    """Runs the command line. Ctrl-C while it is imported ends it as later, without a traceback."""
    try:
        from clothseg.cli import main as command_line  # noqa: PLC0415
    except KeyboardInterrupt:
        print("stopped: interrupted (Ctrl-C) before anything was done", file=sys.stderr)
        sys.exit(1)
    command_line()


if __name__ == "__main__":
    main()
