# SPDX-License-Identifier: Apache-2.0
"""docs/runtimes.md: its adapter works, from a module in the current folder."""

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "runtimes.md").read_text(encoding="utf-8")

#: A runtime that refuses programs with faults as late as while it runs them.
RUNTIME = """
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.faults import Fault

class Refused(Exception): ...

def run(code, memory):
    result = execute(code, memory=memory)
    if isinstance(result, Fault):
        raise Refused(result.reason)
    return result.r0, result.memory
"""


def test_its_adapter_works(tmp_path: Path) -> None:
    block, kind = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_module.py").write_text(block, encoding="utf-8")
    (tmp_path / "my_runtime.py").write_text(RUNTIME, encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("bpf-isa")), "run", "-r", "mine=python:my_module:MyAdapter",
        "-k", "stx-mem-h or map-lookup or malformed/base", "--json", "r.json", "-qq",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    (mine,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runtimes"]
    assert mine["counts"]["pass"] > 50
    assert {one["outcome"] for one in mine["results"].values()} == {"returned", "rejected", "unsupported"}
    subprocess.run([sys.executable, "-c", kind], check=True)
