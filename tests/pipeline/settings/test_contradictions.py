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


@pytest.mark.parametrize(
    ("crops", "store_pixels", "quality", "fault"),
    [
        ("raw", False, 80, "[faces] jpeg_quality = 80 needs [faces] crops = jpeg or [frames] store_pixels = true"),
        ("none", False, 80, "[faces] jpeg_quality = 80 needs"),
        ("raw", False, 95, None),
        ("jpeg", False, 80, None),
        ("raw", True, 80, None),
    ],
)
def test_a_quality_of_files_that_nobody_keeps_is_told(crops, store_pixels, quality, fault):
    sections = make_sections()
    sections |= {"faces": {"crops": crops, "jpeg_quality": quality}, "frames": {"store_pixels": store_pixels}}
    found = list(find_contradictions(sections))
    assert len(found) == (fault is not None)
    assert all(sentence.startswith(fault) for sentence in found)
