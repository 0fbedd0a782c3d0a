# SPDX-License-Identifier: Apache-2.0
"""The miniatures: the fault of each, where it was seen, and the requirements that it violates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...reference_vm.frames import Frames
from ...spec.encoding import ByteOrder
from ...spec.table import Isa, isa
from ..protocol import Unavailable
from ..reference import ReferenceAdapter
from .faults import (
    NothingPreserved,
    SharedStack,
    mistaken,
    rewritten,
    unused_fields_free,
    upper_half_kept,
)


def _unchanged(table: Isa) -> Isa:
    return table


@dataclass(frozen=True, slots=True)
class Miniature:
    """A runtime with one fault.

    ``fault`` describes it; ``seen`` is where it occurred, and its cause. ``breaks`` are requirements (without
    ``rfc9669-``) that failing vectors cover, each by at least one.
    """

    fault: str
    seen: str
    breaks: tuple[str, ...]
    table: Callable[[Isa], Isa] = _unchanged
    frames: type[Frames] = Frames


MINIATURES: Mapping[str, Miniature] = {
    "signed-division-unsigned": Miniature(
        "Signed division and modulo are carried out unsigned.",
        "Runtimes older than these instructions, which do not look at the offset of a division.",
        ("4.1-sdiv", "4.1-smod", "4.1-sdiv-overflow-32", "4.1-smod-overflow-64", "4.1-smod-truncates"),
        mistaken(r"S(DIV|MOD)(32|64)_([KX])", r"\1\2_\3"),
    ),
    "modulo-floors": Miniature(
        "The remainder takes the sign of the divisor.",
        "Interpreters that compute with the % of their own language, where that rounds down.",
        ("4.1-smod", "4.1-smod-truncates"),
        rewritten(r"SMOD64_X", r"\(s64\)dst s% \(s64\)src", "(((s64)dst s% (s64)src) + (s64)src) s% (s64)src"),
    ),
    "division-by-zero-gives-ones": Miniature(
        "An unsigned division by zero gives a register of ones.",
        "JITs that leave out the test of the divisor and give what the divider of the machine gives, as on RISC-V.",
        ("4.1-div-by-zero", "4.1-div"),
        rewritten(r"DIV(32|64)_[KX]", ": 0", ": -1"),
    ),
    "move-with-sign-is-a-move": Miniature(
        "MOVSX copies the register and extends no sign.",
        "Runtimes older than this instruction, which do not look at the offset of a move.",
        ("4.1-movsx", "4.1-movsx8-64", "4.1-movsx16-32", "4.1-movsx32-64", "4.1-movsx-offset"),
        mistaken(r"MOVSX(32|64)_\d+", r"MOV\1_X"),
    ),
    "upper-half-survives": Miniature(
        "A 32-bit operation leaves the upper half of its destination as it was.",
        "Interpreters that compute in place in half a register, and JITs for machines whose 32-bit instructions do so.",
        ("4.1-alu32-zero-extends", "4.1-add", "4.1-mul", "4.1-xor", "4.1-lsh", "4.1-rsh"),
        upper_half_kept(r"(ADD|SUB|MUL|OR|AND|XOR|LSH|RSH)32_[KX]"),
    ),
    "shift-amount-of-six-bits": Miniature(
        "A 32-bit shift by a register takes six bits of the amount, so that amounts of 32 and more empty it.",
        "JITs that use the 64-bit shift of the machine, which masks with 63, for both widths.",
        ("4.1-shift-mask-32", "4.1-lsh", "4.1-rsh"),
        rewritten(r"[LR]SH32_X", r"dst = (.*)", r"dst = (((u32)src & 32) != 0) ? 0 : \1"),
    ),
    "arithmetic-shift-of-zeros": Miniature(
        "A 32-bit arithmetic shift moves zeros in from above.",
        "JITs that shift the zero-extended register as 64 bits and cut the result, so that the sign bit is never seen.",
        ("4.1-arsh", "4.1-shift-mask-32"),
        rewritten(r"ARSH32_[KX]", r"\(s32\)dst s>>", "(u32)dst >>"),
    ),
    "wide-conditions": Miniature(
        "32-bit conditional jumps compare all 64 bits.",
        "Runtimes that got the class JMP32 as a second name of JMP.",
        ("4.3-jmp32-width", "4.3-jsgt", "4.3-jsle"),
        mistaken(r"(J\w+)32_([KX])", r"\g<1>64_\2"),
    ),
    "bit-test-wants-all": Miniature(
        "JSET jumps only if all bits of the mask are set.",
        "Interpreters that compare the result of AND with the mask instead of with zero.",
        ("4.3-jset",),
        rewritten(r"JSET(32|64)_[KX]", r"& (.*)\) != 0", r"& \1) == \1"),
    ),
    "condition-with-unsigned-constant": Miniature(
        "Unsigned 64-bit conditions take the immediate as a number without sign.",
        "JITs that put the constant into a register with the 32-bit move of the machine.",
        ("4.3-jmp-imm-sign-extends", "4.3-jgt", "4.3-jle"),
        rewritten(r"J(EQ|NE|GT|GE|LT|LE)64_K", r"\(s64\)imm", "(s64)(u64)(u32)imm"),
    ),
    "long-jump-cut-to-16-bits": Miniature(
        "The distance of the long jump is cut to 16 bits.",
        "Runtimes that keep distances in the type of the offset field, from before there was a longer one.",
        ("4.3-ja32-range",),
        rewritten(r"JA32", "imm", "(s64)(s16)imm"),
    ),
    "sign-of-the-low-half": Miniature(
        "The low half of a 64-bit constant is sign-extended, and spoils the upper half if its top bit is set.",
        "Interpreters that combine two signed 32-bit numbers with OR.",
        ("5.4-imm64", "5.4-imm64-low-half"),
        rewritten(r"LD_IMM64", r"\(u64\)\(u32\)imm", "(u64)(s64)imm"),
    ),
    "offset-without-sign": Miniature(
        "Loads add the offset as an unsigned number.",
        "Runtimes that declare the field with an unsigned type.",
        ("3.1-offset-signed", "5.1-address-offset"),
        rewritten(r"LDX_MEM_\w+", r"src \+ offset", "src + (u64)(u16)offset"),
    ),
    "stored-constant-without-sign": Miniature(
        "A 64-bit store of an immediate writes zeros in the upper half.",
        "JITs that store the constant with two moves of 32 bits, or through a zero-extended register.",
        ("5.1-st-mem-dw",),
        rewritten(r"ST_MEM_DW", r"\(s64\)imm", "(u64)(u32)imm"),
    ),
    "load-with-sign-is-a-load": Miniature(
        "Sign-extending loads extend with zeros.",
        "Runtimes older than the mode MEMSX, which look at the size only.",
        ("5.2-ldx-memsx-b", "5.2-ldx-memsx-h", "5.2-ldx-memsx-w"),
        mistaken(r"LDX_MEMSX_(\w+)", r"LDX_MEM_\1"),
    ),
    "every-atomic-is-an-addition": Miniature(
        "Whatever the immediate of an atomic operation says, it adds and fetches nothing.",
        "Runtimes from when addition was the only atomic operation and its immediate was not looked at.",
        ("5.3-imm-selects", "5.3-or-32", "5.3-and-64", "5.3-fetch", "5.3-xchg-32", "5.3-cmpxchg-64"),
        mistaken(r"ATOMIC_(?!ADD)\w*?(32|64)", r"ATOMIC_ADD\1"),
    ),
    "fetch-brings-nothing": Miniature(
        "Atomic operations with FETCH do not give back what the memory held.",
        "JITs that use the form of the machine's locked instruction that has no result.",
        ("5.3-fetch", "5.3-fetch-add-32", "5.3-fetch-xor-64"),
        rewritten(r"ATOMIC_FETCH_\w+", "; src = old", ""),
    ),
    "compare-exchange-leaves-dirt": Miniature(
        "A 32-bit compare-and-exchange that succeeds leaves the upper half of R0 as it was.",
        "JITs for x86-64, whose instruction writes EAX, and so clears the upper half, only if the comparison fails.",
        ("5.3-cmpxchg-32-zero-extends",),
        rewritten(r"ATOMIC_CMPXCHG32", "r0 = old", "r0 = (old == (u32)r0) ? r0 : (u64)old"),
    ),
    "callee-on-the-caller's-stack": Miniature(
        "A local call does not move R10: the callee overwrites what its caller keeps on the stack.",
        "The first implementations of local calls in runtimes outside of kernels.",
        ("4.3.2-call-local",),
        frames=SharedStack,
    ),
    "registers-lost-in-calls": Miniature(
        "A local call does not give R6 to R9 back.",
        "Runtimes that took local calls for plain jumps with a return address.",
        ("4.3.2-call-local",),
        frames=NothingPreserved,
    ),
    "stray-fields": Miniature(
        "Fields that an instruction does not use may hold anything.",
        "Runtimes without a check at load time: a program made for a later instruction set does something else there.",
        ("3.1-unused-dst-zero", "3.1-unused-src-zero", "3.1-unused-offset-zero", "3.1-unused-imm-zero"),
        unused_fields_free,
    ),
}


def open_miniature(name: str = "", byte_order: ByteOrder | None = None) -> ReferenceAdapter:
    """Return the miniature ``name``; ``byte_order`` is that of the host if None.

    Raises:
        protocol.Unavailable: there is no such miniature.
    """
    miniature = MINIATURES.get(name)
    if miniature is None:
        raise Unavailable(f"miniature:{name}: there is none of this name; there are {', '.join(MINIATURES)}")
    return ReferenceAdapter(byte_order, table=miniature.table(isa()), frames=miniature.frames, name=f"miniature:{name}")
