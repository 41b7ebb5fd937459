import math
import struct
from dataclasses import replace

import pytest

from models.training.tensorboard import FILE, append_epoch, compute_crc32c, encode_event, encode_text, write_events
from tests.models.training.test_state import make_metrics


def test_checksums_of_rfc_3720():
    assert compute_crc32c(bytes(32)) == 0x8A9136AA
    assert compute_crc32c(b"\xff" * 32) == 0x62A8AB43
    assert compute_crc32c(bytes(range(32))) == 0x46DD794E


def test_event_is_what_tensorboards_own_classes_write():
    """Event(wall_time=1.5, step=300, summary=Summary(value=[...])).SerializeToString() of tensorboard 2.21."""
    expected = "09000000000000f83f10ac022a1f0a0b0a046c6f7373150000803e0a100a096363632f746f74616c15000080bf"
    assert encode_event(1.5, 300, {"loss": 0.25, "ccc/total": -1.0}).hex() == expected


def test_text_is_what_tensorboards_own_classes_write():
    """Event(wall_time=1.5, summary=Summary(value=[a text with the plugin "text"])) of tensorboard 2.21."""
    expected = "09000000000000f83f2a270a250a0873657474696e6773420f080712041202080142057c2061207c4a080a060a0474657874"
    assert encode_text(1.5, "settings", "| a |").hex() == expected


def read_records(path):
    data, records = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        records.append(data[12 : 12 + length])
        data = data[16 + length :]
    return records


def test_file_grows_by_an_epoch_and_leaves_out_what_is_undefined(tmp_path):
    path = tmp_path / FILE
    assert "tfevents" in path.name, "by which TensorBoard finds it"
    first = make_metrics(0, math.nan, False)
    write_events(path, [first])
    append_epoch(path, make_metrics(1, 0.5, True))
    header, *epochs = read_records(path)
    assert header.endswith(b"brain.Event:2")
    assert [b"ccc/total" in record for record in epochs] == [False, True]
    assert all(b"loss" in record and b"utterances_per_second" in record for record in epochs)
    write_events(path, [])
    assert len(read_records(path)) == 1
    write_events(path, [first], "| vnet | |")
    assert [b"| vnet | |" in record for record in read_records(path)] == [False, True, False]


@pytest.mark.parametrize("epoch", [0, 1, 127, 128, 10_000])
def test_steps_of_any_size(tmp_path, epoch):
    write_events(tmp_path / FILE, [replace(make_metrics(0, 0.1, True), epoch=epoch)])
    record = read_records(tmp_path / FILE)[1]
    step = 0
    if epoch:
        assert record[9] == 0x10
        for shift, byte in enumerate(record[10:]):
            step |= (byte & 0x7F) << (7 * shift)
            if byte < 0x80:
                break
    assert step == epoch
