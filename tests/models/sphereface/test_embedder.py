"""Embedding crops: by PyTorch and, where it runs, by the kernel, with the same results."""

import numpy as np
import pytest
import torch

from models.networks.precision import computing_exactly
from models.sphereface import native_engine as native_sphereface
from models.sphereface.embedder import Embedder
from models.sphereface.native_engine import find_kernel
from models.sphereface.network import normalise_crops

ENGINES = [
    pytest.param(
        engine,
        precision,
        marks=pytest.mark.skipif(
            engine == "kernel" and find_kernel(precision) is None, reason=f"no kernel for {precision} here"
        ),
    )
    for engine in ("pytorch", "kernel")
    for precision in ("float32", "bfloat16")
]
by_every_engine = pytest.mark.parametrize(("engine", "precision"), ENGINES)


def cosines(one, other):
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def embed_bare(network, faces, channel_order="bgr"):
    with torch.inference_mode():
        pixels = normalise_crops(torch.from_numpy(faces), channel_order=channel_order)
        return network.eval()(pixels).numpy()


@by_every_engine
@pytest.mark.parametrize("channel_order", ["bgr", "rgb"])
def test_embeddings_equal_the_bare_network(trained, faces, engine, precision, channel_order):
    if (engine, precision) == ("pytorch", "bfloat16"):
        faces = faces[:8]  # half a second a crop on a processor without the instructions
    expected = embed_bare(trained, faces, channel_order)
    embedder = Embedder(trained, precision=precision, engine=engine)
    assert embedder.engine == engine
    found = embedder.embed(faces, channel_order=channel_order, batch_size=8)
    assert found.dtype == np.float32
    if precision == "float32":
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    else:
        assert cosines(found, expected).min() > 0.9998
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    other_order = embed_bare(trained, faces, "rgb" if channel_order == "bgr" else "bgr")
    assert cosines(other_order, expected).max() < 0.999, "the order of the channels does not show in these pictures"


@by_every_engine
def test_rows_do_not_depend_on_their_neighbours(network, faces, engine, precision):
    embedder = Embedder(network, precision=precision, engine=engine)
    together = embedder.embed(faces[:4], batch_size=3)
    alone = np.concatenate([embedder.embed(faces[i : i + 1], batch_size=3) for i in range(4)])
    backwards = embedder.embed(faces[3::-1], batch_size=3)[::-1]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards)


@pytest.mark.skipif(find_kernel("float32") is None, reason="no kernel here")
@pytest.mark.parametrize("number", [2, 31, 32, 65])
def test_kernel_gives_every_row_whatever_the_number_of_crops(network, faces, number):
    embedder = Embedder(network, precision="float32", engine="kernel")
    rows = np.arange(number) * 7 % 6
    np.testing.assert_array_equal(embedder.embed(faces[rows]), embedder.embed(faces[:6])[rows])


@by_every_engine
def test_pixels_at_the_border_count(network, engine, precision):
    crops = np.full((5, 112, 96, 3), 127, dtype=np.uint8)
    crops[1, 0], crops[2, -1], crops[3, :, 0], crops[4, :, -1] = 255, 255, 255, 255
    found = Embedder(network, precision=precision, engine=engine).embed(crops, batch_size=5)
    expected = embed_bare(network, crops)
    for row in range(1, 5):
        moved, should_move = found[row] - found[0], expected[row] - expected[0]
        assert np.linalg.norm(moved - should_move) < 0.1 * np.linalg.norm(should_move)


def test_network_is_left_alone(network, faces):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for engine in ("pytorch", None):
        Embedder(network, precision="bfloat16", engine=engine).embed(faces[:2], batch_size=2)
    assert all(value.dtype == torch.float32 and value.requires_grad for value in network.parameters())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@by_every_engine
def test_no_crops_give_no_rows(network, engine, precision):
    embedder = Embedder(network, precision=precision, engine=engine)
    assert embedder.embed(np.zeros((0, 112, 96, 3), dtype=np.uint8)).shape == (0, 512)


@by_every_engine
def test_read_only_memory_maps_and_views_are_taken(network, faces, tmp_path, engine, precision):
    faces[:2].tofile(tmp_path / "crops")
    mapped = np.memmap(tmp_path / "crops", dtype=np.uint8, mode="r", shape=(2, 112, 96, 3))
    embedder = Embedder(network, precision=precision, engine=engine)
    expected = embedder.embed(faces[:2], batch_size=2)
    np.testing.assert_array_equal(embedder.embed(mapped, batch_size=2), expected)
    mirrored = np.ascontiguousarray(faces[:2, :, ::-1])[:, :, ::-1]
    np.testing.assert_array_equal(embedder.embed(mirrored, batch_size=2), expected)


def test_wrong_arguments_are_refused(network, faces):
    with pytest.raises(ValueError, match=r"crops are \(24, 3, 112, 96\) uint8: they must be \(N, 112, 96, 3\) uint8"):
        Embedder(network).embed(faces.transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="float32: they must be"):
        Embedder(network).embed(faces.astype(np.float32))
    with pytest.raises(ValueError, match=r"precision \('float16'\) must be one of \['bfloat16', 'float32'\]"):
        Embedder(network, precision="float16")
    with pytest.raises(ValueError, match=r"batch_size \(0\) must be at least 1"):
        Embedder(network).embed(faces, batch_size=0)
    with pytest.raises(ValueError, match=r"channel_order \('grb'\) must be bgr or rgb"):
        Embedder(network).embed(faces, channel_order="grb")
    with pytest.raises(ValueError, match=r"engine \('Kernel'\) must be kernel or pytorch"):
        Embedder(network, engine="Kernel")


@pytest.mark.parametrize(
    "capabilities",
    [
        {"avx2": True},
        {"architecture": "aarch64", "bf16": True},
        dict.fromkeys(("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq", "avx512_bf16", "amx_bf16"), True),
    ],
)
def test_pytorch_embeds_where_the_kernel_cannot_or_is_slower(network, faces, monkeypatch, capabilities):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    embedder = Embedder(network, precision="bfloat16")
    assert embedder.engine == "pytorch"
    assert cosines(embedder.embed(faces[:2], batch_size=2), embed_bare(network, faces[:2])).min() > 0.999
    with pytest.raises(ValueError, match=r"engine \(kernel\) is not available for bfloat16 on cpu: it must be pytorch"):
        Embedder(network, precision="bfloat16", engine="kernel")


def test_pytorch_embeds_where_nothing_was_compiled(network, monkeypatch):
    monkeypatch.setattr(native_sphereface, "load_compiled", lambda name, layout: None)
    assert Embedder(network, precision="bfloat16").engine == "pytorch"


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_gives_the_same_embeddings(network, faces, precision):
    on_cpu = Embedder(network).embed(faces)
    with computing_exactly():
        on_gpu = Embedder(network, precision=precision, device="cuda").embed(faces, batch_size=16)
    assert len(on_gpu) == 24
    assert cosines(on_cpu, on_gpu).min() >= 0.999
