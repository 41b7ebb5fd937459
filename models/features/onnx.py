"""Networks as ONNX files, by ONNX Runtime (an optional package). Such a file is data: it holds operations, not code."""

import importlib.util

import numpy as np

from models.features.network import ModelError, Network, first_line

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
# Options for a GPU: TF32 would round factors to 10 bits, and algorithms chosen by their speed differ from run to run.
_CUDA = ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"})
_CPU = "CPUExecutionProvider"
# ONNX Runtime would look for weights in separate files in the current folder; in this folder no file can exist.
_FOLDER_OF_WEIGHTS = ("session.model_external_initializers_file_folder_path", "/dev/null/none")


def load_onnx(data: bytes, *, device: str, threads: int) -> Network:
    """Load a network from an ONNX file's bytes.

    It takes the bytes, not the file's name, so that exactly the digested bytes are run. A file whose weights are in a
    separate file is refused.

    Args:
        data: the file's content.
        device: "cpu" or "cuda".
        threads: number of threads for each operation on a CPU.

    Raises:
        ModelError: ONNX Runtime is not installed or has no CUDA, or the file is not a network with one input.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError("it needs the package onnxruntime: pip install -e '.[onnx]' (on a GPU: onnxruntime-gpu)")
    import onnxruntime

    if device == "cuda" and _CUDA[0] not in onnxruntime.get_available_providers():
        raise ModelError("onnxruntime has no CUDA here: pip install onnxruntime-gpu, or set [run] device = cpu")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry(*_FOLDER_OF_WEIGHTS)
    options.use_deterministic_compute = True
    try:
        session = onnxruntime.InferenceSession(data, options, providers=[_CUDA, _CPU] if device == "cuda" else [_CPU])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        if "external data" in str(error).lower():
            raise ModelError("its weights are in a separate file, which is not read; save it as one file") from error
        raise ModelError(f"onnxruntime cannot load it: {first_line(error)}") from error
    if device == "cuda" and _CUDA[0] not in session.get_providers():
        raise ModelError("onnxruntime could not start CUDA; see what it printed above, or set [run] device = cpu")
    inputs, output = session.get_inputs(), session.get_outputs()[0].name
    if len(inputs) != 1 or inputs[0].type not in _DTYPES:
        found = ", ".join(f"{each.name} {each.type}" for each in inputs) or "none"
        raise ModelError(f"it must have one input of floating-point numbers; it has {found}")
    name, dtype = inputs[0].name, _DTYPES[inputs[0].type]

    def run(batch: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(session.run([output], {name: batch.astype(dtype, copy=False)})[0])
        except Exception as error:
            raise ModelError(f"onnxruntime cannot run it on {batch.shape}: {first_line(error)}") from error

    return run
