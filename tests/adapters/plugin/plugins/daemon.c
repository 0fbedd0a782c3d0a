// SPDX-License-Identifier: Apache-2.0
// A plugin that leaves a process behind in a session of its own, which ignores every signal that can be ignored and
// holds the pipes open; argument 1 is a file for its process id.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        return 1;
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            for (int number = 1; number < 32; number++)
                signal(number, SIG_IGN);
            FILE *file = fopen(argv[1], "w");
            fprintf(file, "%d", (int)getpid());
            fclose(file);
            for (;;)
                pause();
        }
        _exit(0);
    }
    while (access(argv[1], F_OK) || sleep(0))
        usleep(1000);
    usleep(20000);
    puts("2a");
    return 0;
}
