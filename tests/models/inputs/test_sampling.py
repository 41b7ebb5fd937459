import numpy as np
import pytest

from models.inputs.sampling import draw_frames, draw_map_starts, split_batches


@pytest.mark.parametrize(
    ("num_frames", "num_segments", "expected"),
    [
        (1, 4, [0, 0, 0, 0]),
        (2, 4, [0, 0, 1, 1]),
        (3, 4, [0, 1, 1, 2]),  # floor(3/8 + 3i/4) = floor(.375, 1.125, 1.875, 2.625)
        (4, 4, [0, 1, 2, 3]),  # floor(.5 + i)
        (5, 4, [0, 1, 2, 3]),  # segments of one frame; the fifth is the division's rest
        (7, 4, [0, 1, 2, 3]),
        (8, 4, [1, 3, 5, 7]),
        (13, 4, [1, 4, 7, 10]),  # segments of three
        (16, 16, list(range(16))),
        (100, 1, [50]),
    ],
)
def test_centres_of_segments(num_frames, num_segments, expected):
    assert draw_frames(num_frames, num_segments, None).tolist() == expected


@pytest.mark.parametrize("num_frames", [1, 2, 5, 16])
def test_short_clips_are_not_random(num_frames):
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert draw_frames(num_frames, 16, rng).tolist() == draw_frames(num_frames, 16, None).tolist()


@pytest.mark.parametrize("num_frames", [17, 31, 32, 33, 75, 2850])
def test_random_frames_stay_in_their_segments_and_reach_all_of_them(num_frames):
    rng = np.random.default_rng(0)
    length = num_frames // 16
    drawn = np.stack([draw_frames(num_frames, 16, rng) for _ in range(60)])
    offsets = drawn - np.arange(16) * length
    assert offsets.min() == 0 or length > 100
    assert offsets.max() == length - 1 or length > 100
    assert ((offsets >= 0) & (offsets < length)).all()


@pytest.mark.parametrize(
    ("num_stft_frames", "num_maps", "expected"),
    [
        (1, 4, [0, 0, 0, 0]),
        (299, 4, [0, 0, 0, 0]),
        (300, 4, [0, 0, 0, 0]),
        (301, 4, [0, 0, 0, 0]),
        (308, 4, [1, 3, 5, 7]),
        (400, 1, [50]),
        (1100, 4, [100, 300, 500, 700]),
    ],
)
def test_maps_are_spread_evenly(num_stft_frames, num_maps, expected):
    assert draw_map_starts(num_stft_frames, num_maps, None).tolist() == expected


def test_many_clips_at_once_are_sampled_as_each_alone():
    counts = np.array([1, 7, 16, 17, 48, 2850])
    assert draw_frames(counts, 16, None).tolist() == [draw_frames(n, 16, None).tolist() for n in counts]
    starts = draw_map_starts(counts, 4, None)
    assert starts.tolist() == [draw_map_starts(n, 4, None).tolist() for n in counts]
    assert draw_frames(counts, 16, np.random.default_rng(0)).shape == (6, 16)
    with pytest.raises(ValueError, match=r"num_frames \(0\) must be at least 1"):
        draw_frames(np.array([3, 0]), 16, None)


def test_random_maps_reach_both_ends():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([draw_map_starts(303, 4, rng) for _ in range(50)])
    assert set(drawn.tolist()) == {0, 1, 2, 3}
    assert draw_map_starts(120, 4, rng).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("num_members", "batch_size", "sizes"),
    [(0, 6, []), (1, 6, [1]), (2, 6, [2]), (7, 6, [4, 3]), (12, 6, [6, 6]), (13, 6, [5, 4, 4]), (3, 1, [1, 1, 1])],
)
def test_batches_are_even(num_members, batch_size, sizes):
    for rng in (None, np.random.default_rng(0)):
        batches = split_batches(num_members, batch_size, rng)
        assert [len(batch) for batch in batches] == sizes
        assert sorted(np.concatenate([*batches, []]).tolist()) == list(range(num_members))


def test_batches_of_the_papers_data_set():
    assert [len(batch) for batch in split_batches(2442, 6, None)] == [6] * 407


def test_shuffling_is_seeded():
    first, second = (np.concatenate(split_batches(50, 6, np.random.default_rng(s))).tolist() for s in (1, 2))
    assert first == np.concatenate(split_batches(50, 6, np.random.default_rng(1))).tolist()
    assert first != second
    assert np.concatenate(split_batches(50, 6, None)).tolist() == list(range(50))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_frames(0, 16, None), r"num_frames \(0\) must be at least 1"),
        (lambda: draw_frames(4, 0, None), r"num_segments \(0\) must be at least 1"),
        (lambda: draw_map_starts(0, 4, None), r"num_stft_frames \(0\) must be at least 1"),
        (lambda: draw_map_starts(4, -1, None), r"num_maps \(-1\) must be at least 1"),
        (lambda: split_batches(4, 0, None), r"batch_size \(0\) must be at least 1"),
    ],
)
def test_counts_below_one_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ordered_maps_are_drawn_one_from_each_part():
    """Starts 0 to 11 in four parts of three; a short clip's only start is named four times."""
    rng = np.random.default_rng(0)
    drawn = np.array([draw_map_starts(np.array([311, 300]), 4, rng, ordered=True) for _ in range(200)])
    for part in range(4):
        assert set(drawn[:, 0, part].tolist()) == {3 * part, 3 * part + 1, 3 * part + 2}
    assert (drawn[:, 1] == 0).all()
    even = draw_map_starts(311, 4, None, ordered=True)
    assert even.tolist() == draw_map_starts(311, 4, None).tolist()
