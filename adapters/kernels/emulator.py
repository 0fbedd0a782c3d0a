# SPDX-License-Identifier: Apache-2.0
"""A process of QEMU: its lines, and when to give it up."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from ..closing import Closing
from ..processes.containment import die_with_parent

#: Seconds by the clock after which a machine that computes nothing has halted.
_HALTED = 60.0
#: Seconds of processor time that a machine may take to start.
_STARTING = 300.0
#: The share of the clock's time that a machine which does anything is given on the busiest computer.
_LEAST_SHARE = 0.01
#: Seconds between two looks at a machine that says nothing.
_LOOK = 1.0
_CHUNK = 1 << 16


class Halted(Exception):
    """A machine that goes on no more; the message says how that was found out."""


class Emulator(Closing):
    """Runs QEMU with an archive of files, its console and a port; it ends at the latest with this process.

    Args:
        command: returns the command for the names of archive, console and port.
        archive: the content of that file.
    """

    def __init__(self, command: Callable[[str, str, str], list[str]], archive: bytes) -> None:
        files = os.memfd_create("bpf-isa-initramfs")
        with os.fdopen(files, "wb", closefd=False) as stream:
            stream.write(archive)
        pipes = [os.pipe(), os.pipe()]
        theirs = [files, *(write for _, write in pipes)]
        try:
            self._process = subprocess.Popen(
                command(*(f"/dev/fd/{one}" for one in theirs)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=theirs[1],
                pass_fds=theirs,
                preexec_fn=die_with_parent,  # noqa: PLW1509 -- nothing here starts threads
            )
        finally:
            for one in theirs:
                os.close(one)
        self._streams = [os.fdopen(read, "rb", buffering=0) for read, _ in pipes]
        self._progress = 0.0

    def close(self) -> None:
        """End QEMU."""
        self._process.kill()
        self._process.wait()
        for stream in self._streams:
            stream.close()

    def status(self) -> int:
        """Wait for the end of QEMU and return its status, negative for a signal."""
        return self._process.wait()

    def note_progress(self) -> None:
        """Take note of progress: limits begin anew."""
        self._progress = self.computed()

    def computed(self) -> float:
        """Return the seconds of processor time that QEMU has used."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self._progress
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lines(self, timeout: float) -> Iterator[bytes]:
        """Yield the lines of console and port as they come, until QEMU ends.

        Args:
            timeout: seconds of processor time since the last progress.

        Raises:
            Halted: the machine does not go on.
        """
        rests = {stream.fileno(): b"" for stream in self._streams}
        seen, looks = self.computed(), 0
        with selectors.DefaultSelector() as selector:
            for descriptor in rests:
                selector.register(descriptor, selectors.EVENT_READ)
            while rests:
                events = selector.select(_LOOK)
                for key, _ in events:
                    data = os.read(key.fd, _CHUNK)
                    *whole, rests[key.fd] = (rests[key.fd] + data).split(b"\n")
                    yield from whole
                    if not data:
                        selector.unregister(key.fd)
                        del rests[key.fd]
                computed = self.computed()
                limit = timeout if self._progress else max(timeout, _STARTING)
                if computed - self._progress > limit:
                    raise Halted(f"nothing came for {limit:g} s of processor time")
                # A machine also waits for what it has written to be read. If this process was stopped as well, that is
                # no more than one look.
                if events or computed - seen > _LEAST_SHARE * _HALTED:
                    seen, looks = computed, 0
                elif (looks := looks + 1) * _LOOK > _HALTED:
                    raise Halted(f"the machine has done nothing for {_HALTED:g} s")
