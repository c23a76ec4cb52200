"""`python -m vardsl` and the `vardsl` command."""

import os
import sys

if __name__ == "__main__" and sys.path and sys.path[0] in ("", os.getcwd()) and not sys.flags.safe_path:
    # `python -m` puts the current folder first: a file there must not be imported in place of a module.
    del sys.path[0]

from vardsl.apps.cli import run_and_exit


def main() -> None:
    """The command, with its exit status."""
    run_and_exit(sys.argv[1:], prog="python -m vardsl" if __name__ == "__main__" else "vardsl")


if __name__ == "__main__":
    main()
