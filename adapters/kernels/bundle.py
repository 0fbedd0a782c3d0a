# SPDX-License-Identifier: Apache-2.0
"""Jobs for a machine without Python: a folder with the guest and what it reads, and a runtime made of what it wrote.

``guest < jobs > out`` is all that is done there, as root, on any kernel of the architecture. What the console of a
machine has shown will do as well for ``out``: other lines are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...spec.output import write_bytes, write_json
from ..closing import Closing
from ..linux.guest.build import guest
from ..linux.kernel import PLAIN_TYPES, first_to_run, identity, trivial
from ..linux.outcome import outcome
from ..linux.packed import ABOUT_MACHINE, END, NotPacked, answer, asked, job_list, jobs_of, report
from ..linux.prepared import Prepared
from ..protocol import UNCLASSIFIED, Job, Outcome, OutcomeKind, Reason, RuntimeInfo, Unavailable
from .architectures import ARCHITECTURES, Architecture
from .oops import oops

_ABOUT = "bundle.json"


def write(folder: Path, architecture: Architecture, jobs: Sequence[Job], selection: Sequence[str]) -> int:
    """Write a bundle, and return how many of ``jobs`` are in it: those that a kernel can run.

    Args:
        folder: to write it into; it is made if it is not there.
        architecture: of the kernel.
        jobs: in the byte order of the architecture.
        selection: the options of ``bpf-isa run`` with which results are judged.

    Raises:
        Unavailable: there is no guest for the architecture.
        OSError: it cannot be written.
    """
    order = architecture.byte_order
    with Prepared(order, PLAIN_TYPES[0]) as prepared:
        packed = [one for one in prepared.pack(jobs) if isinstance(one, bytes)]
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(guest(architecture.machine), folder / "guest")
    (folder / "guest").chmod(0o755)
    write_bytes(job_list([*trivial(order, PLAIN_TYPES), *packed], order), folder / "jobs")
    write_json({"format": "bpf-isa-bundle", "version": 1, "architecture": architecture.name,
                "selection": list(selection)}, folder / _ABOUT, indent=2)  # fmt: skip
    return len(packed)


def selection_of(out: Path) -> list[str]:
    """Return the options of ``bpf-isa run`` with which the results in ``out`` are judged.

    Raises:
        Unavailable: there is no bundle beside it.
    """
    return [str(word) for word in _about(out)["selection"]]


def _about(out: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((out.parent / _ABOUT).read_text())
        if about["format"] == "bpf-isa-bundle" and about["version"] == 1 and "selection" in about:
            return about
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise Unavailable(f"{out}: {out.parent} has no {_ABOUT} that bpf-isa kernel bundle wrote")


class BundleAdapter(Closing):
    """Answers jobs by what a guest wrote about them.

    Args:
        path: the file with the guest's output, in the folder of the bundle.

    Raises:
        Unavailable: it is not there, or has no answers.
    """

    def __init__(self, path: str) -> None:
        out = Path(path)
        architecture = ARCHITECTURES.get(str(_about(out)["architecture"]))
        if architecture is None:
            raise Unavailable(f"{out}: the bundle is for an architecture that is not known")
        self._order = architecture.byte_order
        self._out = out
        try:
            jobs = jobs_of((out.parent / "jobs").read_bytes(), self._order)
            lines = out.read_bytes().splitlines()
        except (OSError, NotPacked) as error:
            raise Unavailable(f"{path}: {error}") from None
        self._numbers = {job: number for number, job in enumerate(jobs)}
        self._answers: dict[int, bytes] = {}
        other = []
        for line in lines:
            try:
                number, content = answer(line, self._order)
            except NotPacked:
                other.append(line.decode("utf-8", "replace"))
                continue
            self._answers[number] = content
        #: The job that the guest was at when it ended, None if it came to its end.
        self._last = None if END in self._answers else max((n for n in self._answers if n < len(jobs)), default=-1) + 1
        self._oops = oops(other) or "the guest wrote no more"
        results = [
            report(self._answers[at], asked(jobs[at], self._order)).results[0] for at in range(2) if at in self._answers
        ]
        first = first_to_run(results)
        if first is None or ABOUT_MACHINE not in self._answers:
            raise Unavailable(f"{path}: the guest says nothing of its machine, or ran nothing there")
        self._info = identity(self._answers[ABOUT_MACHINE], self._order, first[1], "linux", architecture.name)
        self._prepared = Prepared(self._order, PLAIN_TYPES[0])

    def close(self) -> None:
        """Close the file of prepared calls."""
        self._prepared.close()

    def info(self) -> RuntimeInfo:
        """Return the identity of the kernel."""
        return self._info

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the outcomes of ``jobs``."""
        for job, one in zip(jobs, self._prepared.pack(jobs), strict=True):
            yield Outcome(OutcomeKind.UNSUPPORTED, reason=one) if isinstance(one, Reason) else self._outcome(job, one)

    def _outcome(self, job: Job, packed: bytes) -> Outcome:
        number = self._numbers.get(packed)
        if number is None:
            reason = Reason("linux.bundle", "it is not in the bundle", "harness")
        elif number in self._answers:
            calls = asked(packed, self._order)
            return outcome(job, calls, report(self._answers[number], calls), self._info.engine)
        elif number == self._last:
            return Outcome(OutcomeKind.CRASHED, reason=Reason("stopped", self._oops))
        else:
            reason = Reason(UNCLASSIFIED, f"{self._out} has no answer to it", "harness")
        return Outcome(OutcomeKind.UNSUPPORTED, reason=reason)
