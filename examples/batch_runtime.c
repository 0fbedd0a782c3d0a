// SPDX-License-Identifier: Apache-2.0
// The runtime's side of the batch protocol (docs/batch-protocol.md) in C, without dependencies. Replace execute() by a
// call of your runtime; the rest can stay. As it is, it runs a few instructions of base32 and says so.
//
//     cc -O2 -o batch_runtime batch_runtime.c && bpf-isa smoke ./batch_runtime
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum outcome { RETURNED, REJECTED, FAULTED, UNSUPPORTED };
static const char *const outcome_names[] = {"returned", "rejected", "faulted", "unsupported"};

// Runs a program; sets *r0 if it returns, and otherwise *reason.
static enum outcome execute(const uint8_t *code, size_t size, uint8_t *memory, size_t length, uint64_t *r0,
                            const char **reason)
{
    uint64_t r[11] = {[1] = (uintptr_t)memory, [2] = length};

    if (size % 8)
        return *reason = "bad-length: no multiple of 8 bytes", REJECTED;
    for (size_t at = 0; at < size; at += 8) {
        unsigned opcode = code[at], dst = code[at + 1] & 15, src = code[at + 1] >> 4;
        int16_t offset = (int16_t)(code[at + 2] | code[at + 3] << 8);
        uint32_t imm = code[at + 4] | code[at + 5] << 8 | code[at + 6] << 16 | (uint32_t)code[at + 7] << 24;
        unsigned base = opcode == 0x71 ? src : dst;

        if (dst > 10 || src > 10)
            return *reason = "bad-register: there are r0 to r10", REJECTED;
        uint8_t *byte = (uint8_t *)(uintptr_t)(r[base] + (uint64_t)offset);
        if (opcode == 0x95 && !dst && !src && !offset && !imm) // exit
            return *r0 = r[0], RETURNED;
        if (opcode == 0xb4 && !src && !offset) // w{dst} = imm
            r[dst] = imm;
        else if (opcode == 0xbc && !offset && !imm) // w{dst} = w{src}
            r[dst] = (uint32_t)r[src];
        else if (opcode == 0x04 && !src && !offset) // w{dst} += imm
            r[dst] = (uint32_t)r[dst] + imm;
        else if (opcode == 0x0c && !offset && !imm) // w{dst} += w{src}
            r[dst] = (uint32_t)(r[dst] + r[src]);
        else if ((opcode != 0x71 && opcode != 0x72) || base == 10)
            return *reason = "instruction: not one of the few that this example knows", UNSUPPORTED;
        else if (byte < memory || byte >= memory + length) // is compared as a number, never followed
            return *reason = "out-of-bounds: an access outside of the input memory", FAULTED;
        else if (opcode == 0x71 && !imm) // r{dst} = *(u8 *)(r{src} + offset)
            r[dst] = *byte;
        else if (opcode == 0x72 && !src) // *(u8 *)(r{dst} + offset) = imm
            *byte = (uint8_t)imm;
        else
            return *reason = "unused-field: a field that must be zero is not", REJECTED;
    }
    return *reason = "falls-off-the-end: no EXIT at the end", REJECTED;
}

// The protocol. The suite promises messages without blanks between tokens, and hex without escapes, so that members
// can be found by their names.

// Returns what stands behind `"name":` in a message.
static char *member(char *message, const char *name)
{
    char *at = strstr(message, name);
    return at ? at + strlen(name) : "";
}

// Returns the bytes that the hexadecimal digits of a string in quotes mean, and their number. They are aligned for
// accesses of 8 bytes, as malloc() does it.
static uint8_t *decode(const char *text, size_t *size)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *bytes = NULL;

    *size = 0;
    if (*text++ != '"' || !(bytes = malloc(strlen(text))))
        return NULL; // null: there is no memory
    for (const char *high, *low; *text != '"'; text += 2) {
        if (!text[0] || !text[1] || !(high = strchr(digits, text[0])) || !(low = strchr(digits, text[1])))
            return free(bytes), NULL;
        bytes[(*size)++] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return bytes;
}

int main(void)
{
    FILE *answers = fdopen(dup(1), "w"); // nothing but answers is written to it
    char *line = NULL;
    size_t capacity = 0;

    dup2(2, 1); // what else is printed, by whatever library, goes to standard error
    while (getline(&line, &capacity, stdin) > 0) {
        char *command = member(line, "\"cmd\":");

        if (!strncmp(command, "\"start\"", 7)) {
            fputs("{\"protocol\":1,\"name\":\"batch_runtime.c\",\"version\":\"1\",\"engine\":\"interpreter\","
                 "\"byte_order\":\"little\",\"groups\":null,\"observes\":[\"r0\",\"memory\"]}\n", answers);
        } else if (!strncmp(command, "\"run\"", 5)) {
            long long seq = atoll(member(line, "\"seq\":"));
            char *program = member(line, "\"program\":"), *input = member(line, "\"memory\":");
            size_t size, length;
            uint8_t *code = decode(program, &size), *memory = decode(input, &length);
            uint64_t r0 = 0;
            const char *reason = "";
            enum outcome outcome = execute(code, size, memory, length, &r0, &reason);

            fprintf(answers, "{\"seq\":%lld,\"outcome\":\"%s\"", seq, outcome_names[outcome]);
            if (outcome != RETURNED)
                fprintf(answers, ",\"reason\":\"%s\"", reason);
            else
                fprintf(answers, ",\"r0\":\"0x%" PRIx64 "\"", r0);
            if (outcome == RETURNED && memory) {
                fputs(",\"memory\":\"", answers);
                for (size_t at = 0; at < length; at++)
                    fprintf(answers, "%02x", memory[at]);
                putc('"', answers);
            }
            fputs("}\n", answers);
            free(code);
            free(memory);
        } else {
            break; // stop
        }
        fflush(answers); // the suite waits for the answer
    }
    free(line);
    return 0;
}
