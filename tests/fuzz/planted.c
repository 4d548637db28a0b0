/* SPDX-License-Identifier: Apache-2.0
 * Planted faults, by which `run` proves that this build's fuzzer and sanitizers see anything. No
 * target: its name does not begin with fuzz_. Six bytes must be guessed one by one for the first
 * fault, which only a fuzzer that is told what each guess has reached does in time. */
#include "tests/fuzz/fuzz.h"

#include <limits.h>

static void overflow_heap(void) {
    volatile size_t at = 16;
    volatile char *block = malloc(16);
    if (block) {
        block[at] = 1;
    }
    free((void *)block);
}

static void overflow_int(void) {
    volatile int most = INT_MAX;
    volatile int more = most + 1;
    (void)more;
}

/* Several: one alone may stay reachable by an old copy of its address on the stack. */
static void leak(void) {
    for (int i = 0; i < 8; i++) {
        void *volatile block = malloc(16);
        block = NULL;
        (void)block;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char word[] = "sluice";
    size_t right = 0;
    for (; right < 6 && right < size; right++) {
        switch (right) { /* each step a place of its own in the program */
        case 0:
            if (data[0] != (uint8_t)word[0]) {
                return 0;
            }
            break;
        case 1:
            if (data[1] != (uint8_t)word[1]) {
                return 0;
            }
            break;
        case 2:
            if (data[2] != (uint8_t)word[2]) {
                return 0;
            }
            break;
        case 3:
            if (data[3] != (uint8_t)word[3]) {
                return 0;
            }
            break;
        case 4:
            if (data[4] != (uint8_t)word[4]) {
                return 0;
            }
            break;
        default:
            if (data[5] != (uint8_t)word[5]) {
                return 0;
            }
            break;
        }
    }
    if (right < 6) {
        return 0;
    }
    switch (size > 6 ? data[6] : 0) {
    case 'i':
        overflow_int();
        break;
    case 'l':
        leak();
        break;
    case 'r':
        fuzz_check(size == 0);
        break;
    case 'q':
        break;
    default:
        overflow_heap();
        break;
    }
    return 0;
}
