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
