# SPDX-License-Identifier: Apache-2.0
"""Programs with one slot that is no instruction: unused fields set, undefined values, undefined opcodes.

Each is in a program in which the closest instruction would change r0. The witness of a case is that r0: a runtime that
returns it has executed the slot as this instruction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ...spec import tree
from ...spec.asm.assemble import assemble
from ...spec.encoding import Decoded, Slot, differing_part, identify, pack, slots_of
from ...spec.facts import Kind, facts
from ...spec.table import Fixed, Instruction, Operand, isa
from .boundaries import named
from .carriers import MEMORY, Carrier, carrier, fixed, run
from .draft import BYTE_ORDERS, Draft, slug

#: Values for unused fields: single bits low and high, all bits, and values that are 0 in their low 8 or 16 bits.
_STRAY = {
    "dst": (1, 2, 4, 8, 15),
    "src": (1, 2, 4, 8, 15),
    "offset": (1, 2, 8, 16, 32, 64, 0x80, 0x100, 0x4000, 0x7FFF, -1, -0x8000),
    "imm": (1, 2, 0x10, 0x80, 0x100, 0x8000, 0x10000, 0x1000000, 0x40000000, 0x7FFFFFFF, -1, -0x80000000),
    "next_imm": (1, 2, 0x80, 0x100, 0x8000, 0x10000, 0x1000000, 0x7FFFFFFF, -1, -0x80000000),
}
#: Widths next to those of END.
_END_WIDTHS = (0, 1, 8, 15, 17, 24, 31, 33, 40, 56, 63, 65, 72, 128, -16, -32, -64, -1, (1 << 31) - 1, -(1 << 31))
#: Bits that a decoder of 8, 16 or 31 bits ignores.
_BEYOND = (0x100, 0x10000, -0x80000000)
_BITS = {"dst": 4, "src": 4, "offset": 16, "imm": 32, "next_imm": 32}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of unused fields, undefined values, registers and opcodes, and second slots."""
    known: set[tuple[object, ...]] = set()
    for draft in _all():
        # Similar instructions with the same operands give the same program.
        cases = {}
        for name, values in draft.cases.items():
            program = draft.code, values["slot"], draft.variables, draft.helpers
            if program not in known:
                known.add(program)
                cases[name] = values
        if cases:
            yield replace(draft, cases=cases)


def _all() -> Iterator[Draft]:
    for row in isa().instructions:
        yield from _stray_fields(row)
        yield from _high_registers(row)
        yield from _frame_pointer(row)
        if row.wide:
            yield _second_slot(row)
    yield from _undefined_opcodes()


def _cases(
    row: Instruction, around: Carrier, slots: Iterable[tuple[str, tuple[Slot, ...]]]
) -> dict[str, dict[str, str]]:
    """Return the cases of invalid encodings of ``row``, without those that are instructions."""
    witness = _witness(row, around)
    cases = {}
    for name, broken in slots:
        if isinstance(identify(broken, 0), Decoded):
            continue
        cases[name] = {"slot": pack(broken).hex(), **witness}
    return cases


def _witness(row: Instruction, around: Carrier) -> dict[str, str]:
    results = run(around, fixed(row, around))
    idle = run(around, Decoded(isa().by_name["JA"]))
    if results is None or results == idle or facts(row).kind is Kind.ADDRESS:
        return {}
    little, big = (f"{results[order]:#x}" for order in BYTE_ORDERS)
    return {"witness": little} if little == big else {"witness.little": little, "witness.big": big}


def _draft(
    name: str, what: str, around: Carrier, covers: tuple[str, ...], errata: str, cases: dict[str, dict[str, str]]
) -> Draft:
    before, after = assemble(around.before).hex(), assemble(around.after).hex()
    return Draft(
        name,
        what,
        covers,
        cases,
        code=f"{before} {{slot}} {after}".strip(),
        memory=MEMORY,
        maps=around.maps,
        variables=around.variables,
        helpers=tuple(("btf", number) for number in around.functions),
        errata=(errata,),
        rejected=True,
    )


def _stray_fields(row: Instruction) -> Iterator[Draft]:
    """Yield each fixed field with values that no instruction has.

    Of fields that select a row, only src has other operands from row to row; the others are for the first of their
    opcode that stands in the same program.
    """
    around = carrier(row)
    first = next(other for other in isa().by_opcode[row.opcode] if carrier(other) == around)
    right = slots_of(fixed(row, around))
    for name, rule in row.fields.items():
        selects = isinstance(rule, Fixed) and not rule.unused and name != "next_imm"
        once = selects and name != "src"
        if not isinstance(rule, Fixed) or (once and first is not row):
            continue
        broken: list[tuple[str, tuple[Slot, ...]]] = []
        for value in _stray_values(row, name, rule):
            if name == "next_imm":
                broken.append((named(value), (right[0], right[1]._replace(imm=value))))
            else:
                broken.append((named(value), (right[0]._replace(**{name: value}), *right[1:])))
        cases = _cases(row, around, broken)
        if cases:
            what = f"{name} has no such value" if selects else f"{name} must be 0"
            yield _draft(
                f"{slug(row)}/stray-{name.replace('_', '-')}", what, around, *_field_rule(row, name, rule), cases
            )


def _stray_values(row: Instruction, name: str, rule: Fixed) -> Iterable[int]:
    defined = [r.value for other in isa().by_opcode[row.opcode] if isinstance(r := other.fields[name], Fixed)]
    # Values of other rows with a bit that a decoder of fewer bits ignores.
    beyond = [value | bits for value in defined for bits in _BEYOND] if len(set(defined)) > 1 else []
    if name == "src" and not rule.unused:
        return range(16)
    if name == "imm" and not rule.unused:
        # For atomic operations all values of a byte.
        return (
            *(
                _END_WIDTHS
                if facts(row).kind is Kind.SWAP
                else (*range(256), (1 << 31) - 1, -1, *(-value for value in defined))
            ),
            *beyond,
        )
    if name == "offset" and beyond:
        beside = [4, *(value + step for value in defined for step in (-8, -1, 1, 8))]
        beside += [number for value in defined for number in (2 * value, value // 2, -value)]
        beyond = [value for value in (*beyond, *beside) if -0x8000 <= value < 0x8000]
    return (*_STRAY[name], *beyond, *_share(row, name))


def _share(row: Instruction, name: str, *, second: bool = False) -> Iterator[int]:
    """Yield single bits of a field that rows of one class share among them, so that each is set in one of them."""
    alike = [
        other
        for other in isa().instructions
        if (other.opcode ^ row.opcode) & 7 == 0 and (other.wide if second else _is_unused(other, name))
    ]
    left = [bit for bit in range(_BITS[name] - 1) if 1 << bit not in _STRAY[name]]
    if row in alike:
        for place in range(alike.index(row), len(left), len(alike)):
            yield 1 << left[place]


def _is_unused(row: Instruction, name: str) -> bool:
    rule = row.fields.get(name)
    return isinstance(rule, Fixed) and (rule.unused or name == "next_imm")


#: By kind and field that selects an instruction: the requirement about its undefined values, and the erratum.
_VALUE_RULES = {
    (Kind.SWAP, "imm"): ("4.2-end-width", "undefined-offsets"),
    (Kind.HELPER, "src"): ("4.3-call-src-reg", "reserved-opcodes"),
    (Kind.CALL, "src"): ("4.3-call-src-reg", "reserved-opcodes"),
    (Kind.ATOMIC, "imm"): ("5.3-undefined-imm", "undefined-atomic-imm"),
    (Kind.CONSTANT, "src"): ("5.4-undefined-subtypes", "undefined-lddw-subtypes"),
    (Kind.ADDRESS, "src"): ("5.4-undefined-subtypes", "undefined-lddw-subtypes"),
}


def _field_rule(row: Instruction, name: str, rule: Fixed) -> tuple[tuple[str, ...], str]:
    """Return the requirements and the erratum about undefined values of a field."""
    word = name.replace("_", "-")
    if name == "next_imm":
        return ("rfc9669-5.4-unused-next-imm-zero",), "unused-fields-and-runtimes"
    if not rule.unused:
        kind = Kind.ATOMIC if facts(row).locked else facts(row).kind
        requirement, erratum = _VALUE_RULES.get((kind, name), ("3.1-unused-fields-zero", "undefined-offsets"))
        return (f"rfc9669-{requirement}",), erratum
    general = ("rfc9669-3.1-unused-fields-zero", f"rfc9669-3.1-unused-{word}-zero")
    defined = any(isinstance(r := other.fields[name], Fixed) and not r.unused for other in isa().by_opcode[row.opcode])
    return general, "undefined-offsets" if defined else "unused-fields-and-runtimes"


def _high_registers(row: Instruction) -> Iterator[Draft]:
    """Registers above r10: an entry for each role, one for both if they need the same program around them."""
    found: list[Draft] = []
    for name in ("dst", "src"):
        if isinstance(row.fields[name], Operand):
            around = _carrier_for_any(row, name)
            right = slots_of(fixed(row, around))
            broken = [(f"{name}-r{n}", (right[0]._replace(**{name: n}), *right[1:])) for n in range(11, 16)]
            cases = {case: {"slot": values["slot"]} for case, values in _cases(row, around, broken).items()}
            covers = (f"rfc9669-3.1-{name}-reg-range", "rfc9669-3.1-registers")
            draft = _draft(f"{slug(row)}/high-{name}", "", around, covers, "register-numbers-above-10", cases)
            if found and draft.code == found[0].code:
                both = (*found[0].covers, *covers)
                found = [replace(draft, id=f"{slug(row)}/high", covers=both, cases={**found[0].cases, **cases})]
            else:
                found.append(draft)
    for draft in found:
        yield replace(draft, what="a register above r10")


def _carrier_for_any(row: Instruction, role: str) -> Carrier:
    """Return a program that returns for each of r3 to r7 in place of a register above r10."""
    accesses = [node for node in tree.walk(*row.means) if isinstance(node, tree.Load | tree.Store)]
    if not accesses or facts(row).kind is Kind.PACKET:
        return carrier(row)
    is_base = any(isinstance(node, tree.Register) and node.name == role for node in tree.walk(accesses[0].address))
    value, base = "0x8877665544332211 ll", "r9"
    alike, other = (base, value) if is_base else (value, base)
    before = f"r9 = r1\nr8 = {other}\n" + "".join(f"r{n} = {alike}\n" for n in range(3, 8)) + "r0 = 1\n"
    after = f"r5 = *(u64 *)(r9 + 8)\nr0 ^= r{8 if is_base else 3}\nr0 ^= r5\nexit\n"
    fields = {"dst": 8, "src": 8, "offset": 8, "imm": 0x1234, role: 3}
    return Carrier(before, fields, after)


def _frame_pointer(row: Instruction) -> Iterator[Draft]:
    """R10 where the row writes a register."""
    around = carrier(row)
    first, *rest = slots_of(fixed(row, around))
    written = sorted(row.writes & {"dst", "src"})
    cases = {name: {"slot": pack((first._replace(**{name: 10}), *rest)).hex()} for name in written}
    if cases:
        covers = tuple(f"rfc9669-3.1-{name}-reg-range" for name in written)
        what = "an instruction that would change r10"
        yield _draft(f"{slug(row)}/writes-r10", what, around, covers, "frame-pointer-read-only", cases)


def _second_slot(row: Instruction) -> Draft:
    """Return second slots with each field set, and an instruction in place of one."""
    around = carrier(row)
    first, second = slots_of(fixed(row, around))
    imm = 7 if isinstance(row.fields["next_imm"], Operand) else 0
    broken = {
        **{f"opcode-{n}": second._replace(opcode=n) for n in (*(1 << bit for bit in range(8)), 0xFF)},
        **{f"{name}-{named(n)}": second._replace(**{name: n}) for name in ("dst", "src") for n in _STRAY[name]},
        **{
            f"offset-{named(n)}": second._replace(offset=n)
            for n in (*_STRAY["offset"], *_share(row, "offset", second=True))
        },
        "instruction": slots_of(Decoded(isa().by_name["MOV64_K"], dst=3, imm=imm))[0],
    }
    cases = _cases(row, around, [(name, (first, slot)) for name, slot in broken.items()])
    fields = ("opcode", "dst", "src", "offset")
    covers = tuple(f"rfc9669-3.2-second-slot-{name}-zero" for name in fields)
    what = "the second slot of a wide instruction has next_imm only"
    return _draft(f"{slug(row)}/second-slot", what, around, covers, "truncated-programs", cases)


def _undefined_opcodes() -> Iterator[Draft]:
    """Yield every undefined opcode in place of the instructions closest to it, with their operands.

    Those that need the same program around them share an entry, which has the name of the first of them.
    """
    entries: dict[tuple[object, ...], Draft] = {}
    what = "undefined opcodes, each with the operands of the instruction that the case names"
    for opcode in range(256):
        if opcode in isa().by_opcode:
            continue
        for row, rule in _close_to(opcode):
            around = carrier(row)
            first, *rest = slots_of(fixed(row, around))
            cases = _cases(row, around, [(f"{opcode:02x}-{slug(row)}", (first._replace(opcode=opcode), *rest))])
            name = f"undefined-opcodes/like-{slug(row)}"
            draft = _draft(name, what, around, (f"rfc9669-{rule}",), "reserved-opcodes", cases)
            same = draft.code, draft.variables, draft.helpers, draft.maps, rule
            entries[same] = replace(entries.get(same, draft), cases={**entries.get(same, draft).cases, **cases})
    for draft in entries.values():
        yield replace(draft, cases=_by_order(draft.cases))


def _by_order(cases: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """Return ``cases`` with all witnesses by byte order, if one of them is."""
    if not any("witness.little" in values for values in cases.values()):
        return cases
    return {
        name: {"slot": values["slot"]}
        | {
            f"witness.{order}": values.get(f"witness.{order}") or values["witness"]
            for order in BYTE_ORDERS
            if len(values) > 1
        }
        for name, values in cases.items()
    }


def _close_to(opcode: int) -> Iterator[tuple[Instruction, str]]:
    """Yield instructions that differ from an undefined opcode in one field or one bit, and the requirement about it.

    Those with one bit changed come first. An opcode that is close to none replaces an addition.
    """
    table = isa()
    near = [
        other
        for other in table.by_opcode
        if differing_part(opcode, other) is not None or (opcode ^ other).bit_count() == 1
    ]
    for other in sorted(near, key=lambda other: ((other ^ opcode).bit_count(), other ^ opcode)):
        row = table.by_opcode[other][0]
        yield row, _OPCODE_RULES[facts(row).kind]
    if not near:
        code = opcode & 7
        rule = (
            "4.1-undefined-codes"
            if code in (4, 7)
            else "4.3-undefined-codes"
            if code in (5, 6)
            else "5-undefined-modes"
        )
        yield table.by_name["ADD64_X"], rule


#: By kind of the closest instruction: the requirement that leaves an opcode undefined.
_OPCODE_RULES = {
    **dict.fromkeys((Kind.ALU, Kind.SWAP), "4.1-undefined-codes"),
    **dict.fromkeys((Kind.CONDITION, Kind.JUMP), "4.3-undefined-codes"),
    **dict.fromkeys((Kind.HELPER, Kind.CALL), "4.3-call-k-jmp-only"),
    Kind.EXIT: "4.3-undefined-codes",
    **dict.fromkeys((Kind.LOAD, Kind.STORE, Kind.ATOMIC), "5-undefined-combinations"),
    **dict.fromkeys((Kind.CONSTANT, Kind.ADDRESS, Kind.PACKET), "5-undefined-combinations"),
}
