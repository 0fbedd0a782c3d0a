// SPDX-License-Identifier: Apache-2.0
// A runtime of a few instructions, for the consumer in docs/export.md. It adds 32-bit numbers as 64-bit ones, which is
// wrong, so that there is something to find.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int run(const void *code, size_t size, void *memory, size_t length, uint64_t *r0);

int run(const void *code, size_t size, void *memory, size_t length, uint64_t *r0)
{
    uint64_t r[16] = {0};
    r[1] = (uintptr_t)memory;
    r[2] = length;
    for (size_t at = 0; at + 8 <= size; at += 8) {
        const uint8_t *slot = (const uint8_t *)code + at;
        unsigned dst = slot[1] & 15, src = slot[1] >> 4;
        int16_t offset;
        int32_t imm;
        memcpy(&offset, slot + 2, 2);
        memcpy(&imm, slot + 4, 4);
        switch (slot[0]) {
        case 0x04: r[dst] += (uint64_t)imm; break;
        case 0x07: r[dst] += (uint64_t)imm; break;
        case 0x71: r[dst] = *((const uint8_t *)(uintptr_t)r[src] + offset); break;
        case 0xb4: r[dst] = (uint32_t)imm; break;
        case 0xb7: r[dst] = (uint64_t)imm; break;
        case 0x95: *r0 = r[0]; return 0;
        default: return 1;
        }
    }
    return 1;
}
