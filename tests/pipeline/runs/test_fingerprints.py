"""A setting that came later leaves the fingerprints of stores made before as they were."""

from types import SimpleNamespace

from pipeline import config, media
from pipeline.runs import fingerprints
from pipeline.runs.fingerprints import compute_stage_fingerprints, describe_stages

WEIGHTS = SimpleNamespace(is_random=True, sha256="")


def test_the_limit_of_pixels_counts_only_where_it_is_not_the_usual_one(monkeypatch):
    assert config.frames().max_pixels == media.MOST_PIXELS == fingerprints._USUAL_MAX_PIXELS
    usual = compute_stage_fingerprints(describe_stages(WEIGHTS))
    assert usual["frames"] == "d3c519a106a6b8c2"  # as stores have it that were made before there was a limit
    monkeypatch.setattr(fingerprints.config, "frames", lambda: SimpleNamespace(max_pixels=1000))
    other = compute_stage_fingerprints(describe_stages(WEIGHTS))
    assert {stage for stage in usual if usual[stage] != other[stage]} == set(usual) - {"wav", "stft"}


def test_the_rules_for_the_speaker_count_only_where_they_are_not_as_they_always_were(monkeypatch):
    def compute(speaker: str, still_faces: str) -> dict[str, str]:
        settings = SimpleNamespace(smallest_face_px=40, detect_every=25, speaker=speaker, still_faces=still_faces)
        monkeypatch.setattr(fingerprints.config, "faces", lambda: settings)
        return compute_stage_fingerprints(describe_stages(WEIGHTS))

    before = compute("largest", "count")
    assert before["faces"] == "72220aa466c9a100"  # as stores have it that were made before there were other rules
    others = [compute("speaking", "count"), compute("largest", "skip"), compute("speaking", "skip")]
    assert len({before["faces"], *(other["faces"] for other in others)}) == 4
    for other in others:
        assert {stage for stage in before if before[stage] != other[stage]} == {
            "faces", "crops", "crops_jpeg", "embeddings"
        }  # fmt: skip
