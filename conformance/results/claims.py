# SPDX-License-Identifier: Apache-2.0
"""Conformance groups that the user claims for a runtime, and which ones a run suggests to claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from ...adapters.registry import RuntimeSpec
from ...spec.groups import closure, minimal
from ...spec.table import isa
from ..run.discovery import judged
from ..run.runner import Result, RuntimeRun
from ..run.verdict import Verdict
from .gate import RequirementError, parse_requirements

#: A group counts as missing if this share of the programs that should return is refused, of at least this many.
_NEARLY_ALL = 0.9
_ENOUGH = 8


def claiming(specs: Sequence[RuntimeSpec], texts: Sequence[str]) -> list[RuntimeSpec]:
    """Return ``specs`` with the claims of ``--claims``: groups of all of them, or ``RUNTIME:GROUP``.

    Raises:
        RequirementError: a group is none, or a runtime is not among ``specs``.
    """
    claims = parse_requirements(texts, "--claims")
    names = [spec.name for spec in specs]
    for claim in claims:
        if claim.runtime is not None and claim.runtime not in names:
            wanted = f"--claims {claim.runtime}:{claim.group}"
            raise RequirementError(f"{wanted}: no runtime has this name; there are {', '.join(names)}")
    claimed = {
        name: tuple(dict.fromkeys(claim.group for claim in claims if claim.runtime in {None, name})) for name in names
    }
    return [replace(spec, claims=claimed[spec.name]) if claimed[spec.name] else spec for spec in specs]


def suggestion(one: RuntimeRun) -> str | None:
    """Return what to claim for a runtime that refuses nearly all of some conformance groups; None if it does not.

    Only programs count that should return and need no other missing group, and refusals for which no platform or
    policy is to blame.
    """
    if one.info is None:
        return None
    asked = set(isa().groups) if one.info.groups is None else closure(one.info.groups)
    missing: dict[str, int] = {}
    left = []
    for name in isa().groups:
        refused = list(_refused(one.results, name, missing.keys()))
        if name not in asked or not refused:
            continue
        if len(refused) >= _ENOUGH and sum(refused) >= _NEARLY_ALL * len(refused):
            missing[name] = sum(refused)
        elif not all(refused) and missing.keys().isdisjoint(closure([name])):
            left.append(name)
    if not missing or not left:
        return None
    refusal = f"{one.name} refuses nearly all of {', '.join(missing)} ({sum(missing.values()):,} vectors)"
    claims = [name for name in left if name in minimal(left)]
    return f"{refusal}: if it does not have them, say what it has with --claims {','.join(claims)}"


def _refused(results: Iterable[Result], group: str, missing: Collection[str]) -> Iterator[bool]:
    """Yield, for each vector about a group that says something about it, whether the runtime refused it."""
    for result in results:
        vector = result.vector
        if group not in vector.reported or not vector.little.expect.returns or not vector.groups.isdisjoint(missing):
            continue
        if result.judgement.verdict is Verdict.PASS:
            yield False
        elif (state := judged(result)[0]) != "unknown":
            yield state == "missing"
