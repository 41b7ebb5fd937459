from dataclasses import replace

import numpy as np
import pytest
import torch

from models.anet import normalise_maps
from models.batches import InputPlan, draw_rows, gather_rows, prepare_inputs
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
    assert draw.map_owners.tolist() == [3, 0, 0, 0, 0]
    assert draw.map_starts.tolist() == [0, 100, 300, 500, 700]
    assert draw.map_index.tolist() == [[0, 0, 0, 0], [1, 2, 3, 4]]
    assert draw.frames.tolist() == [[0] * 16, [3 * i + 1 for i in range(16)]]


def test_training_draws_at_random_and_seeded(clips):
    draws = [draw_rows(clips, np.array([0]), BOTH, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert draws[0].map_starts.tolist() == draws[1].map_starts.tolist() != draws[2].map_starts.tolist()
    assert draws[0].frames.tolist() == draws[1].frames.tolist() != draws[2].frames.tolist()


def test_map_index_names_the_drawn_starts(clips):
    rng = np.random.default_rng(0)
    clips = replace(clips, stft=[np.zeros((302, 257, 2), np.float32)] * 4)  # three starts for four maps
    starts_seen = set()
    for _ in range(20):
        draw = draw_rows(clips, np.array([1, 2]), InputPlan(num_maps=4, num_frames=0), rng)
        assert draw.map_owners[draw.map_index].tolist() == [[1] * 4, [2] * 4]
        starts_seen |= set(draw.map_starts[draw.map_index].flatten().tolist())
        assert len({*zip(draw.map_owners, draw.map_starts, strict=True)}) == len(draw.map_owners)
    assert starts_seen == {0, 1, 2}


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
