"""A disk that is full, or a system without memory, while networks are trained and the report is written."""

import re
import shutil

import pytest

from tests.disks import NO_FILE_LONGER, tiny_disk

AGAIN = "make room there or give another place, and give the same command again"
#: VNet asks for more memory than any system has. Taking it from the process instead would hit whatever asks next, also
#: code that does not live through it.
NO_MEMORY = """
import models.training.start, torch
def build(*arguments, **keywords):
    return torch.empty(1 << 52)
models.training.start.build_vnet = build
"""


def find_failures(ended):
    assert ended.returncode == 30, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "inline_container" not in ended.stderr
    return dict(re.findall(r"^failed: (\w+): (.*)$", ended.stderr, re.MULTILINE))


def find_temporary_files(folder):
    return [path for path in folder.rglob("*") if path.suffix in (".tmp", ".part") or ".partial-" in path.name]


@pytest.fixture
def featured(finished):
    """A workplace with features and nothing trained."""
    shutil.rmtree(finished.folder / "runs")
    (finished.folder / "runs").mkdir()
    return finished


def test_a_full_disk_in_a_training_names_file_bytes_and_setting(featured):
    with tiny_disk(featured.folder / "runs", 2 << 20):
        failure = find_failures(featured.run())["TrainVNet"]
        assert not find_temporary_files(featured.folder)
    assert re.match(
        r"runs/checkpoints/vnet-\w+/state.pt cannot be written "
        r"\(No space left on device, 3\d,\d{3},\d{3} bytes needed\)"
        r": the disk of \[run\] root = runs is full, [\d,]+ bytes are free; ",
        failure,
    )
    assert failure.endswith(AGAIN)


def test_a_file_that_may_not_be_as_long_as_a_checkpoint_is_one_sentence(featured):
    failure = find_failures(featured.run(code=NO_FILE_LONGER.format(4 << 20)))["TrainVNet"]
    assert re.match(r"runs/checkpoints/vnet-\w+/state.pt cannot be written \(File too large, 3[\d,]+ bytes", failure)
    assert "`ulimit -f`" in failure
    assert not find_temporary_files(featured.folder)


def test_too_little_memory_in_a_training_is_one_sentence(featured):
    failure = find_failures(featured.run(code=NO_MEMORY))["TrainVNet"]
    assert failure.startswith("out of memory (")
    assert "lower [run] threads or [vnet] batch_size (which makes another training)" in failure


def test_a_full_disk_under_the_report_leaves_no_half_of_it(finished):
    reports = finished.folder / "runs" / "reports"
    shutil.rmtree(reports)
    reports.mkdir()
    with tiny_disk(reports, 100 << 10):
        failures = find_failures(finished.run())
        assert not list(reports.iterdir())
    assert list(failures) == ["Report"]
    assert re.match(
        r"runs/reports/\w+/[\w./-]+ cannot be written \(No space .*, [\d,]+ bytes needed", failures["Report"]
    )
    assert "the disk of [run] root = runs is full" in failures["Report"]


def test_a_full_disk_of_a_store_names_the_stages_file(workplace):
    (workplace.folder / "store").mkdir()
    with tiny_disk(workplace.folder / "store", 1 << 20):
        ended = workplace.run(task="Features")
        assert not find_temporary_files(workplace.folder / "store")
    assert ended.returncode == 30, ended.stderr
    assert "Traceback" not in ended.stderr
    failures = re.findall(r"^failed: (.*)$", ended.stderr, re.MULTILINE)
    assert failures
    for failure in failures:
        assert re.match(r"\w+ of shard \w+: store/.* cannot be written \(No space left on device", failure)
        assert "the disk of [store] root = store is full" in failure


def test_a_disk_that_is_full_from_the_start_is_one_sentence(workplace):
    store = workplace.folder / "store"
    store.mkdir()
    with tiny_disk(store, 4 << 10):
        (store / "filler").write_bytes(bytes(4 << 10))
        ended = workplace.run()
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "the disk of [store] root = store is full, 0 bytes are free" in ended.stderr


def test_a_run_whose_log_cannot_be_written_says_so_once(featured):
    with tiny_disk(featured.folder / "runs", 8 << 10):
        (featured.folder / "runs" / "filler").write_bytes(bytes(8 << 10))
        ended = featured.run(task="Features")
    assert ended.stderr.count("cannot be written any more (No space left on device)") == 1
    assert "Logging error" not in ended.stderr
    assert find_failures(ended)["Features"].startswith("runs/ledger.csv cannot be written (No space left on device")
