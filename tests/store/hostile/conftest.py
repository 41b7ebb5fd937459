"""A folder beside the store that no attack may reach."""

import pytest

from tests.store.hostile.attacks import snapshot


@pytest.fixture
def outside(tmp_path):
    """Files beside the store that no command may touch; compared at the end."""
    folder = tmp_path / "outside"
    (folder / "damaged" / "stft").mkdir(parents=True)
    (folder / "victim.json").write_text("mine")
    (folder / "0123456789abcdef.h5").write_bytes(b"mine")
    (folder / "damaged" / "stft" / "plan.json").write_text("mine")
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before
