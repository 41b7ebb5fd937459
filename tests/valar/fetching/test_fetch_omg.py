"""Fetching the recordings of OMG-Emotion's links, with yt-dlp itself, from a server of this process."""

import argparse
import contextlib
import csv
import http.server
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.dataset.clip_files import find_clips
from pipeline.dataset.utterances import read_dataset
from pipeline.errors import UserError
from valar.cli import main
from valar.fetching import downloading, fetch_omg
from valar.fetching.downloading import Downloader, Wishes
from valar.fetching.fetch_omg import MOST_SILENT, FetchJob
from valar.fetching.recordings import Folder, plan_recordings

pytestmark = pytest.mark.skipif(importlib.util.find_spec("yt_dlp") is None, reason="pip install 'valar[fetch]'")

HEADER = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"


class Server(http.server.ThreadingHTTPServer):
    """Serves files from memory, and misbehaves on demand.

    Attributes:
        files: Path to content and type.
        failures: Path to the codes of its next answers.
        break_after: Path to the bytes after which its next answers end.
        held: Path to an event that its answers wait for.
        asked: Path to how often it was asked for.
        ranges: What was asked for of each.
        arrived: Set when something that is held has been asked for.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, tuple[bytes, str]] = {}
        self.failures: dict[str, list[int]] = {}
        self.break_after: dict[str, int] = {}
        self.held: dict[str, threading.Event] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[tuple[str, str]] = []
        self.arrived = threading.Event()

    def link(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.server.asked[name] += 1
        if name in self.server.held:
            self.server.arrived.set()
            self.server.held[name].wait()
        if self.server.failures.get(name):
            self.send_error(self.server.failures[name].pop(0))
            return
        if name not in self.server.files:
            self.send_error(404)
            return
        content, kind = self.server.files[name]
        asked = self.headers.get("Range", "")
        self.server.ranges.append((name, asked))
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        end = min(len(content), start + self.server.break_after.get(name, len(content)))
        with contextlib.suppress(ConnectionError):  # the client may have had enough
            if self.command == "GET":
                self.wfile.write(content[start:end])

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        for event in running.held.values():
            event.set()
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Four seconds of picture and sound."""
    path = tmp_path_factory.mktemp("made") / "a.mp4"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=4", "-f", "lavfi", "-i", "sine=duration=4"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *sources, str(path)], check=True)
    return path.read_bytes()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return tmp_path


def write_csv(path, *rows):
    """Rows are (link, start, end, video, utterance)."""
    path.write_text(HEADER + "".join(f"{','.join(row)},0.1,0.2,3\n" for row in rows), encoding="utf-8")
    return str(path)


def fetch(*words):
    return main(["fetch-omg", *words, "-o", "videos", "--pause", "0"])


def read_dead():
    path = Path("videos/dead-links.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []


@pytest.fixture
def tables(server, recording, here):
    """Two files as the organisers have them: one recording in both, one under two names, one that is gone."""
    for name in ("a.mp4", "b.mp4"):
        server.files[name] = (recording + name.encode(), "video/mp4")
    train = write_csv(
        here / "omg_TrainVideos.csv",
        (server.link("a.mp4"), "0", "1.5", "0a1b_1", "utterance_1.mp4"),
        (server.link("a.mp4"), "1.5", "2", "0a1b_1", "utterance_2.mp4"),
        (server.link("a.mp4"), "2", "4", "0a1b_2", "utterance_1.mp4"),
        (server.link("gone.mp4"), "0", "1", "dead", "utterance_1.mp4"),
        ("", "", "", "", ""),
    )
    validation = write_csv(
        here / "omg_ValidationVideos.csv",
        (server.link("b.mp4"), "0", "1", "b", "utterance_1.mp4"),
        (server.link("a.mp4"), "3", "4", "0a1b_3", "utterance_1.mp4"),
    )
    return train, validation


def test_each_recording_is_fetched_once_and_a_run_finds_the_parts(server, recording, tables, capsys):
    train, validation = tables
    assert fetch(train, validation) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "2 recordings fetched, 0 already there, 1 missing"
    assert printed[1] == "videos/dead-links.csv says why"
    assert printed[2] == "5 of 6 utterances have their recording"
    assert printed[3:] == ["next:", f"  valar init videos --csv {train} --csv {validation}"]
    assert {path.name for path in Path("videos").iterdir()} == {
        *("0a1b_1.mp4", "0a1b_2.mp4", "0a1b_3.mp4", "b.mp4"),
        *("dead-links.csv", "fetched.json", ".partial"),
    }
    assert Path("videos/0a1b_1.mp4").read_bytes() == recording + b"a.mp4"
    assert str(Path("videos/0a1b_3.mp4").readlink()) == "0a1b_1.mp4"
    assert [path.name for path in Path("videos/.partial").iterdir()] == ["lock"]
    (dead,) = read_dead()
    assert (dead["link"], dead["videos"], dead["utterances"]) == (server.link("gone.mp4"), "dead", "1")
    assert "404" in dead["reason"]
    assert dead["may_pass"] == "no"
    found = find_clips(Path("videos"), read_dataset({"train": Path(train), "validation": Path(validation)}).utterances)
    assert found.cuts == {
        "0a1b_1/utterance_1": (0.0, 1.5),
        "0a1b_1/utterance_2": (1.5, 2.0),
        "0a1b_2/utterance_1": (2.0, 4.0),
        "b/utterance_1": (0.0, 1.0),
        "0a1b_3/utterance_1": (3.0, 4.0),
    }
    assert main(["init", "videos", "--csv", train, "--csv", validation]) == 0
    assert "6 clips are cut by start and end from 4 whole recordings" in capsys.readouterr().out


def test_what_is_there_is_not_asked_for_again(server, tables, capsys):
    train, validation = tables
    assert fetch(train) == 1
    before = Counter(server.asked)
    assert fetch(train) == 1
    assert "0 recordings fetched, 1 already there, 1 missing" in capsys.readouterr().out
    assert (server.asked["a.mp4"], server.asked["gone.mp4"]) == (before["a.mp4"], 2 * before["gone.mp4"])
    assert fetch(train, "--skip-dead") == 1
    assert server.asked["gone.mp4"] == 2 * before["gone.mp4"]
    # The rows of another file find the recording by its name, and the dead link of the first file stays listed.
    assert fetch(validation) == 0
    assert server.asked["a.mp4"] == before["a.mp4"]
    assert str(Path("videos/0a1b_3.mp4").readlink()) == "0a1b_1.mp4"
    assert [row["videos"] for row in read_dead()] == ["dead"]
    server.files["gone.mp4"] = server.files["b.mp4"]
    assert fetch(train) == 0
    assert not Path("videos/dead-links.csv").exists()


def test_a_file_of_ones_own_stays_as_it_is(server, tables):
    Path("videos").mkdir()
    Path("videos/b.webm").write_bytes(b"mine")
    assert fetch(tables[1]) == 0
    assert Path("videos/b.webm").read_bytes() == b"mine"
    assert not Path("videos/b.mp4").exists()
    assert "b.mp4" not in server.asked


def test_a_download_that_broke_off_goes_on(server, tables, recording, capsys):
    server.break_after["b.mp4"] = 20_000
    assert fetch(tables[1], "--retries", "0") == 1
    printed = capsys.readouterr().out
    assert "1 may work later: give the same command again" in printed
    assert [row["may_pass"] for row in read_dead()] == ["yes"]
    asked = server.asked["b.mp4"]
    assert fetch(tables[1], "--skip-dead") == 1
    assert ([row["may_pass"] for row in read_dead()], server.asked["b.mp4"]) == (["yes"], asked)
    del server.break_after["b.mp4"]
    server.ranges.clear()
    assert fetch(tables[1], "--retries", "0") == 0
    starts = [int(asked[len("bytes=") : -1]) for name, asked in server.ranges if name == "b.mp4" and asked]
    assert any(0 < start <= 20_000 for start in starts), server.ranges
    assert Path("videos/b.mp4").read_bytes() == recording + b"b.mp4"


def test_of_failed_downloads_that_stays_which_may_go_on(server, tables, recording, here, capsys, monkeypatch):
    partial = Path("videos/.partial")
    server.files["c.mp4"] = (recording + b"c.mp4", "video/mp4")
    server.files["large.mp4"] = (recording * 3, "video/mp4")
    table = write_csv(
        here / "x.csv",
        (server.link("c.mp4"), "0", "1", "c", "utterance_1.mp4"),
        (server.link("large.mp4"), "0", "1", "large", "utterance_1.mp4"),
    )
    server.break_after.update({"b.mp4": 20_000, "c.mp4": 20_000})
    monkeypatch.setattr(downloading, "MOST_BYTES", 2 * len(recording))
    assert fetch(tables[1], "--retries", "0") == fetch(table, "--retries", "0") == 1
    kept = {fetch_omg.name_unfinished(server.link(name)) for name in ("b.mp4", "c.mp4")}
    assert {path.name.partition(".")[0] for path in partial.iterdir()} == {"lock", *kept}
    told = rf"{partial}: 2 unfinished downloads \([0-9.]+ kB\), which the next attempt continues\n"
    assert re.search(told, capsys.readouterr().out)
    # One is downloaded in another way, and the other no longer exists: neither needs its unfinished file.
    Path("videos/c.mp4").write_bytes(recording)
    del server.files["b.mp4"]
    assert fetch(table, "--retries", "0", "--skip-dead") == 1
    assert f"{partial}: 1 unfinished download (" in capsys.readouterr().out
    assert fetch(tables[1], "--retries", "0") == 1
    assert [path.name for path in partial.iterdir()] == ["lock"]
    assert "unfinished" not in capsys.readouterr().out


def test_a_busy_host_is_asked_again_after_longer_and_longer_pauses(server, tables):
    sleeps = []
    Path("videos/.partial").mkdir(parents=True)
    recordings, _ = plan_recordings([Path(tables[1])])
    worker = Downloader(Path("videos/.partial"), Wishes(720, None), imageio_ffmpeg.get_ffmpeg_exe())
    job = FetchJob(worker, Folder(Path("videos")), pause=3.0, retries=2, sleep=sleeps.append)
    server.failures["b.mp4"] = [503, 429]
    with fetch_omg.show_steps(2, progress=False) as steps:
        job.work(recordings, {}, steps)
    assert (job.fetched, job.dead) == (2, [])
    assert sleeps == [6.0, 12.0, 3.0]  # two tries of the first more, and the pause before the second
    server.failures["c.mp4"] = [500, 500, 500]
    sleeps.clear()
    write_csv(Path("c.csv"), (server.link("c.mp4"), "0", "1", "c", "utterance_1.mp4"))
    with fetch_omg.show_steps(1, progress=False) as steps:
        job.work(plan_recordings([Path("c.csv")])[0], {}, steps)
    assert [(found.recording.name, found.may_pass) for found in job.dead] == [("c", True)]
    assert sleeps == [3.0, 6.0, 12.0]


def test_a_table_of_dead_links_that_a_spreadsheet_has_saved_is_read(server, recording, here):
    server.files["a.mp4"] = (recording, "video/mp4")
    Path("videos").mkdir()
    rows = "http://h/x,gel\xf6scht,no,x,1\nhttp://h/y,gone,no,y,1\n"
    Path("videos/dead-links.csv").write_bytes(f"link,reason,may_pass,videos,utterances\n{rows}".encode("cp1252"))
    assert fetch(write_csv(here / "a.csv", (server.link("a.mp4"), "0", "1", "v", "u.mp4")), "--skip-dead") == 0
    assert [(row["link"], row["videos"]) for row in read_dead()] == [("http://h/x", "x"), ("http://h/y", "y")]


def test_what_is_no_address_costs_no_other_recording(server, recording, here):
    server.files["a.mp4"] = (recording, "video/mp4")
    links = ["http://[", "http://a\u2100b/x", "file:///etc/passwd", "-o", "ytsearch:x", server.link("a.mp4")]
    rows = [(link, "0", "1", f"v{number}", "u.mp4") for number, link in enumerate(links)]
    assert fetch(write_csv(here / "a.csv", *rows)) == 1
    assert [(row["videos"], row["may_pass"]) for row in read_dead()] == [(f"v{n}", "no") for n in range(5)]
    assert {row["reason"] for row in read_dead()} == {"the link is not an address that begins with http:// or https://"}
    assert Path("videos/v5.mp4").read_bytes() == recording


def test_a_name_leads_nowhere_else_while_a_recording_arrives(server, recording, here, monkeypatch):
    monkeypatch.setenv("ELSEWHERE", str(here / "elsewhere" / "file"))
    monkeypatch.setenv("ABOVE", "../../above")
    names = ["$ELSEWHERE", "${ABOVE}", "~", "100%(ext)s", "-x"]
    for number in range(len(names)):
        server.files[f"{number}.mp4"] = (recording, "video/mp4")
    rows = [(server.link(f"{number}.mp4"), "0", "1", name, "utterance_1.mp4") for number, name in enumerate(names)]
    moved, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda file, target: (moved.append(file), replace(file, target))[1])
    assert fetch(write_csv(here / "a.csv", *rows)) == 0
    assert {file.resolve().parent for file in moved if file.suffix == ".mp4"} == {here / "videos" / ".partial"}
    assert sorted(path.name for path in here.iterdir()) == ["a.csv", "videos"]
    assert sorted(path.name for path in Path("videos").glob("*.mp4")) == sorted(f"{name}.mp4" for name in names)


def test_a_recording_that_broke_off_is_not_gone_on_with_from_another_link(server, recording, here):
    for name in ("old.mp4", "new.mp4"):
        server.files[name] = (recording + name.encode() * 100_000, "video/mp4")
    server.break_after["old.mp4"] = len(recording) + 300_000
    assert fetch(write_csv(here / "a.csv", (server.link("old.mp4"), "0", "1", "v", "u.mp4")), "--retries", "0") == 1
    assert fetch(write_csv(here / "a.csv", (server.link("new.mp4"), "0", "1", "v", "u.mp4")), "--retries", "0") == 0
    assert Path("videos/v.mp4").read_bytes() == server.files["new.mp4"][0]


def test_a_host_that_does_not_answer_is_let_alone_after_a_while(server, recording, here):
    server.files["a.mp4"] = (recording, "video/mp4")
    rows = [(f"http://localhost:9/{n}.mp4", "0", "1", f"v{n}", "utterance_1.mp4") for n in range(MOST_SILENT + 2)]
    rows.append((server.link("a.mp4"), "0", "1", "a", "utterance_1.mp4"))
    assert fetch(write_csv(here / "x.csv", *rows), "--retries", "0") == 1
    reasons = [row["reason"] for row in read_dead()]
    assert len(reasons) == MOST_SILENT + 2
    assert [reason.startswith("not tried: localhost did not answer for 5 recordings") for reason in reasons] == [
        *[False] * MOST_SILENT,
        *[True] * 2,
    ]
    assert Path("videos/a.mp4").read_bytes() == recording


def test_ctrl_c_keeps_what_is_there_and_the_same_command_goes_on(server, tables, here):
    validation = tables[1]
    server.held["a.mp4"] = threading.Event()
    command = [sys.executable, "-P", "-m", "valar", "fetch-omg", validation, "-o", "videos", "--pause", "0"]
    child = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.arrived.wait(60)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert err.splitlines()[-1] == "stopped: finished work is kept, and the same command continues from there"
    assert Path("videos/b.mp4").is_file()
    assert not Path("videos/0a1b_3.mp4").exists()
    server.held.pop("a.mp4").set()
    asked = server.asked["b.mp4"]
    assert fetch(validation) == 0
    assert server.asked["b.mp4"] == asked
    assert Path("videos/0a1b_3.mp4").is_file()


def test_what_is_no_recording_costs_itself_alone(server, recording, here, capsys):
    server.files["page"] = (b"<html><body>nothing here</body></html>", "text/html")
    server.files["a.mp4"] = (recording, "video/mp4")
    table = write_csv(
        here / "x.csv",
        ("ytsearch3:anything", "0", "1", "search", "utterance_1.mp4"),
        ("file:///etc/passwd", "0", "1", "local", "utterance_1.mp4"),
        (server.link("page"), "0", "1", "page", "utterance_1.mp4"),
        (server.link("a.mp4"), "0", "1", "a", "utterance_1.mp4"),
    )
    assert fetch(table) == 1
    reasons = {row["videos"]: row["reason"] for row in read_dead()}
    assert reasons["search"] == reasons["local"] == "the link is not an address that begins with http:// or https://"
    assert "Unsupported URL" in reasons["page"]
    assert Path("videos/a.mp4").is_file()


def test_a_dry_run_asks_for_nothing(server, tables, capsys):
    assert fetch(*tables, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "6 utterances are parts of 3 recordings",
        "0 are in videos already, 3 would be fetched",
    ]
    assert not server.asked
    assert not Path("videos").exists()


def test_what_has_to_be_mended_first(here, monkeypatch, capsys):
    table = write_csv(
        here / "x.csv",
        ("http://h/a", "0", "1", "v", "utterance_1.mp4"),
        ("http://h/b", "0", "1", "v", "utterance_2.mp4"),
    )
    assert fetch(table) == 2
    assert "x.csv:3: video v has the link http://h/b, and http://h/a at" in capsys.readouterr().err
    (here / "y.csv").write_text("video,utterance\nv,utterance_1.mp4\n")
    assert fetch("y.csv") == 2
    assert "y.csv: no row has a link" in capsys.readouterr().err
    assert fetch("none.csv") == 2
    assert "none.csv: cannot be read" in capsys.readouterr().err
    table = write_csv(here / "z.csv", ("http://h/a", "0", "1", "v", "utterance_1.mp4"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert fetch(table) == 2
    assert capsys.readouterr().err == ("fetch-omg needs yt-dlp, which is not installed: pip install 'valar[fetch]'\n")
    with pytest.raises(SystemExit, match="2"):
        fetch(table, "--rate-limit", "fast")
    assert "'fast' must be a number of bytes a second, such as 500k or 2M" in capsys.readouterr().err
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number of seconds"):
        fetch_omg._seconds("-1")


def test_a_full_disk_is_no_dead_link(here):
    worker = Downloader(here, Wishes(720, None), "ffmpeg")
    from yt_dlp.utils import DownloadError

    with pytest.raises(UserError, match="no space left in"):
        worker._explain(DownloadError("ERROR: unable to write data: [Errno 28] No space left on device"))
