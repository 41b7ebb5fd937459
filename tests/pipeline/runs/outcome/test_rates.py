import pytest

from pipeline.runs.outcome.rates import Rate, note_rates, read_rates


def test_rates_of_several_runs_are_taken_together(tmp_path):
    note_rates(tmp_path, {"faces": Rate(10, 20.0), "stft": Rate(0, 0.0)})
    note_rates(tmp_path, {"faces": Rate(30, 20.0)})
    assert read_rates(tmp_path) == {"faces": Rate(40, 40.0)}


def test_long_ago_counts_for_less():
    old, new = Rate(100_000, 100_000.0), Rate(500, 50.0)
    found = old.add(new)
    assert found.units == pytest.approx(1000)
    assert found.seconds_each == pytest.approx((500 * 1.0 + 500 * 0.1) / 1000)
    assert old.add(Rate(2000, 200.0)) == Rate(2000, 200.0)


@pytest.mark.parametrize("text", ["", "[]", '{"faces": 3}', '{"faces": [0, 1]}', '{"faces": ["a", 1]}', "\xff"])
def test_a_damaged_file_says_nothing_and_is_written_anew(tmp_path, text):
    (tmp_path / "rates.json").write_bytes(text.encode("latin-1"))
    assert read_rates(tmp_path) == {}
    note_rates(tmp_path, {"faces": Rate(1, 2.0)})
    assert read_rates(tmp_path) == {"faces": Rate(1, 2.0)}


def test_a_run_that_did_nothing_writes_nothing(tmp_path):
    note_rates(tmp_path, {"faces": Rate(0, 0.0)})
    assert list(tmp_path.iterdir()) == []
