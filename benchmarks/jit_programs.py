# SPDX-License-Identifier: Apache-2.0
"""The programs that the speed of the JIT is measured with, each with the same algorithm in C."""

from __future__ import annotations

from typing import NamedTuple


class Benchmark(NamedTuple):
    """A program in assembly, the body of ``uint64_t run(uint8_t *r1, uint64_t r2)`` in C, and its memory in bytes."""

    asm: str
    c: str
    memory: int = 0


PROGRAMS = {
    # A mixing function without branches: every value depends on the one before.
    "alu": Benchmark(
        asm="""
            r0 = 1
            r3 = 3000000
        again:
            r4 = r0
            r4 <<= 13
            r0 ^= r4
            r4 = r0
            r4 >>= 7
            r0 ^= r4
            r0 += r3
            w4 = w0
            w4 *= 0x9e3779b1
            r0 ^= r4
            r3 += -1
            if r3 != 0 goto again
            exit
        """,
        c="""
            uint64_t h = 1;
            for (uint64_t n = 3000000; n != 0; n--) {
                h ^= h << 13; h ^= h >> 7; h += n;
                h ^= (uint32_t)((uint32_t)h * 0x9e3779b1u);
            }
            return h;
        """,
    ),
    # Reads, changes and writes each word of the input, again and again.
    "memory": Benchmark(
        asm="""
            r0 = 0
            r5 = 1000
        pass:
            r3 = r1
            r4 = r1
            r4 += r2
        next:
            r6 = *(u64 *)(r3 + 0)
            r0 += r6
            r6 ^= r0
            *(u64 *)(r3 + 0) = r6
            r3 += 8
            if r3 < r4 goto next
            r5 += -1
            if r5 != 0 goto pass
            exit
        """,
        c="""
            uint64_t sum = 0;
            for (int pass = 0; pass < 1000; pass++)
                for (uint8_t *p = r1; p < r1 + r2; p += 8) {
                    uint64_t v; memcpy(&v, p, 8);
                    sum += v; v ^= sum; memcpy(p, &v, 8);
                }
            return sum;
        """,
        memory=32768,
    ),
    # Steps of Collatz's problem, where no one knows which way the next branch goes.
    "branches": Benchmark(
        asm="""
            r0 = 0
            r3 = 100000
        number:
            r4 = r3
        step:
            r0 += 1
            r5 = r4
            r5 &= 1
            if r5 == 0 goto even
            r5 = r4
            r4 <<= 1
            r4 += r5
            r4 += 1
            goto test
        even:
            r4 >>= 1
        test:
            if r4 > 1 goto step
            r3 += -1
            if r3 > 1 goto number
            exit
        """,
        c="""
            uint64_t steps = 0;
            for (uint64_t n = 100000; n > 1; n--)
                for (uint64_t x = n; x > 1; steps++)
                    x = x & 1 ? 3 * x + 1 : x >> 1;
            return steps;
        """,
    ),
    # Counts the primes below the size of the input.
    "sieve": Benchmark(
        asm="""
            r9 = 60
        whole:
            r3 = 0
        clear:
            r4 = r1
            r4 += r3
            *(u8 *)(r4 + 0) = 0
            r3 += 1
            if r3 < r2 goto clear
            r0 = 0
            r3 = 2
        candidate:
            r4 = r1
            r4 += r3
            r5 = *(u8 *)(r4 + 0)
            if r5 != 0 goto composite
            r0 += 1
            r6 = r3
            r6 += r3
        strike:
            if r6 >= r2 goto composite
            r4 = r1
            r4 += r6
            *(u8 *)(r4 + 0) = 1
            r6 += r3
            goto strike
        composite:
            r3 += 1
            if r3 < r2 goto candidate
            r9 += -1
            if r9 != 0 goto whole
            exit
        """,
        c="""
            uint64_t found = 0;
            for (int whole = 0; whole < 60; whole++) {
                found = 0;
                for (uint64_t i = 0; i < r2; i++) ((volatile uint8_t *)r1)[i] = 0;
                for (uint64_t i = 2; i < r2; i++)
                    if (!r1[i]) {
                        found++;
                        for (uint64_t j = i + i; j < r2; j += i) r1[j] = 1;
                    }
            }
            return found;
        """,
        memory=65536,
    ),
    # Euclid's algorithm for many pairs.
    "gcd": Benchmark(
        asm="""
            r0 = 0
            r3 = 300000
        pair:
            r4 = r3
            r4 *= 7919
            r5 = 1000003
        reduce:
            r6 = r4
            r6 %= r5
            r4 = r5
            r5 = r6
            if r5 != 0 goto reduce
            r0 += r4
            r3 += -1
            if r3 != 0 goto pair
            exit
        """,
        c="""
            uint64_t sum = 0;
            for (uint64_t n = 300000; n != 0; n--) {
                uint64_t a = n * 7919, b = 1000003;
                while (b) { uint64_t t = a % b; a = b; b = t; }
                sum += a;
            }
            return sum;
        """,
    ),
    # Small functions that call each other and use their stacks.
    "calls": Benchmark(
        asm="""
            r6 = 0
            r7 = 1000000
        again:
            r1 = r7
            r2 = r6
            call local outer
            r6 = r0
            r7 += -1
            if r7 != 0 goto again
            r0 = r6
            exit
        outer:
            *(u64 *)(r10 - 8) = r2
            r6 = r1
            call local inner
            r1 = *(u64 *)(r10 - 8)
            r0 += r1
            r0 ^= r6
            exit
        inner:
            r0 = r1
            r0 *= 31
            r0 += 7
            exit
        """,
        c="""
            uint64_t h = 0;
            for (uint64_t n = 1000000; n != 0; n--) h = outer(n, h);
            return h;
        """,
    ),
}

#: Functions that the C of ``calls`` needs.
C_PRELUDE = """
#include <stdint.h>
#include <string.h>
static __attribute__((noinline)) uint64_t inner(uint64_t a) { return a * 31 + 7; }
static __attribute__((noinline)) uint64_t outer(uint64_t a, uint64_t b) { return (inner(a) + b) ^ a; }
"""
