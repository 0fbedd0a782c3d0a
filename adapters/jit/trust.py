# SPDX-License-Identifier: Apache-2.0
"""Programs that may run unchecked, because somebody has shown that they need no checks.

Unchecked code has the host's own addresses in its registers: a program that is not safe would take the process with
it. :func:`accept` asks the safety verifier. Another verifier, or a person who answers for it, can say so of more
programs by making an :class:`Acceptance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from ...reference_vm.verifier.proof import NotProved
from ...reference_vm.verifier.safety import prove
from ...reference_vm.verifier.state import Place
from ...reference_vm.verifier.surroundings import Surroundings
from ...spec.encoding import ByteOrder, Program, encode


class NotAccepted(ValueError):
    """A program that is not known to be safe; the message says which instruction stands in the way, and why."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The word of ``by`` that a program is safe with any contents of the memory in ``surroundings``.

    ``digest`` is that of the program, see :func:`digest_of`, and ``entry`` the slot that it begins at. Within
    ``most_steps`` instructions it comes to its end; if that is None, or more than the budget that it is run with, its
    code counts. ``places`` has slots of instructions that access one region only, and
    which.
    """

    digest: bytes
    entry: int
    surroundings: Surroundings
    by: str
    most_steps: int | None = None
    places: tuple[tuple[int, Place], ...] = ()


def digest_of(program: Program, byte_order: ByteOrder) -> bytes:
    """Return what identifies ``program``."""
    return sha256(encode(program, byte_order)).digest()


def accept(program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int = 0) -> Acceptance:
    """Return the acceptance of a program, from slot ``entry``, that the safety verifier proves to be safe.

    Raises:
        NotAccepted: it does not; that need not mean that the program is unsafe.
    """
    try:
        proof = prove(program, byte_order, surroundings, entry)
    except NotProved as error:
        raise NotAccepted(str(error)) from None
    digest = digest_of(program, byte_order)
    return Acceptance(digest, entry, surroundings, "bpf-isa verify --safety", proof.most_steps, proof.places)
