import numpy as np
import pytest
import torch

from models.mtcnn import native_engine as native_mtcnn
from models.mtcnn.boxes import compute_pyramid_scales
from models.mtcnn.detector import Mtcnn
from models.mtcnn.native_engine import NativeNetworks
from models.mtcnn.networks import MtcnnNetworks, load_networks
from models.mtcnn.torch_engine import TorchNetworks
from tests.golden.mtcnn_images import make_images

needs_kernel = pytest.mark.skipif(not native_mtcnn.is_available(), reason="no compiled code for this processor")
# Rounding of float32 in sums of up to 1152 products, for results of size 1.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def networks() -> MtcnnNetworks:
    return load_networks()


@pytest.fixture(scope="module")
def reference(networks) -> TorchNetworks:
    return TorchNetworks(networks, device=torch.device("cpu"))


@pytest.fixture(scope="module", params=native_mtcnn.list_instructions() or ["none"])
def native(networks, request) -> NativeNetworks:
    """The networks, computed with each kind of instructions that this processor has."""
    return NativeNetworks(networks, instructions=request.param)


def make_image(height: int, width: int) -> np.ndarray:
    """Part of a photograph of a face."""
    photograph = make_images()["photograph"]
    return np.ascontiguousarray(photograph[50 : 50 + height, 150 : 150 + width])


def make_boxes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-60, 180, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 200, (count, 2))], axis=1)


def assert_close(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> None:
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=ROUNDING)


@needs_kernel
@pytest.mark.parametrize("side", [24, 48])
@pytest.mark.parametrize(
    ("shape", "count"), [((1, 1), 3), ((2, 5), 3), ((12, 12), 1), ((13, 200), 7), ((211, 97), 130)]
)
def test_windows_are_judged_as_by_pytorch(native, reference, shape, count, side):
    image, boxes = make_image(*shape), make_boxes(count)
    assert_close(native.judge(image, boxes, side), reference.judge(image, boxes, side))


@needs_kernel
@pytest.mark.parametrize("side", [24, 48])
def test_boxes_beside_the_image_without_size_or_turned_round_are_judged_as_by_pytorch(native, reference, side):
    boxes = np.array(
        [[-500.0, -500, -400, -400], [1e6, 0, 1e6 + 5, 5], [20, 20, 20, 20], [60, 60, 20, 20], [0, 0, 99, 99]]
    )
    image = make_image(100, 100)
    assert_close(native.judge(image, boxes, side), reference.judge(image, boxes, side))


@needs_kernel
def test_boxes_that_are_no_numbers_are_outside(native):
    boxes = np.array([[np.nan] * 4, [-np.inf, 0, np.inf, 5], [-500, -500, -400, -400]])
    scores, _, _ = native.judge(make_image(50, 50), boxes, 48)
    assert scores.tolist() == [scores[2]] * 3


@needs_kernel
@pytest.mark.parametrize("side", [24, 48])
def test_a_row_is_the_same_whatever_is_beside_it(native, side):
    image, boxes = make_image(150, 180), make_boxes(40)
    together = np.concatenate([part.reshape(40, -1) for part in native.judge(image, boxes, side)], axis=1)
    for row in (0, 11, 12, 39):
        alone = np.concatenate([part.ravel() for part in native.judge(image, boxes[row : row + 1], side)])
        assert alone.tobytes() == together[row].tobytes()


@needs_kernel
@pytest.mark.parametrize("shape", [(12, 12), (12, 300), (13, 14), (60, 57), (200, 211)])
def test_cells_are_proposed_as_by_pytorch(native, reference, shape):
    image = make_image(*shape)
    num_levels = 0
    for smallest_face_px in (12, 13, 20, 24):  # 24 halves the image exactly
        scales = compute_pyramid_scales(*image.shape[:2], smallest_face_px=smallest_face_px, factor=0.709)
        for scale in scales:
            size = (int(image.shape[1] * scale), int(image.shape[0] * scale))
            for threshold in (0.0, 0.3):
                cells, *ours = native.propose(native.prepare(image), size, threshold)
                expected, *theirs = reference.propose(reference.prepare(image), size, threshold)
                assert cells.tolist() == expected.tolist()
                assert_close((cells, *ours), (cells, *theirs))
            num_levels += 1
    assert num_levels >= 1


@needs_kernel
def test_all_instructions_give_the_same_bits(networks):
    image, boxes = make_image(190, 203), make_boxes(20)
    if len(native_mtcnn.list_instructions()) < 2:
        pytest.skip("this processor has one kind of instructions")
    first, second = (
        [
            part.tobytes()
            for parts in (native.judge(image, boxes, 24), native.judge(image, boxes, 48))
            for part in (*parts, *native.propose(image, (203, 190), 0.0))
        ]
        for native in (NativeNetworks(networks, instructions=name) for name in native_mtcnn.list_instructions())
    )
    assert first == second


@needs_kernel
@pytest.mark.parametrize("offset", [1, 7])
def test_an_image_may_begin_at_any_byte(native, offset):
    image, boxes = make_image(61, 47), make_boxes(5)
    moved = np.frombuffer(bytes(offset) + image.tobytes(), np.uint8, offset=offset).reshape(image.shape)
    for side in (24, 48):
        for ours, theirs in zip(native.judge(moved, boxes, side), native.judge(image, boxes, side), strict=True):
            assert ours.tobytes() == theirs.tobytes()
    for ours, theirs in zip(native.propose(moved, (47, 61), 0.1), native.propose(image, (47, 61), 0.1), strict=True):
        assert ours.tobytes() == theirs.tobytes()


@needs_kernel
def test_no_cell_passes_a_threshold_of_one(native):
    assert [len(part) for part in native.propose(make_image(60, 60), (60, 60), 1.0)] == [0, 0, 0]


@needs_kernel
@pytest.mark.parametrize("kind", ["union", "smaller"])
@pytest.mark.parametrize("count", [0, 1, 8, 9, 600])
def test_the_same_boxes_are_suppressed(native, reference, count, kind):
    rng = np.random.default_rng(count)
    boxes, scores = make_boxes(count, seed=count), rng.random(count).round(2)  # with equal scores
    boxes[::5] = boxes[::-1][::5]  # and equal boxes
    for threshold in (0.0, 0.5, 1.0):
        ours = native.suppress(boxes, scores, threshold=threshold, kind=kind)
        assert ours.tolist() == reference.suppress(boxes, scores, threshold=threshold, kind=kind).tolist()


@needs_kernel
@pytest.mark.parametrize("name", ["street", "tiled", "cat"])
def test_both_engines_detect_the_same_faces(networks, name):
    image = np.ascontiguousarray(make_images()[name][:, :, ::-1])
    ours, theirs = (Mtcnn(networks, engine=engine).detect(image) for engine in ("kernel", "pytorch"))
    assert len(ours) == len(theirs) == {"street": 3, "tiled": 12, "cat": 0}[name]
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-2)
    np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=1e-2)


@needs_kernel
def test_an_image_with_gaps_is_the_same_image(networks):
    wide = make_images()["pair"]
    view = wide[:, ::-1][:, ::-1][10:-10, 10:-10]
    detector = Mtcnn(networks)
    with_gaps, without = detector.detect(view), detector.detect(view.copy())
    assert len(with_gaps) == 2
    assert with_gaps.landmarks.tobytes() == without.landmarks.tobytes()


IMAGE, BOXES, TABLE = np.zeros((5, 4, 3), np.uint8), np.zeros((2, 4)), np.zeros((2, 16), np.float32)


@needs_kernel
@pytest.mark.parametrize(
    ("image", "boxes", "side", "table", "message"),
    [
        (IMAGE[:, :, :2], BOXES, 48, TABLE, "ndarray is not C-contiguous"),
        (IMAGE[..., 0], BOXES, 48, TABLE, "ndarray is not C-contiguous"),
        (IMAGE[0], BOXES, 48, TABLE, r"image has shape \(4, 3\): it must be \(N, N, 3\)"),
        (IMAGE[:0], BOXES, 48, TABLE, "image has 0 x 4 pixels: each side must be 1 to 16777216"),
        (IMAGE.view(np.int8), BOXES, 48, TABLE, "image has numbers of type b: they must be B"),
        (IMAGE, BOXES.astype(np.float32), 48, TABLE, "boxes has numbers of type f: they must be d"),
        (IMAGE, BOXES.ravel(), 48, TABLE, r"boxes has shape \(8\): it must be \(N, 4\)"),
        (IMAGE, BOXES.byteswap().view(">f8"), 48, TABLE, "boxes has numbers of type >d: they must be d"),
        (IMAGE, BOXES, 48, TABLE[:1], r"table has shape \(1, 16\): it must be \(2, 16\)"),
        (IMAGE, BOXES, 36, TABLE, "windows of 36 pixels: must be 24 or 48"),
    ],
)
def test_windows_that_do_not_fit_are_refused(native, image, boxes, side, table, message):
    with pytest.raises(ValueError, match=message):
        native_mtcnn._kernel.judge(native._engine, image, boxes, side, native._windows[48], table)


@needs_kernel
def test_the_compiled_code_refuses_what_does_not_fit(native):
    kernel, engine, weights = native_mtcnn._kernel, native._engine, native._windows[48]
    unaligned = np.frombuffer(bytes(65), np.float64, 8, offset=1).reshape(2, 4)
    with pytest.raises(ValueError, match=r"boxes (is not aligned|has numbers of type)"):
        kernel.judge(engine, IMAGE, unaligned, 48, weights, TABLE)
    read_only = TABLE.copy()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        kernel.judge(engine, IMAGE, BOXES, 48, weights, read_only)
    with pytest.raises(TypeError, match="bytes-like object is required"):
        kernel.judge(engine, None, BOXES, 48, weights, TABLE)
    with pytest.raises(ValueError, match="17 arrays of weights: must be 18"):
        kernel.judge(engine, IMAGE, BOXES, 48, weights[1:], TABLE)
    with pytest.raises(ValueError, match="array 0 of the weights has 32 numbers: it must have 864"):
        kernel.judge(engine, IMAGE, BOXES, 48, (weights[1], *weights[1:]), TABLE)
    with pytest.raises(ValueError, match="array 1 of the weights has numbers of type i: they must be f"):
        kernel.judge(engine, IMAGE, BOXES, 48, (weights[0], weights[1].view(np.int32), *weights[2:]), TABLE)
    with pytest.raises(ValueError, match=r"engine \(2\) must be one of the module's constants AVX2 and AVX512"):
        kernel.judge(2, IMAGE, BOXES, 48, weights, TABLE)
    cells, values = np.zeros((1, 2), np.int32), np.zeros((1, 5), np.float32)
    with pytest.raises(
        ValueError, match="a level of 12 x 11 pixels: must be at least 12 and at most the image's 5 x 4"
    ):
        kernel.propose(engine, IMAGE, 12, 11, 0.0, native._pnet, cells, values)
    with pytest.raises(ValueError, match=r"cells has shape \(1, 2\): it must be \(4, 2\)"):
        kernel.propose(engine, np.zeros((20, 20, 3), np.uint8), 14, 14, 0.0, native._pnet, cells, values)
    with pytest.raises(ValueError, match=r"kept has shape \(3\): it must be \(2\)"):
        kernel.suppress(engine, BOXES, 0.5, False, np.zeros(3, np.bool_))
    with pytest.raises(ValueError, match=r"instructions \('NEON'\) must be one of \["):
        NativeNetworks(load_networks(), instructions="NEON")


@needs_kernel
@pytest.mark.parametrize("is_refused", [False, True])
def test_memory_is_given_up_after_every_call(native, is_refused):
    """A bytearray can grow only if nothing else holds its memory: so the views were released."""
    memory = bytearray(2 * 16 * 4)
    table = np.frombuffer(memory, np.float32).reshape(2, 16)
    kernel, weights = native_mtcnn._kernel, native._windows[48]
    if is_refused:
        with pytest.raises(ValueError, match="17 arrays of weights"):
            kernel.judge(native._engine, IMAGE, BOXES, 48, weights[1:], memoryview(memory).cast("f", (2, 16)))
    else:
        kernel.judge(native._engine, IMAGE, BOXES, 48, weights, memoryview(memory).cast("f", (2, 16)))
        assert table.any()
    del table
    memory.append(0)


def test_without_the_compiled_code_pytorch_computes(networks, monkeypatch):
    monkeypatch.setattr(native_mtcnn, "_kernel", None)
    assert not native_mtcnn.is_available()
    detector = Mtcnn(networks)
    assert detector.engine == "pytorch"
    assert len(detector.detect(np.ascontiguousarray(make_images()["pair"][:, :, ::-1]))) == 2
    with pytest.raises(ValueError, match=r"engine \(kernel\) does not run on cpu here: it must be pytorch"):
        Mtcnn(networks, engine="kernel")
    with pytest.raises(RuntimeError, match=r"models\.mtcnn\._mtcnn is not built, or this processor has no AVX2"):
        NativeNetworks(networks)
