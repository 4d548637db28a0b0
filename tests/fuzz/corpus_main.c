/* SPDX-License-Identifier: Apache-2.0
 * Runs one target over the files of its corpus, in any build: what fuzzing has found stays found.
 * An empty or absent corpus is a failure, since it would test nothing. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>

#include "tests/fuzz/fuzz.h"

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

/* NULL: it cannot be read. */
static uint8_t *read_file(const char *path, size_t *ret_size) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    size_t size = 0;
    size_t cap = 4096;
    uint8_t *bytes = malloc(cap);
    while (bytes) {
        size_t got = fread(bytes + size, 1, cap - size, file);
        size += got;
        if (got == 0) {
            break;
        }
        if (size == cap) {
            uint8_t *more = realloc(bytes, cap * 2);
            if (!more) {
                free(bytes);
            }
            bytes = more;
            cap *= 2;
        }
    }
    bool good = bytes && !ferror(file);
    fclose(file);
    if (!good) {
        free(bytes);
        return NULL;
    }
    *ret_size = size;
    return bytes;
}

/* A crash says which file it was by the last line before it. */
static int run_file(const char *folder, const char *name) {
    char path[PATH_MAX];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    uint8_t *bytes = read_file(path, &size);
    if (!bytes) {
        fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        return 1;
    }
    fprintf(stderr, "input %s, %zu bytes\n", path, size);
    uint8_t *exact = fuzz_copy(bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    free(bytes);
    return 0;
}

static int is_input(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    struct dirent **names = NULL;
    int count = scandir(argv[1], &names, is_input, alphasort);
    if (count <= 0) {
        fprintf(stderr, "there is no input in %s: the corpus of this target is missing\n", argv[1]);
        free(names);
        return 1;
    }
    int failures = 0;
    for (int i = 0; i < count; i++) {
        failures += run_file(argv[1], names[i]->d_name);
        free(names[i]);
    }
    free(names);
    printf("%d inputs, %d unreadable\n", count, failures);
    return failures ? 1 : 0;
}
