# SPDX-License-Identifier: Apache-2.0
"""The suite as pytest items, each vector one on each runtime: a plugin that pytest finds by itself.

    pytest --bpf-runtime linux --bpf-runtime jit --pyargs bpf_isa.conformance

``-k`` matches ids and marks, ``-m`` the marks of a vector: its groups, its level, its sections (``section-4.1``), the
instructions of its program and the runtime. What an expectation file (``--bpf-expectations``) knows about a vector is
a strict ``xfail``. A vector that the runtime does not support is skipped, with the reason. See docs/ci.md.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..spec.errors import InputError
from ..spec.plain import plain

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

    from ..adapters.protocol import RuntimeInfo
    from ..adapters.registry import RuntimeSpec
    from ..spec.encoding import ByteOrder
    from .results.expectations import Expectations, Known
    from .run.runner import Result
    from .run.workers import WorkerPool
    from .suite.model import Vector
    from .suite.suite import Suite

#: What is collected in place of the modules of this package, and what the ids of its items begin with.
FOLDER = Path(__file__).parent
NAME = "bpf_isa.conformance"


class Failed(Exception):
    """A runtime failed a vector; each way to fail is a class of its own."""


class Unsupported(Exception):
    """A runtime does not support a vector that was expected to be unsupported: for strict expectations."""


class HarnessError(Exception):
    """The harness failed, and nothing is known about the runtime."""


# Hooks of pytest


class Hooks:
    """Hooks that a conftest.py can implement."""

    def pytest_bpf_runtimes(self, config: pytest.Config) -> Sequence[str] | None:
        """Return runtimes to test, as ``--bpf-runtime`` names them, in addition to those of the command line."""

    def pytest_bpf_expectations(self, config: pytest.Config) -> Sequence[str | Path] | None:
        """Return expectation files, in addition to those of the command line."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks of this plugin known."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("bpf-isa", "BPF conformance")
    group.addoption("--bpf-runtime", action="append", default=[], metavar="[NAME=]KIND[:ARG]", help="Runtime to test.")
    group.addoption("--bpf-plugin-args", metavar="ARGS", help="Arguments for plugins that are named without their own.")
    group.addoption(
        "--bpf-expectations", action="append", default=[], metavar="FILE", help="What is known about a runtime."
    )
    group.addoption("--bpf-vectors", action="append", default=[], metavar="PATH", help="Vectors to run, not the suite.")
    group.addoption("--bpf-data", action="append", default=[], metavar="PATH", help="Data files to run, not the suite.")
    group.addoption("--bpf-tier", metavar="TIER", help="How much of the suite: smoke, quick or full (the default).")
    group.addoption("--bpf-timeout", type=float, default=30.0, metavar="SECONDS", help="Time for a vector.")
    parser.addini("bpf_runtimes", "Runtimes that the BPF conformance suite is run on.", "linelist", default=[])
    parser.addini("bpf_expectations", "What is known about these runtimes.", "paths", default=[])
    parser.addini("bpf_tier", "How much of the suite is run: smoke, quick or full.", "string", default="full")
    parser.addini("bpf_suite", "Run the BPF conformance suite where nothing else is named.", "bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Add the suite to what is collected if the project wants that, and say which marks it has."""
    wanted = config.getini("bpf_suite") and config.args_source is not pytest.Config.ArgsSource.ARGS
    if wanted and str(FOLDER) not in config.args:
        config.args.append(str(FOLDER))
    if wanted or config.option.bpf_runtime or config.getini("bpf_runtimes"):
        from ..spec.table import isa
        from .suite.model import Level

        for name in isa().groups:
            config.addinivalue_line("markers", f"{name}: BPF vectors that are about this conformance group")
        for level in Level:
            config.addinivalue_line("markers", f"{level}: BPF vectors of this level")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which part of the suite the results are of."""
    tier = _tier(config)
    return None if tier == "full" else f"BPF conformance: tier {tier}"


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the suite where the folder of this package is to be collected."""
    if path.name != FOLDER.name or path.resolve() != FOLDER.resolve():
        return None
    return SuiteCollector.from_parent(parent, path=path, name=NAME, nodeid=NAME)


# From the suite to items


class SuiteCollector(pytest.Directory):
    """All vectors on all runtimes."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield a collector for each runtime."""
        from .run.workers import WorkerPool

        options = self.config.option
        try:
            specs, known = _specs(self.config), _known(self.config)
        except InputError as error:
            raise self.CollectError(str(error)) from None
        # They start while the suite is loaded; none is needed to tell which items there are.
        pools = [None if options.collectonly else WorkerPool(spec, 1, options.bpf_timeout) for spec in specs]
        for opened in filter(None, pools):
            self.config.add_cleanup(opened.close)
        try:
            suite = _suite(_paths(options.bpf_vectors), _paths(options.bpf_data), _tier(self.config))
        except InputError as error:
            raise self.CollectError(str(error)) from None
        if unknown := {file.runtime for file in known} - {spec.name for spec in specs}:
            names = ", ".join(spec.name for spec in specs)
            raise self.CollectError(f"there are expectations of {min(unknown)!r}, but the runtimes are {names}")
        for spec, pool in zip(specs, pools, strict=True):
            about = [file for file in known if file.runtime == spec.name]
            yield RuntimeCollector.from_parent(self, name=spec.name, pool=pool, suite=suite, known=about)


def _specs(config: pytest.Config) -> list[RuntimeSpec]:
    from ..adapters.registry import SpecError, choose, separate

    options = config.option
    hooked = config.hook.pytest_bpf_runtimes(config=config)
    given = [name for text in options.bpf_runtime for name in separate(text)]
    names = [*config.getini("bpf_runtimes"), *(name for names in hooked for name in names), *given]
    if not names:
        raise SpecError("say what to test: --bpf-runtime reference, or bpf_runtimes in the configuration")
    specs = {spec.name: spec for spec in choose(names, options.bpf_plugin_args)}
    return [spec.allowing(options.bpf_timeout) for spec in specs.values()]


def _known(config: pytest.Config) -> list[Expectations]:
    from .results.expectations import load

    hooked = config.hook.pytest_bpf_expectations(config=config)
    paths = [*config.getini("bpf_expectations"), *(path for paths in hooked for path in paths)]
    return [load(Path(path)) for path in [*paths, *_paths(config.option.bpf_expectations)]]


def _paths(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the paths that the values of an option name; as in the options of commands, several stand with commas."""
    from .cli.options import paths

    return tuple(path for text in texts for path in paths(text))


def _tier(config: pytest.Config) -> str:
    """Return the tier that was asked for."""
    name: str = config.option.bpf_tier or config.getini("bpf_tier")
    return name


@cache
def _suite(vectors: tuple[str, ...], data: tuple[str, ...], tier: str) -> Suite:
    from .suite.datafiles import DataError, load_data
    from .suite.suite import Suite, load_tier
    from .suite.tier import check_own

    if data:
        check_own(tier)
    one = load_tier(tier, map(Path, vectors)) if vectors or not data else Suite((), ())
    if not data:
        return one
    other = load_data([Path(path) for path in data])
    if other.unread:
        raise DataError("\n".join(item.reason for item in other.unread))
    return Suite(one.vectors + other.vectors, one.files + other.files)


class RuntimeCollector(pytest.Collector):
    """All vectors on one runtime, which is opened once, in a process of its own."""

    def __init__(self, *, pool: WorkerPool | None, suite: Suite, known: Sequence[Expectations], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pool, self._suite, self._known = pool, suite, known
        self._info: RuntimeInfo | None = None

    def collect(self) -> list[pytest.Item]:
        """Return an item for each vector."""
        known = self._opened() if self._pool else []
        describe, expected = _Describer(self.name), _Index(known)
        # Items and vectors stay until the end: the garbage collector need not visit them.
        was_on = gc.isenabled()
        gc.disable()
        try:
            return [
                VectorItem.from_parent(
                    self, name=vector.id, vector=vector, known=expected.of(vector.id), describe=describe
                )
                for vector in self._suite.vectors
            ]
        finally:
            gc.freeze()
            if was_on:
                gc.enable()

    def _opened(self) -> list[Known]:
        """Open the runtime; return what is known of this version of it."""
        from ..adapters.protocol import Unavailable
        from .results.expectations import ExpectationError
        from .run.worker import RuntimeBroken

        assert self._pool is not None
        try:
            self._info = self._pool.open()
            return [entry for file in self._known for entry in file.applying(self._info.version)]
        except Unavailable as reason:
            raise self.CollectError(f"{self.name} cannot be used: {reason}") from None
        except RuntimeBroken as reason:
            raise self.CollectError(f"{self.name}: its adapter failed: {reason}") from None
        except ExpectationError as error:
            raise self.CollectError(str(error)) from None

    def run(self, vector: Vector) -> Result:
        """Return the runtime's result of a vector."""
        from .run.runner import ask

        assert self._pool is not None and self._info is not None
        (result,) = ask(self._pool, self._info, [vector], trust_claims=True)
        return result

    @property
    def byte_order(self) -> ByteOrder:
        """The byte order of the runtime."""
        assert self._info is not None
        return self._info.byte_order


class _Index:
    """Finds what is known about a vector."""

    def __init__(self, known: Sequence[Known]) -> None:
        self._by_id = {vector: entry for entry in reversed(known) for vector in entry.ids}
        self._wild = [entry for entry in known if entry.ids != frozenset(entry.patterns)]

    def of(self, vector: str) -> Known | None:
        """Return the first entry about ``vector``; those that name it come before patterns."""
        found = self._by_id.get(vector)
        return found or next((entry for entry in self._wild if entry.matches(vector)), None)


class _Describer:
    """Makes the marks of vectors on one runtime."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._marks: dict[str, pytest.Mark] = {}

    def marks(self, vector: Vector) -> list[pytest.Mark]:
        """Return the marks of a vector."""
        from ..spec.requirements import load_requirements
        from .suite.instructions import names_in

        requirements = load_requirements()
        sections = {f"section-{requirements[name].section}" for name in vector.entry.covers}
        names = [self._runtime, vector.entry.level.value, *vector.reported, *sections, *names_in(vector.little.code)]
        return [self._mark(name) for name in dict.fromkeys(names)]

    def _mark(self, name: str) -> pytest.Mark:
        if name not in self._marks:
            # pytest.mark would want each of the many names to be registered.
            self._marks[name] = pytest.Mark(name, (), {}, _ispytest=True)
        return self._marks[name]


class VectorItem(pytest.Item):
    """A vector on a runtime."""

    def __init__(self, *, vector: Vector, known: Known | None, describe: _Describer, **kwargs: Any) -> None:
        self._marks: list[pytest.Mark] | None = None
        super().__init__(**kwargs)
        self.vector, self._foreseen, self._describe = vector, known, describe

    @property
    def own_markers(self) -> list[pytest.Mark]:
        """The marks of the vector, and what is known of it on this runtime as an ``xfail``.

        They are made when they are asked for: most of 40,000 items never are.
        """
        if self._marks is None:
            self._marks = self._describe.marks(self.vector)
            if self._foreseen is not None:
                self._marks.append(_xfail(self._foreseen))
        return self._marks

    @own_markers.setter
    def own_markers(self, marks: list[pytest.Mark]) -> None:
        """Pass over the empty list that every node begins with."""

    @property
    def _runtime(self) -> RuntimeCollector:
        assert isinstance(self.parent, RuntimeCollector)
        return self.parent

    def runtest(self) -> None:
        """Run the vector.

        Raises:
            Failed, Unsupported, HarnessError: it does not pass.
        """
        from .run.verdict import Verdict

        self._result = self._runtime.run(self.vector)
        judgement = self._result.judgement
        reason = str(judgement.reason)
        match judgement.verdict:
            case Verdict.PASS:
                return
            case Verdict.FAIL:
                raise _failures()[str(judgement.failure)](reason)
            case Verdict.ERROR:
                raise HarnessError(reason)
        if self._foreseen is not None:
            raise Unsupported(reason)
        pytest.skip(plain(reason))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """Tell what is wrong with the runtime."""
        if isinstance(excinfo.value, Failed):
            from .results.explain import as_text

            judgement = self._result.judgement
            found = [f"{item.name}: expected {item.shown[0]}, got {item.shown[1]}" for item in judgement.differences]
            # The first line is what the summary of pytest shows.
            summary = plain(f"{judgement.failure}: {'; '.join(found)}")
            return f"{summary}\n{as_text(self._result, self._runtime.byte_order)}"
        if isinstance(excinfo.value, Unsupported | HarnessError):
            return plain(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the vector stands, and what it is called."""
        entry = self.vector.entry
        return Path(entry.file), entry.line - 1, f"{self._runtime.name}: {self.name}"


@cache
def _failures() -> dict[str, type[Failed]]:
    """Return an exception for each way in which a runtime can fail: an ``xfail`` may be about one of them."""
    from .run.verdict import Failure

    return {
        failure.value: type("".join(word.title() for word in failure.value.split("-")), (Failed,), {})
        for failure in Failure
    }


def _xfail(known: Known) -> pytest.Mark:
    """Return what is known as a mark: any other failure, and a pass, is a failure of the test."""
    raises: type[Exception] = (
        Unsupported if known.verdict == "unsupported" else _failures().get(known.failure or "", Failed)
    )
    reason = f"{known.reason} ({known.link})" if known.link else known.reason
    return pytest.mark.xfail(strict=True, raises=raises, reason=reason).mark
