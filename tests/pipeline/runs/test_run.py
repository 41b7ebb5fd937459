"""A run's digests of files, and its check of their sources."""

import hashlib

from pipeline.runs.run import compute_file_digest


def test_a_file_that_has_changed_under_its_name_has_another_digest(tmp_path):
    path = tmp_path / "clip.mp4"
    for content in (b"before", b"after that", b"and again!"):
        path.write_bytes(content)
        assert compute_file_digest(path) == hashlib.sha256(content).hexdigest()
