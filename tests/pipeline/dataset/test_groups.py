"""Recordings on data of OMG-Emotion's shape: names X_1, X_2, ... that share a link."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.dataset.groups import group_utterances
from pipeline.dataset.utterances import DatasetError, read_dataset
from pipeline.report.baselines.closed_form import split_folds

HEADER = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"


def rows(*facts):
    return [
        SimpleNamespace(name=f"{video}/{i}", video=video, link=link, group=group)
        for i, (video, link, group) in enumerate(facts)
    ]


def test_fragments_of_one_link_are_one_recording():
    found = group_utterances(rows(("a_1", "L", None), ("a_2", "L", None), ("b", "M", None), ("c", "L", None)))
    assert found.by == "link"
    assert list(found.of.values()) == ["L", "L", "M", "L"]


def test_a_fragment_without_a_link_belongs_to_the_others_of_its_name():
    found = group_utterances(rows(("a_1", "L", None), ("a_2", None, None), ("b_1", "M", None), ("c_1", None, None)))
    assert list(found.of.values()) == ["L", "L", "M", "c"]
    found = group_utterances(rows(("s_1", "L", None), ("s_2", "M", None), ("s_3", None, None)))
    assert len(set(found.of.values())) == 3, "two recordings have that name"


def test_a_placeholder_joins_no_strangers():
    found = group_utterances(rows(("a", "n/a", None), ("b", "N/A", None), ("c", " - ", None), ("d", "L", None)))
    assert list(found.of.values()) == ["a", "b", "c", "d"]


def test_moments_of_one_recording_are_one():
    links = ("https://www.youtube.com/watch?v=q&t=1", "https://youtu.be/q?t=9", "https://www.youtube.com/watch?v=r")
    found = group_utterances(rows(*(("abc"[i], link, None) for i, link in enumerate(links))))
    assert list(found.of.values()) == [links[0], links[0], links[2]]


def test_a_video_is_never_divided():
    found = group_utterances(rows(("a", "L", None), ("a", "M", None), ("b", "M", None), ("a", None, None)))
    assert len(set(found.of.values())) == 1


def test_one_link_for_all_tells_nothing_apart():
    found = group_utterances(rows(*((name, "synthetic", None) for name in ("a_1", "a_2", "b_1", "c_1"))))
    assert (found.by, list(found.of.values())) == ("name", ["a", "a", "b", "c"])


def test_without_links_names_lose_their_number():
    found = group_utterances(rows(*((name, None, None) for name in ("5b4_1", "5b4_2", "faf_1", "d0e"))))
    assert found.by == "name"
    assert list(found.of.values()) == ["5b4", "5b4", "faf", "d0e"]


def test_numbers_that_only_count_join_nothing():
    videos = [f"subject_{i}" for i in range(12)]
    found = group_utterances(rows(*((name, None, None) for name in videos)))
    assert (found.by, list(found.of.values())) == ("video", videos)


def test_the_users_column_wins():
    found = group_utterances(
        rows(("a_1", "L", "ann"), ("a_2", "L", "bob"), ("b", None, "ann"), ("c", None, None)), column="who"
    )
    assert (found.by, list(found.of.values())) == ("who", ["ann", "bob", "ann", "c"])


def test_the_users_column_is_read_from_each_file_and_has_to_be_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("video,utterance,Speaker\na,1.mp4,ann\nb,1.mp4,ann\nc,1.mp4,bob\n")
    found = read_dataset({"train": path}, group_column="speaker").grouping
    assert found.of == {"a/1": "ann", "b/1": "ann", "c/1": "bob"}
    with pytest.raises(DatasetError, match="column wer is missing; the file has video, utterance, Speaker"):
        read_dataset({"train": path}, group_column="wer")


def test_no_fold_of_omgs_shape_has_a_link_on_both_sides(tmp_path):
    """231 names of 125 links, as the official training split; by names, folds leak."""
    rng = np.random.default_rng(0)
    names = [f"{i:09x}_{part}" for i in range(125) for part in range(1, 3 if i < 106 else 2)]
    assert len(names) == 231
    text = HEADER + "".join(
        f"https://video/{name.split('_')[0]},0,1,{name},utterance_{u}.mp4,0.1,0.2,0\n"
        for name in names
        for u in range(1, int(rng.integers(2, 20)))
    )
    (tmp_path / "omg.csv").write_text(text)
    dataset = read_dataset({"train": Path(tmp_path / "omg.csv")})
    grouping = dataset.grouping
    assert (grouping.by, len(set(grouping.of.values()))) == ("link", 125)
    links = np.array([u.link for u in dataset.utterances])

    def leak(units):
        folds = split_folds(units, 5)
        shared = [link for link in set(links) if len(set(folds[links == link])) > 1]
        return np.isin(links, shared).mean()

    assert leak(grouping.take(u.name for u in dataset.utterances)) == 0
    assert leak([u.video for u in dataset.utterances]) > 0.3
