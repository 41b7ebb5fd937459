"""The clips that a benchmark uses."""

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.settings.config import ROOT


def choose_clips(given: Sequence[Path], starts: Sequence[str] = ()) -> list[Path]:
    """Return the clips of the given files and folders, by default the real speech clips.

    Args:
        given: files and folders; a folder stands for the files in it.
        starts: if not empty, only clips whose names begin with one of these are returned.

    Raises:
        SystemExit: there is no clip.
    """
    real = Path(os.environ.get("VALAR_TEST_MEDIA", ROOT.parent / "shared" / "media")) / "speech"
    folders = list(given) or [real]
    missing = [str(path) for path in folders if not path.exists()]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)}: no such file; name clips, or set VALAR_TEST_MEDIA to a folder of clips"
        )
    clips = [path for one in folders for path in (sorted(one.iterdir()) if one.is_dir() else [one])]
    clips = [clip for clip in clips if not starts or clip.name.startswith(tuple(starts))]
    if not clips:
        raise SystemExit(f"there are no clips in {', '.join(map(str, folders))}; name some")
    return clips
