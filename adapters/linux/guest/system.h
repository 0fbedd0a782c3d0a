/* SPDX-License-Identifier: Apache-2.0 */
/* System calls without a C library. Numbers and structures come from the kernel's own headers. */
#ifndef BPF_ISA_SYSTEM_H
#define BPF_ISA_SYSTEM_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

/* ENTER goes into the kernel with a number and five arguments in the registers NUMBER and A to E; RESULT is one of them,
 * and negative for an error. CHANGES are other registers that do not survive. */
#if defined(__x86_64__)
#define ENTER "syscall"
#define NUMBER "rax"
#define A "rdi"
#define B "rsi"
#define C "rdx"
#define D "r10"
#define E "r8"
#define RESULT number
#define CHANGES "rcx", "r11", "memory"
#elif defined(__i386__)
#define ENTER "int $0x80"
#define NUMBER "eax"
#define A "ebx"
#define B "ecx"
#define C "edx"
#define D "esi"
#define E "edi"
#define RESULT number
#define CHANGES "memory"
#elif defined(__aarch64__)
#define ENTER "svc #0"
#define NUMBER "x8"
#define A "x0"
#define B "x1"
#define C "x2"
#define D "x3"
#define E "x4"
#define RESULT a
#define CHANGES "memory"
#elif defined(__arm__)
#define ENTER "svc #0"
#define NUMBER "r7"
#define A "r0"
#define B "r1"
#define C "r2"
#define D "r3"
#define E "r4"
#define RESULT a
#define CHANGES "memory"
#elif defined(__riscv)
#define ENTER "ecall"
#define NUMBER "a7"
#define A "a0"
#define B "a1"
#define C "a2"
#define D "a3"
#define E "a4"
#define RESULT a
#define CHANGES "memory"
#elif defined(__loongarch__)
#define ENTER "syscall 0"
#define NUMBER "$a7"
#define A "$a0"
#define B "$a1"
#define C "$a2"
#define D "$a3"
#define E "$a4"
#define RESULT a
#define CHANGES "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8", "memory"
#elif defined(__s390x__)
#define ENTER "svc 0"
#define NUMBER "r1"
#define A "r2"
#define B "r3"
#define C "r4"
#define D "r5"
#define E "r6"
#define RESULT a
#define CHANGES "memory"
#elif defined(__powerpc__)
/* The summary overflow bit of cr0 means an error, and that the result is positive. */
#define ENTER "sc\n\tbns+ 1f\n\tneg 3, 3\n1:"
#define NUMBER "r0"
#define A "r3"
#define B "r4"
#define C "r5"
#define D "r6"
#define E "r7"
#define RESULT a
#define CHANGES "cr0", "ctr", "r8", "r9", "r10", "r11", "r12", "memory"
#elif defined(__mips64)
/* A fourth argument that is not zero afterwards means an error, and that the result is positive. */
#define ENTER ".set noreorder\n\tsyscall\n\tbeqz $7, 1f\n\tnop\n\tdsubu $2, $0, $2\n1:\t.set reorder"
#define NUMBER "$2"
#define A "$4"
#define B "$5"
#define C "$6"
#define D "$7"
#define E "$8"
#define RESULT number
#define CHANGES "$1", "$3", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi", "lo", "memory"
#else
#error "no system calls are known for this architecture"
#endif

static long system_call(long number_, long a_, long b_, long c_, long d_, long e_) {
    register long number __asm__(NUMBER) = number_;
    register long a __asm__(A) = a_;
    register long b __asm__(B) = b_;
    register long c __asm__(C) = c_;
    register long d __asm__(D) = d_;
    register long e __asm__(E) = e_;
    __asm__ volatile(ENTER : "+r"(number), "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e) : : CHANGES);
    return RESULT;
}

/* What compilers call even without a library; -fno-builtin keeps them from making calls to themselves of these. */
void *memcpy(void *to, const void *from, size_t size) {
    for (size_t at = 0; at < size; at++)
        ((uint8_t *)to)[at] = ((const uint8_t *)from)[at];
    return to;
}

void *memset(void *to, int value, size_t size) {
    for (size_t at = 0; at < size; at++)
        ((uint8_t *)to)[at] = (uint8_t)value;
    return to;
}

#endif
