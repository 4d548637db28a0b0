/* SPDX-License-Identifier: Apache-2.0
 * A hostile file of what is quickest: refused as a whole, with what was known kept, or taken; and
 * what was taken is written so that it is read as the same. The first byte says whether the sum at
 * its end is made right, or no mutation would get behind it. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/tuning.h"
#include "agent/stratum/sha256.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"

#define DEVICE "fuzz/device/0"
#define DRIVER "fuzz driver 1"

static bool same(const struct sl_tuned *a, const struct sl_tuned *b) {
    return a->figure == b->figure && a->count == b->count &&
           memcmp(a->values, b->values, a->count * sizeof a->values[0]) == 0;
}

static char *with_sum(const uint8_t *data, size_t size, size_t *ret_size) {
    uint8_t digest[32];
    char hex[65];
    char *text = malloc(size + 80);
    fuzz_check(text);
    memcpy(text, data, size);
    sl_sha256d(text, size, digest);
    sl_hex_encode(digest, sizeof digest, hex);
    *ret_size = size + (size_t)sprintf(text + size, "sum %s\n", hex);
    return text;
}

/* Names that a file of the corpus may have, and what a mutation makes of them. */
static void compare(const struct sl_tuning *a, const struct sl_tuning *b) {
    static const char *const tasks[] = {"mine", "sha256d", "gemm.512.q8", "a", "a-b_c.d"};
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        struct sl_tuned one = {0};
        struct sl_tuned two = {0};
        bool known = sl_tuning_find(a, tasks[i], "source", &one);
        fuzz_check(known == sl_tuning_find(b, tasks[i], "source", &two));
        fuzz_check(!known || (one.count >= 1 && one.count <= SL_TUNING_VALUES_MAX));
        fuzz_check(!known || same(&one, &two));
    }
}

static void write_and_read(struct sl_tuning *tuning, const char *dir) {
    struct sl_tuning *again = NULL;
    struct sl_error err = {0};
    struct sl_tuned mine = {.figure = 7, .count = 2, .values = {1, 2}};
    if (sl_tuning_put(tuning, "mine", "source", &mine) != SL_OK) {
        return; /* 128 tasks are there already */
    }
    fuzz_check(sl_tuning_save(tuning, &err) == SL_OK);
    fuzz_check(sl_tuning_open(dir, DEVICE, DRIVER, &again, &err) == SL_OK);
    compare(tuning, again);
    struct sl_tuned found = {0};
    fuzz_check(sl_tuning_find(again, "mine", "source", &found) && same(&found, &mine));
    sl_tuning_close(again);
}

static void clean(const char *dir) {
    DIR *folder = opendir(dir);
    for (struct dirent *at = NULL; folder && (at = readdir(folder));) {
        unlinkat(dirfd(folder), at->d_name, 0);
    }
    if (folder) {
        closedir(folder);
    }
    rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char dir[64];
    struct sl_tuning *tuning = NULL;
    struct sl_error err = {0};
    struct sl_tuned before = {.figure = 5, .count = 1, .values = {9}};
    struct sl_tuned after = {0};
    if (size == 0) {
        return 0;
    }
    snprintf(dir, sizeof dir, "/dev/shm/sluice-fuzz-tuning-%d", (int)getpid());
    fuzz_check(sl_tuning_open(dir, DEVICE, DRIVER, &tuning, &err) == SL_OK);
    sl_tuning_forget(tuning); /* of the run before */
    fuzz_check(sl_tuning_put(tuning, "kept", "source", &before) == SL_OK);
    size_t text_size = size - 1;
    char *text = data[0] == 's' ? with_sum(data + 1, size - 1, &text_size)
                                : (char *)fuzz_copy(data + 1, size - 1);
    int rc = sl_tuning_parse(tuning, text, text_size);
    if (rc != SL_OK) {
        fuzz_check(rc == -SL_INVALID);
        fuzz_check(sl_tuning_find(tuning, "kept", "source", &after) && same(&before, &after));
    } else {
        write_and_read(tuning, dir);
        clean(dir);
    }
    free(text);
    sl_tuning_close(tuning);
    return 0;
}
