# SPDX-License-Identifier: Apache-2.0
"""Coverage as one HTML page, without scripts and external resources."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...spec.plain import plain
from ...spec.table import isa
from ..results.document import DISTRIBUTION
from ..run.verdict import Verdict
from .confirm import Confirmation, confirmed_by_any
from .document import hole_name
from .measure import Coverage


def page(coverage: Coverage, confirmed: Sequence[Confirmation] = ()) -> str:
    """Return the page; ``confirmed`` has the verdicts of runtimes, if given."""
    environment = Environment(
        loader=PackageLoader(__package__, "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("page.html").render(
        coverage=coverage,
        confirmed=confirmed,
        by_any=len(confirmed_by_any(confirmed)),
        holes=[hole_name(item) for item in coverage.holes],
        includes=isa().groups,
        passed=Verdict.PASS,
        version=version(DISTRIBUTION),
    )
    return plain(text, lines=True)
