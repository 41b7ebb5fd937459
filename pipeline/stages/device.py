"""Where networks run, and on how many threads."""

import contextlib
from collections.abc import Iterator

import torch

from models.choices import FeaturePrecision
from models.mtcnn.detector import find_engine
from models.networks.precision import multiplies_bfloat16
from pipeline.errors import UserError
from pipeline.settings.config import Settings


def find_device(settings: Settings) -> str:
    """Give the device that `[run] device` means here.

    Raises:
        UserError: It names a GPU, and there is none that torch can use.
    """
    device = settings.run.device
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    _check_device(device, "[run] device")
    return str(device)


def find_precision(settings: Settings, device: str) -> FeaturePrecision:
    """Return the arithmetic for `[embeddings] precision` on a device: float32 where the device has no bfloat16.

    On such a device float32 is more exact, and faster than emulated bfloat16.
    """
    precision: FeaturePrecision = settings.embeddings.precision
    return precision if precision == "float32" or multiplies_bfloat16(device) else "float32"


def find_faces_device(settings: Settings) -> str:
    """Return the detector's device that `[faces] device` means here.

    By default this is the CPU where the detector's compiled kernel runs, even beside a GPU. Following a face takes one
    call of a tenth of a millisecond for every frame. A GPU takes longer for it than a core, and all clips would share
    Python's lock (docs/decisions/013).

    Raises:
        UserError: As `find_device`.
    """
    device = settings.faces.device
    if device == "auto":
        return "cpu" if find_engine("cpu") == "kernel" else find_device(settings)
    _check_device(device, "[faces] device")
    return str(device)


def check_devices(settings: Settings, *, trains: bool) -> None:
    """Refuse devices that this machine does not have.

    Args:
        trains: Whether networks are to be trained, perhaps in several processes.

    Raises:
        UserError: As `find_device`; or `[run] processes` asks for more GPUs than there are.
    """
    device, processes = find_device(settings), settings.run.processes
    find_faces_device(settings)
    if trains and device == "cuda" and processes > torch.cuda.device_count():
        raise UserError(
            f"[run] processes = {processes}: each takes a GPU of its own, and this machine has "
            f"{torch.cuda.device_count()}; set it to {torch.cuda.device_count()} or lower, or set [run] device = cpu"
        )


def describe_idle_precision(settings: Settings) -> str:
    """Return a sentence if `[run] precision` has no effect on the device, else ""."""
    if settings.run.precision != "tf32" or find_device(settings) != "cpu":
        return ""
    return (
        "[run] precision = tf32 rounds on a GPU alone, and [run] device is the processor here: networks are trained in "
        "float32 (and named as if by another setting)"
    )


def _check_device(device: str, setting: str) -> None:
    """Refuse "cuda" where torch can use no GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        raise UserError(
            f"{setting} = cuda, but PyTorch sees no CUDA device here (torch {torch.__version__} {built}); set it to "
            "auto or cpu, or run on a machine whose GPU `nvidia-smi` lists"
        )


def describe_device(device: str) -> str:
    """Name a device for a file's provenance: "cpu", or the GPU's own name."""
    return device if device == "cpu" else f"{device} ({torch.cuda.get_device_name(device)})"


def describe_machine(settings: Settings) -> str:
    """Name what all networks run on, for a report's provenance."""
    return f"{describe_device(find_device(settings))}, {settings.num_threads} threads"


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let each operation of torch use `count` threads in the block, and the previous number after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
