# SPDX-License-Identifier: Apache-2.0
"""The guest as the first process of a machine that QEMU emulates.

A machine is started for each list of jobs, and ends with it. It does not outlive this process, whatever ends that. Time
limits count what QEMU has computed, not what the clock says, so that a busy computer is no fault of the guest; only a
machine that computes nothing at all is judged by the clock.
"""

from __future__ import annotations

import os
import platform
import signal
from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path
from shutil import which

from ...spec.encoding import ByteOrder
from ..linux.conduct import Died
from ..linux.guest.build import guest
from ..linux.packed import END, NotPacked, answer, job_list
from ..protocol import OutcomeKind, Reason, Unavailable
from .architectures import Architecture
from .emulator import Emulator, Halted
from .initramfs import initramfs
from .oops import oops

_MEMORY = "1G"
#: Lines of the console that are kept.
_KEPT_LINES = 400
#: A line that says the end is no longer.
_SHORT = 20


def accelerators(architecture: Architecture) -> tuple[str, ...]:
    """Return the accelerators to try, the best first; whether KVM works is known only when a machine was started."""
    kvm = platform.machine() == architecture.machine and os.access("/dev/kvm", os.W_OK)
    return ("kvm", "tcg") if kvm else ("tcg",)


class Machine:
    """Starts machines with the kernel ``image``; a :class:`..linux.conduct.Guest`.

    Args:
        architecture: of the kernel.
        image: the file that QEMU loads.
        timeout: seconds of QEMU's processor time without a word of the guest.
        accelerator: of QEMU, ``kvm`` or ``tcg``.
        jit: what net.core.bpf_jit_enable is set to; None leaves it.
        harden: the same of net.core.bpf_jit_harden.

    Raises:
        Unavailable: there is no QEMU or no guest for the architecture.
    """

    def __init__(
        self,
        architecture: Architecture,
        image: Path,
        timeout: float,
        accelerator: str = "tcg",
        jit: int | None = None,
        harden: int | None = None,
    ) -> None:
        if which(architecture.qemu) is None:
            raise Unavailable(f"{architecture.qemu} is not here: apt-get install {architecture.package}")
        self._architecture, self._image, self._timeout = architecture, image, timeout
        self._accelerator, self._jit, self._harden = accelerator, jit, harden
        self._guest = guest(architecture.machine)
        self.byte_order: ByteOrder = architecture.byte_order
        self._console: deque[str] = deque(maxlen=_KEPT_LINES)

    def run(self, jobs: Sequence[bytes]) -> Generator[bytes, None, None]:
        """Start a machine with ``jobs`` and yield what its guest writes, see :class:`..linux.conduct.Guest`."""
        self._console.clear()
        archive = initramfs(self._guest, job_list(jobs, self.byte_order, self._jit, self._harden))
        with Emulator(self._command, archive) as emulator:
            try:
                for line in emulator.lines(self._timeout):
                    if line.startswith(b"@"):
                        emulator.note_progress()
                        yield line
                        if self._says_end(line):
                            return
                    else:
                        self._console.append(line.decode("utf-8", "replace"))
            except Halted as reason:
                said = oops(self._console)
                kind = OutcomeKind.CRASHED if said else OutcomeKind.TIMED_OUT
                raise Died(kind, Reason("oops" if said else "timeout", said or str(reason))) from None
            status = emulator.status()
        if status < 0:
            raise Died(OutcomeKind.CRASHED, Reason("signal", f"QEMU was killed by {signal.Signals(-status).name}"))
        if said := oops(self._console):
            raise Died(OutcomeKind.CRASHED, Reason("oops", said))
        said = "\n".join([*self._console][-3:]) or "without a word"
        raise Died(OutcomeKind.CRASHED, Reason("stopped", f"the machine stopped: {said}"))

    def _says_end(self, line: bytes) -> bool:
        try:
            return len(line) <= _SHORT and answer(line, self.byte_order).number == END
        except NotPacked:
            return False

    def _command(self, archive: str, console: str, port: str) -> list[str]:
        """Return the command that starts QEMU, with the names of files."""
        one = self._architecture
        parameters = f"console={one.console} panic=-1 oops=panic loglevel=5 {one.parameters}"
        return [
            one.qemu,
            *one.options,
            *(
                "-accel",
                self._accelerator,
                "-m",
                _MEMORY,
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
            ),
            *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
            *("-device", f"virtio-serial-{one.bus}", "-chardev", f"file,id=port,path={port}"),
            *("-device", "virtserialport,chardev=port,name=bpf-isa"),
            *("-kernel", str(self._image), "-initrd", archive, "-append", parameters.strip()),
        ]
