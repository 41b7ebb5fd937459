"""Files that were changed at random: documented errors only, no hang, no memory bomb."""

import pytest

from tests.fuzz.targets import make_targets
from tests.fuzz.watching import fuzz

#: Changed files for the fastest reader, in every run of the tests, and in the slow ones; others have fewer.
FEW, MANY = 48, 160


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return make_targets(tmp_path_factory.mktemp("good"))


NAMES = [
    "labels", "overrides", "overlay", "evaluate", "shard", "sealed shard", "sidecar", "plan", "listing", "erased",
    "pages' mark", "remembered counts", "remembered tables", "checkpoint", "checkpoint's values", "report",
    "report's rows", "metrics",
]  # fmt: skip


def test_each_target_is_fuzzed(targets):
    assert sorted(NAMES) == sorted(targets)


@pytest.mark.parametrize("name", NAMES)
def test_changed_files_give_documented_errors_only(targets, name):
    count = FEW // targets[name].cost
    assert fuzz(targets[name], count) >= count


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_changed_files_give_documented_errors_only(targets, name):
    count = MANY // targets[name].cost
    assert fuzz(targets[name], count, number=1) >= count
