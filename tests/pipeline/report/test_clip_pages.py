"""What the clips' pages are given of a run: predictions, the worst over time, and where the videos lie."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.inputs.clips import Clips
from pipeline.dataset.utterances import Utterance
from pipeline.report.clip_pages import MOST_WORST, collect_results, find_shown_model, find_worst
from pipeline.report.report_files import Report
from pipeline.report.rows import DetailRow
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.training.combining import MEAN
from store.records.plans import Member

NAN = float("nan")


def row(name, values, truth=(0.0, 0.0), rests_on="vnet"):
    return DetailRow(*name.split("/"), values, rests_on, "ok", "ok", truth)


def test_the_worst_are_those_farthest_from_the_truth():
    rows = [
        row("v/a", (0.3, 0.4)),
        row("v/b", (0.5, 0.1), truth=(-0.5, 0.1)),
        row("v/c", (9.0, 9.0), truth=None),
        row("v/d", (9.0, 9.0), rests_on=MEAN),
        row("v/e", (0.0, 0.0)),
    ]
    assert [(distance, one.utterance) for distance, one in find_worst(rows)] == [
        (pytest.approx(1), "b"),
        (pytest.approx(0.5), "a"),
        (0, "e"),
    ]
    many = [row(f"v/{k}", (k / 100, 0.0)) for k in range(MOST_WORST + 5)]
    assert [one.utterance for _, one in find_worst(many)] == [str(k) for k in range(MOST_WORST + 4, 4, -1)]


@pytest.mark.parametrize(
    ("models", "best"), [(["anet", "vnet"], "vnet"), (["joint", "anet", "ridge"], "joint"), (["ridge"], ""), ([], "")]
)
def test_the_model_whose_errors_are_shown_is_the_last_network_of_the_chain(models, best):
    assert find_shown_model(models) == best


class Hears:
    """A stand-in for trained networks: ANet predicts the mean of a clip's sound, the others predict nothing."""

    def __init__(self, shift=0.0):
        self._shift = shift

    def predict_clips(self, network, clips):
        if network != "anet":
            return np.full((len(clips.names), 2), NAN)
        return np.array([[NAN, NAN] if s is None else [s.mean() + self._shift, -s.mean()] for s in clips.stft])


@pytest.fixture
def experiment(tmp_path):
    """Two seeds and two test clips: w/a has 4 s of sound, the second half louder; w/b has neither sound nor faces."""
    names = ["w/a", "w/b"]
    sound = np.zeros((400, 257, 2), np.float32)
    sound[200:] = 0.5
    clips = Clips(names, None, [sound, None], [None] * 2, [None] * 2)
    utterances = [Utterance(*name.split("/"), "test", 0.1, 0.1, None, None, None, Path("t.csv"), 2) for name in names]
    run = SimpleNamespace(
        videos=tmp_path / "videos",
        clips={"w/a": Member("w/a", "w/recording.mp4", 1, 1, '{"cut": [2.5, 6.5]}')},
        shard=lambda stage, shard: None,
    )
    data = SimpleNamespace(
        run=run,
        splits=["train", "test"],
        utterances=lambda split: utterances if split == "test" else [],
        load_clips=lambda split: clips,
        ledger={
            "w/a": LedgerRow("w/a", "test", "ok", "no_face", num_stft_frames=400),
            "w/b": LedgerRow("w/b", "test", "no_stream", "no_face"),
        },
    )
    return SimpleNamespace(data=data, trainings=[Hears(), Hears(0.2)])


def collect(experiment, rows):
    return collect_results(experiment, Report({}, {}, rows))


def test_a_clip_has_its_predictions_its_video_and_its_curve(experiment):
    results = collect(
        experiment,
        {
            ("vnet", "test"): [row("w/a", (0.5, 0.5), rests_on=MEAN), row("w/b", (0.0, 0.0), rests_on=MEAN)],
            ("joint", "test"): [row("w/a", (0.25, -0.25), rests_on="anet"), row("w/b", (0.1, 0.1), rests_on=MEAN)],
            ("ridge", "test"): [row("w/a", (0.9, 0.9), rests_on="ridge")],
        },
    )
    assert (results.videos, results.best) == (str(experiment.data.run.videos.resolve()), "Joint")
    clip = results.clips["w/a"]
    assert (clip.file, clip.start) == ("w/recording.mp4", 2.5)
    assert clip.predictions == {"Joint": (0.25, -0.25)}, "what no network saw, and baselines, are no predictions"
    # Windows of 3 s, half a second apart; the mean of the seeds is .1 above the first one's.
    assert clip.curve.seconds == [1.5, 2.0, 2.5]
    loud = np.array([1 / 3, 1.5 / 3, 2 / 3]) * 0.5
    assert clip.curve.arousal == pytest.approx(loud + 0.1, abs=1e-4)
    assert clip.curve.valence == pytest.approx(-loud, abs=1e-4)
    other = results.clips["w/b"]
    assert (other.file, other.start, other.predictions, other.curve) == ("", 0, {}, None)


def test_clips_of_the_training_split_have_no_curve(experiment):
    results = collect(experiment, {("anet", "train"): [row("w/a", (0.9, 0.9))]})
    assert results.clips["w/a"].curve is None
    assert results.best == "ANet"


def test_what_no_network_could_see_has_no_curve(experiment):
    results = collect(experiment, {("anet", "test"): [row("w/b", (0.9, 0.9), rests_on=MEAN)]})
    assert results.clips["w/b"].curve is None


def test_a_window_without_anything_to_hear_is_a_gap(experiment):
    """The clip lasts 4 s, and its sound half a second."""
    experiment.data.load_clips("test").stft[1] = np.full((50, 257, 2), 0.25, np.float32)
    experiment.data.ledger["w/b"] = LedgerRow("w/b", "test", "ok", "no_face", num_stft_frames=400)
    curve = collect(experiment, {("anet", "test"): [row("w/b", (0.9, 0.9), rests_on="anet")]}).clips["w/b"].curve
    assert curve.arousal == [pytest.approx(0.35), None, None]


def test_only_what_joint_cannot_see_is_asked_of_the_others(experiment):
    """Each window that ANet predicts costs a pass through VGG-16."""
    asked = []

    class Joint(Hears):
        def predict_clips(self, network, clips):
            asked.append((network, len(clips)))
            values = np.tile([0.5, -0.5], (len(clips), 1))
            return np.where([[network == "joint" and k != 1] for k in range(len(clips))], values, np.nan)

    experiment.trainings[:] = [Joint()]
    curve = collect(experiment, {("anet", "test"): [row("w/a", (0.9, 0.9), rests_on="anet")]}).clips["w/a"].curve
    assert curve.arousal == [0.5, None, 0.5]
    assert asked == [("joint", 3), ("vnet", 1), ("anet", 1)]
