"""The demo's labels can be learnt: what demo.cfg trains, on features computed here without Luigi or a store."""

import configparser
import csv
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from models.inputs.clips import Clips
from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from models.scores.ccc import compute_ccc
from models.sphereface.embedder import Embedder
from models.sphereface.network import build_sphereface
from models.training.checkpoints import LAST
from models.training.start import (
    ANetSettings,
    JointSettings,
    RunOptions,
    VNetSettings,
    predict,
    train_anet,
    train_joint,
    train_vnet,
)
from pipeline import media
from pipeline.demo.dataset import CSV_NAMES, write_demo
from pipeline.faces.speaker_faces import find_speaker
from pipeline.media.sound.stft import compute_stft
from pipeline.report.baselines.closed_form import fuse_apart

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SEEDS = (0, 1, 2)
pytestmark = pytest.mark.slow


def read_settings() -> configparser.ConfigParser:
    """tasks.cfg with demo.cfg over it."""
    parser = configparser.ConfigParser(interpolation=None)
    with (ROOT / "tasks.cfg").open() as base, (ROOT / "demo.cfg").open() as overlay:
        parser.read_file(base)
        parser.read_file(overlay)
    return parser


def parse(name: str, text: str) -> Any:
    if name == "learning_rate_steps":
        return tuple(int(part) for part in text.split(","))
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def build_settings(kind: type, section: configparser.SectionProxy) -> Any:
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: parse(name, section[name]) for name in names if name in section})


def extract(path: Path, scratch: Path, detector: Mtcnn, config: configparser.ConfigParser) -> tuple[Any, Any]:
    """STFT and crops of one clip."""
    scratch.mkdir(parents=True)
    media.extract_wav(path, scratch / "sound.wav")
    samples, _ = soundfile.read(scratch / "sound.wav", dtype="float32")
    faces = find_speaker(
        media.read_frames(path, media.scan_frames(path)),
        detector,
        detect_every=config.getint("faces", "detect_every"),
        smallest_face_px=config.getint("faces", "smallest_face_px"),
        scratch=scratch,
    )
    return compute_stft(samples), np.array(faces.crops)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clips]:
    """The features of the demo's labelled clips."""
    folder, config = tmp_path_factory.mktemp("demo"), read_settings()
    write_demo(folder)
    detector = Mtcnn(load_networks(), smallest_face_px=config.getint("faces", "smallest_face_px"))
    embedder = Embedder(build_sphereface(None, seed=config.getint("run", "seed")))
    made = {}
    for split in ("train", "validation"):
        rows = list(csv.DictReader((folder / CSV_NAMES[split]).read_text(encoding="utf-8").splitlines()))
        names = [f"{row['video']}/{row['utterance'].removesuffix('.mp4')}" for row in rows]
        with ThreadPoolExecutor() as pool:
            found = list(
                pool.map(
                    lambda name: extract(
                        folder / "videos" / f"{name}.mp4", folder / "scratch" / name, detector, config
                    ),
                    names,
                )
            )
        embeddings = embedder.embed(np.concatenate([crops for _, crops in found]))
        borders = np.cumsum([len(crops) for _, crops in found])[:-1]
        made[split] = Clips(
            names=names,
            labels=np.array([(row["arousal"], row["valence"]) for row in rows], dtype=np.float64),
            stft=[stft for stft, _ in found],
            embeddings=np.split(embeddings, borders),
            crops=[None] * len(rows),
        )
    return made


def train_all(train: Clips, validation: Clips, folder: Path, seed: int) -> None:
    config = read_settings()
    anet, vnet, joint = (RunOptions(folder / kind, seed=seed) for kind in ("anet", "vnet", "joint"))
    train_anet(train, validation, build_settings(ANetSettings, config["anet"]), anet, weights=None)
    train_vnet(train, validation, build_settings(VNetSettings, config["vnet"]), vnet)
    settings = build_settings(JointSettings, config["joint"])
    train_joint(train, validation, settings, joint, anet=anet.folder, vnet=vnet.folder)


def score(predicted: np.ndarray, validation: Clips) -> np.ndarray:
    """CCC of arousal, of valence and their sum on the validation split, (3,)."""
    assert validation.labels is not None
    assert np.isfinite(predicted).all()
    both = [compute_ccc(validation.labels[:, i], predicted[:, i]) for i in range(2)]
    return np.array([*both, sum(both)])


def fuse(folder: Path, validation: Clips) -> np.ndarray:
    """What the report's late fusion of ANet and VNet says of the clips that choose the epochs."""
    both = [np.asarray(predict(folder / kind, validation), np.float64) for kind in ("anet", "vnet")]
    recordings = [name.partition("/")[0].rpartition("_")[0] for name in validation.names]
    return fuse_apart(*both, np.asarray(validation.labels, np.float64), recordings)


def test_all_models_learn_and_joint_is_best(splits, tmp_path):
    scores = {kind: [] for kind in ("anet", "vnet", "joint", "fusion")}
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        train_all(splits["train"], splits["validation"], folder, seed)
        for kind in ("anet", "vnet", "joint"):
            scores[kind].append(score(predict(folder / kind, splits["validation"]), splits["validation"]))
        scores["fusion"].append(score(fuse(folder, splits["validation"]), splits["validation"]))
    print({kind: np.round(rows, 3).tolist() for kind, rows in scores.items()})
    means = {kind: np.mean(rows, axis=0)[2] for kind, rows in scores.items()}
    assert means["anet"] >= 0.8
    assert (np.mean(scores["anet"], axis=0)[:2] >= 0.4).all(), "ANet hears both labels"
    assert means["vnet"] >= 0.8
    assert means["joint"] > max(means["anet"], means["vnet"])
    assert means["joint"] >= means["fusion"]
    assert means["joint"] < 1.97, "labels that can be read perfectly would prove nothing"


def draw_order(labels: np.ndarray) -> np.ndarray:
    """Shuffle labels so that they have next to nothing in common with the true ones: what they had would be taught."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(labels)) for _ in range(2000)]
    common = [np.abs(np.corrcoef(labels, labels[order], rowvar=False)[:2, 2:]).max() for order in orders]
    assert min(common) < 0.03
    return orders[int(np.argmin(common))]


def test_shuffled_labels_teach_nothing(splits, tmp_path):
    train = splits["train"]
    order = draw_order(train.labels)
    shuffled = dataclasses.replace(train, labels=train.labels[order])
    train_all(shuffled, splits["validation"], tmp_path, 0)
    # The last checkpoint, not the best: the best of many epochs would be above chance by having been chosen.
    validation = splits["validation"]
    totals = {
        kind: score(predict(tmp_path / kind / LAST, validation), validation)[2] for kind in ("anet", "vnet", "joint")
    }
    print(totals)
    assert max(map(abs, totals.values())) < 0.2
