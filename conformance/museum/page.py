# SPDX-License-Identifier: Apache-2.0
"""The page about the museum, ``docs/museum.md``: written from the bugs and the vectors that convict them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ...adapters.miniatures.museum import Bug, Family

#: The kinds of trigger, as the page explains them.
TRIGGERS: Final[Mapping[str, str]] = {
    "upper-half": "the upper half of a register, before or after a 32-bit operation",
    "sign": "a sign that is extended, or not, or a signed operation",
    "condition": "a conditional jump",
    "division": "division and modulo: zero, overflow, signs",
    "registers": "particular registers: R0, R10, the same one twice, one in the host's upper half",
    "immediate": "an immediate at a limit, or 0, 1, -1, the smallest",
    "jump-distance": "a jump at a limit of the host's distances",
    "range": "what a verifier believes of numbers",
    "atomic": "an atomic operation",
    "shift": "a shift by 0, by the width or more, or of half a register",
    "wide": "a 64-bit constant, or another instruction of two slots",
    "local-call": "a local call, its frame, its result",
    "encoding": "fields that should be 0, instructions of a later version",
    "byte-order": "a byte swap",
    "size": "a large program",
    "live": "a register that is live across an instruction that uses the host's registers",
    "offset": "the offset of an access",
    "bounds": "the end of memory, of the stack, of the program",
    "jump-target": "a jump to a particular place: the first instruction, the middle of a wide one",
    "helper-call": "a call of a helper function",
    "stale": "knowledge that is out of date",
    "order": "the order of accesses",
    "host": "the host: its memory, its convention, its processor",
}
_SEEN: Final = {
    "history": "the history of the project",
    "cve": "the CVE record",
    "debian": "Debian's changelog",
    "jitterbug": "the README of Jitterbug",
    "mail": "the kernel's mailing lists",
    "issue": "the issue",
    "page": "a public copy of the commit",
}
_CONCERNS: Final = {
    "isa": "",
    "verifier": "A bug of a verifier. ",
    "platform": "Outside of RFC 9669. ",
}
_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by bpf-isa museum --docs museum.md from adapters/miniatures/museum; edit that. -->
# The museum

Bugs that BPF runtimes have had: {bugs} of them, {confirmed} confirmed in public sources. {isa} concern the instruction
set. For each of those there is a *miniature*: a runtime that is right but for a bug of that shape. The suite convicts
every one: a vector fails that is about a requirement which the bug breaks. The vectors are named, those
with the shortest programs first.

```sh
bpf-isa run -r miniature:linux-x64-fetch-of-r0    # what a runtime with this bug looks like
bpf-isa museum                                    # convict them all
bpf-isa museum --docs museum.md --check           # is this page what the command would write?
```

A miniature is not the code that was wrong. It has the trigger and, as far as that is known, the effect; where code of
the host would run wild, it stops. Bugs of verifiers are modelled, where that is possible, as an optimiser that acts on
what the verifier believed. Where no vector can convict, the entry says why. Descriptions are ours; the references have
the originals. *Unconfirmed* means that no public source was found, only memory.

## What triggers them

A bug can have several triggers.

{triggers}
## Where they were

{families}"""


def page(families: Sequence[Family], convictions: Mapping[str, Sequence[str]]) -> str:
    """Return the page; ``convictions`` are ids of vectors by that of the bug."""
    dated = [bug for family in families for bug in family.bugs if bug.is_historical]
    head = _HEAD.format(
        bugs=len(dated),
        confirmed=sum(bool(bug.seen) for bug in dated),
        isa=sum(bug.concern == "isa" for bug in dated),
        triggers=_table(("trigger", "bugs", "convicted"), _triggers(dated, convictions)),
        families=_table(
            ("", "bugs", "instruction set", "verifier", "platform", "convicted"), _families(families, convictions)
        ),
    )
    return head + "".join(_section(family, convictions) for family in families)


def named(text: str) -> dict[str, list[str]]:
    """Return the ids of vectors that a page names, by the id of the bug."""
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    return {section.split("\n", 1)[0]: _vectors(section) for section in sections}


def _vectors(section: str) -> list[str]:
    found = re.search(r"^- \*\*Convicted by\*\* (.*)$", section, re.MULTILINE)
    return re.findall(r"`([^`]+)`", found[1]) if found else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def _triggers(bugs: Sequence[Bug], convictions: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    having = {name: [bug for bug in bugs if name in bug.triggers] for name in TRIGGERS}
    for name, some in sorted(having.items(), key=lambda pair: -len(pair[1])):
        yield TRIGGERS[name], str(len(some)), str(sum(bool(convictions.get(bug.id)) for bug in some))


def _families(families: Sequence[Family], convictions: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    for family in families:
        counts = [sum(bug.concern == concern for bug in family.bugs) for concern in _CONCERNS]
        convicted = sum(bool(convictions.get(bug.id)) for bug in family.bugs)
        yield family.name, *(str(number) for number in (len(family.bugs), *counts, convicted))


def _section(family: Family, convictions: Mapping[str, Sequence[str]]) -> str:
    entries = "".join(_entry(bug, convictions.get(bug.id, ())) for bug in family.bugs)
    return f"\n## {family.name}\n\n{' '.join(family.about.split())}\n{entries}"


def _entry(bug: Bug, vectors: Sequence[str]) -> str:
    references = ", ".join(_link(one.kind, one.id, one.url) for one in bug.references)
    sources = ", ".join(_SEEN[one] for one in bug.seen)
    origin = f"{bug.where}{_dated(bug)}.{f' {references}.' if references else ''}"
    if bug.is_historical:
        origin += f" Confirmed by {sources}." if sources else " *Unconfirmed.*"
    lines = [
        f"- **Trigger.** {' '.join(bug.trigger.split())}",
        f"- **Fault.** {' '.join(bug.fault.split())}",
    ]
    if bug.miniature is None:
        lines.append(f"- **Not convicted.** {_CONCERNS[bug.concern]}{' '.join(bug.because.split())}")
    else:
        listed = ", ".join(f"`{name}`" for name in vectors)
        about = ", ".join(name.removeprefix("rfc9669-") for name in bug.breaks)
        lines.append(f"- **Convicted by** {listed or 'nothing'}")
        lines.append(f"- **About** {about}")
    return f"\n### {bug.id}\n\n{origin}\n\n" + "".join(f"{line}\n" for line in lines)


def _dated(bug: Bug) -> str:
    if not bug.fixed:
        return ""
    return f", fixed {bug.fixed}" if bug.fixed[0].isdigit() else f", {bug.fixed}"


def _link(kind: str, name: str, url: str) -> str:
    shown = "commit " + url.rsplit("/", 1)[-1] if kind == "report" and "/commit/" in url else name
    return f"[{shown}]({url})"
