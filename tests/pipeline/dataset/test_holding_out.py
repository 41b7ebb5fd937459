"""The part of the training split that chooses the epoch: whole recordings, about a fifth, the same ones each time."""

import random
from collections import Counter

import numpy as np
import pytest

from pipeline.dataset.holding_out import HoldingOutError, choose_recordings, hold_out
from pipeline.dataset.utterances import read_dataset

HEADER = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"


def write_omgs_shape(path, *, num_links=125, num_names=231, num_clips=2442, seed=0):
    """Write a CSV file of the official training split's shape: names X_1, X_2, ... of fewer links, 2442 clips.

    Labels are alike within a link.
    """
    rng = np.random.default_rng(seed)
    parts = Counter(dict.fromkeys(range(num_links), 1))
    parts.update(rng.integers(0, num_links, num_names - num_links).tolist())
    names = [f"{link:09x}_{part}" for link, count in parts.items() for part in range(1, count + 1)]
    sizes = 1 + rng.multinomial(num_clips - len(names), rng.dirichlet(np.ones(len(names)) * 2))
    moods = {f"{link:09x}": rng.normal(0.2, 0.15, 2) for link in range(num_links)}
    rows = [
        f"https://www.youtube.com/watch?v={name.split('_')[0]},0,1,{name},utterance_{number}.mp4,"
        + ",".join(f"{label:.3f}" for label in rng.normal(moods[name.split("_")[0]], 0.15).clip(-1, 1))
        + ",0\n"
        for name, size in zip(names, sizes.tolist(), strict=True)
        for number in range(1, size + 1)
    ]
    path.write_text(HEADER + "".join(rows))
    assert (len(names), len(rows)) == (num_names, num_clips)
    return path


def test_of_omgs_shape_a_fifth_of_the_clips_is_held_out_and_no_link_is_on_both_sides(tmp_path):
    dataset = read_dataset({"train": write_omgs_shape(tmp_path / "train.csv")})
    held = hold_out(dataset)
    assert 0.2 <= len(held) / 2442 <= 0.25
    links = [{u.link for u in dataset.utterances if (u.name in held) is side} for side in (True, False)]
    assert all(links)
    assert not links[0] & links[1]
    assert len(links[0]) + len(links[1]) == 125
    # By names, which are only parts of recordings, it would leak.
    names = sorted({u.video for u in dataset.utterances})
    by_name = choose_recordings(u.video for u in dataset.utterances)
    assert {n.split("_")[0] for n in by_name} & {n.split("_")[0] for n in names if n not in by_name}


def test_neither_the_order_nor_a_recording_more_moves_the_others():
    recordings = [f"r{i}" for i in range(40) for _ in range(1 + i % 4)]
    held = choose_recordings(recordings)
    assert 0.2 <= sum(r in held for r in recordings) / len(recordings) <= 0.25
    shuffled = random.Random(0).sample(recordings, len(recordings))
    assert choose_recordings(shuffled) == held
    more = choose_recordings([*recordings, "r40"])
    assert len(more ^ held) <= 1


def test_a_recording_with_many_of_the_clips_does_not_choose_alone():
    recordings = ["long"] * 60 + [f"r{i}" for i in range(40)]
    held = choose_recordings(recordings)
    assert "long" not in held
    assert len(held) == 20


def test_of_few_recordings_the_smallest_is_held_out():
    assert choose_recordings(["a"] * 5 + ["b"] * 4 + ["c"] * 3) == {"c"}


@pytest.mark.parametrize("recordings", [[], ["a", "a"]])
def test_one_recording_cannot_be_divided(recordings):
    with pytest.raises(HoldingOutError, match=rf"come from {len(set(recordings))} recording, and holding some out"):
        choose_recordings(recordings)


def test_clips_without_labels_follow_their_recording(tmp_path):
    rows = [f",,,v{i},u{j}.mp4,{'' if j else 0.1},{'' if j else 0.2},0\n" for i in range(10) for j in range(2)]
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows))
    held = hold_out(read_dataset({"train": tmp_path / "a.csv"}))
    assert len(held) == 4
    assert len({name.split("/")[0] for name in held}) == 2
