"""`spacedsl` and `python -m spacedsl`: what runs before anything slow is imported."""

import atexit
import gc

from spacedsl.interrupts import end_quietly

GARBAGE = 50_000
"""New objects after which garbage is looked for. Modules and a page's trees hold none, and are as
large."""


def main() -> None:
    """Entry point of the console script."""
    end_quietly()
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)  # else the interpreter looks through all there is before it ends
    from spacedsl.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
