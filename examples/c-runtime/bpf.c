// SPDX-License-Identifier: Apache-2.0
#include "bpf.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "programs are taken as they lie in memory");
_Static_assert(sizeof(struct bpf_insn) == 8, "a slot has 64 bits");

enum { LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 };                                     // opcode & 7
enum { ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, MOV, ARSH, END };         // opcode >> 4, arithmetic
enum { JA, JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, CALL, EXIT, JLT, JLE, JSLT, JSLE };   // opcode >> 4, jumps
enum { IMM, ABS, IND, MEM, MEMSX, ATOMIC = 6 };                                        // opcode >> 5, memory
enum { CODE_ADDR = 4 };                                                                // src of a wide instruction
enum { FETCH = 0x01, XCHG = 0xe1, CMPXCHG = 0xf1 };                                    // imm of atomic operations

#define REGISTERS 11
#define FRAMES 8
#define STACK 512
#define BUDGET 100000000 // instructions that a program may take

static const unsigned sizes[] = {4, 2, 1, 8}; // of (opcode >> 3) & 3

// Checks

static const char *check_alu(const struct bpf_insn *in)
{
    unsigned op = in->opcode >> 4, by_register = in->opcode & 8, wide = (in->opcode & 7) == ALU64;

    if (op > END)
        return "unknown arithmetic instruction";
    if (op == END)
        return (wide && by_register) || in->src || in->offset || (in->imm != 16 && in->imm != 32 && in->imm != 64)
                   ? "no such byte swap"
                   : NULL;
    if (op == NEG)
        return by_register || in->src || in->offset || in->imm ? "NEG has one operand" : NULL;
    if (by_register ? in->imm : in->src)
        return "an unused field is not zero";
    if (op == MOV && by_register)
        return in->offset == 0 || in->offset == 8 || in->offset == 16 || (in->offset == 32 && wide) ? NULL
                                                                                                    : "no such MOVSX";
    if (op == DIV || op == MOD)
        return in->offset == 0 || in->offset == 1 ? NULL : "no such division";
    return in->offset ? "an unused field is not zero" : NULL;
}

static const char *check_jump(const struct bpf_insn *in)
{
    unsigned op = in->opcode >> 4, by_register = in->opcode & 8, narrow = (in->opcode & 7) == JMP32;

    switch (op) {
    case JA:
        if (by_register || in->dst || in->src || (narrow ? in->offset : in->imm))
            return "an unused field is not zero";
        return NULL;
    case CALL:
        if (narrow || by_register || in->dst || in->offset)
            return "no such call";
        return in->src == 1 ? NULL : "there are no helper functions";
    case EXIT:
        return narrow || by_register || in->dst || in->src || in->offset || in->imm ? "no such exit" : NULL;
    default:
        if (op > JSLE)
            return "unknown jump";
        return (by_register ? in->imm : in->src) ? "an unused field is not zero" : NULL;
    }
}

static const char *check_memory(const struct bpf_insn *in)
{
    unsigned class = in->opcode & 7, mode = in->opcode >> 5, size = (in->opcode >> 3) & 3;

    if (class == ST)
        return mode == MEM ? (in->src ? "an unused field is not zero" : NULL) : "unknown store";
    if (class == STX && mode == ATOMIC) {
        int32_t op = in->imm;
        if (size != 0 && size != 3)
            return "no atomic operation of this size";
        if (op == XCHG || op == CMPXCHG)
            return NULL;
        op &= ~FETCH;
        return op == ADD << 4 || op == OR << 4 || op == AND << 4 || op == XOR << 4 ? NULL : "no such atomic operation";
    }
    if (in->imm)
        return "an unused field is not zero";
    if (class == LDX && mode == MEMSX)
        return size == 3 ? "no such load" : NULL;
    return mode == MEM ? NULL : "unknown load or store";
}

static const char *check_wide(const struct bpf_insn *in, size_t left)
{
    if (in->opcode != (IMM << 5 | 3 << 3 | LD))
        return "there are no packets";
    if (in->src != 0 && in->src != CODE_ADDR)
        return "there are no maps and no variables";
    if (in->offset)
        return "an unused field is not zero";
    if (left < 2)
        return "the second slot is missing";
    if (in->src == CODE_ADDR && in[1].imm)
        return "an unused field is not zero";
    return in[1].opcode || in[1].dst || in[1].src || in[1].offset ? "the second slot holds more than a number" : NULL;
}

static int is_wide(const struct bpf_insn *in)
{
    return (in->opcode & 7) == LD;
}

// Tells how far an instruction jumps or calls, in slots from the next one; 0 if it does not.
static int64_t distance(const struct bpf_insn *in)
{
    unsigned class = in->opcode & 7, op = in->opcode >> 4;

    if (class == JMP32)
        return op == JA ? in->imm : in->offset;
    if (class == JMP && op == CALL)
        return in->imm;
    return class == JMP && op != EXIT ? in->offset : 0;
}

const char *bpf_check(const struct bpf_insn *code, size_t count, size_t *slot)
{
    const struct bpf_insn *last = NULL;

    for (size_t at = *slot = 0; at < count; at += is_wide(&code[at]) ? 2 : 1) {
        const struct bpf_insn *in = last = &code[at];
        unsigned class = in->opcode & 7;
        const char *problem = class == LD                       ? check_wide(in, count - at)
                              : class == ALU || class == ALU64 ? check_alu(in)
                              : class == JMP || class == JMP32 ? check_jump(in)
                                                               : check_memory(in);
        int64_t target = (int64_t)at + 1 + distance(in);

        *slot = at;
        if (problem)
            return problem;
        if (in->dst >= REGISTERS || in->src >= REGISTERS)
            return "there are r0 to r10";
        if (in->dst == 10 && class != ST && class != STX && class != JMP && class != JMP32)
            return "r10 cannot be written";
        if (class == STX && in->opcode >> 5 == ATOMIC && in->src == 10 && in->imm & FETCH && in->imm != CMPXCHG)
            return "r10 cannot be written";
        if (target < 0 || (target >= (int64_t)count && distance(in)))
            return "a jump leads out of the program";
    }
    for (size_t at = 0; at < count; at += is_wide(&code[at]) ? 2 : 1) {
        size_t target = (size_t)((int64_t)at + 1 + distance(&code[at])), into = 0;

        while (into < target && into < count)
            into += is_wide(&code[into]) ? 2 : 1;
        *slot = at;
        if (distance(&code[at]) && into != target)
            return "a jump leads into an instruction";
    }
    if (!last)
        return "the program is empty";
    unsigned class = last->opcode & 7, op = last->opcode >> 4;
    *slot = (size_t)(last - code);
    return (class == JMP && (op == EXIT || op == JA)) || (class == JMP32 && op == JA) ? NULL
                                                                                     : "execution runs over the end";
}

// Execution

struct frame {
    size_t back;
    uint64_t saved[4]; // r6 to r9 of the caller
    uint8_t stack[STACK];
};

struct machine {
    uint64_t r[REGISTERS];
    uint8_t *memory;
    size_t length;
    struct frame frames[FRAMES];
    size_t depth;
};

static int lies_within(uint64_t address, unsigned size, const uint8_t *base, size_t length)
{
    uint64_t at = address - (uintptr_t)base;

    return at <= length && length - at >= size;
}

// Returns where an address points; NULL if that is no memory of the program.
static uint8_t *place(struct machine *m, uint64_t address, unsigned size)
{
    if (lies_within(address, size, m->memory, m->length))
        return (uint8_t *)(uintptr_t)address;
    for (size_t frame = 0; frame <= m->depth; frame++)
        if (lies_within(address, size, m->frames[frame].stack, STACK))
            return (uint8_t *)(uintptr_t)address;
    return NULL;
}

static uint64_t alu(const struct bpf_insn *in, uint64_t a, uint64_t b)
{
    unsigned op = in->opcode >> 4, wide = (in->opcode & 7) == ALU64, bits = wide ? 64 : 32;

    if (op == END) {
        int swap = wide || in->opcode & 8; // to little-endian is nothing to do
        if (in->imm == 16)
            return swap ? __builtin_bswap16((uint16_t)a) : (uint16_t)a;
        if (in->imm == 32)
            return swap ? __builtin_bswap32((uint32_t)a) : (uint32_t)a;
        return swap ? __builtin_bswap64(a) : a;
    }
    if (!wide && op != MOV)
        a = (uint32_t)a, b = (uint32_t)b;
    int64_t sa = wide ? (int64_t)a : (int32_t)a, sb = wide ? (int64_t)b : (int32_t)b;
    uint64_t shift = b & (bits - 1), result = 0;

    switch (op) {
    case ADD: result = a + b; break;
    case SUB: result = a - b; break;
    case MUL: result = a * b; break;
    case OR: result = a | b; break;
    case AND: result = a & b; break;
    case XOR: result = a ^ b; break;
    case LSH: result = a << shift; break;
    case RSH: result = a >> shift; break;
    case ARSH: result = (uint64_t)(sa >> shift); break;
    case NEG: result = -a; break;
    case DIV: // the quotient of the least number by -1 is that number again
        result = !b ? 0 : !in->offset ? a / b : sb == -1 ? -(uint64_t)sa : (uint64_t)(sa / sb);
        break;
    case MOD:
        result = !b ? a : !in->offset ? a % b : sb == -1 ? 0 : (uint64_t)(sa % sb);
        break;
    case MOV:
        result = in->offset == 8    ? (uint64_t)(int8_t)b
                 : in->offset == 16 ? (uint64_t)(int16_t)b
                 : in->offset == 32 ? (uint64_t)(int32_t)b
                                    : b;
        break;
    }
    return wide ? result : (uint32_t)result;
}

static int holds(const struct bpf_insn *in, uint64_t a, uint64_t b)
{
    int narrow = (in->opcode & 7) == JMP32;
    int64_t sa = narrow ? (int32_t)a : (int64_t)a, sb = narrow ? (int32_t)b : (int64_t)b;

    if (narrow)
        a = (uint32_t)a, b = (uint32_t)b;
    switch (in->opcode >> 4) {
    case JEQ: return a == b;
    case JNE: return a != b;
    case JSET: return (a & b) != 0;
    case JGT: return a > b;
    case JGE: return a >= b;
    case JLT: return a < b;
    case JLE: return a <= b;
    case JSGT: return sa > sb;
    case JSGE: return sa >= sb;
    case JSLT: return sa < sb;
    case JSLE: return sa <= sb;
    default: return 1; // JA
    }
}

static uint64_t load(const uint8_t *from, unsigned size, int sign)
{
    uint64_t value = 0;

    memcpy(&value, from, size);
    if (!sign)
        return value;
    return size == 1 ? (uint64_t)(int8_t)value : size == 2 ? (uint64_t)(int16_t)value : (uint64_t)(int32_t)value;
}

static void atomic(struct machine *m, const struct bpf_insn *in, uint8_t *at, unsigned size)
{
    // One thread runs a program here; with several these would be operations of <stdatomic.h>.
    uint64_t *src = &m->r[in->src], old = load(at, size, 0), low = size == 8 ? ~0ull : 0xffffffff, new = *src;

    switch (in->imm & ~FETCH) {
    case ADD << 4: new = old + *src; break;
    case OR << 4: new = old | *src; break;
    case AND << 4: new = old & *src; break;
    case XOR << 4: new = old ^ *src; break;
    case CMPXCHG & ~FETCH: new = old == (m->r[0] & low) ? *src : old; break;
    }
    memcpy(at, &new, size);
    if (in->imm == CMPXCHG)
        m->r[0] = old;
    else if (in->imm & FETCH)
        *src = old;
}

const char *bpf_run(const struct bpf_insn *code, size_t count, uint8_t *memory, size_t length, uint64_t *result,
                    size_t *slot)
{
    static struct machine m;

    m = (struct machine){.memory = memory, .length = length};
    m.r[1] = (uintptr_t)memory;
    m.r[2] = length;
    m.r[10] = (uintptr_t)(m.frames[0].stack + STACK);
    for (size_t at = 0, taken = 0; at < count; taken++) {
        const struct bpf_insn *in = &code[at++];
        unsigned class = in->opcode & 7, op = in->opcode >> 4, mode = in->opcode >> 5;
        unsigned size = sizes[(in->opcode >> 3) & 3];
        uint64_t *dst = &m.r[in->dst], src = m.r[in->src], operand = in->opcode & 8 ? src : (uint64_t)(int64_t)in->imm;

        *slot = (size_t)(in - code);
        if (taken == BUDGET)
            return "it takes too long";
        if (class == ALU || class == ALU64) {
            *dst = alu(in, *dst, operand);
        } else if (class == LD) {
            // The address of an instruction is where it lies; it tells apart, and leads nowhere.
            *dst = in->src == CODE_ADDR ? (uint64_t)(uintptr_t)(in + 1) + 8 * (int64_t)in->imm
                                        : (uint64_t)(uint32_t)in[1].imm << 32 | (uint32_t)in->imm;
            at++;
        } else if (class == JMP && op == CALL) {
            if (m.depth + 1 == FRAMES)
                return "functions are called too deeply";
            struct frame *frame = &m.frames[++m.depth];
            frame->back = at;
            memcpy(frame->saved, &m.r[6], sizeof(frame->saved));
            m.r[10] = (uintptr_t)(frame->stack + STACK);
            at = (size_t)((int64_t)at + distance(in));
        } else if (class == JMP && op == EXIT) {
            if (!m.depth)
                return *result = m.r[0], NULL;
            struct frame *frame = &m.frames[m.depth--];
            at = frame->back;
            memcpy(&m.r[6], frame->saved, sizeof(frame->saved));
            m.r[10] = (uintptr_t)(m.frames[m.depth].stack + STACK);
        } else if (class == JMP || class == JMP32) {
            if (holds(in, *dst, operand))
                at = (size_t)((int64_t)at + distance(in));
        } else {
            uint8_t *where = place(&m, (class == LDX ? src : *dst) + (uint64_t)in->offset, size);

            if (!where)
                return "an access outside of the program's memory";
            if (class == LDX)
                *dst = load(where, size, mode == MEMSX);
            else if (class == STX && mode == ATOMIC)
                atomic(&m, in, where, size);
            else
                memcpy(where, class == STX ? &src : &(uint64_t){(uint64_t)(int64_t)in->imm}, size);
        }
    }
    return "execution ran over the end";
}
