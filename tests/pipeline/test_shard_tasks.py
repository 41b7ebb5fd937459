"""Many shards share tasks by the beginning of their ids: what is made, what fails, what is done again."""

import pytest

from pipeline.runs.plan import advise_shard_size

#: All shards in one group.
SHARED = "import pipeline.shard_tasks as tasks; tasks.MOST_ALONE, tasks.GROUP_DIGITS = 1, 0"
COUNTED = f"""
{SHARED}
import atexit, luigi
run = []
luigi.Task.event_handler(luigi.Event.START)(lambda task: run.append(type(task).__name__))
atexit.register(lambda: print("ran:", *sorted(run)))
"""


def test_shared_tasks_make_the_same_store(first_run, workplace):
    ended = workplace.run(task="Features", code=COUNTED)
    assert ended.returncode == 0, ended.stderr
    assert "ran: CacheFaceFeatures ComputeStft Features" in ended.stdout.splitlines()
    place, _ = first_run
    for stage in ("stft", "faces", "embeddings", "wav"):
        assert workplace.digests(f"store/{stage}") == place.digests(f"store/{stage}")
    again = workplace.run(task="Features", code=COUNTED)
    assert again.returncode == 0, again.stderr
    assert "ran:" in again.stdout.splitlines()


def test_a_shard_that_fails_stops_no_other_of_its_task(finished):
    made = sorted((finished.folder / "store" / "embeddings").glob("*/*.h5"))
    stft = sorted((finished.folder / "store" / "stft").glob("*/*.h5"))
    assert len(made) == len(stft) == 3
    before = finished.digests("store/embeddings")
    for path in (*made, *stft):
        path.unlink()
    made[0].with_name(f"{made[0].name}.sums").unlink()
    made[0].with_name(f"{made[0].name}.sums").mkdir()
    ended = finished.run(task="Features", code=SHARED)
    assert ended.returncode == 30
    failed = [line for line in ended.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1, ended.stderr
    assert failed[0].startswith(f"failed: CacheFaceFeatures of shard {made[0].stem}: ")
    assert f"! CacheFaceFeatures of shard {made[0].stem} failed; the rest goes on" in ended.stderr
    assert "[pid " not in ended.stderr, "Luigi's own line is for the log"
    (log, *_) = sorted((finished.folder / "runs" / "logs").iterdir(), reverse=True)
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert [path.exists() for path in made] == [False, True, True]
    assert all(path.exists() for path in stft)
    made[0].with_name(f"{made[0].name}.sums").rmdir()
    ended = finished.run(task="Features", code=COUNTED)
    assert ended.returncode == 0, ended.stderr
    assert "ran: CacheFaceFeatures Features" in ended.stdout.splitlines()
    assert finished.digests("store/embeddings") == before


@pytest.mark.parametrize(
    ("num_new", "num_clips", "shard_size", "better"),
    [(2000, 128_000, 64, None), (2001, 2001, 1, 64), (15_625, 1_000_000, 64, 1024)],
)
def test_a_larger_shard_size_is_advised_where_there_would_be_very_many(num_new, num_clips, shard_size, better):
    advice = advise_shard_size(num_new, num_clips, shard_size)
    assert (f"set {better}," in advice) if better else advice == ""
