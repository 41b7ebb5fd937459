from dataclasses import replace

import numpy as np
import pytest
import torch

from models.inputs.batches import draw_rows, gather_rows, mask_maps, merge_maps, prepare_inputs
from models.inputs.plan import InputPlan
from models.networks.maps import normalise_maps
from tests.models.data import make_clips

BOTH = InputPlan(num_maps=4, num_frames=16)


@pytest.fixture
def clips():
    """Four utterances: long, one without sound, one without faces, the shortest there can be."""
    rng = np.random.default_rng(0)

    def numbers(*shape):
        return rng.normal(size=shape).astype(np.float32)

    return replace(
        make_clips(4),
        stft=[numbers(1100, 257, 2), None, numbers(40, 257, 2), numbers(1, 257, 2)],
        embeddings=[numbers(48, 512), numbers(3, 512), np.zeros((0, 512), np.float32), numbers(1, 512)],
    )


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (InputPlan(num_maps=1, num_frames=0), [True, False, True, True]),
        (InputPlan(num_maps=0, num_frames=16), [True, True, False, True]),
        (BOTH, [True, False, False, True]),
        (InputPlan(num_maps=0, num_frames=16, faces="crops"), [False] * 4),
    ],
)
def test_visible(clips, plan, expected):
    assert plan.find_visible(clips).tolist() == expected


def test_evaluation_draws_centres_and_equal_maps_once(clips):
    draw = draw_rows(clips, np.array([3, 0]), BOTH, None)
    assert draw.map_starts.tolist() == [[0] * 4, [100, 300, 500, 700]]
    assert draw.frames.tolist() == [[0] * 16, [3 * i + 1 for i in range(16)]]
    maps = merge_maps(draw, BOTH)
    assert maps.owners.tolist() == [3, 0, 0, 0, 0]
    assert maps.starts.tolist() == [0, 100, 300, 500, 700]
    assert maps.index.tolist() == [[0, 0, 0, 0], [1, 2, 3, 4]]


def test_a_batch_of_an_epochs_draw():
    clips = make_clips(5, stft_frames=400)
    whole = draw_rows(clips, np.array([4, 2, 0]), BOTH, np.random.default_rng(0))
    part = whole.take(np.array([2, 0]))
    assert part.members.tolist() == [0, 4]
    np.testing.assert_array_equal(part.map_starts, whole.map_starts[[2, 0]])
    np.testing.assert_array_equal(part.frames, whole.frames[[2, 0]])


def test_training_draws_at_random_and_seeded(clips):
    draws = [draw_rows(clips, np.array([0]), BOTH, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert draws[0].map_starts.tolist() == draws[1].map_starts.tolist() != draws[2].map_starts.tolist()
    assert draws[0].frames.tolist() == draws[1].frames.tolist() != draws[2].frames.tolist()


def test_map_index_names_the_drawn_starts(clips):
    rng = np.random.default_rng(0)
    clips = replace(clips, stft=[np.zeros((302, 257, 2), np.float32)] * 4)  # three starts for four maps
    plan = InputPlan(num_maps=4, num_frames=0)
    starts_seen = set()
    for _ in range(20):
        draw = draw_rows(clips, np.array([1, 2]), plan, rng)
        maps = merge_maps(draw, plan)
        assert maps.owners[maps.index].tolist() == [[1] * 4, [2] * 4]
        assert maps.starts[maps.index].tolist() == draw.map_starts.tolist()
        assert len({*zip(maps.owners, maps.starts, strict=True)}) == len(maps.owners)
        starts_seen |= set(draw.map_starts.ravel().tolist())
    assert starts_seen == {0, 1, 2}


def test_starts_are_evaluations_when_asked(clips):
    plan = InputPlan(num_maps=4, num_frames=0, random_starts=False)
    draw = draw_rows(clips, np.array([0]), plan, np.random.default_rng(0))
    assert draw.map_starts.tolist() == [[100, 300, 500, 700]]


def test_gathered_rows_are_the_stored_ones(clips):
    draw = draw_rows(clips, np.array([3, 0]), BOTH, None)
    gathered = gather_rows(clips, draw, BOTH)
    assert gathered.maps.shape == (5, 300, 257, 2)
    assert gathered.map_lengths.tolist() == [1, 300, 300, 300, 300]
    np.testing.assert_array_equal(gathered.maps[0, :1].numpy(), clips.stft[3])
    assert (gathered.maps[0, 1:] == 0).all()
    np.testing.assert_array_equal(gathered.maps[2].numpy(), clips.stft[0][300:600])
    np.testing.assert_array_equal(gathered.faces[1].numpy(), clips.embeddings[0][1::3])


def test_networks_get_what_their_plan_names(clips):
    members = np.array([0, 3])
    for plan, shapes in (
        (BOTH, [(5, 2, 257, 300), (2, 4), (2, 16, 512)]),
        (InputPlan(num_maps=2, num_frames=0), [(3, 2, 257, 300), (2, 2)]),
        (InputPlan(num_maps=2, num_frames=0, sound="log_magnitude"), [(3, 1, 257, 300), (2, 2)]),
        (InputPlan(num_maps=0, num_frames=3), [(2, 3, 512)]),
    ):
        gathered = gather_rows(clips, draw_rows(clips, members, plan, None), plan)
        assert [tuple(x.shape) for x in prepare_inputs(gathered, plan, "cpu")] == shapes


def test_maps_arrive_normalised_each_by_itself(clips):
    gathered = gather_rows(clips, draw_rows(clips, np.array([0, 3]), BOTH, None), BOTH)
    maps = prepare_inputs(gathered, BOTH, "cpu")[0]
    alone = normalise_maps(torch.from_numpy(clips.stft[0][None, 300:600].copy()), torch.tensor([300]))
    torch.testing.assert_close(maps[1], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_crops_arrive_scaled_in_the_plans_order(order):
    clips = make_clips(2, crops=True)
    plan = InputPlan(num_maps=0, num_frames=5, faces="crops", channel_order=order)
    (faces,) = prepare_inputs(gather_rows(clips, draw_rows(clips, np.array([1]), plan, None), plan), plan, "cpu")
    stored = clips.crops[1][..., :: 1 if order == "bgr" else -1]
    assert faces.shape == (1, 5, 3, 112, 96)
    np.testing.assert_array_equal(faces[0].numpy(), ((stored.astype(np.float32) - 127.5) / 128).transpose(0, 3, 1, 2))


def test_memory_mapped_arrays_are_read(tmp_path):
    clips = make_clips(2, stft_frames=310)
    np.save(tmp_path / "stft.npy", np.stack(clips.stft))
    mapped = np.load(tmp_path / "stft.npy", mmap_mode="r")
    plan = InputPlan(num_maps=1, num_frames=0)
    gathered = gather_rows(replace(clips, stft=list(mapped)), draw_rows(clips, np.array([1]), plan, None), plan)
    np.testing.assert_array_equal(gathered.maps[0].numpy(), clips.stft[1][5:305])


class Releasing(np.ndarray):
    """Rows that count how often their pages are released."""

    released = 0

    def release_pages(self):
        self.released += 1


def test_what_was_gathered_is_let_go_of(clips):
    rows = {
        name: [None if array is None else array.view(Releasing) for array in getattr(clips, name)]
        for name in ("stft", "embeddings")
    }
    members = np.array([0, 3])
    gather_rows(replace(clips, **rows), draw_rows(clips, members, BOTH, None), BOTH)
    for arrays in rows.values():
        counts = [0 if array is None else array.released for array in arrays]
        assert counts == [int(number in members) for number in range(len(arrays))]


def test_masks_by_hand():
    maps = torch.ones(2, 2, 257, 300)
    masked = mask_maps(maps, torch.tensor([[3, 2, 299, 1], [0, 0, 10, 0]]))
    zeros = (masked[0] == 0).nonzero()[:, 1:].tolist()
    assert {f for f, t in zeros if t < 299} == {3, 4}
    assert {t for f, t in zeros if f > 4} == {299}
    assert len(zeros) == 2 * (2 * 300 + 257 - 2)
    assert torch.equal(masked[1], maps[1])


def test_masks_are_no_wider_than_asked_and_reach_all_of_the_map(clips):
    plan = InputPlan(num_maps=4, num_frames=0, mask_frequencies=27, mask_frames=300)
    draw = draw_rows(clips, np.zeros(500, dtype=np.int64), plan, np.random.default_rng(0))
    first, width, start, length = draw.masks.reshape(-1, 4).T
    assert (width.min(), width.max(), length.min()) == (0, 27, 0)
    assert length.max() > 290
    assert (first + width).max() == 257
    assert (start + length).max() == 300
    assert (draw_rows(clips, np.array([0]), plan, None).masks == 0).all(), "never in evaluation"
    gathered = gather_rows(clips, draw.take(np.array([0, 1])), plan)
    assert len(gathered.masks) == len(gathered.maps)
    assert (prepare_inputs(gathered, plan, "cpu")[0] == 0).any()


def test_half_of_the_utterances_are_mirrored():
    clips = make_clips(2, crops=True)
    plan = InputPlan(num_maps=0, num_frames=3, faces="crops", mirror=True)
    draw = draw_rows(clips, np.zeros(1000, dtype=np.int64), plan, np.random.default_rng(0))
    assert 440 < draw.mirrored.sum() < 560  # 500 +- 4 standard deviations
    pair = draw.take(np.array([np.flatnonzero(draw.mirrored)[0], np.flatnonzero(~draw.mirrored)[0]]))
    (faces,) = prepare_inputs(gather_rows(clips, pair, plan), plan, "cpu")
    stored = (clips.crops[0][pair.frames].astype(np.float32) - 127.5) / 128
    np.testing.assert_array_equal(faces[0].numpy(), stored[0][:, :, ::-1].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(faces[1].numpy(), stored[1].transpose(0, 3, 1, 2))
    assert not draw_rows(clips, np.arange(2), plan, None).mirrored.any(), "never in evaluation"
