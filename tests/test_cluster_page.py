"""What docs/cluster.md gives to copy is what systemd and a shell take."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "docs/cluster.md").read_text(encoding="utf-8"), re.DOTALL)

#: Stands for `valar`: ends with the next of some codes, and notes each call.
VALAR = """#!/bin/bash
echo "$PWD: $*" >> "$0.calls"
read -r code < <(sed -n "$(wc -l < "$0.calls")p" "$0.codes")
exit "$code"
"""


def find_blocks(kind):
    return [text for found, text in BLOCKS if found == kind]


@pytest.mark.parametrize("unit", find_blocks("ini")[-2:], ids=["luigid", "valar"])
def test_systemd_takes_each_unit(tmp_path, unit):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    program = shutil.copy(sys.executable, tmp_path / "program")
    unit = re.sub(r"(?<=ExecStart=)\S+", str(program), unit)
    for name, value in {"User=valar": "User=root", "/shared/run": str(tmp_path), "=/shared\n": "=/tmp\n"}.items():
        unit = unit.replace(name, value)
    path = tmp_path / "valar-test.service"
    path.write_text(unit)
    ended = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    told = [line for line in ended.stderr.splitlines() if path.name in line]
    assert told == [], ended.stderr


@pytest.mark.parametrize(
    ("codes", "code", "calls"), [((0,), 0, 1), ((25, 0), 0, 2), ((30,), 30, 1), ((2,), 2, 1), ((25, 25, 25), 25, 3)]
)
def test_slurm_s_job_goes_on_after_a_forgetful_luigid_and_ends_with_the_run_s_code(tmp_path, codes, code, calls):
    (script,) = find_blocks("bash")
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    run, program = tmp_path / "run", tmp_path / "valar"
    run.mkdir()
    program.write_text(VALAR)
    program.chmod(0o755)
    (tmp_path / "valar.codes").write_text("".join(f"{each}\n" for each in codes))
    job = tmp_path / "job.sh"
    job.write_text(script.replace("/shared/valar/.venv/bin/valar", str(program)).replace("/shared/run", str(run)))
    ended = subprocess.run(["bash", "-u", str(job)], env={**os.environ, "VALAR_PAUSE": "0", "SLURM_ARRAY_TASK_ID": "3"})
    assert ended.returncode == code
    assert (tmp_path / "valar.calls").read_text() == f"{run}: run\n" * calls
