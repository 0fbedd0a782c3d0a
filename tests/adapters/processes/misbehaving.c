// SPDX-License-Identifier: Apache-2.0
// A program that does what programs under test must not get away with: argument 1 says what. Nothing that it starts
// ends by itself, and nothing that it takes grows without end.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void forever(void)
{
    for (;;)
        pause();
}

// Each process starts the next one and ends, in a session of its own.
static void chain(int length)
{
    if (fork())
        return;
    setsid();
    while (length--) {
        pid_t next = fork();

        if (next < 0)
            usleep(1000);
        else if (next)
            _exit(0);
    }
    forever();
}

// A double fork into a session of its own, deaf to what can be ignored.
static void leave_a_daemon(void)
{
    if (fork() == 0) {
        setsid();
        if (fork())
            _exit(0);
        for (int number = 1; number < 32; number++)
            signal(number, SIG_IGN);
        forever();
    }
}

static void fork_all(int number)
{
    while (number--)
        if (fork() == 0)
            forever();
}

// All that there is to be had, but no more than 512 MiB; returns whether there was an end to it.
static int eat(void)
{
    const size_t bite = 1 << 24;

    for (int times = 0; times < 32; times++) {
        char *memory = mmap(NULL, bite, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            return 1;
        memset(memory, 1, bite);
    }
    return 0;
}

static void fill(int mebibytes)
{
    static char data[1 << 20];
    char name[32];

    while (mebibytes--) {
        snprintf(name, sizeof name, "full-%d", mebibytes);
        int file = open(name, O_WRONLY | O_CREAT, 0600);
        if (write(file, data, sizeof data) < 0)
            _exit(1);
        close(file);
    }
}

int main(int argc, char **argv)
{
    const char *deed = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;

    if (!strcmp(deed, "chain"))
        chain(number);
    else if (!strcmp(deed, "chain-and-wait"))
        chain(number), forever();
    else if (!strcmp(deed, "daemon"))
        leave_a_daemon();
    else if (!strcmp(deed, "signal"))
        leave_a_daemon(), kill(getppid(), number);
    else if (!strcmp(deed, "signal-and-wait"))
        kill(getppid(), number), forever();
    else if (!strcmp(deed, "crowd"))
        fork_all(number), forever();
    else if (!strcmp(deed, "eat")) {
        if (fork() == 0)
            eat(), forever();
        if (eat())
            abort();
    } else if (!strcmp(deed, "fill"))
        fill(number), forever();
    else if (!strcmp(deed, "crash"))
        leave_a_daemon(), raise(SIGSEGV);
    puts("2a");
    return 0;
}
