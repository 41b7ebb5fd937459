"""Hosts share one store through luigid: each shard is computed once, a dead host's work goes to another."""

import configparser
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import luigi.scheduler
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
STARTING_SECONDS = 30

#: Luigi's own, in server.py: between two looks at all hosts, seconds.
PRUNE_SECONDS = 60

#: The first host that gets here dies when there is another.
DIE_ONCE = """
import os, signal, time
from pathlib import Path
from pipeline import progress
tick = progress.Progress.tick
def tick_and_die(self, name, *notes):
    tick(self, name, *notes)
    if name != {title!r}:
        return
    try:
        os.close(os.open("victim", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    for _ in range(1200):
        if len(list(Path("runs/logs").glob("*.log"))) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
progress.Progress.tick = tick_and_die
"""


def read_shipped():
    """Give luigid.cfg as it is shipped."""
    settings = configparser.ConfigParser()
    assert settings.read(ROOT / "luigid.cfg", encoding="utf-8")
    return settings


class Luigid:
    """A luigid with the shipped settings on a port of loopback.

    Args:
        folder: Where it keeps its state.
        changes: Settings of [scheduler] that differ.
    """

    def __init__(self, folder, **changes):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = read_shipped()
        settings["scheduler"].update(changes)
        with (folder / "luigid.cfg").open("w", encoding="utf-8") as file:
            settings.write(file)
        self.start()

    def start(self):
        """Start it, and wait until it listens."""
        start = "import sys, luigi.cmdline; luigi.cmdline.luigid(sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", start, "--address", "127.0.0.1", "--port", str(self.port)],
            cwd=self.folder,
            env={**os.environ, "LUIGI_CONFIG_PATH": "luigid.cfg"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, "luigid ended"
                assert time.monotonic() < deadline, f"luigid did not listen within {STARTING_SECONDS} s"
                time.sleep(0.05)

    def end(self, number):
        """Send it a signal, and wait for its end."""
        self.process.send_signal(number)
        self.process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """A luigid that listens."""
    luigid = Luigid(tmp_path)
    yield luigid
    luigid.end(signal.SIGKILL)


@pytest.fixture
def hasty_scheduler(tmp_path):
    """A luigid that gives a dead host's work away sooner; how soon it is with the shipped settings is told below."""
    luigid = Luigid(tmp_path, worker_disconnect_delay="15", prune_on_get_work="true")
    yield luigid
    luigid.end(signal.SIGKILL)


def share(workplace, scheduler):
    """Let the hosts of a workplace share their work, and ask often."""
    workplace.configure(f"[core]\nscheduler_host = 127.0.0.1\nscheduler_port = {scheduler.port}\nrpc_retry_wait = 1\n")
    workplace.configure("[worker]\nwait_jitter = 0\n")


@pytest.mark.slow
def test_two_hosts_compute_each_shard_once(scheduler, workplace):
    share(workplace, scheduler)
    workplace.configure("[store]\nshard_size = 2\n")
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: workplace.run(), range(2)))
    # Luigi by itself says 25 on a host that saw another one do some of the tasks.
    assert [end.returncode for end in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    assert workplace.command("status").returncode == 0
    logs = [path.read_text(encoding="utf-8") for path in (workplace.folder / "runs" / "logs").glob("*.log")]
    assert len(logs) == 2
    done = [set(re.findall(r"done +((?:Extract|Compute|Align|Cache)\w+\(.*\))", log)) for log in logs]
    assert len(done[0]) + len(done[1]) == 5 * 5
    assert not done[0] & done[1]


@pytest.mark.slow
@pytest.mark.parametrize("title", ["find faces", "train ANet"])
def test_a_killed_host_s_work_goes_to_another(hasty_scheduler, workplace, title):
    share(workplace, hasty_scheduler)
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: workplace.run(code=DIE_ONCE.format(title=title)), range(2)))
    assert sorted(end.returncode for end in ended) == [-9, 0], ended[0].stderr + ended[1].stderr
    assert workplace.command("status").returncode == 0
    assert all(row["sound"] and row["picture"] for row in workplace.ledger().values())


#: In the middle of its first shard of faces, the host has luigid ended and waits until there is another.
WAIT_ONCE = """
import time
from pathlib import Path
from pipeline import progress
tick = progress.Progress.tick
def tick_and_wait(self, name, *notes):
    tick(self, name, *notes)
    if name == "find faces" and not Path("reached").exists():
        Path("reached").touch()
        while not Path("go").exists():
            time.sleep(0.05)
progress.Progress.tick = tick_and_wait
"""


#: Of a host's tries to reach luigid, 30 s apart as shipped: so many take ten minutes.
TRIES_IN_TEN_MINUTES = 20


def test_as_shipped_a_host_asks_for_ten_minutes_and_more(tmp_path):
    (tmp_path / "mine.cfg").write_text("[core]\nscheduler_host = 127.0.0.1\n")
    code = (
        "from pipeline.settings import config; config.load()\n"
        "from luigi.rpc import RemoteScheduler; found = RemoteScheduler('http://127.0.0.1:1')\n"
        "print(found._rpc_retry_attempts, found._rpc_retry_wait)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    tries, seconds = map(int, said.stdout.split())
    assert seconds * TRIES_IN_TEN_MINUTES == 600
    assert tries >= TRIES_IN_TEN_MINUTES + 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "changes", "code"),
    [(signal.SIGTERM, {}, 0), (signal.SIGKILL, {}, 25), (signal.SIGTERM, {"state_path": "/dev/null/none"}, 25)],
    ids=["stopped", "killed", "without a state path"],
)
def test_a_luigid_that_is_away_for_ten_minutes_loses_nothing(tmp_path, workplace, number, changes, code):
    scheduler = Luigid(tmp_path, **changes)
    share(workplace, scheduler)  # a try a second, so it is away for twenty seconds
    with ThreadPoolExecutor(1) as pool:
        host = pool.submit(workplace.run, task="Features", code=WAIT_ONCE)
        while not (workplace.folder / "reached").exists():
            assert not host.done(), host.result().stderr
            time.sleep(0.05)
        scheduler.end(number)
        (workplace.folder / "go").touch()
        (log,) = (workplace.folder / "runs" / "logs").glob("*.log")
        while f"Retrying attempt {TRIES_IN_TEN_MINUTES + 1} of 25" not in log.read_text(encoding="utf-8"):
            assert not host.done(), host.result().stderr
            time.sleep(0.05)
        scheduler.start()
        ended = host.result()
    # Stopped, luigid writes what it knows; killed or without a place for it, it has forgotten what the host had to do.
    assert ended.returncode == code, ended.stderr
    ledger = workplace.folder / "runs" / "ledger.csv"
    assert ledger.exists() == (code == 0)
    again = workplace.run(task="Features")
    assert again.returncode == 0, again.stderr
    assert ledger.exists()
    scheduler.end(signal.SIGKILL)


#: Each host fails the stage of the shard that comes first, and says so in its own words.
FAIL_FIRST_SHARD = """
import os
from pipeline import stages
work_on = stages.work_on
def work_or_fail(stage, job):
    if stage == "wav" and job.shard == min(job.run.plan.shards):
        raise MemoryError(f"process {os.getpid()}")
    work_on(stage, job)
stages.work_on = work_or_fail
"""


@pytest.mark.slow
def test_what_failed_on_one_host_is_told_until_it_is_done_whoever_ends_or_begins(scheduler, workplace):
    share(workplace, scheduler)
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: workplace.run(task="Features", code=FAIL_FIRST_SHARD), range(2)))
    for end in ended:
        assert end.returncode != 0, end.stderr
        # Also a host on which nothing has failed says why it has ended.
        assert "failed: " in end.stderr
        assert "ExtractWav of shard" in end.stderr
    failed = [line for line in workplace.command("status").stdout.splitlines() if line.startswith("failed in the last")]
    assert len(failed) == 1
    assert failed[0].startswith(f"failed in the last run: on {socket.gethostname()}: ExtractWav of shard ")
    # Luigid gives the task out no more for a while: a host that comes now has nothing to do and forgets nothing.
    late = workplace.run(task="Features")
    assert late.returncode != 0
    assert "ExtractWav of shard" in late.stderr
    assert failed[0] in workplace.command("status").stdout
    workplace.configure("[core]\nscheduler_host =\n")
    assert workplace.run(task="Features").returncode == 0
    assert "failed in the last run" not in workplace.command("status").stdout


class Clock:
    """What Luigi's scheduler takes for the time: it stands but for a microsecond a look, and is set by hand."""

    def __init__(self):
        self.seconds = 1e9

    def time(self):
        self.seconds += 1e-6
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(luigi.scheduler, "time", SimpleNamespace(time=clock.time))
    return clock


@pytest.fixture
def shipped(clock, tmp_path):
    """Luigi's scheduler with the shipped settings, every one of which Luigi has to know."""
    known = dict(luigi.scheduler.scheduler.get_params())
    values = {name: known[name].parse(text) for name, text in read_shipped()["scheduler"].items()}
    return luigi.scheduler.Scheduler(config=luigi.scheduler.scheduler(**values, send_messages=False))


def add_shard(scheduler, host):
    scheduler.add_task(worker=host, task_id="shard", family="AlignFaces", deps=[], runnable=True)


@pytest.mark.parametrize("phase", range(0, PRUNE_SECONDS, 5))
def test_the_shipped_settings_give_a_dead_host_s_shard_away_within_two_minutes(shipped, clock, phase):
    for host in ("dead", "living"):
        add_shard(shipped, host)
    assert shipped.get_work(worker="dead")["task_id"] == "shard"
    begin = clock.seconds
    for second in range(1, 1200):
        clock.seconds = begin + second
        shipped.ping(worker="living")
        if second % PRUNE_SECONDS == phase:
            shipped.prune()
        # A waiting host asks every 1 to 6 s.
        if second % 6 == 0 and shipped.get_work(worker="living")["task_id"] == "shard":
            break
    assert 45 < second <= 120


def test_a_task_that_always_fails_keeps_the_hosts_only_for_three_trials(shipped, clock):
    add_shard(shipped, "host")
    trials = 0
    while shipped.get_work(worker="host")["task_id"] == "shard":
        trials += 1
        shipped.add_task(worker="host", task_id="shard", status=luigi.scheduler.FAILED, runnable=True)
        clock.seconds += 1
        shipped.prune()
    assert trials == 3
    # With nothing pending, Luigi's worker ends.
    assert shipped.count_pending(worker="host")["n_pending_tasks"] == 0


def test_work_that_was_given_up_is_taken_up_by_a_run_that_comes_later(shipped, clock):
    add_shard(shipped, "host")
    for _ in range(3):
        assert shipped.get_work(worker="host")["task_id"] == "shard"
        shipped.add_task(worker="host", task_id="shard", status=luigi.scheduler.FAILED, runnable=True)
        shipped.prune()
    # The host has ended; luigid finds that out at its look after 45 s, two minutes later at most.
    for _ in range(2):
        clock.seconds += PRUNE_SECONDS
        shipped.prune()
    add_shard(shipped, "next")
    assert shipped.get_work(worker="next")["task_id"] == "shard"
