# SPDX-License-Identifier: Apache-2.0
"""Compiles the C files of the tests with whatever compiler is there; the ziglang wheel always is."""

import shutil
import subprocess
import sys
from pathlib import Path


def compile_c(source: Path, target: Path, *options: str) -> Path:
    """Compile `source` to the executable `target` and return it; warnings are errors."""
    compiler = [shutil.which("cc") or ""] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", *options]
    subprocess.run([*compiler, *flags, "-o", str(target), str(source)], check=True)
    return target
