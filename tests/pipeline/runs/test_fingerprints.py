"""A new setting does not change the fingerprints of stores that were made before it existed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from models.features.network import ModelError
from models.weights.digests import compute_sha256
from pipeline import media
from pipeline.errors import UserError
from pipeline.runs import fingerprints
from pipeline.runs.fingerprints import compute_stage_fingerprints, describe_stages
from pipeline.settings.config import Settings

WEIGHTS = SimpleNamespace(is_random=True, sha256="")


def test_the_limit_of_pixels_counts_only_where_it_is_not_the_usual_one():
    assert Settings.read().frames.max_pixels == media.MOST_PIXELS == fingerprints._USUAL_MAX_PIXELS
    usual = compute_stage_fingerprints(describe_stages(Settings.read(), WEIGHTS))
    assert usual["frames"] == "d3c519a106a6b8c2"  # as stores have it that were made before there was a limit
    other = compute_stage_fingerprints(describe_stages(Settings.read().replace("frames", max_pixels=1000), WEIGHTS))
    assert {stage for stage in usual if usual[stage] != other[stage]} == set(usual) - {"wav", "stft"}


def test_the_rules_for_the_speaker_count_only_where_they_are_not_as_they_always_were():
    def compute(speaker: str, still_faces: str) -> dict[str, str]:
        settings = Settings.read().replace("faces", speaker=speaker, still_faces=still_faces)
        return compute_stage_fingerprints(describe_stages(settings, WEIGHTS))

    before = compute("largest", "count")
    assert before["faces"] == "72220aa466c9a100"  # as stores have it that were made before there were other rules
    others = [compute("speaking", "count"), compute("largest", "skip"), compute("speaking", "skip")]
    assert len({before["faces"], *(other["faces"] for other in others)}) == 4
    for other in others:
        assert {stage for stage in before if before[stage] != other[stage]} == {
            "faces", "crops", "crops_jpeg", "embeddings"
        }  # fmt: skip


def test_the_network_that_tells_speech_is_a_part_of_the_faces_and_has_to_be_there(monkeypatch):
    settings = Settings.read().replace("faces", speaker="speech")
    monkeypatch.setattr(fingerprints, "find_speech_network", lambda: Path(__file__))
    described = describe_stages(settings, WEIGHTS)["faces"]["settings"]
    assert (described["speaker"], described["speech"]) == ("speech", compute_sha256(Path(__file__)))
    assert "speech" not in describe_stages(Settings.read(), WEIGHTS)["faces"]["settings"]

    def find_none() -> Path:
        raise ModelError("it needs the packages silero-vad 6 and onnxruntime: pip install -e '.[vad]'")

    monkeypatch.setattr(fingerprints, "find_speech_network", find_none)
    with pytest.raises(UserError, match=r"^\[faces\] speaker = speech: it needs the packages silero-vad 6"):
        describe_stages(settings, WEIGHTS)


def test_a_store_of_the_first_releases_is_known_again():
    """The fingerprints are those of a store that commit 8df632b wrote with random weights."""
    settings = Settings.read().replace("faces", speaker="largest", still_faces="count")
    assert compute_stage_fingerprints(describe_stages(settings, WEIGHTS)) == {
        "wav": "c16cf7168bbfbce2",
        "stft": "27c94c879f1d8a1d",
        "frames": "d3c519a106a6b8c2",
        "pixels": "d3c519a106a6b8c2",
        "faces": "72220aa466c9a100",
        "crops": "72220aa466c9a100",
        "crops_jpeg": "72220aa466c9a100",
        "embeddings": "4f1113c554f61211",
    }
