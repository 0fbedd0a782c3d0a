# SPDX-License-Identifier: Apache-2.0
"""DPDK's library, where it is installed: what it runs, what it refuses and why, and that its death is an outcome."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.adapters.dpdk import adapter as dpdk
from bpf_isa.adapters.dpdk.adapter import DpdkAdapter, Message, messages
from bpf_isa.adapters.dpdk.library import find_library
from bpf_isa.adapters.protocol import Job, MapSpec, OutcomeKind, Unavailable
from bpf_isa.spec.asm.assemble import assemble

ENGINES = {"interpreter": dpdk.interpreter, "jit": dpdk.jit}


def job(text: str, **changes: Any) -> Job:
    order = sys.byteorder
    return Job("vector", assemble(text, order), order, frozenset(), frozenset({"r0"}), bytes(range(16)))._replace(
        **changes
    )


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[DpdkAdapter]:
    try:
        adapter = ENGINES[request.param]()
    except Unavailable as reason:
        pytest.skip(f"DPDK was not tested: {reason}")
    with adapter:
        yield adapter


def test_identity(engine: DpdkAdapter) -> None:
    info = engine.info()
    assert info.name == "DPDK"
    assert int(info.version.partition(".")[0]) >= 18  # the first with librte_bpf, by year
    assert info.engine in ENGINES
    assert info.observes == {"r0", "memory"}
    assert info.byte_order == sys.byteorder


def test_programs_run_with_their_memory(engine: DpdkAdapter) -> None:
    load, length, store, nothing = engine.run(
        [
            job("r0 = *(u8 *)(r1 + 3)\nexit"),
            job("r0 = r2\nexit"),
            job("r3 = 255\n*(u8 *)(r1 + 15) = r3\nr0 = -1\nexit"),
            job("r0 = r1\nr0 |= r2\nexit", memory=None),
        ]
    )
    assert (load.kind, load.r0, load.memory) == ("returned", 3, bytes(range(16)))
    assert (length.kind, length.r0) == ("returned", 16)
    assert (store.r0, store.memory) == ((1 << 64) - 1, bytes(range(15)) + b"\xff")
    assert (nothing.r0, nothing.memory) == (0, None)


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.id)
def test_every_listed_message_is_said_and_means_what_the_table_says(engine: DpdkAdapter, message: Message) -> None:
    refused = job(message.example)
    wanted, unwanted = engine.run([refused._replace(wants_rejection=True), refused])
    assert wanted.kind == OutcomeKind.REJECTED
    assert unwanted.kind == OutcomeKind.UNSUPPORTED
    assert wanted.reason == unwanted.reason
    assert str(wanted.reason).startswith(f"dpdk.{message.id}: ")


def test_reasons_count_slots_as_the_vector_does(engine: DpdkAdapter) -> None:
    (outcome,) = engine.run([job("r0 = 1\nr3 = 1 ll\nr0 s/= 2\nexit")])
    assert str(outcome.reason) == "dpdk.unknown-instruction: validate: invalid off field at pc: 3 (SDIV64_K)"


def test_what_cannot_be_asked_is_unsupported(engine: DpdkAdapter) -> None:
    code = assemble("r0 = 0 ll\nexit", sys.byteorder)
    registers = 0x20 if sys.byteorder == "little" else 0x02
    maps, slots = engine.run(
        [job("", code=code[:1] + bytes([registers]) + code[2:], maps=(MapSpec(bytes(8)),)), job("", code=bytes(12))]
    )
    assert (maps.kind, str(maps.reason)) == ("unsupported", "platform: it provides no maps")
    assert (slots.kind, str(slots.reason).partition(": ")[0]) == ("unsupported", "dpdk.whole-slots")


def test_its_death_is_an_outcome_and_the_rest_is_run(engine: DpdkAdapter) -> None:
    if not engine.info().version.startswith("22.11."):
        pytest.skip(f"not tested: what kills DPDK 22.11 may not kill {engine.info().version}")
    # The smallest number divided by -1, which the verifier computes as the processor does.
    deadly = job("r0 = 0x8000000000000000 ll\nr0 /= -1\nexit")
    before, death, after = engine.run([job("r0 = 1\nexit"), deadly, job("r0 = 2\nexit")])
    assert (before.r0, after.r0) == (1, 2)
    assert (death.kind, str(death.reason)) == (OutcomeKind.CRASHED, "signal: killed by SIGFPE")


# Finding the library


def test_the_newest_library_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("librte_bpf.so.9", "librte_bpf.so.23", "librte_bpf.so.23.0", "librte_bpf.so.x", "librte_bpf.so"):
        (tmp_path / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/no/such/folder:{tmp_path}")
    assert find_library().name in {"librte_bpf.so.23", "librte_bpf.so.23.0"}


def test_a_library_that_does_not_load_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "librte_bpf.so.99").write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"librte_bpf\.so\.99.*(invalid ELF header|too short)"):
        dpdk.interpreter()


def test_without_a_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.setattr("bpf_isa.adapters.dpdk.library._FOLDERS", ("/no/such/folder",))
    with pytest.raises(Unavailable, match=r"apt install librte-bpf23"):
        find_library()
