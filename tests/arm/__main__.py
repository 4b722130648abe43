"""python -m tests.arm [--short]: prints the tables; see `scripts/arm-parity`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.arm.measure import failures, measure, tables
from tests.arm.networks import cases
from tests.arm.places import CPUS, SHORT_CPUS, missing


def main() -> None:
    """Exit status 1 where a promise is broken, 2 where nothing can be emulated."""
    parser = argparse.ArgumentParser(prog="scripts/arm-parity")
    parser.add_argument("--short", action="store_true", help="what CI runs, in minutes")
    short = parser.parse_args().short
    why = missing()
    if why is not None:
        print(why, file=sys.stderr)
        sys.exit(2)
    networks = list(cases(short))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(networks, Path(folder), SHORT_CPUS if short else CPUS)
    print("\n".join(tables(found, networks)))
    broken = list(failures(found, [case.name for case in networks if case.kind == "trained"]))
    print("\n".join(broken), file=sys.stderr)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
