"""What pyproject.toml cannot say: the dependencies are requirements.txt's, and a wheel carries the settings."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def read_requirements() -> list[str]:
    """Give the lines of requirements.txt, without that which installs this project itself."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = (line.partition("#")[0].strip() for line in lines)
    return [line for line in wanted if line and not line.startswith("-")]


class BuildWithSettings(build_py):
    """Puts the settings into `pipeline/`, where `pipeline/settings/config.py` looks outside of the repository."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            for name in ("tasks.cfg", "demo.cfg", "luigid.cfg"):
                self.copy_file(str(ROOT / name), str(Path(self.build_lib, "pipeline", name)))


setup(install_requires=read_requirements(), cmdclass={"build_py": BuildWithSettings})
