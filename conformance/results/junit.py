# SPDX-License-Identifier: Apache-2.0
"""Results as JUnit XML, for the tools that read it: a test suite per runtime, a test case per vector."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from xml.etree import ElementTree as ET

from ...spec.plain import plain
from ..run.runner import Result, RuntimeRun
from ..run.verdict import Verdict
from .document import Run, counts
from .explain import as_text


def junit(run: Run) -> str:
    """Return the JUnit XML of ``run``. Unsupported vectors are skipped tests, with the reason."""
    return as_xml(((one, run.started) for one in run.runtimes), run.seconds, run.selection.tier)


def as_xml(runs: Iterable[tuple[RuntimeRun, datetime]], seconds: float, tier: str) -> str:
    """Return the JUnit XML of what runtimes did with a tier of the suite, with when each run began.

    ``seconds`` is what all took.
    """
    root = ET.Element("testsuites", name="bpf-isa", time=f"{seconds:.3f}")
    for one, started in runs:
        root.append(_suite(one, started.strftime("%Y-%m-%dT%H:%M:%S"), tier))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(one: RuntimeRun, timestamp: str, tier: str) -> ET.Element:
    if one.info is None:
        suite = ET.Element("testsuite", name=plain(one.name), timestamp=timestamp, tests="1", failures="0", time="0")
        suite.set("errors", "1" if one.broken else "0")
        suite.set("skipped", "0" if one.broken else "1")
        case = ET.SubElement(suite, "testcase", classname=plain(one.name), name="(the runtime)", time="0")
        ET.SubElement(case, "error" if one.broken else "skipped", message=plain(one.problem))
        return suite
    number = counts(one.results)
    suite = ET.Element("testsuite", name=plain(one.name), timestamp=timestamp, time=f"{one.seconds:.3f}")
    suite.set("tests", str(len(one.results)))
    suite.set("failures", str(number["fail"]))
    suite.set("errors", str(number["error"]))
    suite.set("skipped", str(number["unsupported"]))
    properties = ET.SubElement(suite, "properties")
    for name in ("name", "version", "engine", "architecture", "byte_order", "kernel_release"):
        ET.SubElement(properties, "property", name=name, value=plain(str(getattr(one.info, name) or "")))
    ET.SubElement(properties, "property", name="tier", value=tier)
    for result in one.results:
        suite.append(_case(one, result))
    return suite


def _case(one: RuntimeRun, result: Result) -> ET.Element:
    assert one.info is not None
    seconds = (result.outcome.seconds if result.outcome else None) or 0
    group = "+".join(sorted(result.vector.reported))
    place, name = plain(f"{one.name}.{group}"), plain(result.vector.id)
    case = ET.Element("testcase", classname=place, name=name, time=f"{seconds:.6f}")
    message = plain(str(result.judgement.reason))
    match result.judgement.verdict:
        case Verdict.FAIL:
            kind = result.judgement.failure or ""
            failure = ET.SubElement(case, "failure", message=message, type=kind)
            failure.text = as_text(result, one.info.byte_order)
        case Verdict.UNSUPPORTED:
            ET.SubElement(case, "skipped", message=message)
        case Verdict.ERROR:
            ET.SubElement(case, "error", message=message)
        case Verdict.PASS:
            pass
    return case
