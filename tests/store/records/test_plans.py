"""A plan's file: read as written, and refused in words where it says what no plan may say."""

import hashlib
import json
import os

import pytest

from store.errors import LaterFormatError, StoreError
from store.records.plans import Member, StoredPlan, plan_of, read_stored_plans

CLIPS = [Member("w/b", "w/b.mp4", 10, -5), Member("v/ü'\"", "v/ü'\".mkv", 0, 10**18, "rotation 90")]


def sealed(folder, members, **more):
    """Write a plan whose digest is right, whatever it says."""
    facts = [[member[0], *member[2:]] for member in members]
    shard = hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = folder / f"{shard}.json"
    path.write_text(json.dumps({"format_version": 1, "members": members, **more}))
    return path


def test_a_plan_comes_back_sorted(tmp_path):
    plan = plan_of(CLIPS, ["b", "a"])
    path = plan.write(tmp_path)
    assert StoredPlan.read(path) == plan
    assert (plan.names, plan.supersedes) == (["v/ü'\"", "w/b"], ("a", "b"))
    assert read_stored_plans(tmp_path) == {plan.shard: plan}


def test_a_shards_id_is_the_digest_that_the_format_names(tmp_path):
    assert plan_of(CLIPS[:1]).shard == hashlib.sha256(b'[["w/b", 10, -5]]').hexdigest()[:16]
    path = sealed(tmp_path, [list(CLIPS[0][:4]), ["w/c", "w/c.mp4", 1, 2, "mono"]])
    assert StoredPlan.read(path).members[1].override == "mono"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (["../../../../x", "v/a.mp4", 1, 2], r"'\.\./\.\./\.\./\.\./x' is not a valid name of an utterance"),
        (["/etc/passwd", "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        (["v/..", "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        (["v", "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        (["v/a\0", "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        (["v/a\x1b[2J", "v/a.mp4", 1, 2], r"'v/a\\x1b\[2J' is not a valid name of an utterance"),
        (["v/a\x9b", "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        (["v/\ud800", "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        (["v/" + "a" * 5000, "v/a.mp4", 1, 2], "is not a valid name of an utterance"),
        ([["v/a"], "v/a.mp4", 1, 2], "a list is not a valid name of an utterance"),
        (["v/a", "../a.mp4", 1, 2], r"'\.\./a\.mp4' is not a valid name of a path"),
        (["v/a", "/v/a.mp4", 1, 2], "is not a valid name of a path"),
        (["v/a", "v/a.mp4", -1, 2], "a size is -1, it must be a whole number from 0"),
        (["v/a", "v/a.mp4", True, 2], "a size is True"),
        (["v/a", "v/a.mp4", 1.5, 2], "a size is 1.5"),
        (["v/a", "v/a.mp4", 1, 1 << 63], "a time is 9223372036854775808"),
        (["v/a", "v/a.mp4", 1, 2, 3], "an override is 3, it must be text"),
        (["v/a", "v/a.mp4", 1], "a member has 3 entries, it must have 4 or 5"),
        (["v/a", "v/a.mp4", 1, 2, "a", "b"], "a member has 6 entries"),
    ],
)
def test_what_no_member_may_say_is_refused_although_the_digest_is_right(tmp_path, member, message):
    with pytest.raises(
        StoreError, match=rf"\.json is damaged \(.*{message}.*remove it: its clips are then planned again"
    ):
        StoredPlan.read(sealed(tmp_path, [member]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"[]", "it contains a list; it must contain an object"),
        (b'{"members": []}', "it has no 'format_version'"),
        (b'{"format_version": "1"}', "format_version is '1'"),
        (b'{"format_version": 1, "members": {}}', "members is a dict, it must be a list"),
        (b'{"format_version": 1, "members": [NaN]}', "NaN is not a JSON number"),
        (b'{"format_version": 1, "members": [' + b"9" * 5000 + b"]}", "integer string conversion"),
        (b'{"format_version": 1, "members": [], "supersedes": ["../x"]}', r"'\.\./x' is not a valid name of an id"),
    ],
)
def test_a_file_that_is_no_plan_is_told_in_words(tmp_path, content, message):
    path = tmp_path / "0123456789abcdef.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        StoredPlan.read(path)


def test_a_plan_under_another_name_twice_over_or_of_later_is_refused(tmp_path):
    path = sealed(tmp_path, [list(CLIPS[0][:4])])
    other = path.rename(tmp_path / "0123456789abcdef.json")
    with pytest.raises(StoreError, match=f"its members' digest is {path.stem}, not its name"):
        StoredPlan.read(other)
    with pytest.raises(StoreError, match="it lists an utterance twice"):
        StoredPlan.read(sealed(tmp_path, [list(CLIPS[0][:4])] * 2))
    other.write_text('{"format_version": 2, "members": "of another kind"}')
    with pytest.raises(LaterFormatError, match="has format version 2, this release reads up to 1"):
        StoredPlan.read(other)


def test_a_pipe_is_no_plan(tmp_path):
    os.mkfifo(tmp_path / "0123456789abcdef.json")
    with pytest.raises(StoreError, match="it is not a file"):
        StoredPlan.read(tmp_path / "0123456789abcdef.json")


def test_what_would_be_refused_is_not_written(tmp_path):
    with pytest.raises(StoreError, match=r"shard cannot be planned in .*'v/a\\n' is not a valid name.*rename the clip"):
        plan_of([Member("v/a\n", "v/a.mp4", 1, 2)]).write(tmp_path)
    assert list(tmp_path.iterdir()) == []
