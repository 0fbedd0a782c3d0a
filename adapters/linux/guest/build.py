# SPDX-License-Identifier: Apache-2.0
"""The guest as a program for one architecture, built on first use by the C compiler in the wheel ``ziglang``.

Those for the two most common architectures are shipped, so that the running kernel can be tested without a compiler.
What is built is kept in the user's cache folder, under a digest of its source.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from ....spec.output import write_bytes
from ...protocol import Unavailable

_FOLDER = Path(__file__).parent
#: Targets of the compiler by architecture, as ``uname -m`` names it.
TARGETS = {
    "x86_64": "x86_64-linux-musl",
    "aarch64": "aarch64-linux-musl",
    "riscv64": "riscv64-linux-musl",
    "ppc64le": "powerpc64le-linux-musl",
    "ppc64": "powerpc64-linux-musl",
    "s390x": "s390x-linux-musl",
    "armv7l": "arm-linux-musleabihf",
    "i686": "x86-linux-musl",
    "mips64": "mips64el-linux-muslabi64",
    "loongarch64": "loongarch64-linux-musl",
}
_OPTIONS = (
    *("-c", "-O2", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-sanitize=all"),
    *("-fomit-frame-pointer", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Werror"),
)
SHIPPED = ("x86_64", "aarch64")


def guest(architecture: str) -> bytes:
    """Return the guest for ``architecture``, an executable.

    Raises:
        Unavailable: it has to be built, and cannot be.
    """
    ready = shipped(architecture)
    kept = user_cache_path("bpf-isa") / ready.name
    for path in (ready, kept):
        if path.is_file():
            return path.read_bytes()
    program = build(architecture)
    with suppress(OSError):  # without a folder it is built each time
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(program, kept)
    return program


def shipped(architecture: str) -> Path:
    """Return where the guest for ``architecture`` is if it is shipped; its name tells its source."""
    return _FOLDER / f"guest-{architecture}-{_digest()}"


def build(architecture: str) -> bytes:
    """Return the program, built anew.

    Raises:
        Unavailable: there is no compiler, or it fails.
    """
    try:
        import ziglang
    except ImportError:
        raise Unavailable(
            f"the guest for {architecture} has to be built: "
            "pip install 'bpf-isa-conformance[kernels]' brings the compiler"
        ) from None
    zig = Path(ziglang.__file__).with_name("zig")
    with tempfile.TemporaryDirectory() as folder:
        thing, program = Path(folder, "guest.o"), Path(folder, "guest")
        fixed = ["-mno-abicalls", "-G0"] if architecture == "mips64" else []
        _run(zig, "cc", "-target", TARGETS[architecture], *_OPTIONS, *fixed, str(_FOLDER / "guest.c"), "-o", str(thing))
        _run(zig, "ld.lld", "-static", "-s", "-e", "_start", "-o", str(program), str(thing))
        return program.read_bytes()


def _run(zig: Path, *arguments: str) -> None:
    done = subprocess.run([zig, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise Unavailable(f"the guest cannot be built, zig {arguments[0]} fails: {said}")


@cache
def _digest() -> str:
    total = hashlib.sha256()
    for name in ("guest.c", "channel.h", "system.h"):
        total.update((_FOLDER / name).read_bytes() + b"\0")
    return total.hexdigest()[:12]


def ship() -> None:
    """Replace the programs that are shipped by what the source is now."""
    for old in _FOLDER.glob("guest-*"):
        old.unlink()
    for architecture in SHIPPED:
        write_bytes(build(architecture), shipped(architecture))


if __name__ == "__main__":
    ship()
