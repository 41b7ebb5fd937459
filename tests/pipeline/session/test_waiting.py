"""What a waiting host says, from the messages of Luigi itself."""

import logging

import luigi.scheduler
import luigi.worker
import pytest

from pipeline.session.waiting import INTERVAL_SECONDS, WaitingNotice


class Waiter:
    """One of Luigi's workers that waits, and what is said."""

    def __init__(self, scheduler):
        self.seconds = 0.0
        self.lines = []
        self.notice = WaitingNotice(self.lines.append, lambda: self.seconds)
        self.worker = luigi.worker.Worker(scheduler=scheduler, worker_id="ours", wait_interval=0.01, wait_jitter=0.0)

    def wait(self, seconds=INTERVAL_SECONDS):
        """Do what the worker does when there is no work, so many seconds later."""
        self.seconds += seconds
        self.worker._log_remote_tasks(self.worker._get_work())
        next(self.worker._sleeper())


@pytest.fixture
def scheduler():
    return luigi.scheduler.Scheduler(retry_delay=900.0)


@pytest.fixture
def waiter(scheduler):
    log = logging.getLogger("luigi-interface")
    level = log.level
    waiter = Waiter(scheduler)
    log.addHandler(waiter.notice)
    log.setLevel(logging.DEBUG)
    yield waiter
    log.removeHandler(waiter.notice)
    log.setLevel(level)


def give_to(scheduler, host, task):
    """Have another host work on a task that ours needs, too."""
    theirs = luigi.worker.Worker(scheduler=scheduler)._generate_worker_id([("workers", 1), ("host", host), ("pid", 7)])
    for worker in (theirs, "ours"):
        scheduler.add_task(worker=worker, task_id=task, family=task.partition("_")[0], deps=[], runnable=True)
    assert scheduler.get_work(worker=theirs)["task_id"] == task
    return theirs


def test_a_waiting_host_says_once_a_minute_who_does_what(scheduler, waiter):
    give_to(scheduler, "node1", "AlignFaces_store_1")
    waiter.wait(INTERVAL_SECONDS - 1)
    assert waiter.lines == []
    waiter.wait(1)
    assert waiter.lines == ["waiting for a task that another host works on: AlignFaces on node1"]
    give_to(scheduler, "node1", "AlignFaces_store_2")
    give_to(scheduler, "node2", "TrainANet_store_3")
    waiter.wait(1)
    waiter.wait(INTERVAL_SECONDS - 1)
    assert waiter.lines[1:] == [
        "waiting for 3 tasks that other hosts work on: 2 x AlignFaces on node1, TrainANet on node2"
    ]


def test_a_host_that_waits_for_another_trial_says_so(scheduler, waiter):
    node = give_to(scheduler, "node1", "AlignFaces_store_1")
    scheduler.add_task(worker=node, task_id="AlignFaces_store_1", status=luigi.scheduler.FAILED, runnable=True)
    waiter.wait()
    assert waiter.lines == ["waiting for tasks that no host works on now (1); failed tasks are tried again soon"]


def test_a_host_without_work_to_wait_for_says_nothing(scheduler, waiter):
    waiter.worker._log_remote_tasks(waiter.worker._get_work())
    assert waiter.lines == []
