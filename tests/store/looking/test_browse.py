"""The pages, as a browser shows them: rendered, sorted, filtered, and without an error on its console."""

import json
import re
import shutil
import subprocess
import urllib.parse

import numpy as np
import pytest

from store import FeatureStore
from store.__main__ import main
from store.layout import wav_path
from store.listings import Listing
from store.looking.quality import rate_clip, read_sound, read_splits
from store.pages_mark import PAGES_MARK
from tests.store.stores import make_store, write_wav

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
    assert capsys.readouterr().out == f"3 clips: open {tmp_path / 'pages' / 'index.html'}\n"
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
    return re.findall(r'<a href="clips/\d+\.html">([^<]*)</a>', content)


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
    document.querySelector("#head button").click(); note();
    document.querySelector("#head button").click(); note();
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
    rows = [
        [k, f"video_{k // 10}/utterance_{k}", "train", "ok", "ok", 3.0, 1, 1, -20, k / 1e4, ""] for k in range(10_000)
    ]
    (pages / "data.js").write_text(f"const CLIPS = {json.dumps(rows)};")
    content, console = render(pages / "index.html", tmp_path / "profile")
    assert console == []
    assert "10000 of 10000 clips" in content
    assert "page 1 of 100" in content
    assert shown(content)[0] == "video_999/utterance_9999"
    assert len(shown(content)) == 100


@needs_browser
def test_a_clips_page_loads_all_that_it_shows(pages, tmp_path):
    script = """
    <script>
    const images = [...document.images].map((image) => image.complete && image.naturalWidth > 0);
    const sound = document.querySelector("audio");
    document.title = JSON.stringify([images.length, images.every(Boolean), document.querySelectorAll("svg").length]);
    </script></html>"""
    page = pages / "clips" / "0.html"
    steered = pages / "clips" / "steered.html"
    steered.write_text(page.read_text().replace("</html>", script))
    content, console = render(steered, tmp_path / "profile")
    assert console == []
    # The spectrogram and five faces; waveform, track and landmarks.
    assert json.loads(re.search("<title>(.*)</title>", content).group(1)) == [6, True, 3]


def test_a_clips_page_plays_its_sound(store, pages):
    text = (pages / "clips" / "0.html").read_text()
    source = re.search('<audio .*src="([^"]*)"', text).group(1)
    sound = (pages / "clips" / urllib.parse.unquote(source)).resolve()
    assert sound == wav_path(store[0], "0a", store[1]["v/a"], "v/a").resolve()
    assert "no face of 40 pixels or more in 20 frames" in (pages / "clips" / "1.html").read_text()


def test_names_cannot_break_out_of_a_page(tmp_path):
    name = "</script><img src=x onerror=alert(1)>"
    make_store(tmp_path / "store", {"one": {name: (5, 2)}})
    assert main(["browse", str(tmp_path / "store"), "-o", str(tmp_path / "pages")]) == 0
    for path in (tmp_path / "pages").rglob("*"):
        assert path.is_dir() or "<img src=x" not in path.read_text()
    data = (tmp_path / "pages" / "data.js").read_text()
    assert json.loads(data.removeprefix("const CLIPS = ").removesuffix(";\n"))[0][1] == name


def test_pages_replace_earlier_ones_and_nothing_else(store, pages, tmp_path, capsys):
    root = store[0]
    assert main(["erase", str(root), "w"]) == 0
    assert main(["browse", str(root), "-o", str(pages)]) == 0
    assert sorted(path.name for path in (pages / "clips").iterdir()) == ["0.html", "1.html"]
    (pages / PAGES_MARK).unlink()
    assert main(["browse", str(root), "-o", str(pages)]) == 2
    assert "pages holds other files; name a new folder for the pages" in capsys.readouterr().err


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
        sound = read_sound(store, store["v/a"])
        assert sound.seconds == 1
        assert level is None or sound.level_db == pytest.approx(level, abs=0.01)
        assert sound.clipped == clipped
        quality = rate_clip(store["v/a"], sound)
        assert "; ".join(note for note in quality.notes if "score" not in note) == notes
    assert quality.coverage == 5 / 30
    assert quality.badness > rate_clip(store["v/a"], None).badness


def test_splits_come_from_the_run_that_the_listing_names(store, tmp_path):
    (tmp_path / "ledger.csv").write_text("utterance,split\nv/a,train\n")
    assert read_splits(tmp_path / "ledger.csv") == {"v/a": "train"}
    assert read_splits(tmp_path / "none.csv") == {}
    listing = Listing.read(store[0] / "roots" / "runs-1.json")
    Listing(**{**vars(listing), "runs": str(tmp_path)}).write(store[0])
    assert main(["browse", str(store[0]), "-o", str(tmp_path / "pages")]) == 0
    assert '"v/a", "train"' in (tmp_path / "pages" / "data.js").read_text()
