"""Starting Luigi as `luigi --module pipeline.tasks TASK` does."""

import sys
from collections.abc import Sequence

from valar.cli import WRONG_USE


def run_task(task: str, words: Sequence[str] = ()) -> int:
    """Run a task of `pipeline.tasks` in this process.

    Args:
        task: Its name.
        words: Luigi's options, and the task's.

    Returns:
        The code of [retcode]; 2 when settings or data have to be mended first.
    """
    from luigi.cmdline import luigi_run

    try:
        luigi_run(["--module", "pipeline.tasks", task, *words])
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return WRONG_USE
        return ended.code or 0
    return 0
