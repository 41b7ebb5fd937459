"""Each compiled kernel of SphereFace that this processor runs: its numbers, its groups of crops, what it refuses."""

import numpy as np
import pytest

from models.sphereface.native_engine import embed_in_kernel, find_kernel, list_kernels, pack_weights
from tests.models.sphereface.test_embedder import cosines, embed_bare

PRECISIONS = ("float32", "bfloat16")
KERNELS = [(precision, number) for precision in PRECISIONS for number in range(len(list_kernels(precision)))]
needs_kernel = pytest.mark.skipif(find_kernel("float32") is None, reason="no compiled code for this processor")


@pytest.fixture(scope="module", params=KERNELS or [("float32", 0)], ids=str)
def kernel(request, trained):
    """A function, its precision and its weights."""
    precision, number = request.param
    return list_kernels(precision)[number], precision, pack_weights(trained, precision)


@needs_kernel
def test_every_kernel_embeds_as_the_bare_network(kernel, trained, faces):
    function, precision, weights = kernel
    expected, found = embed_bare(trained, faces[:5]), embed_in_kernel(function, weights, faces[:5], "bgr")
    if precision == "float32":
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert cosines(found, expected).min() > 0.9998
    alone = embed_in_kernel(function, weights, faces[4:5], "bgr")
    np.testing.assert_array_equal(alone[0], found[4])


@needs_kernel
def test_every_row_is_given_by_two_groups_of_crops(network, faces):
    """33 are divided into groups of 16 and 17; their first stages take two images at a time, and one that is left."""
    function, weights = list_kernels("float32")[-1], pack_weights(network, "float32")
    rows = np.arange(33) * 7 % 3
    three = embed_in_kernel(function, weights, faces[:3], "bgr")
    np.testing.assert_array_equal(embed_in_kernel(function, weights, faces[rows], "bgr"), three[rows])


@pytest.mark.skipif(len(list_kernels("float32")) < 2, reason="one kind of processor's kernel here")
def test_kernels_of_all_kinds_of_processors_embed_alike(trained, faces):
    weights = pack_weights(trained, "float32")
    first, second = (embed_in_kernel(kernel, weights, faces[:2], "bgr") for kernel in list_kernels("float32"))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6 * np.abs(first).max())


@needs_kernel
def test_kernel_refuses_arrays_that_do_not_fit(network, faces):
    kernel = find_kernel("float32")
    arrays = pack_weights(network, "float32")
    rows = np.zeros((2, 512), np.float32)
    with pytest.raises(ValueError, match="61 arrays of weights must be 62"):
        kernel(faces[:2], rows, arrays[:-1], False)
    with pytest.raises(ValueError, match="array 3 of the weights has 64 numbers: it must have 147456"):
        kernel(faces[:2], rows, (*arrays[:3], arrays[1], *arrays[4:]), False)
    with pytest.raises(ValueError, match="array 0 of the weights has numbers of type h: they must be f"):
        kernel(faces[:2], rows, pack_weights(network, "bfloat16"), False)
    with pytest.raises(ValueError, match=r"embeddings has shape \(2, 512\): it must be \(1, 512\)"):
        kernel(faces[:1], rows, arrays, False)
    with pytest.raises(ValueError, match="embeddings has numbers of type d: they must be f"):
        kernel(faces[:2], rows.astype(np.float64), arrays, False)
    with pytest.raises(ValueError, match=r"crops has shape \(2, 96, 112, 3\): it must be \(N, 112, 96, 3\)"):
        kernel(faces[:2].reshape(2, 96, 112, 3), rows, arrays, False)
    with pytest.raises(ValueError, match="not C-contiguous"):
        kernel(faces[:2, ::-1], rows, arrays, False)
    kernel(faces[:2], rows, arrays, False)
    np.testing.assert_allclose(rows, embed_bare(network, faces[:2]), rtol=1e-3, atol=1e-4)
