"""`make fuzz`: other changed files each time, for as long as asked for."""

import argparse
import secrets
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.targets import make_targets
from tests.fuzz.watching import fuzz

#: Changed files between two looks at the clock.
_AT_ONCE = 100


def main():
    """Print how many were read; 1 where a reader did what it must not, with the least file that makes it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", action="append", help="name of a reader; given again, of one more")
    arguments = parser.parse_args()
    counts, faults = {}, 0
    with tempfile.TemporaryDirectory(prefix="valar-fuzz-") as folder:
        targets = make_targets(Path(folder))
        targets = {name: target for name, target in targets.items() if arguments.only is None or name in arguments.only}
        end = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() < end and targets:
            for name in list(targets):
                number = secrets.randbelow(1 << 32)
                try:
                    counts[name] = counts.get(name, 0) + fuzz(targets[name], _AT_ONCE, number)
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    traceback.print_exc()
                    print(f"! {name}, seed {number}: see above", flush=True)
                    faults += 1
                    del targets[name]
                if time.monotonic() >= end:
                    break
    for name, count in counts.items():
        print(f"{name}: {count} files")
    print("documented errors only" if not faults else f"{faults} readers did what they must not")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
