# SPDX-License-Identifier: Apache-2.0
"""The runtimes that can be tested, by name; their modules are imported when one is opened.

A runtime is named on the command line as ``KIND``, ``KIND:ARGUMENT`` or, with a name for the results, as
``NAME=KIND:ARGUMENT``: ``linux``, ``reference:big``, ``ubpf-jit=plugin:./ubpf_plugin:--jit``. Names that a project
has given to its runtimes (:mod:`.configured`) can be used in place of a kind. Other distributions add kinds by entry
points of the group :data:`ENTRY_POINTS`.
"""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from ..spec.errors import InputError
from .claiming import Claiming
from .protocol import Adapter, Unavailable


class SpecError(InputError):
    """An invalid name of a runtime; the message lists the valid ones."""


class Kind(NamedTuple):
    """A kind of runtime: the callable to import, and its argument.

    ``target`` is ``module:callable``, relative to this package if it begins with a dot; it is called with the argument,
    if there is one, and returns an adapter or raises :class:`.protocol.Unavailable`.
    """

    target: str
    summary: str
    arguments: tuple[str, ...] | None = None
    """The allowed values of the optional argument; None if an argument is required, of any value."""
    options: frozenset[str] = frozenset()
    """The options that a configuration can give it: keyword arguments of the callable."""
    needs: str = ""
    """The name of the required argument in help."""
    inline: frozenset[str] = frozenset()
    """The options that can follow the argument, as in ``ARGUMENT,option=value``."""
    boots: bool = False
    """Whether it starts a machine each time it is given jobs, so that it should be given as many as there are."""
    interpreter: tuple[str, str] | None = None
    """The option, and its value, that makes an interpreter of it."""


#: Kinds whose argument is a command, with any characters.
_COMMANDS = frozenset({"plugin", "batch"})
_PROCESS = frozenset({"args", "timeout", "memory", "environment", "folder", "contained"})
_IDENTITY = frozenset({"version", "engine", "architecture", "byte_order", "groups", "empty_memory"})

KINDS = {
    "reference": Kind(".reference:ReferenceAdapter", "the reference VM of this package", ("little", "big")),
    "python": Kind(".registry:open_python", "an adapter of your own", needs="MODULE:CALLABLE"),
    "jit": Kind(".jit.adapter:JitAdapter", "the bundled JIT: the specification as machine code", ("little", "big")),
    "linux": Kind(".linux.adapter:LinuxAdapter", "the running Linux kernel, through bpf(2)", ()),
    "linux-vm": Kind(
        ".kernels.adapter:VirtualMachine",
        "a Linux kernel in a virtual machine; KERNEL is a suite of Debian's, or a version",
        None,
        frozenset({"timeout"}),
        "ARCH[,kernel=KERNEL][,image=FILE][,jit=0|1|harden]",
        frozenset({"kernel", "image", "jit"}),
        boots=True,
        interpreter=("jit", "0"),
    ),
    "linux-bundle": Kind(
        ".kernels.bundle:BundleAdapter", "what a guest wrote that bpf-isa kernel bundle made", needs="FILE"
    ),
    "plugin": Kind(
        ".plugin.adapter:PluginAdapter",
        "an executable of the bpf_conformance plugin protocol",
        None,
        _PROCESS | _IDENTITY,
        "PATH[:ARGUMENTS]",
    ),
    "batch": Kind(".batch.adapter:BatchAdapter", "a command that speaks the batch protocol", None, _PROCESS, "COMMAND"),
    "dpdk-interpreter": Kind(
        ".dpdk.adapter:interpreter", "DPDK's librte_bpf, its interpreter", (), frozenset({"timeout"})
    ),
    "dpdk-jit": Kind(".dpdk.adapter:jit", "DPDK's librte_bpf, its JIT", (), frozenset({"timeout"})),
    "miniature": Kind(".miniatures.catalogue:open_miniature", "a small runtime that is wrong in one way", needs="NAME"),
}
#: Entry points of this group lead to a :class:`Kind` each; their names are those of the kinds.
ENTRY_POINTS = "bpf_isa.adapters"
_DAY = 86400.0
#: The runtimes that are tested by default.
DEFAULT = ("reference", "linux")


@cache
def kinds() -> Mapping[str, Kind]:
    """Return all kinds by name: those of this package, then those of other distributions.

    Raises:
        SpecError: another distribution's entry point cannot be loaded, or has the name of a kind of this package.
    """
    found = dict(KINDS)
    for point in entry_points(group=ENTRY_POINTS):
        where = f"the entry point {point.name!r} of {point.dist.name if point.dist else 'a distribution'}"
        if point.name in found:
            raise SpecError(f"{where} has the name of another kind of runtime: uninstall it, or ask for another name")
        try:
            kind = point.load()
        except Exception as error:  # noqa: BLE001 -- the module is somebody else's
            raise SpecError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from None
        if not isinstance(kind, Kind):
            raise SpecError(f"{where} leads to {kind!r}, which is no bpf_isa.adapters.registry.Kind")
        found[point.name] = kind
    return found


def _kind(name: str) -> Kind | None:
    """Return a kind by name; entry points are only loaded for kinds that this package does not have."""
    return KINDS.get(name) or kinds().get(name)


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """A runtime to test: picklable, opened in the process that uses it."""

    name: str
    kind: str
    argument: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    claims: tuple[str, ...] | None = None
    """The conformance groups that the user claims for it; None leaves that to the runtime or its configuration."""

    @property
    def _kind(self) -> Kind:
        return KINDS.get(self.kind) or kinds()[self.kind]

    def open(self) -> Adapter:
        """Return an adapter.

        Raises:
            protocol.Unavailable: the runtime cannot be used here.
        """
        module, _, attribute = self._kind.target.partition(":")
        make = getattr(importlib.import_module(module, __package__), attribute)
        arguments = () if self.argument is None else (self.argument,)
        adapter: Adapter = make(*arguments, **self.options)
        return adapter if self.claims is None else Claiming(adapter, frozenset(self.claims))

    @property
    def boots(self) -> bool:
        """Whether it starts a machine each time it is given jobs."""
        return self._kind.boots

    @property
    def interpreter(self) -> RuntimeSpec | None:
        """Its interpreter, None if it has none or is one."""
        option = self._kind.interpreter
        if option is None or self.options.get(option[0]) == option[1]:
            return None
        return replace(self, options={**self.options, option[0]: option[1]})

    def patience(self, timeout: float) -> float:
        """Return the seconds without an outcome after which the runtime is killed, if a vector may take ``timeout``.

        Adapters with a timeout of their own get more, for a restart and the report; those of machines do not count by
        the clock, and find out themselves.
        """
        if self.boots:
            return _DAY
        own: float = self.options.get("timeout", 0)
        return 2 * own + 10 if own else timeout

    def with_patience(self, factor: float) -> RuntimeSpec:
        """Return the runtime with its own timeout for a vector, if it has one, multiplied by ``factor``."""
        if "timeout" not in self.options:
            return self
        return replace(self, options={**self.options, "timeout": self.options["timeout"] * factor})

    def allowing(self, seconds: float) -> RuntimeSpec:
        """Return the runtime with a timeout of ``seconds`` per vector, if it takes one and has none."""
        if "timeout" not in self._kind.options:
            return self
        return replace(self, options={"timeout": seconds, **self.options})


def open_python(target: str) -> Adapter:
    """Return what the callable ``target`` (``module:name``) returns; the current folder is searched last.

    Raises:
        protocol.Unavailable: there is no such callable.
    """
    name, _, attribute = target.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        make = getattr(importlib.import_module(name), attribute)
    except ImportError as error:
        raise Unavailable(f"python:{target}: {error}; is its folder the current one, or in PYTHONPATH?") from None
    except AttributeError:
        raise Unavailable(f"python:{target}: the module {name} has no {attribute!r}") from None
    adapter: Adapter = make()
    return adapter


def choose(texts: Sequence[str], plugin_args: str | None = None) -> list[RuntimeSpec]:
    """Return the runtimes that ``texts`` name; if there are none, the default ones and all configured ones.

    ``plugin_args`` are arguments, as a shell would read them, for each plugin that is given none in its own text.

    Raises:
        SpecError: see :func:`parse_spec`; or there is no plugin that could be given arguments.
    """
    specs = [parse_spec(text) for text in texts or (*DEFAULT, *_configured())]
    if plugin_args is None:
        return specs
    takers = [spec for spec in specs if spec.kind == "plugin" and ":" not in (spec.argument or "") and not spec.options]
    if not takers:
        raise SpecError("--plugin-args: no plugin without arguments of its own is named, as in -r plugin:./ubpf_plugin")
    args = _split(plugin_args, "--plugin-args")
    return [replace(spec, options={"args": args}) if spec in takers else spec for spec in specs]


def separate(text: str) -> list[str]:
    """Return the runtimes that ``text`` names with commas between them, as in ``linux,jit``.

    The argument of a plugin or of a batch command extends to the end of the text, including commas. Options that a kind
    takes after its argument belong to the name before them.
    """
    names: list[str] = []
    while True:
        head, comma, rest = text.partition(",")
        kind, colon, _ = _named(head.strip())[1].partition(":")
        if not comma or (colon and kind in _COMMANDS):
            return [*names, text.strip()]
        names.append(head.strip())
        text = rest
        while (option := text.partition(",")[0].strip()).partition("=")[0] in _inline(names[-1]) and "=" in option:
            names[-1] += f",{option}"
            text = text.partition(",")[2]
            if not text:
                return names


def _inline(name: str) -> frozenset[str]:
    """Return the options that can follow the runtime ``name``."""
    kind = KINDS.get(_named(name)[1].partition(":")[0])
    return kind.inline if kind else frozenset()


def _named(text: str) -> tuple[str, str]:
    """Return the name that ``text`` gives to a runtime, and what it is."""
    name, equals, rest = text.partition("=")
    # A '=' after the ':' belongs to the argument.
    return (name, rest) if equals and ":" not in name else (text, text)


def parse_spec(text: str) -> RuntimeSpec:
    """Return the runtime that ``text`` names.

    Raises:
        SpecError: there is no such kind of runtime, or it does not take this argument.
    """
    name, rest = _named(text)
    if not name:
        raise SpecError(f"{text!r}: the name before '=' is missing")
    kind, colon, argument = rest.partition(":")
    if kind in KINDS:
        return _spec(text, name, kind, argument if colon else None, {})
    configured = _configured()
    if rest not in configured:
        if _kind(kind):
            return _spec(text, name, kind, argument if colon else None, {})
        raise _no_kind(kind, [*kinds(), *configured])
    use, options = configured[rest]
    kind, colon, argument = use.partition(":")
    if not _kind(kind):
        raise _no_kind(kind, list(kinds()), f"{rest}: use: ")
    return _spec(use, name, kind, argument if colon else None, options)


def _no_kind(kind: str, known: Sequence[str], where: str = "") -> SpecError:
    close = get_close_matches(kind, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    return SpecError(f"{where}{kind!r} is no kind of runtime: {hint}")


def _spec(text: str, name: str, kind: str, argument: str | None, options: Mapping[str, Any]) -> RuntimeSpec:
    """Return a runtime of an existing ``kind``, after a check of the argument and the options."""
    of = _kind(kind)
    assert of is not None
    allowed = of.arguments
    if argument is not None and allowed is not None and argument not in allowed:
        takes = f"one of {', '.join(allowed)}" if allowed else "no argument"
        raise SpecError(f"{text!r}: {kind} takes {takes}")
    if not argument and of.needs and kind not in KINDS:
        raise SpecError(f"{text!r}: {kind} takes {of.needs}")
    if kind == "python" and not all((argument or "").partition(":")):
        raise SpecError(f"{text!r}: python takes MODULE:CALLABLE")
    if kind in _COMMANDS and not argument:
        raise SpecError(f"{text!r}: {kind} takes {'PATH or PATH:ARGUMENTS' if kind == 'plugin' else 'COMMAND'}")
    if argument is not None and kind in _COMMANDS and "args" not in options:
        _split(argument.partition(":")[2] if kind == "plugin" else argument, text)
    if argument is not None and of.inline:
        argument, *texts = argument.split(",")
        options = {**options, **dict(_option(text, kind, one, of.inline) for one in texts)}
    # The folder is set for every configured runtime, the other options by the user.
    unknown = options.keys() - of.options - of.inline - {"folder"}
    if unknown:
        words = ", ".join(sorted(option.replace("_", "-") for option in unknown))
        raise SpecError(f"{name}: {kind} takes no {words}")
    kept = {key: value for key, value in options.items() if key in of.options | of.inline}
    return RuntimeSpec(name, kind, argument, kept)


def _option(text: str, kind: str, option: str, known: frozenset[str]) -> tuple[str, str]:
    key, equals, value = option.partition("=")
    if key not in known or not equals:
        raise SpecError(f"{text!r}: {kind} takes {', '.join(f'{one}=' for one in sorted(known))}, not {option!r}")
    return key, value


def configured_names() -> list[str]:
    """Return the names of the configured runtimes.

    Raises:
        SpecError: see :func:`choose`.
    """
    return list(_configured())


def _configured() -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Return the configured runtimes.

    Raises:
        SpecError: the file cannot be used, or gives to a runtime the name of a kind.
    """
    from .configured import ConfigurationError, find

    try:
        configuration = find()
    except ConfigurationError as error:
        raise SpecError(str(error)) from None
    for name in configuration.runtimes:
        if name in KINDS:
            raise SpecError(f"{configuration.file}: {name!r} is the name of a kind of runtime: give it another one")
    return configuration.runtimes


def _split(arguments: str, where: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(arguments))
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from None
