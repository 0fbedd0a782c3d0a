/* SPDX-License-Identifier: Apache-2.0 */
/* Makes prepared calls of bpf(2): reads a list of jobs, and writes a line for each result.
 *
 * As a process it reads standard input and writes standard output. As the first process of a machine it reads /jobs, and
 * writes to the virtio port vport0p1, or to the console; then it switches the machine off. adapters/linux/packed.py has
 * the formats of both. Numbers are in the byte order of the machine.
 */
#include <linux/bpf.h>

#include "channel.h"

enum { POWER_OFF = 0x4321fedc, MAGIC_1 = (int)0xfee1dead, MAGIC_2 = 672274793 };
enum { TOO_BIG = -7, MONOTONIC = 1, RETRIES = 10 };
enum { ANY_ALIGNMENT = 1 << 1, LOG_STATISTICS = 4 };
enum { MOST_LOG = 64 << 10, MOST_MAPS = 64, NONE = -1 };

/* packed.py: */
enum { JOBS = 0x314a5042, TO_RUN = 0, TO_PANIC = 1, TO_HANG = 2, OPTIONAL = 1, FALLBACK = 2 };
enum { LEFT_OUT = 0, RAN = 1, REFUSED = 2, NOT_RUN = 3, FAILED = 4 };
enum { ABOUT_MACHINE = -1, END = -2 };

struct list {
    uint32_t magic;
    int32_t jit, harden;
    uint32_t log, types, reserved;
};

struct job {
    uint32_t bytes, kind, program_type, maps, indexed, reads;
    int32_t packet;
    uint32_t loads, registers, reserved;
};

struct load {
    uint32_t bytes, flags, code, relocations, origins, functions;
};

/* An array map of one value; used_by is the last job that used it, counted from 1, or 0. */
struct map {
    int descriptor;
    uint32_t size, used_by;
};

static uint8_t input[MOST_BYTES] __attribute__((aligned(8)));
static char log_text[MOST_LOG];
static uint8_t value_now[MOST_BYTES] __attribute__((aligned(8)));
static uint32_t log_bytes, jobs;
static struct map maps[MOST_MAPS], *used[MOST_MAPS];
static int types = NONE;

/* bpf(2) */

static int bpf(int command, union bpf_attr *attributes) {
    int result = 0;
    for (int tries = 0; tries < RETRIES; tries++) {
        result = (int)system_call(__NR_bpf, command, (long)attributes, sizeof *attributes, 0, 0);
        if (result != AGAIN && result != INTERRUPTED)
            break;
    }
    return result;
}

static uint64_t pointer(const void *to) { return (uint64_t)(uintptr_t)to; }

static int element(int command, const struct map *map, const void *value) {
    uint32_t key = 0;
    union bpf_attr attributes = {0};
    attributes.map_fd = (uint32_t)map->descriptor;
    attributes.key = pointer(&key);
    attributes.value = pointer(value);
    return bpf(command, &attributes);
}

/* Finds a map of this size that this job does not have yet, or makes one, in place of the oldest. */
static int find_map(uint32_t size, struct map **found) {
    struct map *oldest = maps;
    for (struct map *map = maps; map < maps + MOST_MAPS; map++) {
        if (map->used_by && map->size == size && map->used_by <= jobs) {
            map->used_by = jobs + 1;
            *found = map;
            return 0;
        }
        if (map->used_by < oldest->used_by)
            oldest = map;
    }
    if (oldest->used_by > jobs)
        return TOO_BIG;
    if (oldest->used_by)
        system_call(__NR_close, oldest->descriptor, 0, 0, 0, 0);
    oldest->used_by = 0;
    union bpf_attr attributes = {0};
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = 4;
    attributes.value_size = size;
    attributes.max_entries = 1;
    memcpy(attributes.map_name, "bpf_isa", 8);
    int descriptor = bpf(BPF_MAP_CREATE, &attributes);
    if (descriptor < 0)
        return descriptor;
    *oldest = (struct map){descriptor, size, jobs + 1};
    *found = oldest;
    return 0;
}

static int load_types(const void *from, uint32_t size) {
    union bpf_attr attributes = {0};
    attributes.btf = pointer(from);
    attributes.btf_size = size;
    return bpf(BPF_BTF_LOAD, &attributes);
}

/* A job */

static const uint8_t *at;

static const void *take(uint32_t size) {
    const void *here = at;
    at += (size + 7) & ~7u;
    return here;
}

static uint64_t now(void) {
    int64_t time[2] = {0};
#ifdef __NR_clock_gettime64
    system_call(__NR_clock_gettime64, MONOTONIC, (long)time, 0, 0, 0);
#else
    system_call(__NR_clock_gettime, MONOTONIC, (long)time, 0, 0, 0);
#endif
    return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}

static void put_refusal(int error) {
    uint32_t size = 0, from = 0;
    while (size < MOST_LOG && log_text[size])
        size++;
    if (size > log_bytes)
        from = size - log_bytes;
    put_word(REFUSED);
    put_word((uint32_t)-error);
    put_word(size - from);
    put(log_text + from, size - from);
}

static void put_failure(int error, int command) {
    put_word(FAILED);
    put_word((uint32_t)-error);
    put_word((uint32_t)command);
}

/* Writes the words of a map's value that are not as they were. */
static void put_changes(const uint8_t *before, uint32_t size) {
    uint32_t count_at = written, count = 0;
    put_word(0);
    for (uint32_t from = 0; from < size;) {
        uint32_t to = from;
        while (to < size && value_now[to] == before[to])
            to++;
        from = to & ~7u;
        if (to >= size)
            break;
        for (to = from; to < size;) {
            uint32_t next = to + 8 < size ? to + 8 : size, same = to;
            while (same < next && value_now[same] == before[same])
                same++;
            if (same == next)
                break;
            to = next;
        }
        put_word(from);
        put_word(to - from);
        put(value_now + from, to - from);
        from = to;
        count++;
    }
    memcpy(output + count_at, &count, 4);
}

static uint32_t jited_length(int program) {
    struct bpf_prog_info info;
    union bpf_attr attributes = {0};
    memset(&info, 0, sizeof info);
    attributes.info.bpf_fd = (uint32_t)program;
    attributes.info.info_len = sizeof info;
    attributes.info.info = pointer(&info);
    return bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) < 0 ? 0 : info.jited_prog_len;
}

static int load_program(const struct job *job, const struct load *load, const int32_t *indexed) {
    const uint32_t *relocations = take(8 * load->relocations);
    take(12 * load->origins);
    const void *functions = take(8 * load->functions);
    uint8_t *code = (uint8_t *)take(load->code);
    for (uint32_t i = 0; i < load->relocations; i++) {
        int32_t index = (int32_t)relocations[2 * i + 1], descriptor = index == NONE ? NONE : used[index]->descriptor;
        memcpy(code + 8 * relocations[2 * i] + 4, &descriptor, 4);
    }
    union bpf_attr attributes = {0};
    attributes.prog_type = job->program_type;
    attributes.insn_cnt = load->code / 8;
    attributes.insns = pointer(code);
    attributes.license = pointer("GPL");
    attributes.log_level = LOG_STATISTICS;
    attributes.log_size = MOST_LOG;
    attributes.log_buf = pointer(log_text);
    attributes.prog_flags = ANY_ALIGNMENT;
    memcpy(attributes.prog_name, "bpf_isa", 8);
    if (load->functions) {
        attributes.prog_btf_fd = (uint32_t)types;
        attributes.func_info_rec_size = 8;
        attributes.func_info = pointer(functions);
        attributes.func_info_cnt = load->functions;
    }
    if (job->indexed)
        attributes.fd_array = pointer(indexed);
    log_text[0] = 0;
    return bpf(BPF_PROG_LOAD, &attributes);
}

static int run_program(int program, const struct job *job, const uint8_t *packet) {
    union bpf_attr attributes = {0};
    attributes.test.prog_fd = (uint32_t)program;
    if (job->packet != NONE) {
        attributes.test.data_in = pointer(packet);
        attributes.test.data_size_in = (uint32_t)job->packet;
    }
    return bpf(BPF_PROG_TEST_RUN, &attributes);
}

/* Loads a program, sets all maps to their values, runs it, and writes the result. Returns whether it ran. */
static int load_and_run(const struct job *job, const struct load *load, const uint8_t *packet,
                        const uint8_t *const *values, const int32_t *indexed, const uint32_t *reads) {
    uint64_t start = now();
    int program = load_program(job, load, indexed), failed = 0, error = 0;
    if (program < 0) {
        put_refusal(program);
        return 0;
    }
    for (uint32_t i = 0; i < job->maps && !failed; i++)
        failed = element(BPF_MAP_UPDATE_ELEM, used[i], values[i]);
    if (!failed)
        error = run_program(program, job, packet);
    uint64_t nanoseconds = now() - start;
    if (failed) {
        put_failure(failed, BPF_MAP_UPDATE_ELEM);
    } else if (error < 0) {
        put_word(NOT_RUN);
        put_word((uint32_t)-error);
    } else {
        put_word(RAN);
        put_word(jited_length(program));
        put_word(nanoseconds < ~0u ? (uint32_t)nanoseconds : ~0u);
        for (uint32_t i = 0; i < job->reads; i++) {
            element(BPF_MAP_LOOKUP_ELEM, used[reads[i]], value_now);
            put_changes(values[reads[i]], used[reads[i]]->size);
        }
    }
    system_call(__NR_close, program, 0, 0, 0, 0);
    return !failed && error >= 0;
}

static void run_job(const struct job *job) {
    const uint8_t *values[MOST_MAPS];
    int32_t indexed[MOST_MAPS + 1];
    at = (const uint8_t *)(job + 1);
    const uint32_t *sizes = take(4 * job->maps);
    const int32_t *names = take(4 * job->indexed);
    const uint32_t *reads = take(4 * job->reads);
    const uint8_t *packet = take(job->packet == NONE ? 0 : (uint32_t)job->packet);
    int error = job->maps > MOST_MAPS || job->indexed > MOST_MAPS + 1 ? TOO_BIG : 0;
    for (uint32_t i = 0; i < job->maps && error >= 0; i++) {
        error = find_map(sizes[i], &used[i]);
        values[i] = take(sizes[i]);
    }
    for (uint32_t i = 0; i < job->loads && error < 0; i++)
        put_failure(error, BPF_MAP_CREATE);
    if (error < 0)
        return;
    for (uint32_t i = 0; i < job->indexed; i++)
        indexed[i] = names[i] == NONE ? NONE : used[names[i]]->descriptor;
    int ran = 0;
    for (uint32_t i = 0; i < job->loads; i++) {
        const struct load *load = take(sizeof *load);
        const uint8_t *next = (const uint8_t *)load + load->bytes;
        if (ran && load->flags & FALLBACK)
            put_word(LEFT_OUT);
        else if (load->functions && types < 0)
            put_failure(types, BPF_BTF_LOAD);
        else
            ran |= load_and_run(job, load, packet, values, indexed, reads);
        at = next;
    }
}

/* The machine */

static void set(const char *path, int32_t value) {
    char digit = (char)('0' + value);
    int file = value < 0 ? NONE : open_file(path, WRITE_ONLY);
    if (file >= 0) {
        system_call(__NR_write, file, (long)&digit, 1, 0, 0);
        system_call(__NR_close, file, 0, 0, 0, 0);
    }
}

/* What this kernel is: its release, whether the JIT is on, whether it blinds constants; empty where there is no file. */
static void send_about(void) {
    begin((uint32_t)ABOUT_MACHINE);
    put_file("/proc/sys/kernel/osrelease");
    put_file("/proc/sys/net/core/bpf_jit_enable");
    put_file("/proc/sys/net/core/bpf_jit_harden");
    send();
}

static void mount(const char *what, const char *where) {
    system_call(__NR_mount, (long)what, (long)where, (long)what, 0, 0);
}

/* The first process of a machine finds nothing but the files that it is given. */
static void set_up_machine(void) {
    mount("proc", "/proc");
    mount("sysfs", "/sys");
    mount("devtmpfs", "/dev");
    in = open_file("/jobs", READ_ONLY);
    for (int tries = 0; tries < 50 && open_file("/sys/class/virtio-ports", READ_ONLY) >= 0; tries++) {
        int port = open_file("/dev/vport0p1", WRITE_ONLY);
        if (port >= 0) {
            out = port;
            break;
        }
        int64_t pause[2] = {0, 100000000};
#ifdef __NR_clock_nanosleep_time64
        system_call(__NR_clock_nanosleep_time64, MONOTONIC, 0, (long)pause, 0, 0);
#else
        system_call(__NR_clock_nanosleep, MONOTONIC, 0, (long)pause, 0, 0);
#endif
    }
}

static void work(void) {
    struct list *list = (struct list *)input;
    if (!read_all(list, sizeof *list) || list->magic != JOBS || list->types > MOST_BYTES)
        return;
    log_bytes = list->log;
    set("/proc/sys/net/core/bpf_jit_enable", list->jit);
    set("/proc/sys/net/core/bpf_jit_harden", list->harden);
    uint32_t size = (list->types + 7) & ~7u, real = list->types;
    if (!read_all(input, size))
        return;
    types = load_types(input, real);
    send_about();
    struct job *job = (struct job *)input;
    while (read_all(job, sizeof *job) && job->bytes >= sizeof *job && job->bytes <= MOST_BYTES) {
        if (!read_all(job + 1, job->bytes - sizeof *job))
            return;
        if (job->kind == TO_PANIC)
            system_call(__NR_exit_group, 1, 0, 0, 0, 0);
        while (job->kind == TO_HANG)
            __asm__ volatile("");
        begin(jobs);
        run_job(job);
        jobs++;
        send();
    }
    begin((uint32_t)END);
    send();
}

#if defined(__x86_64__) || defined(__i386__)
__attribute__((force_align_arg_pointer))
#endif
__attribute__((noreturn)) void _start(void) {
    make_checksums();
    alone = system_call(__NR_getpid, 0, 0, 0, 0, 0) == 1;
    if (alone)
        set_up_machine();
    work();
    if (alone)
        system_call(__NR_reboot, MAGIC_1, MAGIC_2, POWER_OFF, 0, 0);
    for (;;)
        system_call(__NR_exit_group, 0, 0, 0, 0, 0);
}
