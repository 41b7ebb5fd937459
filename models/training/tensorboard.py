"""Learning curves in TensorBoard's file format, written without its package (and the twenty that it depends on).

A file is a sequence of records: length, its checksum, content, its checksum (TFRecord). The content is a protocol
buffer: an `Event` with a time, a step and a `Summary` of named numbers. `tensorboard --logdir runs/tensorboard` shows
them. TensorBoard's own writer is not used, so that the curves exist even if TensorBoard is installed afterwards.
"""

import math
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from models.training.metrics import EpochMetrics
from models.whole_files import naming_full_disk, writing_whole

FILE = "events.out.tfevents.valar"
VERSION = b"brain.Event:2"
CRC_POLYNOMIAL = 0x82F63B78  # CRC-32C, bits reversed
MASK_DELTA = 0xA282EAD8
# Tags of protocol buffers: the field's number shifted by three, and how its value is written.
EVENT_WALL_TIME, EVENT_STEP, EVENT_VERSION, EVENT_SUMMARY = 0x09, 0x10, 0x1A, 0x2A
SUMMARY_VALUE, VALUE_TAG, VALUE_NUMBER = 0x0A, 0x0A, 0x15
VALUE_TENSOR, VALUE_METADATA = 0x42, 0x4A
# A SummaryMetadata whose plugin is "text"; a TensorProto of strings (type 7) that is one text: a shape of (1,).
TEXT_METADATA = bytes([0x0A, 0x06, 0x0A, 0x04]) + b"text"
TEXT_TENSOR = bytes([0x08, 0x07, 0x12, 0x04, 0x12, 0x02, 0x08, 0x01])
TENSOR_STRING = 0x42


def write_events(path: Path, history: list[EpochMetrics], settings: str = "") -> None:
    """Write the whole file for the epochs so far.

    Args:
        path: the file.
        history: the epochs.
        settings: Markdown, which TensorBoard shows under "Text"; "" for none.
    """
    header = bytes([EVENT_VERSION]) + _sized(VERSION)
    text = _record(encode_text(time.time(), "settings", settings)) if settings else b""
    content = _record(_encode_time(time.time()) + header) + text + b"".join(map(_encode_epoch, history))
    with writing_whole(path, len(content)) as beside:
        beside.write_bytes(content)


def append_epoch(path: Path, metrics: EpochMetrics) -> None:
    """Append one epoch to the file, in one write; TensorBoard reads a file while it grows."""
    content = _encode_epoch(metrics)
    with naming_full_disk(path, len(content)), path.open("ab") as file:
        file.write(content)


def _encode_epoch(metrics: EpochMetrics) -> bytes:
    numbers = {
        "loss": metrics.loss,
        "ccc/arousal": metrics.ccc_arousal,
        "ccc/valence": metrics.ccc_valence,
        "ccc/total": metrics.total_ccc,
        "learning_rate": metrics.learning_rate,
        "utterances_per_second": metrics.num_train / metrics.train_seconds,
    }
    defined = {name: number for name, number in numbers.items() if math.isfinite(number)}
    return _record(encode_event(time.time(), metrics.epoch, defined))


def encode_event(wall_time: float, step: int, numbers: Mapping[str, float]) -> bytes:
    """Encode an `Event` that holds a `Summary`.

    Args:
        wall_time: seconds since 1970.
        step: >= 0.
        numbers: by name.
    """
    summary = b""
    for name, number in numbers.items():
        value = bytes([VALUE_TAG]) + _sized(name.encode()) + bytes([VALUE_NUMBER]) + struct.pack("<f", number)
        summary += bytes([SUMMARY_VALUE]) + _sized(value)
    # The format leaves out what is zero.
    step_field = bytes([EVENT_STEP]) + _varint(step) if step else b""
    return _encode_time(wall_time) + step_field + bytes([EVENT_SUMMARY]) + _sized(summary)


def encode_text(wall_time: float, name: str, text: str) -> bytes:
    """Encode an `Event` that holds a text, for TensorBoard's page "Text".

    Args:
        wall_time: seconds since 1970.
        name: of the text.
        text: Markdown.
    """
    tensor = TEXT_TENSOR + bytes([TENSOR_STRING]) + _sized(text.encode())
    value = bytes([VALUE_TAG]) + _sized(name.encode()) + bytes([VALUE_TENSOR]) + _sized(tensor)
    value += bytes([VALUE_METADATA]) + _sized(TEXT_METADATA)
    summary = bytes([SUMMARY_VALUE]) + _sized(value)
    return _encode_time(wall_time) + bytes([EVENT_SUMMARY]) + _sized(summary)


def describe_settings(kind: str, settings: Mapping[str, object]) -> str:
    """Return a training's settings as a Markdown table.

    >>> print(describe_settings("vnet", {"epochs": 30, "loss": "mse"}))
    | vnet | |
    |---|---|
    | epochs | 30 |
    | loss | mse |
    """
    return "\n".join([f"| {kind} | |", "|---|---|", *(f"| {name} | {value} |" for name, value in settings.items())])


def compute_crc32c(data: bytes) -> int:
    """Compute the CRC-32C (Castagnoli) of some bytes.

    >>> hex(compute_crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (CRC_POLYNOMIAL * (crc & 1))
    return crc ^ 0xFFFFFFFF


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _masked_crc(length) + content + _masked_crc(content)


def _masked_crc(data: bytes) -> bytes:
    crc = compute_crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF)


def _encode_time(wall_time: float) -> bytes:
    return bytes([EVENT_WALL_TIME]) + struct.pack("<d", wall_time)


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Encode a number in bytes of seven bits, the lowest first; the highest bit says that more bytes follow."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
