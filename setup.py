"""What pyproject.toml cannot express: dependencies come from requirements.txt, and a wheel contains the settings."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def read_requirements() -> list[str]:
    """Return the requirements in requirements.txt, without the line that installs this project itself."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = (line.partition("#")[0].strip() for line in lines)
    return [line for line in wanted if line and not line.startswith("-")]


class BuildWithSettings(build_py):
    """Copies the settings into `pipeline/`, where `pipeline/settings/config.py` finds them outside the repository."""

    def run(self) -> None:
        """Build, then copy the settings."""
        super().run()
        if not self.editable_mode:
            for name in ("tasks.cfg", "demo.cfg", "luigid.cfg"):
                self.copy_file(str(ROOT / name), str(Path(self.build_lib, "pipeline", name)))


setup(install_requires=read_requirements(), cmdclass={"build_py": BuildWithSettings})
