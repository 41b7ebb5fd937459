"""The pages, as a browser shows them: rendered, sorted, filtered, and without an error on its console."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

from store import FeatureStore
from store.__main__ import main
from store.layout import shard_path, wav_path
from store.looking.quality import rate_clip, read_sound
from store.looking.results import ClipResult, Curve, Results, read_results, results_as_json
from store.pages_mark import PAGES_MARK, page_number
from store.records.listings import Listing
from tests.store.stores import FINGERPRINTS, make_store, write_wav

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt install chromium")


@pytest.fixture
def pages(store, tmp_path, capsys):
    """Pages of a store whose clip w/a is clipped, beside a ledger with the splits."""
    root, assigned = store
    wav = wav_path(root, "0a", assigned["w/a"], "w/a")
    write_wav(wav, np.tile([32767, -32768], 800))
    (tmp_path / "ledger.csv").write_text("utterance,split\nv/a,train\nv/b,test\nw/a,train\n")
    arguments = ["browse", str(root), "-o", str(tmp_path / "pages"), "--ledger", str(tmp_path / "ledger.csv")]
    assert main(arguments) == 0
    told = f"3 clips, 3 pages written: open {tmp_path / 'pages' / 'index.html'}\n"
    assert capsys.readouterr().out == told
    return tmp_path / "pages"


def render(page, profile):
    """Give a page's content when its scripts have run, and what they wrote to the console."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    ended = subprocess.run(
        [CHROMIUM, *options, "--virtual-time-budget=3000", f"--user-data-dir={profile}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


def shown(content):
    return re.findall(r'<a href="clips/[0-9a-f]{16}\.html">([^<]*)</a>', content)


@needs_browser
def test_the_index_shows_the_worst_first(pages, tmp_path):
    content, console = render(pages / "index.html", tmp_path / "profile")
    assert console == []
    assert shown(content) == ["v/b", "w/a", "v/a"]
    assert "3 of 3 clips" in content
    assert "no face of 40 pixels or more in 20 frames" in content
    assert "clipping (100.00%)" in content


@needs_browser
def test_an_error_on_the_console_would_be_seen(tmp_path):
    (tmp_path / "page.html").write_text("<script>missing()</script>")
    assert "missing is not defined" in render(tmp_path / "page.html", tmp_path / "profile")[1][0]


@needs_browser
def test_the_index_filters_and_sorts(pages, tmp_path):
    script = """
    <script>
    const seen = [];
    const note = () => seen.push([...document.querySelectorAll("#rows a")].map((link) => link.textContent).join());
    const set = (id, value, kind) => { get(id).value = value; get(id).dispatchEvent(new Event(kind)); note(); };
    set("split", "train", "change");
    set("search", "CLIPPING", "input");
    set("split", "*", "change");
    set("search", "", "input");
    set("picture", "no_face", "change");
    set("picture", "*", "change");
    const head = [...document.querySelectorAll("#head button")].find((button) => button.textContent === "clip");
    head.click(); note();
    head.click(); note();
    document.title = JSON.stringify(seen);
    </script></html>"""
    text = (pages / "index.html").read_text().replace("</html>", script)
    (pages / "steered.html").write_text(text)
    content, console = render(pages / "steered.html", tmp_path / "profile")
    assert console == []
    assert json.loads(re.search("<title>(.*)</title>", content).group(1)) == [
        "w/a,v/a",
        "w/a",
        "w/a",
        "v/b,w/a,v/a",
        "v/b",
        "v/b,w/a,v/a",
        "v/a,v/b,w/a",
        "w/a,v/b,v/a",
    ]


@needs_browser
def test_ten_thousand_clips_show_a_page_at_a_time(pages, tmp_path):
    unlabelled = [None, None, "", [], 0]
    rows = [
        [
            f"{k:016x}",
            f"video_{k // 10}/utterance_{k}",
            "train",
            "ok",
            "ok",
            3,
            1,
            1,
            -9,
            k / 1e4,
            "",
            False,
            *unlabelled,
        ]
        for k in range(10_000)
    ]
    value = {"models": [], "best": -1, "clips": rows, "map": {"points": {}, "shares": [0, 0]}, "curves": {}}
    (pages / "data.js").write_text(f"const PAGES = {json.dumps(value)};")
    content, console = render(pages / "index.html", tmp_path / "profile")
    assert console == []
    assert "10000 of 10000 clips" in content
    assert "page 1 of 100" in content
    assert shown(content)[0] == "video_999/utterance_9999"
    assert len(shown(content)) == 100


def page_of(pages, name):
    return pages / "clips" / f"{page_number(name)}.html"


def steer(page, script):
    """Give a copy of a page, beside it, that runs a script at its end."""
    steered = page.with_name("steered.html")
    steered.write_text(page.read_text().replace("</html>", f"<script>{script}</script></html>"))
    return steered


@needs_browser
def test_a_clips_page_loads_all_that_it_shows(pages, tmp_path):
    script = """
    const images = [...document.images].map((image) => image.complete && image.naturalWidth > 0);
    document.title = JSON.stringify([images.length, images.every(Boolean),
      document.querySelectorAll("#faces circle").length, document.querySelectorAll("#track path").length,
      [...document.querySelectorAll("nav a")].filter((link) => !link.hidden).map((link) => link.textContent)]);
    """
    content, console = render(steer(page_of(pages, "v/a"), script), tmp_path / "profile")
    assert console == []
    # The spectrogram and five faces; five landmarks of the first face; the first of three clips.
    assert json.loads(re.search("<title>(.*)</title>", content).group(1)) == [6, True, 5, 1, ["all clips", "next"]]


@needs_browser
def test_a_moment_that_is_clicked_is_sought_and_its_face_is_drawn(store, pages, tmp_path):
    clip = FeatureStore(store[0])["v/a"]
    script = f"""
    const box = get("time").getBoundingClientRect();
    const at = (seconds) => get("time").dispatchEvent(new MouseEvent("click",
      {{ clientX: box.left + (box.width * seconds) / CLIP.seconds, bubbles: true }}));
    at({clip.face_times[3]});
    document.title = JSON.stringify([get("playhead").style.left,
      get("faces").querySelector("circle").getAttribute("cx"), get("here").textContent]);
    """
    content, console = render(steer(page_of(pages, "v/a"), script), tmp_path / "profile")
    assert console == []
    left, x, told = json.loads(re.search("<title>(.*)</title>", content).group(1))
    seconds = json.loads(re.search("const CLIP = (.*);</script>", page_of(pages, "v/a").read_text()).group(1))[
        "seconds"
    ]
    assert float(left.removesuffix("%")) == pytest.approx(100 * clip.face_times[3] / seconds, abs=0.5)
    assert float(x) == round(float(clip.landmarks[3, 0, 0]))
    assert told.startswith(f"{clip.face_times[3]:.2f} s · face ")


def test_a_clips_page_plays_its_sound(store, pages):
    text = page_of(pages, "v/a").read_text()
    source = re.search('<audio .*src="([^"]*)"', text).group(1)
    sound = (pages / "clips" / urllib.parse.unquote(source)).resolve()
    assert sound == wav_path(store[0], "0a", store[1]["v/a"], "v/a").resolve()
    assert "no face of 40 pixels or more in 20 frames" in page_of(pages, "v/b").read_text()


def test_names_cannot_break_out_of_a_page(tmp_path):
    name = "</script><img src=x onerror=alert(1)>"
    make_store(tmp_path / "store", {"one": {name: (5, 2)}})
    assert main(["browse", str(tmp_path / "store"), "-o", str(tmp_path / "pages")]) == 0
    for path in (tmp_path / "pages").rglob("*"):
        assert path.suffix not in (".html", ".js", ".json") or "<img src=x" not in path.read_text()
    assert read_data(tmp_path / "pages")["clips"][0][1] == name


@needs_browser
def test_what_a_ledger_says_is_shown_as_text(store, tmp_path):
    """Neither a page nor the index runs a script that stands in a cell."""
    evil = "</script><img src=x onerror=alert(1)><script>alert(2)</script>"
    rows = f'"v/a","{evil}",0.5,0.5\n"{evil}",train,0,0\nw/a,=1+1,,\n'
    (tmp_path / "ledger.csv").write_text("utterance,split,arousal,valence\n" + rows)
    arguments = ["browse", str(store[0]), "-o", str(tmp_path / "pages"), "--ledger", str(tmp_path / "ledger.csv")]
    assert main(arguments) == 0
    index, page = (tmp_path / "pages" / "index.html"), page_of(tmp_path / "pages", "v/a")
    for path in (index, page):
        count = (
            "document.title = JSON.stringify([document.scripts.length, document.querySelectorAll('[onerror]').length])"
        )
        content, console = render(steer(path, count), tmp_path / "profile")
        assert console == []
        assert json.loads(re.search("<title>(.*)</title>", content).group(1)) == [
            path.read_text().count("<script") + 1,
            0,
        ]
        assert html.escape(evil, quote=False) in content
    assert "=1+1" in render(index, tmp_path / "profile")[0]


@pytest.mark.parametrize("option", ["--ledger", "--results"])
@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, os.mkfifo])
def test_a_file_that_is_named_must_be_there(store, tmp_path, capsys, option, make):
    make(tmp_path / "named")
    arguments = ["browse", str(store[0]), "-o", str(tmp_path / "pages"), option, str(tmp_path / "named")]
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{option} {tmp_path / 'named'} is no file; name one, or leave the option out\n"
    assert not (tmp_path / "pages").exists()


def test_a_ledger_that_is_damaged_is_one_sentence_and_the_pages_stay(store, pages, tmp_path, capsys):
    before = (pages / "data.js").read_bytes()
    (tmp_path / "ledger.csv").write_text("utterance,split,arousal,valence\nv/a,train,nan,0\n")
    arguments = ["browse", str(store[0]), "-o", str(pages), "--ledger", str(tmp_path / "ledger.csv")]
    assert main(arguments) == 2
    said = "is damaged (the arousal in line 2 is 'nan'; it must be a number from -1 to 1, or empty)"
    assert capsys.readouterr().err == f"{tmp_path / 'ledger.csv'} {said}; correct it, or leave --ledger out\n"
    assert (pages / "data.js").read_bytes() == before


def read_data(pages):
    return json.loads((pages / "data.js").read_text().removeprefix("const PAGES = ").removesuffix(";\n"))


def test_pages_replace_earlier_ones_and_nothing_else(store, pages, tmp_path, capsys):
    root = store[0]
    (pages / "clips" / "7.html").write_text("of an earlier release, which counted the pages")
    (pages / "clips" / "notes.txt").write_text("mine")
    assert main(["erase", str(root), "w", "--yes"]) == 0
    assert main(["browse", str(root), "-o", str(pages)]) == 0
    left = {path.name for path in (pages / "clips").iterdir()}
    assert left - {f"{page_number('v/a')}.jpg"} == {page_of(pages, "v/a").name, page_of(pages, "v/b").name, "notes.txt"}
    (pages / PAGES_MARK).unlink()
    assert main(["browse", str(root), "-o", str(pages)]) == 2
    assert "pages holds other files; name a new folder for the pages" in capsys.readouterr().err


DIES = """
import os, signal, sys
changes = 0
def hear(event, words):
    global changes
    is_written = event == "open" and isinstance(words[1], str) and words[1] != "r"
    if is_written or event in ("os.rename", "os.remove", "os.mkdir"):
        changes += 1
        if changes == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
from store.__main__ import main
sys.addaudithook(hear)
main(sys.argv[2:])
"""


def test_pages_that_were_killed_at_once_are_begun_again(store, tmp_path):
    """Without its mark the folder was taken for somebody else's, and no run wrote pages into it again."""
    root = store[0]
    for moment in (2, 3, 4):
        folder = tmp_path / str(moment)
        command = ["browse", str(root), "-o", str(folder)]
        killed = subprocess.run([sys.executable, "-c", DIES, str(moment), *command], cwd=ROOT)
        assert killed.returncode == -signal.SIGKILL
        assert main(command) == 0, moment
        assert (folder / "index.html").exists()
        assert [path for path in folder.rglob("*") if ".partial-" in path.name] == []
    (tmp_path / "earlier" / "clips").mkdir(parents=True)  # an earlier release made this before its mark
    assert main(["browse", str(root), "-o", str(tmp_path / "earlier")]) == 0


def test_pages_that_a_killed_call_has_written_are_not_written_again(store, tmp_path, capsys):
    code = (
        "import os, signal, sys\nfrom store.__main__ import main\nfrom store.looking import browse\n"
        "browse._PAGES_A_SAVING = 2\n"
        "browse._remove_others = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)\nmain(sys.argv[1:])"
    )
    command = ["browse", str(store[0]), "-o", str(tmp_path / "mine"), "--json"]
    assert subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT).returncode == -signal.SIGKILL
    assert not (tmp_path / "mine" / "index.html").exists()
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["clips"], told["written"]) == (3, 1), "two of three were saved"


def test_a_page_of_a_state_that_was_killed_midway_is_not_taken_for_one_of_the_state_before(store, pages):
    """Pages written anew before the kill stood under the earlier state's keys, and stayed when that came back."""
    root, assigned = store
    shard = shard_path(root, "faces", FINGERPRINTS["faces"], assigned["w/a"])
    page = page_of(pages, "w/a")
    before, times = page.read_text(), shard.stat()
    os.utime(shard, ns=(1, 1))
    code = (
        "import os, signal, sys\nfrom store.__main__ import main\nfrom store.looking import browse\n"
        "browse._remove_others = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)\nmain(sys.argv[1:])"
    )
    again = ["browse", str(root), "-o", str(pages)]
    assert subprocess.run([sys.executable, "-c", code, *again], cwd=ROOT).returncode == -signal.SIGKILL
    page.write_text("of the state of then")
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert main(again) == 0
    assert page.read_text() == before


def test_only_pages_of_what_has_changed_are_written(store, pages, tmp_path, capsys):
    root, assigned = store
    again = ["browse", str(root), "-o", str(pages), "--ledger", str(tmp_path / "ledger.csv"), "--json"]
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 0
    # Another split is not in a clip's page.
    (tmp_path / "ledger.csv").write_text("utterance,split\nv/a,test\n")
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 0
    assert read_data(pages)["clips"][0][:3] == [page_number("v/a"), "v/a", "test"]
    page_of(pages, "v/a").with_suffix(".jpg").unlink()
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 1
    assert page_of(pages, "v/a").with_suffix(".jpg").exists()
    page_of(pages, "v/b").unlink()
    os.utime(shard_path(root, "faces", FINGERPRINTS["faces"], assigned["w/a"]))
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 2
    (pages / "made.json").write_text('{"0": 1')
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 3


def test_processes_write_the_pages_that_threads_write(store, pages, tmp_path, monkeypatch):
    root, _ = store
    monkeypatch.setattr("store.looking.browse._PAGES_A_PROCESS", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    (tmp_path / "signal.py").write_text("raise ImportError('a file of the user is not what Python has of that name')")
    monkeypatch.chdir(tmp_path)
    arguments = ["browse", str(root), "-o", str(tmp_path / "others"), "--ledger", str(tmp_path / "ledger.csv")]
    assert main(arguments) == 0
    names = {str(path.relative_to(pages)) for path in pages.rglob("*") if path.is_file()}
    others = {str(path.relative_to(tmp_path / "others")) for path in (tmp_path / "others").rglob("*") if path.is_file()}
    assert names == others
    assert len(names) >= 3 + 6
    for name in names:
        assert (pages / name).read_bytes() == (tmp_path / "others" / name).read_bytes(), name


def test_what_a_process_cannot_read_is_said_by_the_command(store, tmp_path, monkeypatch, capsys):
    root, assigned = store
    shard_path(root, "faces", FINGERPRINTS["faces"], assigned["w/a"]).write_bytes(b"no shard")
    monkeypatch.setattr("store.looking.browse._PAGES_A_PROCESS", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    assert main(["browse", str(root), "-o", str(tmp_path / "pages")]) == 2
    assert f"{assigned['w/a']}.h5" in capsys.readouterr().err


@needs_browser
def test_what_a_run_predicted_stands_beside_its_clips(store, tmp_path):
    (tmp_path / "ledger.csv").write_text(
        "utterance,split,arousal,valence\nv/a,validation,0.5,-0.5\nv/b,train,,\nw/a,test,,\n"
    )
    curve = Curve([0.1, 0.2, 0.3], [0.2, None, 0.4], [0.0, None, -0.4])
    clips = {
        "v/a": ClipResult("v/a b.mp4", 2.5, {"Joint": (0.2, -0.1)}, curve),
        "v/b": ClipResult("", 0.0, {"Joint": (0.1, 0.1)}),
        "w/a": ClipResult("", 0.0, {"Joint": (0.3, 0.3)}, Curve([], [], [])),
    }
    results = Results(str(tmp_path / "videos"), "Joint", clips)
    (tmp_path / "pages.json").write_text(json.dumps(results_as_json(results)))
    assert read_results(tmp_path / "pages.json") == results
    arguments = ["browse", str(store[0]), "-o", str(tmp_path / "pages"), "--ledger", str(tmp_path / "ledger.csv")]
    assert main([*arguments, "--results", str(tmp_path / "pages.json")]) == 0
    content, console = render(tmp_path / "pages" / "index.html", tmp_path / "profile")
    assert console == []
    for cell in ("0.50 / -0.50", "0.20 / -0.10", "0.50</td>", "0.30 / 0.30"):
        assert cell in content
    script = """document.title = JSON.stringify([get("values").innerText,
      [...document.querySelectorAll("#curve polyline")].map((line) => line.getAttribute("points")),
      curve.seconds.map((seconds) => seconds.toFixed(2)).join(" "), curve.arousal,
      players.map(([player]) => player.getAttribute("src"))]);"""
    content, _ = render(steer(page_of(tmp_path / "pages", "v/a"), script), tmp_path / "profile")
    values, lines, seconds, arousal, sources = json.loads(
        html.unescape(re.search("<title>(.*)</title>", content).group(1))
    )
    told = " ".join(values.split())
    assert told == "arousal valence distance to the label label 0.500 -0.500 Joint 0.200 -0.100 0.500"
    assert [line.split(",")[1] for line in lines] == ["-0.2", "-0.4", "0", "0.4"]  # a gap parts each of the two
    assert (seconds, arousal) == ("0.10 0.20 0.30", [0.2, None, 0.4])
    assert "/pages/videos/v/a%20b.mp4#t=2.5," in sources[0]
    script = """const video = document.querySelector("video");
      video.dispatchEvent(new Event("loadeddata"));  // it has no picture: nothing is read yet
      const left = document.querySelector("video");
      document.title = JSON.stringify([get("no-video").textContent, left, players.length]);"""
    content, _ = render(steer(page_of(tmp_path / "pages", "v/a"), script), tmp_path / "profile")
    said, video, num_players = json.loads(html.unescape(re.search("<title>(.*)</title>", content).group(1)))
    assert said == "This browser cannot play v/a b.mp4: its face is shown where it is, beside the sound."
    assert (video, num_players) == (None, 1)
    for name, is_told in (("v/a", False), ("v/b", True), ("w/a", False)):
        content, console = render(page_of(tmp_path / "pages", name), tmp_path / "profile")
        assert ("not for those of the training split" in content, console) == (is_told, []), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 99}, "99"),
        (
            {"clips": {"v/a": {"file": "../../etc/passwd", "start": 0, "predictions": {}}}},
            "must be in the folder of the videos",
        ),
        (
            {"clips": {"v/a": {"file": "/etc/passwd", "start": 0, "predictions": {}}}},
            "must be in the folder of the videos",
        ),
        (
            {"clips": {"v/a": {"file": "", "start": 0, "predictions": {"Joint": [0.1, "x"]}}}},
            "'x' is not a finite number",
        ),
        ({"clips": []}, "clips is"),
        ({"clips": {"v/a": {"file": "", "start": 10**400, "predictions": {}}}}, "is damaged (int too large"),
    ],
)
def test_results_that_are_damaged_are_one_sentence(store, tmp_path, capsys, change, said):
    (tmp_path / "pages.json").write_text(json.dumps(results_as_json(Results()) | change))
    arguments = ["browse", str(store[0]), "-o", str(tmp_path / "pages"), "--results", str(tmp_path / "pages.json")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert str(tmp_path / "pages.json") in error


def test_quality_in_numbers(store):
    root, assigned = store
    wav = wav_path(root, "0a", assigned["v/a"], "v/a")
    store = FeatureStore(root)
    tone = 16384 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)
    for samples, level, clipped, notes in (
        (tone, 20 * np.log10(0.5 / np.sqrt(2)), 0, "a face in 17% of the frames"),
        (np.zeros(16000), -np.inf, 0, "a face in 17% of the frames; silence"),
        (np.r_[tone[:15200], np.full(800, 32767)], None, 0.05, "a face in 17% of the frames; clipping (5.00%)"),
    ):
        write_wav(wav, samples)
        sound = read_sound(root, store["v/a"])
        assert sound.seconds == 1
        assert level is None or sound.level_db == pytest.approx(level, abs=0.01)
        assert sound.clipped == clipped
        quality = rate_clip(store["v/a"], sound)
        assert "; ".join(note for note in quality.notes if "score" not in note) == notes
    assert quality.coverage == 5 / 30
    assert quality.badness > rate_clip(store["v/a"], None).badness


def test_splits_come_from_the_run_that_the_listing_names(store, tmp_path):
    (tmp_path / "ledger.csv").write_text("utterance,split\nv/a,train\n")
    listing = Listing.read(store[0] / "roots" / "runs-1.json")
    Listing(**{**vars(listing), "runs": str(tmp_path)}).write(store[0])
    assert main(["browse", str(store[0]), "-o", str(tmp_path / "pages")]) == 0
    assert read_data(tmp_path / "pages")["clips"][0][1:3] == ["v/a", "train"]
