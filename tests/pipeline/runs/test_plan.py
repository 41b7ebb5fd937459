"""Which utterance is in which shard: what is added, changed, touched and gone."""

import pytest

from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.runs.plan import make_plan
from store.errors import StoreError
from store.records.plans import Member, StoredPlan, read_stored_plans


def clip(name, size=100, time=1):
    return Member(name, f"{name}.mp4", size, time)


def plan_of(listed, clips, known=(), **kwargs):
    """Make a plan; by default all shards are finished, no run was before, and no two files have equal content."""
    defaults = {
        "seen": {},
        "is_finished": lambda shard: True,
        "holds": lambda shard, name: True,
        "was_made": lambda shard, name: True,
        "same_content": lambda shard, clip: False,
        "find_content": lambda clips: {},
        "shard_size": 2,
    }
    return make_plan(listed, {c.name: c for c in clips}, known, **{**defaults, **kwargs})


ABC = ["v/a", "v/b", "v/c"]


def test_what_was_said_of_a_clip_is_part_of_what_its_rows_are_made_of():
    plain = clip("v/a")
    cut = plain._replace(override='{"cut": [1.0, 2.0]}')
    first = plan_of(["v/a"], [cut])
    assert first.overrides == {"v/a": '{"cut": [1.0, 2.0]}'}
    known = first.shards.values()
    assert plan_of(["v/a"], [cut], known).new == frozenset()
    assert plan_of(["v/a"], [plain], known).overrides == {}
    assert plan_of(["v/a"], [cut._replace(override='{"cut": [1.0, 2.5]}')], known).new != frozenset()
    rows = [LedgerRow("v/a", "train", "ok", "ok", source_sha256="ab", override=said) for said in ("", cut.override)]
    assert [row.identity for row in rows] == ["ab", 'ab {"cut": [1.0, 2.0]}']


def test_new_clips_go_to_shards_in_sorted_order():
    plan = plan_of(["v/c", "v/a", "v/b"], [clip(name) for name in ABC])
    members = sorted(tuple(m.name for m in shard.members) for shard in plan.shards.values())
    assert members == [("v/a", "v/b"), ("v/c",)]
    assert plan.new == set(plan.shards)
    assert plan.stamps == dict.fromkeys(ABC, (100, 1))


def test_clips_that_are_known_by_their_content_get_shards_of_their_own():
    known = {"v/b": ("0" * 16, "w/b"), "v/c": ("1" * 16, "w/x")}
    plan = plan_of(ABC, [clip(name) for name in ABC], find_content=lambda clips: known)
    (taken,) = plan.taken
    assert plan.taken[taken] == known
    assert plan.shards[taken].names == ["v/b", "v/c"]
    assert plan.assigned == {"v/a": plan.assigned["v/a"], "v/b": taken, "v/c": taken}
    assert plan.assigned["v/a"] != taken
    assert plan.new == set(plan.shards)
    asked = []
    again = plan_of(
        ABC, [clip(name) for name in ABC], plan.shards.values(), find_content=lambda clips: asked.extend(clips) or {}
    )
    assert (again.taken, asked) == ({}, []), "what has a shard is not looked for"


def test_machines_that_plan_the_same_get_the_same_ids():
    clips = [clip(name) for name in ABC]
    assert set(plan_of(ABC, clips).shards) == set(plan_of(ABC[::-1], clips[::-1]).shards)


def test_an_id_covers_names_sizes_and_times_but_not_paths():
    ids = {StoredPlan((m,)).shard for m in (clip("v/a"), clip("v/b"), clip("v/a", size=101), clip("v/a", time=2))}
    assert len(ids) == 4
    moved = clip("v/a")._replace(path="elsewhere.mkv")
    assert StoredPlan((moved,)).shard == StoredPlan((clip("v/a"),)).shard


def test_an_added_clip_gets_a_shard_of_its_own_and_the_old_ones_stay():
    first = plan_of(ABC[:2], [clip(name) for name in ABC[:2]])
    second = plan_of(ABC, [clip(name) for name in ABC], first.shards.values())
    assert {name: second.assigned[name] for name in ABC[:2]} == first.assigned
    assert [m.name for shard in second.new for m in second.shards[shard].members] == ["v/c"]


def test_the_same_clips_need_nothing_new():
    first = plan_of(ABC, [clip(name) for name in ABC])
    second = plan_of(ABC, [clip(name) for name in ABC], first.shards.values())
    assert second.new == frozenset()
    assert second.shards == first.shards


def test_a_changed_clip_goes_to_a_new_shard_without_being_read():
    first = plan_of(ABC[:2], [clip(name) for name in ABC[:2]])
    changed = [clip("v/a", size=200, time=5), clip("v/b")]
    second = plan_of(ABC[:2], changed, first.shards.values(), same_content=lambda shard, clip: pytest.fail("read"))
    assert second.assigned["v/b"] == first.assigned["v/b"]
    assert second.assigned["v/a"] in second.new


def test_a_touched_clip_is_read_once_and_known_again():
    first = plan_of(["v/a"], [clip("v/a")])
    reads = []
    second = plan_of(
        ["v/a"], [clip("v/a", time=9)], first.shards.values(), same_content=lambda *what: reads.append(what) or True
    )
    assert len(reads) == 1
    assert second.assigned == first.assigned
    assert second.stamps == {"v/a": (100, 9)}
    seen = {"v/a": (second.assigned["v/a"], second.stamps["v/a"])}
    third = plan_of(
        ["v/a"],
        [clip("v/a", time=9)],
        first.shards.values(),
        seen=seen,
        same_content=lambda shard, clip: pytest.fail("read again"),
    )
    assert third.assigned == first.assigned


def test_a_vanished_clip_keeps_its_shard_and_needs_no_work():
    first = plan_of(["v/a", "v/b"], [clip("v/a"), clip("v/b")], shard_size=1)
    second = plan_of(["v/a", "v/b"], [clip("v/b")], first.shards.values())
    assert second.vanished == {"v/a"}
    assert second.assigned == first.assigned
    assert set(second.shards) == {first.assigned["v/b"]}
    assert second.stamps["v/a"] == (100, 1)


def test_a_clip_that_was_never_there_is_missing():
    plan = plan_of(ABC, [clip("v/a")])
    assert plan.missing == {"v/b", "v/c"}
    assert set(plan.assigned) == {"v/a"}


def test_a_clip_that_was_gone_when_its_shard_was_read_is_planned_anew_when_it_is_back():
    first = plan_of(ABC[:2], [clip(name) for name in ABC[:2]])
    second = plan_of(
        ABC[:2], [clip(name) for name in ABC[:2]], first.shards.values(), holds=lambda shard, name: name != "v/a"
    )
    assert second.assigned["v/a"] in second.new
    assert second.assigned["v/b"] == first.assigned["v/b"]


def test_a_clip_without_rows_that_is_gone_still_keeps_its_shard():
    first = plan_of(["v/a"], [clip("v/a")])
    second = plan_of(["v/a"], [], first.shards.values(), holds=lambda shard, name: False)
    assert second.vanished == {"v/a"}
    assert second.assigned == first.assigned


def test_a_clip_that_was_planned_and_never_made_is_missing_when_it_is_gone():
    first = plan_of(["v/a", "v/b"], [clip("v/a"), clip("v/b")])
    never = {"is_finished": lambda shard: False, "was_made": lambda shard, name: name == "v/b"}
    second = plan_of(["v/a", "v/b"], [], first.shards.values(), **never)
    assert (second.missing, second.vanished) == ({"v/a"}, {"v/b"})
    assert set(second.assigned) == {"v/b"}


def test_of_two_shards_the_finished_one_counts_then_the_smaller_id():
    pair, single = StoredPlan((clip("v/a"), clip("v/b"))), StoredPlan((clip("v/a"),))
    for finished in (pair, single):
        plan = plan_of(["v/a"], [clip("v/a")], [pair, single], is_finished=lambda shard, f=finished: shard == f.shard)
        assert plan.assigned == {"v/a": finished.shard}
    assert plan_of(["v/a"], [clip("v/a")], [pair, single]).assigned == {"v/a": min(pair.shard, single.shard)}


def test_plans_come_back_and_damage_is_seen(tmp_path):
    plan = StoredPlan((clip("v/ü"), clip("v/z")))
    plan.write(tmp_path)
    assert read_stored_plans(tmp_path) == {plan.shard: plan}
    path = tmp_path / "shards" / f"{plan.shard}.json"
    path.write_text(path.read_text(encoding="utf-8").replace("100", "101"), encoding="utf-8")
    with pytest.raises(StoreError, match=rf"{plan.shard}\.json is damaged \(its members' digest is"):
        read_stored_plans(tmp_path)


def test_what_the_user_says_of_a_clip_is_part_of_it(tmp_path):
    said = clip("v/a")._replace(override='{"audio_stream": 1}')
    first = plan_of(ABC[:2], [clip("v/a"), clip("v/b")])
    second = plan_of(ABC[:2], [said, clip("v/b")], first.shards.values())
    (new,) = second.new
    assert second.shards[new].members == (said,)
    assert second.assigned["v/b"] == first.assigned["v/b"]
    # Without the override the old shard is used again; with it, nothing new is planned.
    known = list((first.shards | second.shards).values())
    assert plan_of(ABC[:2], [clip("v/a"), clip("v/b")], known).assigned == first.assigned
    assert plan_of(ABC[:2], [said, clip("v/b")], known).new == frozenset()
    second.shards[new].write(tmp_path)
    assert read_stored_plans(tmp_path) == {new: second.shards[new]}
