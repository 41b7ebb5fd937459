import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from pipeline.report.page import render_page
from pipeline.report.publish import count_coverage, note_missing_files
from pipeline.report.report_files import ModelPredictions, SplitListing, build_report
from pipeline.report.tables import format_tables
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger
from store.pages_mark import page_number

U = 24
EVIL = "<script>document.title='broken'</script>"
NAN = float("nan")
VIDEOS = [f"v{i // 4}" for i in range(U - 4)] + [EVIL] * 4
UTTERANCES = [f"utterance_{i}.mp4" for i in range(U)]
NAMES = [f"{v}/{u[:-4]}" for v, u in zip(VIDEOS, UTTERANCES, strict=True)]
LABELS = np.random.default_rng(0).uniform(-1, 1, (U, 2)).round(3)


def curve(network, epochs=4):
    return [
        {
            "kind": network,
            "epoch": i,
            "loss": 1 / (i + 1),
            "ccc_arousal": None if i == 0 else 0.1 * i,
            "ccc_valence": 0.2,
            "total_ccc": 0.2 + 0.1 * i,
            "is_best": i < 3,
        }
        for i in range(epochs)
    ]


def make_report(splits=("train", "validation", "test"), *, notes=(EVIL,), labelled=True, unseen=(5,), **provenance):
    labels = LABELS if labelled else None
    shares = [0.9] * U
    listings = [
        SplitListing(s, NAMES, VIDEOS, UTTERANCES, labels, ["ok"] * U, ["ok"] * U, [2.0] * U, shares) for s in splits
    ]
    predictions = []
    for split in splits:
        for seed, model in enumerate(("anet", "vnet", "joint")):
            values = 0.5 * LABELS + np.random.default_rng(seed).normal(0, 0.2, (U, 2))
            values[list(unseen)] = NAN
            predictions.append(ModelPredictions(model, split, NAMES, values, [model] * U))
    ledger = [LedgerRow(name, "train", "ok", "no_face", 3, 0, "", f"no face in {EVIL}") for name in NAMES[-2:]]
    report = build_report(
        predictions,
        listings,
        training_mean=np.zeros(2),
        provenance={
            "device": "CPU",
            "settings": {"anet": {"vgg_weights": EVIL}},
            "seconds": {"find faces": 62.0},
            **provenance,
        },
        notes=notes,
        extra={
            "coverage": count_coverage(ledger),
            "curves": {"anet": curve("anet"), "vnet": []},
            "changed": {"[anet] vgg_weights": ["a.pth", EVIL]},
            "official_splits": ["validation", "test"],
            "data": "OMG-Emotion",
        },
    )
    report.files["ledger.csv"] = format_ledger(ledger)
    return report


class Reader(HTMLParser):
    """Collects tags, addresses and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.text, self.open = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data + " "


@pytest.fixture(scope="module")
def page():
    return render_page(make_report())


def test_texts_of_the_data_are_shown_as_text(page):
    reader = Reader(page)
    assert "script" not in reader.tags
    assert reader.open == []
    # As a note, a video, a worst utterance, a reason and a setting.
    assert reader.text.count(EVIL) >= 5


def test_is_one_file_that_asks_for_nothing(page):
    addresses = Reader(page).addresses
    assert page.count("<svg") == 10
    assert [a for a in addresses if not a.startswith(("#", "data:"))] == []
    assert re.findall(r'href="(?!#|data:)', page) == []
    assert "<script" not in page


def test_points_say_which_clip_they_are_and_lead_to_its_page():
    page = render_page(make_report(("validation",), unseen=()))
    name, (arousal, valence) = NAMES[7], LABELS[7]
    values = 0.5 * LABELS + np.random.default_rng(2).normal(0, 0.2, (U, 2))  # Joint's
    title = (
        f"<title>{name}: predicted {values[7][0]:.2f} / {values[7][1]:.2f}, true {arousal:.2f} / {valence:.2f}</title>"
    )
    assert page.count(title) == 5  # prediction against truth twice, the plane, and the errors twice
    assert "<title>Joint, " in page  # the videos
    assert page.count("<title>ANet, epoch 2: ") == 4
    assert "epoch 0: CCC, arousal" not in page  # it has none
    linked = render_page(make_report(("validation",), unseen=()), has_pages=True)
    assert linked.count(f'<a href="browse/clips/{page_number(name)}.html"><title>{name}: ') == 15


def test_plots_take_the_page_s_colours_and_share_no_name(page):
    plots = re.findall("<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 10
    for plot in plots:
        assert not re.search("#(000000|e6e6e6|ffffff|0072b2)", plot)
        names = set(re.findall(r' id="([^"]*)"', plot))
        used = set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', plot))
        assert {a or b for a, b in used} <= names
        assert len(names) > 20
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_shows_warnings_first_then_scores_beside_the_papers(page):
    text = " ".join(Reader(page).text.split())
    order = ["Read this before the numbers", EVIL, "Joint on validation", "so its scores are optimistic", "0.2798"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    for part in ("0.7486", "0.4439", "0.6780", "quoted", "Do the models differ?", "VNet, the rest filled in", "23/24"):
        assert part in text, part
    # Below our total, the paper's own is quoted, not that of others who trained the same network again.
    assert "VNet on validation" in text
    cards = page[page.index("VNet on validation") :]
    assert cards[: cards.index("quoted: ") + 14].endswith("0.7486")
    assert text.index("Quoted from Peng et al. 2018") < text.index("arxiv.org/abs/1805.01222")


def test_says_what_is_missing_and_why_and_how_it_was_made(page):
    text = " ".join(Reader(page).text.split())
    assert "2 utterances without sound or picture" in text
    assert f"no face in {EVIL}" in text
    assert "find faces 1 min 2 s" in text
    assert f"[anet] vgg_weights {EVIL} a.pth" in text


@pytest.mark.parametrize(
    "given",
    [
        {"splits": ("test",), "labelled": False},
        {"splits": ("train", "validation"), "unseen": range(U)},
        {"splits": ("validation",), "unseen": range(1, U)},
    ],
)
def test_little_or_nothing_to_show_is_no_error(given):
    reader = Reader(render_page(make_report(**given)))
    assert reader.open == []
    assert "Data and what is missing" in reader.text


def test_the_worst_clips_are_linked_to_their_pages():
    reader = Reader(re.sub("<svg.*?</svg>", "", render_page(make_report(("test",)), has_pages=True), flags=re.DOTALL))
    links = [address for address in reader.addresses if address.startswith("browse/")]
    pages = {f"browse/clips/{page_number(name)}.html" for name in NAMES}
    assert len([link for link in links if link in pages]) == 10 + 2  # the worst, and those without sound or picture
    videos = [unquote(link.partition("#")[2]) for link in links if link.startswith("browse/index.html#")]
    assert len(videos) == 6
    assert set(videos) <= {f"{video}/" for video in VIDEOS}
    assert not [address for address in Reader(render_page(make_report(("test",)))).addresses if "browse" in address]


def test_many_points_are_drawn_as_pixels():
    num = 3000
    names = [f"v{i % 50}/u{i}" for i in range(num)]
    videos, utterances = [n.split("/")[0] for n in names], [n.split("/")[1] for n in names]
    labels = np.random.default_rng(1).uniform(-1, 1, (num, 2))
    listing = SplitListing("train", names, videos, utterances, labels, ["ok"] * len(names), ["ok"] * len(names))
    given = ModelPredictions("vnet", "train", names, labels * 0.5, ["vnet"] * len(names))
    report = build_report([given], [listing], training_mean=np.zeros(2), provenance={}, notes=[])
    assert len(render_page(report)) < 600_000


def test_the_same_report_is_the_same_page(page):
    assert render_page(make_report()) == page


@pytest.mark.parametrize("chosen_on", ["train", "validation"])
def test_folds_and_learning_curves_say_what_chose_the_epochs(chosen_on):
    report = make_report(("train", "validation"))
    score = {name: report.content["models"]["anet"]["validation"][name] for name in ("total_ccc", "scored")}
    pooled = {**score, "total_ccc_low": None, "total_ccc_high": None}
    spread = {part: dict.fromkeys(("arousal", "valence", "total"), 0.1) for part in ("mean", "spread")}
    folds = {"num_folds": 3, "chosen_on": chosen_on, "models": {"anet": {"folds": [], "pooled": pooled, **spread}}}
    held_out = {"clips": 488, "recordings": 25} if chosen_on == "train" else {}
    report.content.update(cross_validation=folds, selection={"split": chosen_on, **held_out})
    text = " ".join(Reader(render_page(report)).text.split())
    is_free = chosen_on == "train"
    assert ("epochs does not affect these numbers" in text) is is_free
    assert ("these numbers are as optimistic as the validation split's" in text) is not is_free
    assert ("so its scores are optimistic" in text) is not is_free
    held = "488 held-out training clips of 25 recordings"
    where = held if is_free else "the validation split"
    assert f"the highest total CCC on {where}" in text
    assert f"Late fusion's weights are fitted on {where}; for one of these clips itself, only clips of other" in text
    tables = format_tables(report.content)
    assert (f"CCC on validation, not optimistic: the checkpoints were chosen on {held}" in tables) is is_free
    assert ("optimistic: epochs chosen on the fold that is scored" in tables) is not is_free


def test_missing_files_are_a_note():
    rows = [LedgerRow(f"v/{i}", "test", "missing_file", "missing_file") for i in range(3)]
    rows.append(LedgerRow("v/4", "test", "ok", "no_face", 3))
    assert list(note_missing_files(rows)) == [
        "PARTIAL DATA: 3 of 4 listed test utterances have no file that can be read"
    ]
    assert list(note_missing_files(rows[-1:])) == []
    assert count_coverage(rows) == {
        "test": {"listed": 4, "sound": {"missing_file": 3, "ok": 1}, "picture": {"missing_file": 3, "no_face": 1}}
    }


@pytest.fixture
def chromium():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return [path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]


def test_a_browser_shows_it_without_a_fault(page, chromium, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    picture = tmp_path / "page.png"
    shown = subprocess.run(
        [
            *chromium,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--v=0",
            "--window-size=1200,2400",
            f"--screenshot={picture}",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in shown.stderr
    import cv2

    pixels = cv2.imread(str(picture))
    assert pixels.shape[:2] == (2400, 1200)
    blue, green, red = (pixels[..., i].astype(int) for i in range(3))
    assert ((red > 240) & (green > 220) & (green < 240) & (blue > 220) & (blue < 240)).mean() > 0.01  # the warnings
    # The plots: each model's colour, with an opacity of 0.6 on white.
    for colour in ((0, 114, 178), (213, 94, 0), (0, 158, 115)):
        faded = [0.6 * part + 0.4 * 255 for part in colour]
        near = sum(np.abs(channel - part) for channel, part in zip((red, green, blue), faded, strict=True)) < 20
        assert near.sum() > 30


def test_its_widest_tables_fit_at_1400_pixels(page, chromium, tmp_path):
    """Each number is given its longest form."""
    score, pair = "-0.0000 [-0.00, -0.00]", "undefined / undefined"
    script = f"""const longest = {["2229/2229", score, score, score, pair, "0.000 / 0.000", "-0.000 / -0.000"]};
      for (const row of document.querySelectorAll(".results tbody tr"))
        longest.forEach((text, k) => {{ row.cells[k + 1].textContent = text; }});
      const wide = [...document.querySelectorAll(".wide")];
      document.title = JSON.stringify(wide.map((table) => table.scrollWidth - table.clientWidth));"""
    file = tmp_path / "report.html"
    page = page.replace("default-src 'none'; ", "")  # otherwise the page would run no script
    file.write_text(page.replace("</html>", f"<script>{script}</script></html>"), encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    options = [*chromium, profile, "--window-size=1400,1000", "--dump-dom", file.as_uri()]
    shown = subprocess.run(options, capture_output=True, text=True, check=True, timeout=120).stdout
    too_wide = json.loads(re.search("<title>(.*)</title>", shown)[1])
    assert len(too_wide) >= 3
    assert set(too_wide) == {0}
