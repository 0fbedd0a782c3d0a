/* SPDX-License-Identifier: Apache-2.0 */
/* Where jobs come from and results go to. */
#ifndef BPF_ISA_CHANNEL_H
#define BPF_ISA_CHANNEL_H

#include "system.h"

enum { READ_ONLY = 0, WRITE_ONLY = 1, HERE = -100, WAIT_UNTIL_SENT = 0x5409, INTERRUPTED = -4, AGAIN = -11 };
enum { MOST_BYTES = 8 << 20 };

static uint8_t output[MOST_BYTES] __attribute__((aligned(8)));
static char text[MOST_BYTES / 3 * 4 + 8];
static uint32_t checksums[256], written;
static int in = 0, out = 1, alone;

/* Files */

static int open_file(const char *path, int flags) { return (int)system_call(__NR_openat, HERE, (long)path, flags, 0, 0); }

static int read_all(void *to, uint32_t size) {
    uint32_t done = 0;
    while (done < size) {
        long got = system_call(__NR_read, in, (long)to + done, size - done, 0, 0);
        if (got == INTERRUPTED)
            continue;
        if (got <= 0)
            return 0;
        done += (uint32_t)got;
    }
    return 1;
}

/* Ends the process if nobody reads any more. */
static void write_all(const char *from, size_t size) {
    while (size) {
        long put = system_call(__NR_write, out, (long)from, (long)size, 0, 0);
        if (put == INTERRUPTED || put == AGAIN)
            continue;
        if (put <= 0)
            system_call(__NR_exit_group, 1, 0, 0, 0, 0);
        from += put;
        size -= (size_t)put;
    }
}

/* Results */

static void put(const void *from, uint32_t size) {
    memcpy(output + written, from, size);
    written += (size + 3) & ~3u;
}

static void put_word(uint32_t word) { put(&word, sizeof word); }

static void begin(uint32_t number) {
    written = 8; /* checksum and length */
    put_word(number);
}

static void make_checksums(void) {
    for (uint32_t i = 0; i < 256; i++) {
        checksums[i] = i;
        for (int bit = 0; bit < 8; bit++)
            checksums[i] = checksums[i] >> 1 ^ (checksums[i] & 1 ? 0xedb88320 : 0);
    }
}

/* CRC-32 */
static uint32_t checksum(const uint8_t *from, uint32_t size) {
    uint32_t sum = ~0u;
    while (size--)
        sum = checksums[(sum ^ *from++) & 255] ^ sum >> 8;
    return ~sum;
}

/* Writes the result as a line of its own: @ and base64. */
static void send(void) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    memcpy(output + 4, &written, 4);
    uint32_t sum = checksum(output + 4, written - 4);
    memcpy(output, &sum, 4);
    while (written % 3)
        output[written++] = 0;
    char *to = text;
    *to++ = '@';
    for (uint32_t at = 0; at < written; at += 3) {
        uint32_t group = (uint32_t)output[at] << 16 | (uint32_t)output[at + 1] << 8 | output[at + 2];
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = digits[group >> 6 & 63];
        *to++ = digits[group & 63];
    }
    *to++ = '\n';
    write_all(text, (size_t)(to - text));
    if (alone)
        system_call(__NR_ioctl, out, WAIT_UNTIL_SENT, 1, 0, 0);
}

/* Writes the length and what a small file has; length 0 for a file that cannot be read. */
static void put_file(const char *path) {
    uint8_t content[256];
    uint32_t size = 0;
    int file = open_file(path, READ_ONLY);
    if (file >= 0) {
        long got = system_call(__NR_read, file, (long)content, sizeof content, 0, 0);
        size = got > 0 ? (uint32_t)got : 0;
        system_call(__NR_close, file, 0, 0, 0, 0);
    }
    put_word(size);
    put(content, size);
}

#endif
