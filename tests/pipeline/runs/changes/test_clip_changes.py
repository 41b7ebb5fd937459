from dataclasses import replace

import pytest

from pipeline.runs.changes.clip_changes import UNREAD, ClipFacts, describe_clip_changes
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger, parse_ledger

FACTS = ClipFacts("train", 0.2, 0.1, "ab")


def changed(**what):
    return describe_clip_changes({"v/a": FACTS}, {"v/a": replace(FACTS, **what)})


def test_each_kind_of_change_is_a_phrase_of_its_own():
    assert changed() == []
    assert changed(arousal=0.3) == ["1 label changed (v/a: arousal 0.2 to 0.3)"]
    assert changed(arousal=None, valence=None) == ["1 label changed (v/a: arousal 0.2 to none and valence 0.1 to none)"]
    assert changed(split="validation") == ["1 clip moved (v/a: train to validation)"]
    assert changed(content="cd") == ["1 clip with other content (v/a)"]
    assert changed(content="ab {cut}") == ["1 clip with another cut or override (v/a)"]
    assert changed(split="validation", content="cd", valence=0.0) == [
        "1 clip moved (v/a: train to validation)",
        "1 label changed (v/a: valence 0.1 to 0)",
        "1 clip with other content (v/a)",
    ]


def test_of_many_the_first_are_named_and_all_counted():
    many = {f"v/{i}": FACTS for i in range(5)}
    assert describe_clip_changes({}, many) == ["5 clips added (v/0, v/1, v/2, and 2 more)"]
    assert describe_clip_changes(many, {}, {"v/4": "test", "v/3": "picture no_face"}) == [
        "3 clips removed (v/0, v/1, v/2)",
        "2 clips left out (v/3: train to picture no_face, v/4: train to test)",
    ]


def test_a_clip_of_the_same_content_under_another_name_is_renamed():
    new = {"v/x": replace(FACTS, arousal=0.3)}
    assert describe_clip_changes({"v/a": FACTS}, new) == [
        "1 clip renamed (v/a to v/x)",
        "1 label changed (v/x: arousal 0.2 to 0.3)",
    ]
    equal = {"v/a": FACTS, "v/b": FACTS}
    assert describe_clip_changes(equal, {"v/x": FACTS}) == ["1 clip removed (v/b)", "1 clip renamed (v/a to v/x)"]
    assert describe_clip_changes({"v/a": FACTS}, {"v/x": FACTS}, {"v/a": "test"}) == [
        "1 clip added (v/x)",
        "1 clip left out (v/a: train to test)",
    ], "the old name is still there"
    unread = {"v/x": replace(FACTS, content=UNREAD)}
    assert describe_clip_changes(unread, {"v/y": unread["v/x"]}) == ["1 clip added (v/y)", "1 clip removed (v/x)"]


def test_what_is_not_known_is_no_change():
    assert changed(content="") == []
    assert changed(state="ok") == []


def test_a_ledger_is_read_as_it_was_written():
    rows = {
        "v/a": LedgerRow("v/a", "train", "ok", "no_face", 300, 0, "", "no face, =in 3 frames", "ab12", "cd", 0.1, -0.0),
        "v/b": LedgerRow("v/b", "test", "missing_file", "missing_file"),
    }
    assert parse_ledger(format_ledger(rows.values())) == rows


def test_a_ledger_of_an_earlier_release_is_read_as_far_as_it_goes():
    found = parse_ledger("utterance,split,sound,picture,later\nv/a,train,ok,ok,x\n")
    assert found == {"v/a": LedgerRow("v/a", "train", "ok", "ok")}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("v/a", "line 2 has fewer cells than a ledger's"),
        ('"v/a,train,ok', "line 2 has fewer cells"),
        ("v/a,train,ok,ok,x,0.1", "invalid literal for int"),
        ("v/a,train,ok,ok,1,high", "could not convert"),
        (f"v/a,{'x' * 200_000},ok,ok,1,", "field larger than field limit"),
    ],
)
def test_a_damaged_ledger_is_a_value_error(row, said):
    """Callers catch ValueError and continue without the ledger; any other error would end the run, or `status`."""
    with pytest.raises(ValueError, match=said):
        parse_ledger(f"utterance,split,sound,picture,num_faces,arousal\n{row}\n")
