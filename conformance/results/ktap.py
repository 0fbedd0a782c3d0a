# SPDX-License-Identifier: Apache-2.0
"""Results as KTAP, the kernel's test anything protocol (Documentation/dev-tools/ktap.rst): vectors below runtimes."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.plain import plain
from ..run.runner import Result, RuntimeRun
from ..run.verdict import Failure, Verdict
from .document import Run
from .explain import as_text

_VERSION = "KTAP version 1"


def ktap(run: Run) -> str:
    """Return ``run`` as KTAP. What is unsupported is skipped; failures have their explanation before them."""
    lines = [_VERSION, f"1..{len(run.runtimes)}"]
    for number, one in enumerate(run.runtimes, 1):
        if one.info is None:
            ok, directive = ("not ok", "ERROR") if one.broken else ("ok", "SKIP")
            lines.append(f"{ok} {number} {_name(one.name)} # {directive} {_flat(one.problem)}")
            continue
        lines += (f"  {line}" for line in _runtime(one))
        bad = any(result.judgement.verdict in {Verdict.FAIL, Verdict.ERROR} for result in one.results)
        lines.append(f"{'not ok' if bad else 'ok'} {number} {_name(one.name)}")
    return "\n".join(lines) + "\n"


def _runtime(one: RuntimeRun) -> Iterator[str]:
    assert one.info is not None
    yield _VERSION
    yield f"# Subtest: {_name(one.name)}"
    who = (one.info.version, one.info.engine, one.info.architecture, one.info.byte_order)
    yield f"# {_flat(', '.join(who))}"
    yield f"1..{len(one.results)}"
    for number, result in enumerate(one.results, 1):
        if result.judgement.verdict is Verdict.FAIL:
            yield from (f"# {line}" for line in as_text(result, one.info.byte_order).splitlines())
        yield _line(number, result)


def _line(number: int, result: Result) -> str:
    judgement = result.judgement
    reason = _flat(str(judgement.reason))
    match judgement.verdict:
        case Verdict.PASS:
            ok, directive = "ok", ""
        case Verdict.UNSUPPORTED:
            ok, directive = "ok", f" # SKIP {reason}"
        case Verdict.ERROR:
            ok, directive = "not ok", f" # ERROR {reason}"
        case Verdict.FAIL:
            ok, directive = "not ok", " # TIMEOUT" if judgement.failure is Failure.TIMED_OUT else ""
    return f"{ok} {number} {_name(result.vector.id)}{directive}"


def _name(text: str) -> str:
    """Return a name without the character that begins a directive."""
    return _flat(text).replace("#", "_")


def _flat(text: str) -> str:
    return " ".join(plain(text).split())
