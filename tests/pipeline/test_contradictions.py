from types import SimpleNamespace

import pytest

from pipeline.contradictions import find_contradictions


def make_sections(**changes):
    plain = {
        "backbone": "frozen",
        "standardise": False,
        "mirror": False,
        "average_last": 1,
        "epochs": 30,
        "patience": 0,
    }
    return [SimpleNamespace(**{**plain, **changes.get(name, {})}) for name in ("anet", "vnet", "joint")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"vnet": {"backbone": "finetune", "mirror": True}, "joint": {"mirror": True}}, []),
        ({"vnet": {"mirror": True}}, ["[vnet] mirror = true needs [vnet] backbone = finetune"]),
        ({"joint": {"mirror": True}}, ["[joint] mirror = true needs [vnet] backbone = finetune"]),
        (
            {"vnet": {"backbone": "finetune", "standardise": True}},
            ["[vnet] standardise = true needs backbone = frozen: it is about cached embeddings"],
        ),
        (
            {"anet": {"average_last": 31}, "joint": {"average_last": 3, "patience": 2}},
            [
                "[anet] average_last = 31 must be at most epochs = 30",
                "[joint] average_last = 3 needs patience = 0, not 2",
            ],
        ),
    ],
)
def test_contradictions_are_all_told(changes, expected):
    found = list(find_contradictions(*make_sections(**changes)))
    assert len(found) == len(expected)
    assert all(sentence.startswith(start) for sentence, start in zip(found, expected, strict=True))
