"""Whom a store must not take up again: known by digests, never by names."""

import hashlib
import json
import re

import pytest

from store.errors import StoreError
from store.records.erased import Content, Erased, erased_path, read_erased

DAY = re.compile(r"\d{4}-\d\d-\d\d")


def test_an_utterance_or_its_whole_video_is_known_again_and_no_other(tmp_path):
    read_erased(tmp_path).with_names(["v/a", "w"]).write(tmp_path)
    found = read_erased(tmp_path)
    assert [name in found for name in ("v/a", "v/b", "w/a", "w/b", "ww/a", "v")] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    assert DAY.fullmatch(found.find_date("v/a"))
    assert found.find_date("v/b") == ""


def test_the_file_holds_no_name_and_two_stores_have_other_digests(tmp_path):
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        read_erased(tmp_path / name).with_names(["anna_schmidt/1", "anna_schmidt"]).write(tmp_path / name)
        texts.append(erased_path(tmp_path / name).read_text(encoding="utf-8"))
    assert not any("anna" in text for text in texts)
    digests = [set(re.findall(r"[0-9a-f]{64}", text)) for text in texts]
    assert [len(found) for found in digests] == [2, 2]
    assert not digests[0] & digests[1]


def test_contents_are_known_again_and_make_it_the_second_version(tmp_path):
    erased = read_erased(tmp_path).with_names(["v/a"])
    erased.write(tmp_path)
    assert json.loads(erased_path(tmp_path).read_text())["format_version"] == 1
    erased.with_contents([Content("ab" * 32, 12, ""), Content("cd" * 32, 34, "{}")]).write(tmp_path)
    assert json.loads(erased_path(tmp_path).read_text())["format_version"] == 2
    found = read_erased(tmp_path)
    assert "v/a" in found
    assert [found.may_hold(*each) for each in ((12, ""), (12, "{}"), (34, "{}"), (13, ""))] == [
        True,
        False,
        True,
        False,
    ]
    assert DAY.fullmatch(found.find_content_date("ab" * 32, ""))
    assert found.find_content_date("ab" * 32, "{}") == ""
    # A digest of a name is none of a content.
    assert f"{'ab' * 32}" not in found


def test_a_digest_is_what_the_format_says(tmp_path):
    Erased("salt", {}).with_contents([Content("ab", 12, "{}")]).write(tmp_path)
    texts = {"content": "salt\0content\0ab\0{}", "size": "salt\0size\x0012\0{}"}
    found = {kind: digest for digest, kind, _ in json.loads(erased_path(tmp_path).read_text())["erased"]}
    assert found == {kind: hashlib.sha256(text.encode()).hexdigest() for kind, text in texts.items()}


def test_earlier_names_stay(tmp_path):
    read_erased(tmp_path).with_names(["v/a"]).write(tmp_path)
    read_erased(tmp_path).with_names(["v/b"]).write(tmp_path)
    found = read_erased(tmp_path)
    assert "v/a" in found
    assert "v/b" in found


def test_nobody_is_refused_where_nobody_was_erased(tmp_path):
    assert "v/a" not in read_erased(tmp_path)
    assert "v/a" not in Erased("salt", {})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"format_version": 1, "salt": "s", "erased": [["ab", "video", "2026-01-01"]]}',
        '{"format_version": 1, "salt": "s", "erased": [["' + "a" * 64 + '", "person", "2026-01-01"]]}',
        '{"format_version": 1, "salt": "s", "erased": [["' + "a" * 64 + '", "video", "soon"]]}',
        '{"format_version": 3, "salt": "s", "erased": []}',
    ],
)
def test_a_damaged_file_is_never_taken_for_an_empty_one(tmp_path, text):
    erased_path(tmp_path).write_text(text)
    with pytest.raises(StoreError, match=r"erased\.json"):
        read_erased(tmp_path)
