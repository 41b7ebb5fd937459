"""Valar's functions in one module: from clips to features, predictions and scores.

>>> import valar
>>> store = valar.open("data/store")  # doctest: +SKIP
>>> store["5b44393ed/utterance_4"].stft.shape  # doctest: +SKIP
(764, 257, 2)

The packages `store`, `models` and `pipeline` do the work; a function imports them when it is called. The settings are
those of `valar.cfg` in the current folder, or of the file that LUIGI_CONFIG_PATH names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from valar.packages import check_packages

if TYPE_CHECKING:
    from store import FeatureStore
    from valar.clips import ClipDataset
    from valar.extraction import Extraction, Prediction

__all__ = ["__version__", "dataset", "evaluate", "extract", "open", "predict"]


def __getattr__(name: str) -> str:
    """Look up the version only when it is asked for: this takes longer than the rest of this module."""
    if name == "__version__":
        from importlib.metadata import version

        return version("valar")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open(folder: str | Path | None = None, run: str | None = None) -> "FeatureStore":
    """Open a feature store for reading.

    Args:
        folder: The store's folder; by default `[store] root` of the settings.
        run: The run whose clips the store lists; by default the newest.

    Raises:
        StoreError: The folder holds no store.
    """
    check_packages()
    from store import FeatureStore
    from valar.settings import find_store

    return FeatureStore(find_store() if folder is None else folder, run)


def extract(video: str | Path, *, crops: bool = True, progress: bool = True) -> "Extraction":
    """Compute the features of one video or sound file: STFT, faces, embeddings, declared features, and their times.

    They are the same, to the bit, as those of a run with the same settings.

    Args:
        video: The file.
        crops: False leaves out the aligned faces, 32 kB each.
        progress: False shows no progress bar.

    Raises:
        UserError: Settings or weights have to be corrected first; the message says how.
    """
    check_packages()
    from valar.extraction import extract as compute

    return compute(Path(video), crops=crops, progress=progress)


def predict(
    video: str | Path, checkpoint: str | Path | Sequence[str | Path] | None = None, *, progress: bool = True
) -> "Prediction":
    """Predict arousal and valence of one video or sound file, each from -1 to 1.

    Args:
        video: The file.
        checkpoint: Folder of a trained network, or several for their mean; by default Joint of the newest report.
        progress: False shows no progress bar.

    Raises:
        UserError: No network has been trained yet, or the settings are not those of its training.
    """
    check_packages()
    from valar.extraction import predict as compute

    given = [] if checkpoint is None else [checkpoint] if isinstance(checkpoint, str | Path) else list(checkpoint)
    return compute(Path(video), [Path(path) for path in given], progress=progress)


def evaluate(
    truth: str | Path,
    predictions: str | Path,
    *,
    label_range: tuple[float, float] = (-1.0, 1.0),
    resample: Literal["recordings", "videos", "utterances"] = "recordings",
    group: str = "",
) -> dict[str, Any]:
    """Score a CSV file of predictions as the OMG-Emotion challenge does; rows are joined by name.

    Args:
        truth: CSV file with video, utterance, arousal, valence.
        predictions: CSV file with the same columns, from -1 to 1.
        label_range: The ends of the scale of the truth's labels, such as (1, 9).
        resample: What the bootstrap of the intervals draws.
        group: Column of the truth that names the recording of each row.

    Returns:
        Plain data: `arousal` and `valence` (each with `ccc`, its interval, `pearson` and `mse`), `total_ccc`, `listed`,
        `scored`, `videos`, and `problems`, a sentence for each row that does not fit.

    Raises:
        UserError: A file cannot be read as such a CSV file.
    """
    check_packages()
    from pipeline.commands.evaluate import RESAMPLE, evaluate_files
    from pipeline.commands.label_range import check_label_range
    from pipeline.errors import UserError

    if resample not in RESAMPLE:
        raise UserError(f"resample {resample!r} must be one of {', '.join(RESAMPLE)}")
    return evaluate_files(
        Path(truth),
        Path(predictions),
        resample=resample,
        group_column=group,
        label_range=check_label_range(label_range),
    )


def dataset(
    store: "FeatureStore | str | Path | None" = None,
    split: str | None = None,
    features: Sequence[str] | None = None,
) -> "ClipDataset":
    """Open a store's clips as a `torch.utils.data.Dataset` of sound, faces, declared features, labels and masks.

    Args:
        store: The store or its folder; by default `[store] root` of the settings.
        split: train, validation or test; by default all clips.
        features: Names of the declared features (`[features.NAME]`) to include; by default all that the store has.

    Raises:
        StoreError: The store has no such split, or no such feature.

    Example:
        >>> clips = valar.dataset("data/store", split="train")  # doctest: +SKIP
        >>> loader = torch.utils.data.DataLoader(clips, 8, collate_fn=clips.collate)  # doctest: +SKIP
    """
    check_packages()
    from valar.clips import ClipDataset

    return ClipDataset(open(store) if store is None or isinstance(store, str | Path) else store, split, features)
