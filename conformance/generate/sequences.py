# SPDX-License-Identifier: Apache-2.0
"""Sequences of dependent instructions: results, stored bytes, flags and jump targets.

Pipelines forward results and stored bytes; compilers fuse instructions and keep facts about registers and memory. Each
may fail for certain sequences only. So a program has many small parts, and each stores its result, in the order of the
parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product

from .draft import Draft
from .registers import END, LONG_PATTERN, stored

#: The old value of the register that is written: its upper half shows whether only 32 bits are written.
_OLD = 0xA5A5A5A5C3C3C3C3
#: Instructions that write register {t}, from the number in r8, from memory at r6 or from its old value.
_MAKERS: Mapping[str, str] = {
    "add64-k": "r{t} += 0x1234567",
    "add64-x": "r{t} += r8",
    "sub32-k": "w{t} -= 7",
    "xor32-x": "w{t} ^= w8",
    "and64-k": "r{t} &= -256",
    "neg32": "w{t} = -w{t}",
    "neg64": "r{t} = -r{t}",
    "mov64-k": "r{t} = -559038737",
    "mov64-x": "r{t} = r8",
    "mov32-k": "w{t} = -559038737",
    "mov32-x": "w{t} = w8",
    "movsx8-64": "r{t} = (s8)r8",
    "movsx16-32": "w{t} = (s16)w8",
    "movsx32-64": "r{t} = (s32)r8",
    "mul64-x": "r{t} *= r8",
    "mul32-k": "w{t} *= 77",
    "div64-x": "r{t} /= r8",
    "sdiv64-k": "r{t} s/= -3",
    "mod32-k": "w{t} %= 1000000007",
    "smod32-x": "w{t} s%= w8",
    "lsh64-k": "r{t} <<= 9",
    "lsh32-x": "w{t} <<= w8",
    "rsh64-x": "r{t} >>= r8",
    "rsh32-k": "w{t} >>= 3",
    "arsh32-k": "w{t} s>>= 5",
    "ldx-b": "r{t} = *(u8 *)(r6 + 9)",
    "ldx-w": "r{t} = *(u32 *)(r6 + 8)",
    "ldx-dw": "r{t} = *(u64 *)(r6 + 8)",
    "ldxsx-h": "r{t} = *(s16 *)(r6 + 8)",
    "lddw": "r{t} = 0x0123456789abcdef ll",
    "fetch-or-64": "r{t} = atomic_fetch_or((u64 *)(r6 + 8), r{t})",
    "fetch-add-32": "w{t} = atomic_fetch_add((u32 *)(r6 + 16), w{t})",
    "xchg-32": "w{t} = xchg32_32(r6 + 16, w{t})",
    "be16": "r{t} = be16 r{t}",
    "bswap32": "r{t} = bswap32 r{t}",
    "bswap64": "r{t} = bswap64 r{t}",
}
_FOR_DIVISION = frozenset(
    ["add64-k", "mov32-k", "mov64-x", "mul64-x", "div64-x", "lsh64-k", "ldx-w", "lddw", "bswap32"]
)
#: The same for R0 alone.
_R0_MAKERS: Mapping[str, str] = {
    "cmpxchg-32": "w0 = cmpxchg32_32(r6 + 16, w0, w8)",
    "cmpxchg-64": "r0 = cmpxchg_64(r6 + 8, r0, r8)",
    "call-local": "call local make",
}
#: Uses of register {t}, by name: assembly before it is written, the use, and the result register: r7, {t} itself,
#: or none if it is in memory.
_USES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "arithmetic": (
        ("", "r{t} += r8", "{t}"),
        ("r7 = 1", "r7 -= r{t}", "7"),
        ("", "w{t} ^= w8", "{t}"),
        ("r7 = 0x700000007 ll", "w7 += w{t}", "7"),
        ("r7 = -1", "r7 <<= r{t}", "7"),
        ("", "r{t} s>>= 1", "{t}"),
        ("", "r{t} = -r{t}", "{t}"),
        ("", "w{t} = w{t}", "{t}"),
        ("", "r7 = r{t}", "7"),
        ("", "w7 = w{t}", "7"),
        ("", "r7 = (s16)r{t}", "7"),
        ("", "r{t} = be64 r{t}", "{t}"),
        ("", "r{t} = bswap16 r{t}", "{t}"),
    ),
    "division": (
        ("", "r{t} /= r8", "{t}"),
        ("r7 = -1", "r7 %= r{t}", "7"),
        ("r7 = -1", "w7 s/= w{t}", "7"),
        ("", "r{t} *= r8", "{t}"),
    ),
    "conditions": (
        (f"r7 = {_OLD:#x} ll", "if r{t} == r7 goto +1\nr7 = 5", "7"),
        (f"r7 = {_OLD:#x} ll", "if r7 == r{t} goto +1\nr7 = 5", "7"),
        ("r7 = 0xffffffff ll", "if r{t} > r7 goto +1\nr7 = 5", "7"),
        ("r7 = 0xffffffff ll", "if r7 < r{t} goto +1\nr7 = 5", "7"),
        ("r7 = 9", "if w{t} == -1010580541 goto +1\nr7 = 5", "7"),
        ("r7 = 9", "if r{t} s< 0 goto +1\nr7 = 5", "7"),
        ("r7 = 9", "if r{t} & 0x40000000 goto +1\nr7 = 5", "7"),
    ),
    "memory": (
        ("", "*(u64 *)(r6 + {at}) = r{t}", ""),
        ("", "*(u32 *)(r6 + {at}) = r{t}", ""),
        ("", "*(u16 *)(r6 + {at}) = r{t}", ""),
        ("", "*(u8 *)(r6 + {at}) = r{t}", ""),
        ("", "lock *(u64 *)(r6 + {at}) += r{t}", ""),
        ("", "lock *(u32 *)(r6 + {at}) |= w{t}", ""),
        ("", "r{t} = atomic_fetch_xor((u64 *)(r6 + {at}), r{t})", ""),
        ("", "r{t} = xchg_64(r6 + {at}, r{t})", ""),
    ),
    "exchanges-and-calls": (
        ("r0 = 0", "r0 = cmpxchg_64(r6 + {at}, r0, r{t})", ""),
        ("r0 = 0", "w0 = cmpxchg32_32(r6 + {at}, w0, w{t})", ""),
        ("", "call local give", "0"),
        ("r1 = 0", "r1 = r{t}\ncall local give_r1", "0"),
    ),
    "r0": (
        ("*(u64 *)(r6 + {at}) = r0", "r0 = cmpxchg_64(r6 + {at}, r0, r8)", ""),
        ("*(u32 *)(r6 + {at}) = r0", "w0 = cmpxchg32_32(r6 + {at}, w0, w8)", ""),
        ("r7 = 1", "r7 -= r0", "7"),
        ("", "r0 += r8", "0"),
        (f"r7 = {_OLD:#x} ll", "if r0 == r7 goto +1\nr7 = 5", "7"),
        ("r7 = 0xffffffff ll", "if r0 > r7 goto +1\nr7 = 5", "7"),
        ("r7 = 0xffffffff ll", "if r7 < r0 goto +1\nr7 = 5", "7"),
        ("", "*(u64 *)(r6 + {at}) = r0\nr0 = cmpxchg_64(r6 + {at}, r0, r8)", ""),
        ("", "*(u64 *)(r6 + {at}) = r0", ""),
        ("", "lock *(u64 *)(r6 + {at}) += r0", ""),
        ("", "r0 = atomic_fetch_and((u64 *)(r6 + {at}), r0)", ""),
        ("", "r7 = r0", "7"),
        ("", "r0 = be64 r0", "0"),
        ("", "w0 = w0", "0"),
    ),
}
#: Results begin after the bytes that stores may change.
_HEAD = 32


def drafts() -> Iterator[Draft]:
    """Yield the vectors of results, addresses and flags."""
    yield from _results()
    for gap in range(3):
        yield _returned(gap)
    yield _addresses()
    yield _flags()


def _filler(count: int) -> str:
    return "r9 += 1\n" * count


def _results() -> Iterator[Draft]:
    """A result is used by the next instruction, by the one after that, and by the third."""
    for name, uses in _USES.items():
        target = "0" if name == "r0" else "3"
        makers = {**_MAKERS, **_R0_MAKERS} if name == "r0" else _MAKERS
        if name == "division":
            makers = {maker: text for maker, text in makers.items() if maker in _FOR_DIVISION}
        asm = "r6 = r1\nr8 = 0x89abcdef00000085 ll\nr9 = 0\n"
        asm += "call local make\n" if name == "r0" else ""
        for place, ((before, use, result), gap) in enumerate(product(uses, range(3))):
            part = f"r{{t}} = {_OLD:#x} ll\n" + (f"{before}\n" if before else "")
            part += f"{_filler(3)}{{make}}\n{_filler(gap)}{use}\n"
            part += f"*(u64 *)(r6 + {{at}}) = r{result}\n" if result else ""
            asm += part.replace("{at}", str(_HEAD + 8 * place)).replace("{t}", target)
        asm += END + _FUNCTIONS.get(name, "")
        cases = {maker: {"make": text.replace("{t}", target)} for maker, text in makers.items()}
        what = "a result in the next instruction, in the one after it and in the third"
        called = bool(_FUNCTIONS.get(name))
        yield Draft(
            f"result/{name}",
            what,
            (*_COVERS[name], *(("rfc9669-4.3.2-call-local",) if called else ())),
            cases,
            asm,
            observe=("after",),
            memory=f"{LONG_PATTERN} 00*{24 * len(uses)}",
            errata=("calling-convention",) if called else (),
        )


def _returned(gap: int) -> Draft:
    """A result in R0 that the program returns. Nothing else is compared, so that no generated end follows it."""
    makers = {**_MAKERS, **{name: text for name, text in _R0_MAKERS.items() if "call" not in text}}
    asm = f"r6 = r1\nr8 = 0x89abcdef00000085 ll\nr9 = 0\nr0 = {_OLD:#x} ll\n{_filler(3)}{{make}}\n{_filler(gap)}exit\n"
    return Draft(
        f"result/returned-{gap}",
        f"a result that is returned, {gap} instructions later",
        ("rfc9669-4.3-exit", "rfc9669-4.1-alu32-zero-extends", "rfc9669-5.3-fetch-32-zero-extends"),
        {maker: {"make": text.replace("{t}", "0")} for maker, text in makers.items()},
        asm,
        memory=LONG_PATTERN,
    )


#: The functions that uses and makers call.
_FUNCTIONS = {
    "exchanges-and-calls": "give:\nr0 = r3\nexit\ngive_r1:\nr0 = r1\nexit\n",
    "r0": "make:\nr0 = 0xfedcba98 ll\nexit\n",
}
_COVERS: Mapping[str, tuple[str, ...]] = {
    "arithmetic": ("rfc9669-4.1-add", "rfc9669-4.1-sub", "rfc9669-4.1-mov", "rfc9669-4.1-alu32-zero-extends"),
    "division": ("rfc9669-4.1-div", "rfc9669-4.1-mod", "rfc9669-4.1-sdiv", "rfc9669-4.1-mul"),
    "conditions": ("rfc9669-4.3-jeq", "rfc9669-4.3-jgt", "rfc9669-4.3-jlt", "rfc9669-4.3-jset"),
    "memory": ("rfc9669-5.1-stx-mem-dw", "rfc9669-5.3-add-64", "rfc9669-5.3-xchg-64"),
    "exchanges-and-calls": ("rfc9669-5.3-cmpxchg-64", "rfc9669-5.3-cmpxchg-32"),
    "r0": ("rfc9669-5.3-cmpxchg-64", "rfc9669-5.3-cmpxchg-32", "rfc9669-5.3-cmpxchg-loads-r0"),
}
_ADDRESS_MAKERS: Mapping[str, str] = {
    "mov": "r3 = r7",
    "add-k": "r3 += -32",
    "add-x": "r3 += r4",
    "load": "r3 = *(u64 *)(r10 - 8)",
}
#: Accesses to the second of the eight bytes that r3 points to, where they may begin there.
_ACCESSES = (
    *(f"r5 = *({kind} *)(r3 + 0)" for kind in ("u8", "u16", "u32", "u64", "s8", "s16", "s32")),
    *(f"*({kind} *)(r3 + 0) = r8" for kind in ("u8", "u16", "u32", "u64")),
    *(f"*({kind} *)(r3 + 0) = {{imm}}" for kind in ("u8", "u16", "u32", "u64")),
    "lock *(u64 *)(r3 + 0) += r8",
    "lock *(u32 *)(r3 + 0) ^= w8",
    "r5 = atomic_fetch_add((u64 *)(r3 + 0), r5)",
    "w5 = xchg32_32(r3 + 0, w5)",
    "r0 = cmpxchg_64(r3 + 0, r0, r8)",
)


def _addresses() -> Draft:
    """R3 holds another address before it is set, at which loads and stores have other results."""
    asm = "r6 = r1\nr7 = r1\nr7 += 16\n*(u64 *)(r10 - 8) = r7\nr4 = -32\nr8 = 0x89abcdef00000085 ll\nr9 = 0\n"
    for place, (access, gap) in enumerate(product(_ACCESSES, range(3))):
        asm += "r0 = *(u64 *)(r6 + 16)\nr8 += 0x01010101\nr5 = r8\nr3 = r6\nr3 += 48\n"
        asm += f"{_filler(3)}{{make}}\n{_filler(gap)}{access.replace('{imm}', str(place * 257 - 4000))}\n"
        asm += f"r0 = *(u64 *)(r6 + 16)\nr0 ^= r5\n*(u64 *)(r6 + {64 + 8 * place}) = r0\n"
    return Draft(
        "result/address",
        "an address in the next instruction, in the one after it and in the third",
        ("rfc9669-5.1-address-offset", "rfc9669-5.3-address"),
        {maker: {"make": text} for maker, text in _ADDRESS_MAKERS.items()},
        asm + END,
        observe=("after",),
        memory=f"{LONG_PATTERN} c1 42 c3 44 45 c6 47 c8*25 00*{24 * len(_ACCESSES)}",
        errata=("stack-and-call-depth",),
    )


#: Operands whose sum, difference, product or shift overflows, is zero or changes its sign, at 32 and at 64 bits.
_PAIRS = (
    (5, 7),
    (7, 5),
    (5, 5),
    (3, 1),
    (1 << 63, 1),
    ((1 << 63) - 1, 0xFFFFFFFFFFFFFFFF),
    (0x8000000080000000, 1),
    (0x7FFFFFFF7FFFFFFF, 0xFFFFFFFFFFFFFFFF),
    (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF80000000),
    (0xC0000000C0000000, 0x8000000080000001),
    (0x0000000100000000, 0x100000001),
    (0x8000000080000000, 0x8000000080000000),
)
_CONDITIONS = ("== 0", "!= 0", "> 0", ">= 0", "< 0", "<= 0", "s> 0", "s>= 0", "s< 0", "s<= 0")


def _flags() -> Draft:
    """Results compared with zero: the flags of an addition or subtraction also depend on overflow and carry."""
    asm = f"r6 = r1\n{stored(chain(*_PAIRS), 'r6')}"
    # Results are stored after all pairs.
    head = 16 * len(_PAIRS)
    asm += "r9 = r1\nr8 = 0\nagain:\n"
    for place, condition in enumerate(_CONDITIONS):
        asm += "r3 = *(u64 *)(r6 + 0)\nr4 = *(u64 *)(r6 + 8)\nr5 = 1\n"
        asm += f"{{act}}\nif {{r}}3 {condition} goto +1\nr5 = 2\n*(u8 *)(r9 + {head + place}) = r5\n"
    asm += f"r6 += 16\nr9 += {len(_CONDITIONS)}\nr8 += 1\nif r8 != {len(_PAIRS)} goto again\n"
    cases = {}
    for r, width in (("r", "64"), ("w", "32")):
        for name, sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("and", "&"), ("or", "|"), ("xor", "^")):
            cases[f"{name}{width}"] = {"r": r, "act": f"{r}3 {sign}= {r}4"}
        for name, sign in (("lsh", "<<"), ("rsh", ">>"), ("arsh", "s>>")):
            cases[f"{name}{width}"] = {"r": r, "act": f"{r}3 {sign}= {r}4"}
        cases[f"neg{width}"] = {"r": r, "act": f"{r}3 = -{r}3"}
    what = f"{len(_PAIRS)} results compared with 0 in {len(_CONDITIONS)} ways each; a byte is 2 if the condition fails"
    covers = tuple(f"rfc9669-4.3-{name}" for name in ("jgt", "jge", "jlt", "jle", "jsgt", "jsge", "jslt", "jsle"))
    memory = f"00*{head + len(_PAIRS) * len(_CONDITIONS)}"
    return Draft("result/compared-with-0", what, covers, cases, asm + END, observe=("after",), memory=memory)
