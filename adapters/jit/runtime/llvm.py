# SPDX-License-Identifier: Apache-2.0
"""The interface to LLVM: from IR text to addresses of machine code, with memory that is freed.

Each module has its own context, since a context is never freed in part. LLVM writes code to writable pages, and makes
them executable and read-only before they are used.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...protocol import Unavailable
from .support import call_source, find_source

if TYPE_CHECKING:
    import llvmlite.binding as llvm

#: ``fast`` to compile: no optimisation. ``full``: all of it, for code that runs long.
Level: TypeAlias = Literal["fast", "full"]


@dataclass(slots=True)
class Timings:
    """Seconds spent in each phase between programs and outcomes, and how often."""

    lowering: float = 0.0
    parsing: float = 0.0
    optimizing: float = 0.0
    generating: float = 0.0
    running: float = 0.0
    programs: int = 0
    modules: int = 0

    def shares(self) -> dict[str, float]:
        """Return the seconds by stage."""
        stages = ("lowering", "parsing", "optimizing", "generating", "running")
        return {stage: getattr(self, stage) for stage in stages}


class Unresolved(RuntimeError):
    """Machine code with undefined symbols, which must not be run. The message names them."""


@dataclass(slots=True, weakref_slot=True)
class Code:
    """Machine code of one module; its memory is freed when the last reference to this object goes."""

    addresses: dict[str, int]


def generate(source: str, names: Iterable[str], level: Level, timings: Timings) -> Code:
    """Compile the module ``source`` and return the addresses of its functions ``names``.

    Raises:
        Unresolved: the code needs a function that nobody supplies.
        Unavailable: llvmlite cannot be used here.
        RuntimeError: LLVM refuses the source, which is a defect of this package.
    """
    llvm = _load()
    start = perf_counter()
    context = llvm.create_context()
    module = llvm.parse_assembly(source, context)
    parsed = perf_counter()
    machine = _target_machine(level)
    if level == "full":
        _optimize(module)
    optimized = perf_counter()
    image = machine.emit_object(module)
    module.close()
    context.close()
    code = _link(image, names, machine)
    timings.parsing += parsed - start
    timings.optimizing += optimized - parsed
    timings.generating += perf_counter() - optimized
    timings.modules += 1
    return code


def _link(image: bytes, names: Iterable[str], machine: llvm.TargetMachine) -> Code:
    """Load the object file ``image``.

    Generated code may call functions that the module does not name, such as memset for a loop. ORC refuses code that
    needs one which the process does not have, where MCJIT would take the address 0 for it.
    """
    llvm = _load()
    linker = llvm.create_lljit_compiler(machine, suppress_errors=True)
    library = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
    for name in names:
        library.export_symbol(name)
    try:
        tracker = library.link(linker, "code")
    except RuntimeError as error:
        linker.close()
        missing = [name for name in _undefined(image) if not llvm.address_of_symbol(name)]
        raise Unresolved(f"LLVM made code that calls what is not there: {', '.join(missing) or error}") from None
    code = Code({name: tracker[name] for name in names})
    weakref.finalize(code, _free, tracker, linker)
    return code


def _undefined(image: bytes) -> list[str]:
    """Return the symbols that an object file leaves to others, for a message; none if it is no ELF file."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    symbols = ELFFile(BytesIO(image)).get_section_by_name(".symtab") if image.startswith(b"\x7fELF") else None
    if not isinstance(symbols, SymbolTableSection):
        return []
    return [symbol.name for symbol in symbols.iter_symbols() if symbol.name and symbol["st_shndx"] == "SHN_UNDEF"]


def _optimize(module: llvm.ModuleRef) -> None:
    builder = _pass_builder()
    passes = builder.getModulePassManager()
    passes.run(module, builder)
    # Up to llvmlite 0.50, close() of a pass manager does not find this method and frees nothing.
    _load().newpassmanagers.NewPassManager._dispose(passes)
    passes.detach()


@cache
def _pass_builder() -> llvm.PassBuilder:
    """Return what makes the passes; one for the whole process, since LLVM does not give back all of it."""
    llvm = _load()
    return llvm.create_pass_builder(_target_machine("full"), llvm.create_pipeline_tuning_options(speed_level=2))


def _free(tracker: llvm.ResourceTracker, linker: llvm.LLJIT) -> None:
    tracker.close()
    linker.close()


@cache
def _load() -> ModuleType:
    """Import LLVM and prepare it for this host."""
    try:
        import llvmlite.binding as llvm
    except (ImportError, OSError) as error:
        raise Unavailable(f"llvmlite cannot be imported ({error}): install it with pip install llvmlite") from error
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Has the divisions of 128-bit numbers with which LLVM may compute trip counts.
    with suppress(RuntimeError):
        llvm.load_library_permanently("libgcc_s.so.1")
    binding: ModuleType = llvm
    return binding


def _target_machine(level: Level) -> llvm.TargetMachine:
    llvm = _load()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    if level == "fast":
        return target.create_target_machine(opt=0, jit=True)
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=cpu, features=features, opt=2, jit=True)


@cache
def support_function(name: Literal["find", "call"]) -> int:
    """Return the address of a function of :mod:`.support`; it stays for the life of the process."""
    code = generate(find_source() if name == "find" else call_source(), [name], "full", Timings())
    _KEPT.append(code)
    return code.addresses[name]


_KEPT: list[Code] = []
