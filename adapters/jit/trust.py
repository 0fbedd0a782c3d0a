# SPDX-License-Identifier: Apache-2.0
"""Acceptance of programs that may run without checks.

Unchecked code has the host's addresses in its registers: an unsafe program could corrupt the process. :func:`accept`
uses the safety verifier. For other evidence of safety, construct an :class:`Acceptance`.
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
    """A program that is not known to be safe; the message names the instruction and the reason."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The statement of ``by`` that a program is safe with any contents of the memory in ``surroundings``.

    ``digest`` is that of the program, see :func:`digest_of`, and ``entry`` the slot that it begins at. It ends within
    ``most_steps`` instructions; if that is None, or more than the budget of a run, its code has a budget. ``places``
    has the slots of instructions that access one region only, with the region.
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
        NotAccepted: there is no proof; the program may be safe nevertheless.
    """
    try:
        proof = prove(program, byte_order, surroundings, entry)
    except NotProved as error:
        raise NotAccepted(str(error)) from None
    digest = digest_of(program, byte_order)
    return Acceptance(digest, entry, surroundings, "bpf-isa verify --safety", proof.most_steps, proof.places)
