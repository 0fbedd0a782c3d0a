# SPDX-License-Identifier: Apache-2.0
"""The guest as a process of this machine, on the running kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence

from ...spec.encoding import ByteOrder
from ..closing import Closing
from ..protocol import OutcomeKind, Reason
from .conduct import Died
from .guest.build import guest
from .packed import job_list


class ProcessGuest(Closing):
    """Runs each list of jobs in a process of its own.

    Args:
        architecture: of this machine, as ``uname -m`` names it.

    Raises:
        Unavailable: there is no guest for it.
    """

    byte_order: ByteOrder = sys.byteorder

    def __init__(self, architecture: str) -> None:
        self._program = os.memfd_create("bpf-isa-guest")
        os.write(self._program, guest(architecture))

    def close(self) -> None:
        """Give back the program."""
        os.close(self._program)

    def run(self, jobs: Sequence[bytes]) -> Generator[bytes, None, None]:
        """Run ``jobs`` and yield the lines that the guest writes, see :class:`.conduct.Guest`."""
        with os.fdopen(os.memfd_create("bpf-isa-jobs"), "w+b") as stream:
            stream.write(job_list(jobs, self.byte_order))
            stream.seek(0)
            process = subprocess.Popen(
                [f"/proc/self/fd/{self._program}"],
                stdin=stream,
                stdout=subprocess.PIPE,
                pass_fds=[self._program],
            )
        assert process.stdout is not None
        try:
            with process.stdout:
                yield from process.stdout
            process.wait()
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise Died(OutcomeKind.CRASHED, Reason("signal", _ending(process.returncode)))


def _ending(status: int) -> str:
    if status < 0:
        return f"the process that made the calls was killed by {signal.Signals(-status).name}"
    return f"the process that made the calls ended with status {status}"
