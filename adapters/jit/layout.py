# SPDX-License-Identifier: Apache-2.0
"""The interface of compiled code and its driver: a block of 64-bit words for each run, and the kinds of traps."""

from __future__ import annotations

from enum import IntEnum

#: Registers that a program can name; see :data:`..reference_vm.machine.REGISTER_SLOTS`.
REGISTERS = 16
FRAMES = 8


class Word(IntEnum):
    """Offsets of the words, in words."""

    REGISTERS = 0  # at entry and at the end
    BUDGET = 16  # instructions left; paid for a whole block when it is entered
    DEPTH = 17  # number of the current frame, from 0
    STOP = 18  # where the program stopped and why: slot << 8 | Trap; 0 if it came to its end
    ADDRESS = 19  # of the access that was refused
    ACCESS = 20  # its size, with READS and WRITES for what it would do
    RESULT = 21  # of a helper function
    FIND = 22  # address of the function that finds memory
    CALL = 23  # address of the function that calls a helper function
    INPUT_HOST = 24  # the input memory: where the host has it, its size, its size if it can be written
    INPUT_SIZE = 25
    INPUT_WRITABLE = 26
    REGIONS = 27  # address of the table of regions: window, host, size, size if writable; sorted by window
    REGION_COUNT = 28
    CONSTANTS = 29  # address of the 32-bit numbers that LDDW instructions take from a table
    PLATFORM = 30  # address of pairs: whether a platform function gives a value, and the value
    LOCK = 31  # address of the lock for misaligned atomic accesses
    FOUND_BASE = 32  # the region that was found last: address, place in the host, size, size if it can be written
    FOUND_HOST = 33
    FOUND_SIZE = 34
    FOUND_WRITABLE = 35
    STACKS = 36  # where the host has the stack of each frame
    CALLABLE = 36 + 2 * FRAMES  # the Python object that is called for a helper function
    ARGUMENTS = 37 + 2 * FRAMES  # the kind of its id, the id, R1 to R5
    DIRTY = 36 + FRAMES  # for each frame: whether its stack must be cleared before the next function gets it


WORDS = int(Word.ARGUMENTS) + 7
READS, WRITES = 1 << 8, 1 << 9
REGION_WORDS = 4


class Trap(IntEnum):
    """The reasons for which compiled code stops."""

    ACCESS = 1
    BUDGET = 2
    BAD_JUMP = 3
    FELL_OFF_END = 4
    CALL_DEPTH = 5
    FRAME_POINTER_WRITE = 6
    UNDEFINED_OPERATION = 7
    PLATFORM = 8
    HELPER = 9
