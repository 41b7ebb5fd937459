import pytest

from models.training.settings import TRAININGS
from pipeline.settings import config
from pipeline.settings.contradictions import find_contradictions


def make_sections(**changes):
    return {name: config.Settings.read().values(name) | changes.get(name, {}) for name in TRAININGS}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"vnet": {"backbone": "finetune", "mirror": True}, "joint": {"mirror": True}}, []),
        ({"vnet": {"mirror": True}}, ["[vnet] mirror (true) needs backbone = finetune"]),
        ({"joint": {"mirror": True}}, ["[joint] mirror (true) needs a VNet of backbone = finetune, not frozen"]),
        (
            {"vnet": {"backbone": "finetune", "standardise": True}},
            ["[vnet] standardise (true) needs backbone = frozen: it is about cached embeddings"],
        ),
        (
            {"anet": {"average_last": 31, "patience": 1}, "joint": {"average_last": 3, "patience": 2}},
            [
                "[anet] average_last (31) must be at most epochs (30); average_last (31) needs patience = 0, not 1",
                "[joint] average_last (3) needs patience = 0, not 2",
            ],
        ),
    ],
)
def test_contradictions_are_all_told(changes, expected):
    found = list(find_contradictions(make_sections(**changes)))
    assert len(found) == len(expected)
    assert all(sentence.startswith(start) for sentence, start in zip(found, expected, strict=True))
