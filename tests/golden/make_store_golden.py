"""Makes tests/golden/store/version-N.h5 with its sidecar; one file per version of the format, kept and read for ever.

Run once per version, by the release that brings it: `python -m tests.golden.make_store_golden`. It refuses to replace a
file that is there.
"""

from pathlib import Path

import numpy as np

from store.schema import FORMAT_VERSION
from store.shard.writer import ShardWriter

FOLDER = Path(__file__).parent / "store"
#: Utterance to its number of faces.
LENGTHS = {"video one/utterance_1": 3, "video one/utterance_2": 0, "vidéo/utterance_1": 2}


def main() -> None:
    """Write the shard of the stage faces that `tests/store/test_format.py` expects."""
    with ShardWriter(
        FOLDER / f"version-{FORMAT_VERSION}.h5",
        stage="faces",
        shard="0123456789abcdef",
        fingerprint="fedcba9876543210",
        provenance={"stage": "faces", "settings": {"detect_every": 25}, "note": "Größe"},
    ) as writer:
        for number, (name, length) in enumerate(LENGTHS.items()):
            with writer.utterance(name, source_sha256=f"{number}" * 64) as rows:
                first = 10 * number + np.arange(length)
                rows.append(
                    frame_index=first,
                    time=first / 25,
                    box=first[:, None] + np.arange(4),
                    landmarks=first[:, None, None] + np.arange(10).reshape(5, 2) / 10,
                    score=1 - first / 100,
                )
                rows.facts = {"num_frames": 100 + number, "num_faces": 2 * length, "num_tracks": 1, "num_cuts": 0}
                if length == 0:
                    rows.set_status("no_face", "no face of 40 pixels or more in 101 frames – nobody there")


if __name__ == "__main__":
    main()
