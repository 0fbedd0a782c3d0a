// SPDX-License-Identifier: Apache-2.0
// A plugin that asks for 1 GiB of memory and says whether it got it: R0 is 1 or 0.
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    volatile char *memory = malloc((size_t)1 << 30);
    puts(memory ? "1" : "0");
    return 0;
}
