# SPDX-License-Identifier: Apache-2.0
"""A kernel in a virtual machine as an adapter: ``linux-vm:ARCH[,kernel=SUITE][,image=FILE][,jit=0|1|harden]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..closing import Closing
from ..linux.conduct import Died, Lost
from ..linux.kernel import CannotRun, KernelAdapter
from ..protocol import Job, Outcome, RuntimeInfo, Unavailable
from .architectures import ARCHITECTURES, Architecture
from .debian import fetch_any
from .machine import Machine, accelerators

#: How much longer than elsewhere a vector may take: machines are emulated.
_SLOWER = 4
#: The suite whose kernel is taken if none is named: the newest one that is not experimental.
NEWEST = "sid"
Jit = Literal["0", "1", "harden"]
#: What net.core.bpf_jit_enable and bpf_jit_harden are set to. None: on, if there is a JIT, and not hardened.
_SWITCHES: dict[Jit | None, tuple[int, int]] = {None: (1, 0), "0": (0, 0), "1": (1, 0), "harden": (1, 2)}


class VirtualMachine(Closing):
    """Runs jobs on a kernel in a virtual machine, which is started for each call of :meth:`run`.

    Args:
        name: of the architecture.
        kernel: the suite of Debian that has the kernel, or the beginning of its release, such as ``6.1``.
        image: the file of a kernel, in place of one of Debian's.
        jit: ``0`` for the interpreter, ``1`` for the JIT, ``harden`` for the JIT with constants blinded.
        timeout: seconds that a vector may take on a machine of its own.

    Raises:
        Unavailable: something is missing, or the kernel does not start or has no such engine.
    """

    def __init__(
        self,
        name: str,
        kernel: str | None = None,
        image: str | None = None,
        jit: Jit | None = None,
        timeout: float = 30.0,
    ) -> None:
        if name not in ARCHITECTURES:
            raise Unavailable(f"linux-vm:{name}: no such architecture; known are {', '.join(ARCHITECTURES)}")
        if jit not in _SWITCHES:
            raise Unavailable(f"linux-vm:{name},jit={jit}: jit is 0, 1 or harden")
        if kernel is not None and image is not None:
            raise Unavailable(f"linux-vm:{name}: a kernel of Debian's or an image, not both")
        architecture = ARCHITECTURES[name]
        if image is not None and not Path(image).is_file():
            raise Unavailable(f"linux-vm:{name},image={image}: there is no such file")
        path = Path(image) if image is not None else fetch_any(architecture, kernel or NEWEST).image
        self._kernel = _start(architecture, path, _SLOWER * timeout, *_SWITCHES[jit])
        try:
            self._info = _checked(self._kernel, jit)
        except Unavailable:
            self._kernel.close()
            raise

    def close(self) -> None:
        """Give back what the kernel's calls need."""
        self._kernel.close()

    def info(self) -> RuntimeInfo:
        """Return the identity of the kernel."""
        return self._info

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs`` on one machine, or as many as they need, and yield their outcomes."""
        return self._kernel.run(jobs)


def _start(architecture: Architecture, image: Path, timeout: float, jit: int, harden: int) -> KernelAdapter:
    """Return the kernel, on a machine that KVM accelerates where that works."""
    why = ""
    for accelerator in accelerators(architecture):
        machine = Machine(architecture, image, timeout, accelerator, jit, harden)
        try:
            return KernelAdapter(machine, "linux", architecture.name)
        except CannotRun as error:
            raise Unavailable(f"the kernel runs no programs: {error}") from None
        except (Died, Lost) as error:
            why = f"the kernel does not start: {error}"
    raise Unavailable(why)


def _checked(kernel: KernelAdapter, jit: Jit | None) -> RuntimeInfo:
    """Return the identity of the kernel, if it does what was asked for.

    Raises:
        Unavailable: it does not.
    """
    info = kernel.info()
    if jit == "0" and info.engine != "interpreter":
        raise Unavailable(f"{info.version} has no interpreter (CONFIG_BPF_JIT_ALWAYS_ON)")
    if jit in {"1", "harden"} and info.engine != "jit":
        raise Unavailable(f"{info.version} has no JIT (CONFIG_BPF_JIT)")
    if jit == "harden" and kernel.harden != "2":
        raise Unavailable(f"{info.version} does not blind constants")
    return replace(info, version=f"{info.version}, constants blinded") if jit == "harden" else info
