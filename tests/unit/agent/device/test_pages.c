/* SPDX-License-Identifier: Apache-2.0
 * Which part of a block is asked for in large pages, as the kernel tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/device/pages.h"

#define LARGE ((size_t)2 * 1024 * 1024)

/* Whether the mapping that holds `at` was asked to have large pages. */
static bool asked(const void *at) {
    char line[512];
    bool inside = false, found = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        unsigned long long begin = 0, end = 0;
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) {
            inside = (uintptr_t)at >= begin && (uintptr_t)at < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line, " hg") != NULL;
        }
    }
    fclose(file);
    return found;
}

/* Room for `count` large pages, the first of which begins at the returned address; room before and
 * behind. */
static char *map_room(size_t count, void **ret_map, size_t *ret_size) {
    *ret_size = (count + 2) * LARGE;
    *ret_map = mmap(NULL, *ret_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(*ret_map != MAP_FAILED);
    size_t skip = LARGE - (uintptr_t)*ret_map % LARGE;
    return (char *)*ret_map + skip;
}

static void whole_large_pages_are_asked_for(void **state) {
    (void)state;
    void *map = NULL;
    size_t size = 0;
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) {
        skip(); /* a kernel without */
    }
    char *at = map_room(3, &map, &size);
    sl_pages_large(at + 4096, 2 * LARGE); /* one whole one inside */
    assert_false(asked(at + 4096));
    assert_true(asked(at + LARGE));
    assert_true(asked(at + 2 * LARGE - 1));
    assert_false(asked(at + 2 * LARGE));
    memset(at, 1, 3 * LARGE);
    munmap(map, size);
}

static void blocks_without_a_whole_one_stay_as_they_are(void **state) {
    (void)state;
    void *map = NULL;
    size_t size = 0;
    char *at = map_room(2, &map, &size);
    sl_pages_large(at + 4096, 2 * LARGE - 8192);
    sl_pages_large(at, 0);
    sl_pages_large(at + 64, LARGE - 1);
    for (char *p = at; p < at + 2 * LARGE; p += LARGE / 4) {
        assert_false(asked(p));
    }
    munmap(map, size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_large_pages_are_asked_for),
        cmocka_unit_test(blocks_without_a_whole_one_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
