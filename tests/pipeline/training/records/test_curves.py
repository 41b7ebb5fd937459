from datetime import datetime

from pipeline.training.records.curves import find_curves

NOW = datetime(2026, 11, 27, 16, 5)


def test_a_training_keeps_its_folder_and_another_of_the_same_minute_gets_one_of_its_own(tmp_path):
    checkpoints = [tmp_path / "checkpoints" / name for name in ("anet-1", "anet-2")]
    for folder in checkpoints:
        folder.mkdir(parents=True)
    first, second = (find_curves(tmp_path, folder, "ANet, seed 0", NOW) for folder in checkpoints)
    assert first == tmp_path / "tensorboard" / "ANet, seed 0, 2026-11-27 16.05"
    assert second == tmp_path / "tensorboard" / "ANet, seed 0, 2026-11-27 16.05 (2)"
    assert first.is_dir()
    later = NOW.replace(hour=20)
    assert find_curves(tmp_path, checkpoints[0], "ANet, seed 0", later) == first
    second.rmdir()
    assert find_curves(tmp_path, checkpoints[1], "ANet, seed 0", later).name == "ANet, seed 0, 2026-11-27 20.05"
