"""The options of a section [features.NAME], each declared once with its type, limits, default and meaning."""

from typing import Any

from models.choices import FEATURE_PRECISIONS
from pipeline.settings.parameters import choice, integer, number, text

#: The options of each section [features.NAME], a feature that the user declares (docs/features.md).
FEATURE_OPTIONS: dict[str, Any] = {
    "input": choice(
        "crop",
        ["crop", "face_region", "waveform"],
        "Input of the network: crop (the aligned face) | face_region (the frame around the face, not aligned) | "
        "waveform (the sound).",
    ),
    "model": text(
        "",
        "The network: a file .onnx or .pt2 (torch.export), package.module:callable, or the built-in voice_activity "
        "or egemaps.",
    ),
    "sha256": text(
        "", "SHA-256 that the model's file must have. A .pt2 file needs it, because loading such a file can run code."
    ),
    "packages": text("", "Names of packages, with commas between them, whose versions change the rows."),
    "size": text("", "Width x height of the pictures in pixels; empty for 96x112 (crop) or 224x224 (face_region)."),
    "margin": number(
        0.2, 0.0, 4.0, "Only face_region: the margin on each side of the face, as a share of its longer side."
    ),
    "colours": choice("rgb", ["rgb", "bgr"], "Order of the colours in the network's input."),
    "layout": choice(
        "nchw", ["nchw", "nhwc"], "Order of the pictures' dimensions: colours first (nchw) or last (nhwc)."
    ),
    "mean": text("127.5", "Subtracted from the pixels (0 to 255): one number, or one per colour in the order above."),
    "deviation": text("128", "Number by which the pixels are then divided: one, or one per colour in the order above."),
    "sample_rate": integer(16000, 1000, 192000, "Sample rate of the network's input, Hz."),
    "window_seconds": number(
        0.0, 0.0, 600.0, "Length of the sound for one row, s; 0 gives the network a clip's whole sound at once."
    ),
    "hop_seconds": number(0.0, 0.0, 600.0, "Seconds from one row to the next."),
    "precision": choice(
        "float32",
        FEATURE_PRECISIONS,
        "Arithmetic of a .pt2 file; an ONNX file and a callable decide it themselves.",
    ),
    "batch_size": integer(32, 1, 4096, "Number of inputs that are computed together; the last batch is padded."),
}
