# SPDX-License-Identifier: Apache-2.0
"""The runtimes that can be tested, by name; their modules are imported when one is opened.

A runtime is named on the command line as ``KIND``, ``KIND:ARGUMENT`` or, with a name for the results, as
``NAME=KIND:ARGUMENT``: ``linux``, ``reference:big``, ``vm=reference:little``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from .protocol import Adapter, Unavailable


class SpecError(ValueError):
    """The name of a runtime that cannot be understood; the message says which names can."""


class Kind(NamedTuple):
    """A kind of runtime: what to import, and what its argument is.

    ``target`` is ``module:callable``, relative to this package; it is called with the argument, if there is one, and
    returns an adapter or raises :class:`.protocol.Unavailable`.
    """

    target: str
    summary: str
    arguments: tuple[str, ...] | None = None
    """The arguments it takes; None if any."""


KINDS = {
    "reference": Kind(".reference:ReferenceAdapter", "the reference VM of this package", ("little", "big")),
    "python": Kind(".registry:open_python", "an adapter of your own: MODULE:CALLABLE on the Python path"),
    "jit": Kind(".jit.adapter:JitAdapter", "the bundled JIT: the specification as machine code", ("little", "big")),
    "linux": Kind(".linux.adapter:LinuxAdapter", "the running Linux kernel, through bpf(2)", ()),
}
#: What is tested where nothing else is asked for.
DEFAULT = ("reference", "linux")


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """A runtime to test: picklable, opened in the process that uses it."""

    name: str
    kind: str
    argument: str | None = None

    def open(self) -> Adapter:
        """Return an adapter.

        Raises:
            protocol.Unavailable: the runtime cannot be used here.
        """
        module, _, attribute = KINDS[self.kind].target.partition(":")
        make = getattr(importlib.import_module(module, __package__), attribute)
        adapter: Adapter = make() if self.argument is None else make(self.argument)
        return adapter


def open_python(target: str) -> Adapter:
    """Return what the callable ``target`` (``module:name``) returns.

    Raises:
        protocol.Unavailable: there is no such callable.
    """
    name, _, attribute = target.partition(":")
    try:
        make = getattr(importlib.import_module(name), attribute)
    except ImportError as error:
        raise Unavailable(f"python:{target}: {error}; is its folder in PYTHONPATH?") from None
    except AttributeError:
        raise Unavailable(f"python:{target}: the module {name} has no {attribute!r}") from None
    adapter: Adapter = make()
    return adapter


def parse_spec(text: str) -> RuntimeSpec:
    """Return the runtime that ``text`` names.

    Raises:
        SpecError: there is no such kind of runtime, or it does not take this argument.
    """
    name, equals, rest = text.partition("=")
    if not equals:
        name, rest = text, text
    kind, colon, argument = rest.partition(":")
    if not name:
        raise SpecError(f"{text!r}: the name before '=' is missing")
    if kind not in KINDS:
        close = get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(KINDS)}"
        raise SpecError(f"{kind!r} is no kind of runtime: {hint}")
    allowed = KINDS[kind].arguments
    if colon and allowed is not None and argument not in allowed:
        takes = f"one of {', '.join(allowed)}" if allowed else "no argument"
        raise SpecError(f"{text!r}: {kind} takes {takes}")
    if kind == "python" and not (argument.partition(":")[0] and argument.partition(":")[2]):
        raise SpecError(f"{text!r}: python takes MODULE:CALLABLE")
    return RuntimeSpec(name, kind, argument if colon else None)
