// SPDX-License-Identifier: Apache-2.0
// The interpreter as a plugin of the bpf_conformance protocol: program in hex on standard input, memory in hex as the
// argument, r0 in hex on standard output; or a message on standard error and exit status 1.
#include "bpf.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct bytes {
    uint8_t *data;
    size_t count, room;
};

static int digit(int c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

// Appends a hexadecimal digit as half a byte, the high half first; `half` keeps track. Returns 0 for anything else.
static int append(struct bytes *bytes, int c, int *half)
{
    int value = digit(c);

    if (value < 0)
        return isspace(c) != 0;
    if (bytes->count == bytes->room) {
        bytes->room = bytes->room ? 2 * bytes->room : 4096;
        bytes->data = realloc(bytes->data, bytes->room);
        if (!bytes->data)
            exit(EXIT_FAILURE);
    }
    bytes->data[bytes->count] = (uint8_t)(*half ? bytes->data[bytes->count] << 4 | value : value);
    bytes->count += (size_t)*half;
    *half = !*half;
    return 1;
}

static int fail(const char *what, size_t slot)
{
    fprintf(stderr, "slot %zu: %s\n", slot, what);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct bytes memory = {0}, code = {0};
    int half = 0, c;

    for (const char *text = argc > 1 ? argv[1] : ""; *text; text++)
        if (!append(&memory, (unsigned char)*text, &half))
            return fail("the memory is not in hex", 0);
    if (half)
        return fail("the memory is no whole number of bytes", 0);
    while ((c = getchar()) != EOF)
        if (!append(&code, c, &half))
            return fail("the program is not in hex", 0);
    if (half || code.count % sizeof(struct bpf_insn))
        return fail("the program is no whole number of slots", code.count / sizeof(struct bpf_insn));

    const struct bpf_insn *program = (const struct bpf_insn *)code.data;
    size_t count = code.count / sizeof(struct bpf_insn), slot;
    uint64_t result;
    const char *problem = bpf_check(program, count, &slot);

    if (!problem)
        problem = bpf_run(program, count, memory.data, memory.count, &result, &slot);
    if (problem)
        return fail(problem, slot);
    printf("%" PRIx64 "\n", result);
    return EXIT_SUCCESS;
}
