// SPDX-License-Identifier: Apache-2.0
// A small BPF interpreter: base64, divmul64 and atomic64 of RFC 9669, without maps, helper functions and packets.
// For little-endian machines with GCC or Clang.
#ifndef BPF_H
#define BPF_H

#include <stddef.h>
#include <stdint.h>

// An instruction slot (RFC 9669, section 3.1), as it lies in memory.
struct bpf_insn {
    uint8_t opcode;
    uint8_t dst : 4, src : 4;
    int16_t offset;
    int32_t imm;
};

// Finds what is wrong with a program before it runs; NULL if nothing is. Sets *slot to the place.
const char *bpf_check(const struct bpf_insn *code, size_t count, size_t *slot);

// Runs a program that bpf_check has accepted, with the address and the length of memory in r1 and r2. Returns NULL
// and sets *result to r0, or returns why the program was stopped and sets *slot to the place.
const char *bpf_run(const struct bpf_insn *code, size_t count, uint8_t *memory, size_t length, uint64_t *result,
                    size_t *slot);

#endif
