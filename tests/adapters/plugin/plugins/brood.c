// SPDX-License-Identifier: Apache-2.0
// A plugin whose children have children, in groups and sessions of their own, none of which ends by itself;
// argument 1 is a file to which each of them appends its process id.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void breed(const char *path, int depth)
{
    for (int child = 0; child < 3 && depth; child++) {
        if (fork() == 0) {
            char text[16];
            int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
            snprintf(text, sizeof text, "%d\n", (int)getpid());
            if (write(file, text, strlen(text)) < 0)
                _exit(1);
            close(file);
            if (child == 1)
                setsid();
            if (child == 2)
                setpgid(0, 0);
            breed(path, depth - 1);
            for (;;)
                pause();
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 1;
    breed(argv[1], 3);
    usleep(100000);
    puts("2a");
    return 0;
}
