from types import SimpleNamespace

from pipeline.dataset.omg import find_official_splits


def rows(split, count, video="5b44393ed_{}", utterance="utterance_{}.mp4"):
    return [
        SimpleNamespace(split=split, video=video.format(i % 60), utterance=utterance.format(i)) for i in range(count)
    ]


def test_whole_splits_with_the_organisers_names_are_official():
    assert find_official_splits(rows("train", 2442) + rows("validation", 617) + rows("test", 9)) == [
        "train",
        "validation",
    ]


def test_others_clips_are_not_however_many_there_are():
    assert find_official_splits(rows("validation", 617, video="subject_{}")) == []
    assert find_official_splits(rows("validation", 617, utterance="take_{}.mov")) == []
    assert find_official_splits(rows("validation", 616)) == []
    assert find_official_splits(rows("train", 617)) == []
