"""One of the processes that share a training: `python -m pipeline.training.worker REQUEST.json`, started by torchrun.

It reads everything that it needs from that file of plain values; it reads no settings and opens no run.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from models.training.metrics import EpochMetrics
from pipeline.training.request import TrainingRequest, train
from store.shard.reader import Shard

#: The beginning of a line with the metrics of an epoch, as JSON; the process of the tasks reads these lines.
MARK = "epoch: "
#: The beginning of a line with a warning of the training.
WARNING_MARK = "warning: "


def end_with_parent() -> None:
    """End this process when its standard input ends, which happens when the process of the tasks is killed.

    Otherwise this process would go on training in a folder in which the next run trains, too.
    """

    def wait() -> None:
        # Not sys.stdin, whose lock a blocked thread would hold when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="end with parent").start()


def pass_warnings_on() -> None:
    """Print the training's warnings, so that the process of the tasks can log them."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(f"{WARNING_MARK}%(message)s"))
    log = logging.getLogger("models")
    log.addHandler(handler)
    log.propagate = False


def main(argv: Sequence[str]) -> None:
    """Do one process's share of a training; `argv` holds the request's path."""
    from models.training.parallel import find_group, grouped

    end_with_parent()
    (path,) = argv
    request = TrainingRequest.read(Path(path))
    with grouped(request.device) as device:
        is_first = find_group().is_first
        if is_first:
            pass_warnings_on()

        def report(metrics: EpochMetrics) -> None:
            if is_first:
                print(MARK + json.dumps(metrics.as_plain()), flush=True)

        train(request, report, open_file=Shard, device=device)


if __name__ == "__main__":
    from models.training.parallel import end_process

    main(sys.argv[1:])
    end_process()
