"""The store needs numpy and h5py; everything else is imported where it is asked for."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
import store, store.__main__, store.looking.browse
try:
    store.__main__.main(["ls", "nowhere"])
finally:
    heavy = {"torch", "matplotlib", "PIL", "jinja2", "pandas", "cv2", "luigi", "scipy", "pipeline", "models"}
    print(sorted(heavy & set(sys.modules)))
"""


def test_commands_import_nothing_that_they_do_not_need():
    folder = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", CODE], cwd=folder, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
    assert "nowhere holds no features; check the path" in ended.stderr
