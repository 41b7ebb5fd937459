"""Two hosts share one store through luigid: each shard is computed once, and both see the end."""

import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

STARTING_SECONDS = 30


@pytest.fixture
def scheduler(tmp_path):
    """A port on which luigid listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "import sys, luigi.cmdline; luigi.cmdline.luigid(sys.argv[1:])"
    arguments = ["--address", "127.0.0.1", "--port", str(port), "--state-path", str(tmp_path / "state")]
    command = [sys.executable, "-W", "ignore", "-c", start, *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as luigid:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert luigid.poll() is None, "luigid ended"
                assert time.monotonic() < deadline, f"luigid did not listen within {STARTING_SECONDS} s"
                time.sleep(0.05)
        yield port
        luigid.kill()


@pytest.mark.slow
def test_two_hosts_compute_each_shard_once(scheduler, workplace):
    workplace.configure(f"[core]\nscheduler_host = 127.0.0.1\nscheduler_port = {scheduler}\n")
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
