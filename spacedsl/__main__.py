"""`spacedsl` and `python -m spacedsl`: what runs before anything slow is imported."""

from spacedsl.interrupts import end_quietly


def main() -> None:
    """Entry point of the console script."""
    end_quietly()
    from spacedsl.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
