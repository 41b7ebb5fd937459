"""`make crash`: kill a small FullRun many times, and compare what it leaves with an uninterrupted one's."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from pipeline.demo.dataset import SplitSize, write_demo
from tests.crash.rounds import Rounds
from tests.pipeline.conftest import settle

#: Few and short clips: what a kill costs is starting again.
SIZES = {"train": SplitSize(2, 1, 1), "validation": SplitSize(1, 1, 1), "test": SplitSize(1, 1, 2)}


def main():
    """Print how it goes; 1 where anything is lost, left over or different."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="of the moments; drawn and printed where not given")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="valar-crash-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_demo(data, sizes=SIZES)
        whole = settle(data, Path(folder) / "whole")
        ended = whole.run()
        if ended.returncode != 0:
            print(ended.stderr)
            return 1
        outcome = Rounds(data, Path(folder) / "work", whole, seed, lambda line: print(line, flush=True)).kill(
            arguments.kills
        )
    for part, count in outcome.kills.items():
        print(f"  {part}: {count}")
    for fault in outcome.faults:
        print(f"! {fault}")
    print(
        f"{outcome.kills.total()} kills in {outcome.rounds} rounds, {outcome.seconds / 60:.1f} min, seed {seed}: "
        f"{'nothing lost, nothing left over' if not outcome.faults else 'see above'}"
    )
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
