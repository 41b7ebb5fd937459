"""Labels on another scale, and columns that are kept."""

import dataclasses

import pytest

from pipeline.dataset.utterances import DatasetError, map_label, read_dataset, tell_label_range
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger, parse_ledger
from pipeline.settings.contradictions import find_contradictions
from pipeline.settings.sections import SECTIONS
from store.labels import LEDGER_COLUMNS, read_labels

HEAD = "video,utterance,arousal,valence"


def read(tmp_path, text, **options):
    (tmp_path / "train.csv").write_text(text, encoding="utf-8")
    return read_dataset({"train": tmp_path / "train.csv"}, **options)


def test_labels_are_mapped_by_the_ends_of_their_scale(tmp_path):
    dataset = read(tmp_path, f"{HEAD}\nv,a,1,9\nv,b,5,3\nv,c,,\n", label_range=(1.0, 9.0))
    assert [(row.arousal, row.valence) for row in dataset.utterances] == [(-1, 1), (0, -0.5), (None, None)]
    assert dataset.label_range == (1.0, 9.0)
    assert map_label(-0.5, (-1, 1), (1, 9)) == 3


def test_usual_labels_stay_what_they_are_to_the_last_bit(tmp_path):
    dataset = read(tmp_path, f"{HEAD}\nv,a,0.1,-0.3\n")
    assert (dataset.utterances[0].arousal, dataset.utterances[0].valence) == (0.1, -0.3)
    assert tell_label_range(dataset.label_range) == []


@pytest.mark.parametrize(
    ("label", "label_range", "message"),
    [
        ("9.5", (1.0, 9.0), r"arousal is '9.5'; it must be a number in \[1, 9\]$"),
        ("nan", (1.0, 9.0), r"arousal is 'nan'; it must be a number in \[1, 9\]$"),
        (
            "5",
            (-1.0, 1.0),
            r"arousal is '5'; it must be a number in \[-1, 1\]; for another scale, set \[dataset\] label_range",
        ),
    ],
)
def test_a_label_outside_of_the_scale_is_an_error(tmp_path, label, label_range, message):
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, f"{HEAD}\nv,a,{label},0.5\n", label_range=label_range)


@pytest.mark.parametrize("text", ["1", "9 1", "1 1", "a b", "0 inf", "nan 1", "1 2 3", ""])
def test_a_setting_that_is_no_range_is_refused(text):
    parameter = dict(SECTIONS["dataset"].get_params())["label_range"]
    assert parameter.parse("1, 9") == parameter.parse("1 9") == (1.0, 9.0)
    with pytest.raises(ValueError, match="it must be two numbers, the lower and the upper end"):
        parameter.parse(text)


def test_a_sigmoid_does_not_reach_mapped_arousal():
    sections = {name: {"arousal_output": "tanh", "backbone": "frozen"} for name in ("anet", "vnet", "joint")}
    sections["anet"]["features"] = "stft"
    assert list(find_contradictions(sections, (1.0, 9.0))) == []
    sections["vnet"]["arousal_output"] = "sigmoid"
    (fault,) = find_contradictions(sections, (1.0, 9.0))
    assert fault.startswith("[vnet] arousal_output = sigmoid gives only 0 to 1, but [dataset] label_range = 1 9 maps")


def test_further_columns_are_kept_and_come_back_from_the_ledger(tmp_path):
    text = f"{HEAD},Mood,link,split,,=x\nv,a,0.1,0.2,glad,http://x,odd,4,=1\nv,b,0.3,0.4,,,,\n"
    rows = read(tmp_path, text).utterances
    assert rows[0].more == {"Mood": "glad", "link": "http://x", "split": "odd", "=x": "=1"}
    assert rows[1].more == {}
    ledger = [
        LedgerRow(row.name, row.split, "ok", "ok", arousal=row.arousal, valence=row.valence, more=row.more)
        for row in rows
    ]
    path = tmp_path / "ledger.csv"
    path.write_text(format_ledger(ledger), encoding="utf-8")
    assert path.read_text(encoding="utf-8").partition("\n")[0].endswith(",override,Mood,link,csv_split,'=x")
    labels = read_labels(path)
    assert (labels["v/a"].split, labels["v/a"].arousal) == ("train", 0.1)
    assert labels["v/a"].more == {"Mood": "glad", "link": "http://x", "csv_split": "odd", "=x": "=1"}
    assert labels["v/b"].more == {}
    assert list(parse_ledger(path.read_text(encoding="utf-8"))) == ["v/a", "v/b"]


def test_the_store_knows_a_ledgers_own_columns():
    own = {each.name for each in dataclasses.fields(LedgerRow)} - {"more", "features"}
    assert own == set(LEDGER_COLUMNS)
