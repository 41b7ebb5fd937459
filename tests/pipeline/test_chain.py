"""The one rule of what is complete, on tables of files: no store, no video."""

import pytest

from pipeline.chain import FEATURE_STAGES, NETWORK_TITLES, NETWORKS, STAGES, find_chain, find_work
from pipeline.shard_tasks import SHARD_TASKS
from pipeline.stages import _FUNCTIONS
from store.schema import SCHEMAS
from store.tending.repair import MADE_FROM

DONE = {"wav", "stft", "frames", "faces", "embeddings"}


def test_the_table_names_every_file_of_a_shard_once():
    files = [file for stage in STAGES.values() for file in (stage.name, *stage.beside)]
    made = [file for stage in STAGES.values() for file in stage.made_from]
    assert sorted(files) == sorted(SCHEMAS) == sorted(made)
    assert list(NETWORK_TITLES) == list(NETWORKS)


def test_repair_sets_aside_whatever_the_chain_makes_from_a_damaged_file():
    sources = {file: made_from for stage in STAGES.values() for file, made_from in stage.made_from.items()}

    def rests_on(file, source):
        return any(each == source or rests_on(each, source) for each in sources[file])

    made = {source: {file for file in sources if rests_on(file, source)} for source in sources}
    made["faces"] |= {"crops", "crops_jpeg"}  # whose rows are those of the faces
    # Kept pixels are decoded by the frame table, and are read in place of the clip.
    made["frames"] |= {"pixels"}
    made["pixels"] |= made["frames"] - {"pixels"}
    assert {source: set(files) for source, files in MADE_FROM.items()} == made


@pytest.mark.parametrize(
    ("there", "kept", "work"),
    [
        # Nothing yet, and everything that may be kept.
        (
            set(),
            {"crops", "pixels"},
            {
                "wav": ("wav",),
                "stft": ("stft",),
                "frames": ("frames", "pixels"),
                "faces": ("faces", "crops"),
                "embeddings": ("embeddings",),
            },
        ),
        # Where no crops are kept, they are made to be embedded all the same.
        ({"wav", "stft", "frames"}, set(), {"faces": ("faces", "crops"), "embeddings": ("embeddings",)}),
        (DONE, set(), {}),
        # What lies on the way to finished features may be tidied away.
        ({"stft", "embeddings"}, set(), {}),
        (DONE | {"crops"}, {"crops"}, {}),
        # Each kept extra alone, switched on when all else is there.
        (DONE | {"crops"}, {"crops_jpeg"}, {"embeddings": ("crops_jpeg",)}),
        (DONE | {"crops"}, {"crops", "pixels"}, {"frames": ("pixels",)}),
        (DONE, {"crops"}, {"faces": ("crops",)}),
        (DONE, {"crops_jpeg"}, {"faces": ("crops",), "embeddings": ("crops_jpeg",)}),
        (DONE | {"crops_jpeg"}, {"crops_jpeg"}, {}),
        # Killed between the two files of a stage: crops are whole before the table of faces is.
        ({"stft", "frames", "crops"}, {"crops"}, {"faces": ("faces",), "embeddings": ("embeddings",)}),
        # Only the sound is missing.
        ({"frames", "faces", "embeddings"}, set(), {"wav": ("wav",), "stft": ("stft",)}),
        ({"wav", "embeddings"}, set(), {"stft": ("stft",)}),
    ],
)
def test_a_stage_has_to_make_what_something_missing_needs(there, kept, work):
    assert find_work(there.__contains__, kept) == work


def test_tasks_and_functions_of_stages_are_those_of_the_table():
    assert list(SHARD_TASKS) == [*STAGES] == [*_FUNCTIONS]
    assert find_chain("stft") == ("wav", "stft")
    assert {stage for feature in FEATURE_STAGES for stage in find_chain(feature)} == STAGES.keys()
