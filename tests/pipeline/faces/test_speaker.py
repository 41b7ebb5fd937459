from itertools import combinations

import numpy as np
import pytest

from pipeline.faces.likeness import compute_look, embedding_likeness
from pipeline.faces.persons import is_same_place, measure_sequences
from pipeline.faces.speaker import Wish, choose_speaker

TABLE = np.dtype([("track", np.int32), ("frame_index", np.int32), ("box", np.float32, (4,))])
NO_CUTS = np.empty(0, int)


def person_crop(person: int) -> np.ndarray:
    """Coarse random pictures: two persons correlate by about 0."""
    return np.random.default_rng(person).integers(0, 256, (8, 8, 1), np.uint8).repeat(14, 0).repeat(12, 1).repeat(3, 2)


def make_clip(*tracks: tuple[int, range, tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Table and crops from tracks of (person, frames, (x, y, side)), in the order of the frames."""
    rows = []
    for number, (person, frames, (x, y, side)) in enumerate(tracks):
        rows += [(frame, number, person, (x, y, x + side, y + side)) for frame in frames]
    rows.sort()
    table = np.array([(track, frame, box) for frame, track, _, box in rows], dtype=TABLE)
    noise = np.random.default_rng(9)
    crops = [np.clip(person_crop(p) + noise.normal(0, 8, (112, 96, 3)), 0, 255).astype(np.uint8) for _, _, p, _ in rows]
    return table, np.array(crops, dtype=np.uint8).reshape(-1, 112, 96, 3)


def test_the_larger_of_two_faces_that_are_there_all_the_time():
    clip = make_clip((1, range(20), (0, 0, 40)), (2, range(20), (100, 0, 60)))
    assert choose_speaker(*clip, NO_CUTS).tracks == (1,)


def test_who_passes_close_to_the_camera_does_not_outweigh_who_stays():
    # Three times the side for a fifth of the time: by area the passer-by would win with 9 / 5.
    clip = make_clip((1, range(50), (0, 0, 40)), (2, range(20, 30), (100, 0, 120)))
    assert choose_speaker(*clip, NO_CUTS).tracks == (0,)


def test_a_person_who_comes_back_elsewhere_is_joined_by_looks():
    clip = make_clip((1, range(10), (0, 0, 40)), (2, range(15), (200, 0, 40)), (1, range(100, 110), (150, 90, 50)))
    assert choose_speaker(*clip, NO_CUTS).tracks == (0, 2)


def test_another_person_in_the_same_place_is_not_joined():
    clip = make_clip((1, range(20), (0, 0, 40)), (2, range(22, 50), (0, 0, 40)))
    assert choose_speaker(*clip, NO_CUTS).tracks == (1,)


def test_persons_seen_at_one_time_are_two_however_alike():
    clip = make_clip((1, range(20), (0, 0, 40)), (1, range(20), (100, 0, 41)))
    assert choose_speaker(*clip, NO_CUTS).tracks == (1,)


def blend_clip(share: float, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """One track, then after a gap another in the same place whose look is a blend of the first's and another."""
    table, crops = make_clip((1, range(20), (0, 0, 40)), (2, range(20 + gap, 50 + gap), (5, 0, 40)))
    second = table["track"] == 1
    crops[second] = (share * person_crop(1) + (1 - share) * person_crop(2)).astype(np.uint8)
    return table, crops


def test_a_face_that_returns_soon_to_its_place_needs_to_be_less_alike():
    table, crops = blend_clip(0.55, gap=10)
    looks = [compute_look(crops, np.flatnonzero(table["track"] == track)) for track in (0, 1)]
    assert 0.4 < looks[0] @ looks[1] < 0.85
    assert choose_speaker(table, crops, NO_CUTS).tracks == (0, 1)
    assert choose_speaker(table, crops, np.array([25])).tracks == (1,), "a cut lies between"
    assert choose_speaker(*blend_clip(0.55, gap=200), NO_CUTS).tracks == (1,), "too late"


def test_no_faces_no_speaker():
    assert choose_speaker(np.empty(0, TABLE), np.empty((0, 112, 96, 3), np.uint8), NO_CUTS).tracks == ()


def test_a_look_is_free_of_brightness_and_contrast():
    crops = np.stack([person_crop(3), person_crop(3) // 2 + 40])
    first, second = compute_look(crops, np.array([0])), compute_look(crops, np.array([1]))
    assert first.shape == (418,)
    assert np.linalg.norm(first) == pytest.approx(1)
    assert first @ second == pytest.approx(1, abs=1e-3)
    assert not compute_look(np.zeros((1, 112, 96, 3), np.uint8), np.array([0])).any()


def test_same_place():
    box = np.array([0.0, 0, 40, 40])
    assert is_same_place(box, box + 20)
    assert not is_same_place(box, box + 60)
    assert not is_same_place(box, np.array([0.0, 0, 90, 90]))


def embed_mean_colour(crops: np.ndarray) -> np.ndarray:
    """Stand-in of a network: tells pictures apart by their mean colour, of any length."""
    return 7.0 * (crops.reshape(len(crops), -1, 3).mean(axis=1) - 100)


def test_tracks_are_joined_by_embeddings_where_there_are_some():
    table, crops = make_clip((1, range(10), (0, 0, 40)), (2, range(15), (200, 0, 40)), (3, range(50, 60), (90, 0, 40)))
    for track, colour in enumerate([(200, 100, 100), (100, 200, 100), (190, 110, 100)]):
        crops[table["track"] == track] = colour
    assert choose_speaker(table, crops, NO_CUTS, likeness=embedding_likeness(embed_mean_colour)).tracks == (0, 2)
    crops[table["track"] == 2] = (100, 100, 200)
    assert choose_speaker(table, crops, NO_CUTS, likeness=embedding_likeness(embed_mean_colour)).tracks == (1,)


def test_one_track_needs_no_embedding():
    def refuse(crops: np.ndarray) -> np.ndarray:
        raise AssertionError("embedded for nothing")

    table, crops = make_clip((1, range(5), (0, 0, 40)))
    assert choose_speaker(table, crops, NO_CUTS, likeness=embedding_likeness(refuse)).tracks == (0,)


@pytest.mark.parametrize(
    ("wish", "tracks"),
    [
        (Wish((110, 10), None), [1, 2]),  # a point: whoever is there, and comes back elsewhere
        (Wish((10, 10), None), [0]),
        (Wish(None, 3), [0]),  # a time alone: the largest face then
        (Wish(None, 29), [1, 2]),  # nobody in that frame: the nearest one with a face
        (Wish((310, 10), 0), [1, 2]),
        (Wish((500, 10), None), []),
    ],
)
def test_the_user_overrules_the_choice(wish: Wish, tracks: list[int]):
    clip = make_clip((1, range(20), (0, 0, 80)), (2, range(10), (100, 0, 40)), (2, range(30, 40), (300, 0, 40)))
    assert choose_speaker(*clip, NO_CUTS).tracks == (0,)
    assert choose_speaker(*clip, NO_CUTS, wish=wish).tracks == tuple(tracks)


def count_embedded(clip: tuple[np.ndarray, np.ndarray], wish: Wish | None = None) -> tuple[int, list[int]]:
    """Return how many crops are embedded to choose a speaker, and the tracks chosen."""
    embedded = []

    def embed(crops: np.ndarray) -> np.ndarray:
        embedded.append(len(crops))
        return crops.reshape(len(crops), -1).astype(np.float32) - 127

    tracks = choose_speaker(*clip, NO_CUTS, likeness=embedding_likeness(embed), wish=wish).tracks
    return sum(embedded), list(tracks)


def test_no_track_is_embedded_when_none_could_be_joined():
    assert count_embedded(make_clip((1, range(20), (0, 0, 40)), (2, range(20), (100, 0, 41)))) == (0, [1])


def test_tracks_of_nobody_who_could_be_the_speaker_are_not_embedded():
    # Who is there all the time weighs 2000; those beside together, were they one person, 1960.
    beside = [(2, range(start, start + 7), (100, 0, 40)) for start in range(0, 49, 7)]
    assert count_embedded(make_clip((1, range(50), (0, 0, 40)), *beside)) == (0, [0])
    # With one more frame they could be 2000 and more: now it has to be known who they are.
    beside[-1] = (2, range(42, 50), (100, 0, 41))
    assert count_embedded(make_clip((1, range(50), (0, 0, 40)), *beside)) == (28, [1, 2, 3, 4, 5, 6, 7])


def test_a_short_return_of_the_speaker_is_embedded_at_the_price_of_its_few_crops():
    clip = make_clip((1, range(40), (0, 0, 40)), (2, range(10), (100, 0, 30)), (1, range(60, 62), (200, 0, 40)))
    # The second track overlaps the first, and with the third it weighs less than the first does alone.
    assert count_embedded(clip) == (6, [0, 2])


def test_where_the_user_chooses_only_tracks_that_may_continue_the_chosen_one_are_embedded():
    clip = make_clip((1, range(20), (0, 0, 80)), (2, range(10), (100, 0, 40)), (2, range(30, 40), (300, 0, 40)))
    assert count_embedded(clip, Wish((110, 10), None)) == (8, [1, 2])


def test_many_tracks_are_embedded_a_block_at_a_time():
    sizes = []

    def embed(crops: np.ndarray) -> np.ndarray:
        sizes.append(len(crops))
        return crops.reshape(len(crops), -1).astype(np.float32) - 127

    clip = make_clip(*[(track % 2, range(5 * track, 5 * track + 5), (0, 0, 40)) for track in range(40)])
    assert choose_speaker(*clip, NO_CUTS, likeness=embedding_likeness(embed)).tracks == tuple(range(0, 40, 2))
    assert sizes == [64, 64, 32]


def test_the_heaviest_sequence_before_each_span_agrees_with_trying_all():
    rng = np.random.default_rng(4)
    for _ in range(30):
        starts = rng.integers(0, 30, 8)
        spans = [(int(start), int(start + length)) for start, length in zip(starts, rng.integers(0, 9, 8), strict=True)]
        weights = rng.integers(1, 20, 8).tolist()
        expected = []
        for first, _ in spans:
            earlier = [i for i in range(8) if spans[i][1] < first]
            subsets = (kept for size in range(9) for kept in combinations(earlier, size))
            expected.append(
                max(
                    sum(weights[i] for i in kept)
                    for kept in subsets
                    if all(spans[i][1] < spans[j][0] or spans[j][1] < spans[i][0] for i, j in combinations(kept, 2))
                )
            )
        assert measure_sequences(spans, weights) == expected


@pytest.mark.parametrize(
    ("share", "tracks", "note"),
    [
        (0.44, (0, 1), "whether 2 stretches show one person was close: likeness 0.4"),
        (0.42, (1,), "whether another stretch shows the same person was close: likeness 0.3"),
        (0.9, (0, 1), ""),
    ],
)
def test_it_is_said_where_the_likeness_of_tracks_was_close_to_its_limit(share, tracks, note):
    choice = choose_speaker(*blend_clip(share, gap=10), NO_CUTS)
    assert choice.tracks == tracks
    assert [found[: len(note)] for found in choice.notes] == ([note] if note else [])
    assert all(found.endswith("the limit is 0.40") for found in choice.notes)
