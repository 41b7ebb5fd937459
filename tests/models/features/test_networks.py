"""Networks of each kind give the right numbers, and a network that cannot be used is refused with a sentence."""

import io
import json
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from models.features.entry_point import find_source, load_entry_point
from models.features.exported import check_archive, load_exported
from models.features.network import ModelError, compute_rows, compute_sequence, measure_width
from models.features.onnx import load_onnx
from tests.made_networks import compute_face_rows, make_face_onnx, make_sound_onnx, make_two_input_onnx, write_exported

PICTURES = np.random.default_rng(1).normal(0, 1, (5, 3, 112, 96)).astype(np.float32)


def test_an_onnx_network_gives_what_numpy_gives():
    pytest.importorskip("onnxruntime")
    rows = compute_rows(load_onnx(make_face_onnx(), device="cpu", threads=1), PICTURES)
    assert (rows.shape, rows.dtype) == ((5, 6), np.float32)
    np.testing.assert_allclose(rows, compute_face_rows(PICTURES), atol=1e-5)


@pytest.mark.gpu
def test_on_cuda_an_onnx_network_gives_the_cpus_rows():
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-gpu")
    rows = compute_rows(load_onnx(make_face_onnx(), device="cuda", threads=1), PICTURES)
    np.testing.assert_allclose(rows, compute_face_rows(PICTURES), atol=1e-4)


@pytest.mark.gpu
def test_on_cuda_an_exported_network_gives_the_cpus_rows(tmp_path):
    write_exported(tmp_path / "n.pt2")
    data = (tmp_path / "n.pt2").read_bytes()
    on_cpu, on_gpu = (
        compute_rows(load_exported(data, device=d, precision="float32"), PICTURES) for d in ("cpu", "cuda")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4)


def test_weights_beside_an_onnx_file_are_not_looked_for(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    (tmp_path / "weights.bin").write_bytes(np.zeros(8 * 3 * 64, "f4").tobytes())
    monkeypatch.chdir(tmp_path)
    for location in ("weights.bin", "../weights.bin", str(tmp_path / "weights.bin")):
        with pytest.raises(ModelError, match="save it as one file"):
            load_onnx(make_face_onnx(external=location), device="cpu", threads=1)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "cannot load it"),
        (b"<html>not found</html>", "cannot load it"),
        (make_face_onnx()[:500], "cannot load it"),
        (make_two_input_onnx(), r"must have one input .*; it has x tensor\(float\), z tensor\(float\)"),
    ],
)
def test_what_is_no_network_of_one_input_is_refused(data, match):
    pytest.importorskip("onnxruntime")
    with pytest.raises(ModelError, match=match):
        load_onnx(data, device="cpu", threads=1)


def test_pictures_of_a_wrong_shape_are_an_error_of_the_network():
    pytest.importorskip("onnxruntime")
    network = load_onnx(make_sound_onnx(window=7), device="cpu", threads=1)
    with pytest.raises(ModelError, match=r"cannot run it on \(5, 3, 112, 96\)"):
        compute_rows(network, PICTURES)


def test_an_exported_network_gives_what_torch_gives(tmp_path):
    write_exported(tmp_path / "n.pt2", width=5)
    network = load_exported((tmp_path / "n.pt2").read_bytes(), device="cpu", precision="float32")
    matrix = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(compute_rows(network, PICTURES), PICTURES.mean(axis=(2, 3)) @ matrix, atol=1e-6)
    with pytest.raises(ModelError, match="cannot run it on"):
        network(PICTURES[:, :2])


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def rewrite(data, changes):
    """Give an archive with other members: name's end to a function of its content."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for end, change in changes.items():
                content = change(content) if name.endswith(end) else content
            new.writestr(name, content)
    return out.getvalue()


def with_pickled_weight(content):
    config = json.loads(content)
    for payload in config["config"].values():
        payload["use_pickle"] = True
    return json.dumps(config).encode()


def with_opaque_constant(content):
    config = json.loads(content)
    config["config"]["evil"] = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": False,
        "tensor_meta": None,
    }
    return json.dumps(config).encode()


def test_a_pickle_in_an_exported_network_is_never_loaded(tmp_path):
    write_exported(tmp_path / "n.pt2")
    data, mark = (tmp_path / "n.pt2").read_bytes(), tmp_path / "mark"
    evil = pickle.dumps(Payload(mark))
    attacks = [
        rewrite(data, {"weights_config.json": with_pickled_weight, "/weight_0": lambda _: evil}),
        rewrite(data, {"constants_config.json": with_opaque_constant}),
        rewrite(data, {"weights_config.json": lambda _: b'{"config": [1]}'}),
        rewrite(data, {"weights_config.json": lambda _: b"[" * 100_000}),
    ]
    for attack in attacks:
        with pytest.raises(ModelError, match=r"pickles|cannot be read|not an archive"):
            load_exported(attack, device="cpu", precision="float32")
    legacy = io.BytesIO(data)
    with zipfile.ZipFile(legacy, "a") as archive:
        archive.writestr("n/data/weights/model.pt", evil)
    torch_saved = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, torch_saved)
    for attack, match in (
        (legacy.getvalue(), "holds pickles"),
        (torch_saved.getvalue(), "torch.export.save"),
        (evil, "not an archive"),
    ):
        with pytest.raises(ModelError, match=match):
            check_archive(attack)
    assert not mark.exists()


def test_an_exported_network_without_pickles_can_run_code_all_the_same(tmp_path):
    """Why a .pt2 needs a digest in the settings: torch lets sympy evaluate the sizes in the graph."""
    write_exported(tmp_path / "n.pt2")
    mark = tmp_path / "mark"
    number = [found.__name__ for found in object.__subclasses__()].index("_wrap_close")
    evil = f"().__class__.__base__.__subclasses__()[{number}].__init__.__globals__['mkdir']({str(mark)!r})"

    def turn(content):
        return re.sub(r'"expr_str": "[^"]*"', lambda _: f'"expr_str": {json.dumps(evil)}', content.decode()).encode()

    hostile = rewrite((tmp_path / "n.pt2").read_bytes(), {"models/model.json": turn})
    with pytest.raises(ModelError, match="torch cannot load it"):
        load_exported(hostile, device="cpu", precision="float32")
    assert mark.exists()  # where this fails, torch has become safer, and docs/features.md can say so


def test_an_entry_point_is_found_called_and_checked(tmp_path, monkeypatch):
    (tmp_path / "mine_3a.py").write_text(
        "def make(device):\n    return lambda batch: batch.mean((2, 3))\nnothing = lambda device: None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_source("mine_3a:make") == tmp_path / "mine_3a.py"
    np.testing.assert_allclose(
        compute_rows(load_entry_point("mine_3a:make", device="cpu"), PICTURES), PICTURES.mean((2, 3))
    )
    for text, match in (
        ("mine_3a:other", "mine_3a has no callable other"),
        ("mine_3a:nothing", "gives NoneType: it must give a function"),
        ("no_such_module_3a:make", "there is no module no_such_module_3a"),
        ("no_such.module_3a:make", "there is no module no_such.module_3a"),
        ("mine_3a", "must be a file .onnx or .pt2, or package.module:callable"),
        ("mine_3a:__import__('os')", "must be a file"),
    ):
        with pytest.raises(ModelError, match=match):
            load_entry_point(text, device="cpu")


@pytest.mark.parametrize(
    ("network", "match"),
    [
        (lambda x: x.mean((1, 2, 3)), "it must give"),
        (lambda x: x[:3].mean((2, 3)), "it must give"),
        (lambda x: x.mean((2, 3)) * np.nan, "NaN or infinite"),
        (lambda x: x.mean((2, 3)) + np.random.rand(), "other numbers when it runs again"),
        (lambda x: x.mean((2, 3)) - x.mean((2, 3)).std(0) * np.arange(len(x))[:, None], "depends on the other inputs"),
        (lambda x: "rows", "it gives str"),
        (lambda x: x.mean((2, 3)).astype(object), "it gives object"),
    ],
)
def test_a_network_that_does_not_do_is_found_out_by_one_made_input(network, match):
    with pytest.raises(ModelError, match=match):
        measure_width(lambda x: compute_rows(network, x), PICTURES, are_rows=True)


def test_what_a_row_has_more_of_is_flattened():
    assert measure_width(lambda x: compute_rows(lambda y: y[:, :, :2, :2], x), PICTURES, are_rows=True) == 12


@pytest.mark.parametrize("give", [lambda x: x.reshape(-1, 2), lambda x: x.reshape(1, -1, 2)])
def test_a_whole_sound_has_a_sequence_of_rows(give):
    sound = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(compute_sequence(give, sound), sound.reshape(5, 2))
    with pytest.raises(ModelError, match="must give \\(rows, numbers\\)"):
        compute_sequence(lambda x: x[0], sound)


def test_a_network_in_bfloat16_rounds(tmp_path):
    write_exported(tmp_path / "n.pt2", module=nn.Linear(8, 4), example=torch.zeros(2, 8))
    data, inputs = (tmp_path / "n.pt2").read_bytes(), PICTURES.reshape(-1, 8)[:5]
    exact, rounded = (
        compute_rows(load_exported(data, device="cpu", precision=p), inputs) for p in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - rounded).max() < 0.05
