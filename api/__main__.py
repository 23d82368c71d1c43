"""`allot`, and `python -m api`."""

import signal


def main() -> None:
    """Run the command line; until it is loaded, Ctrl-C ends the process without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from api.cli import main as run

    run()


if __name__ == "__main__":
    main()
