/* SPDX-License-Identifier: Apache-2.0
 * Lays out a tree of sysfs files in a folder of its own, and changes it. */
#ifndef SLUICE_TESTS_UNIT_AGENT_TELEMETRY_TREE_H
#define SLUICE_TESTS_UNIT_AGENT_TELEMETRY_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/text.h"

struct tree {
    char root[64];
};

static inline void tree_path(const struct tree *t, const char *path, char out[512]) {
    snprintf(out, 512, "%s/%s", t->root, path);
    for (char *at = strchr(out + strlen(t->root) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(out, 0700);
        *at = '/';
    }
}

/* In one step: a reader sees the old or the new text. */
static inline void tree_write(const struct tree *t, const char *path, const char *text) {
    char to[512];
    char fresh[520];
    tree_path(t, path, to);
    snprintf(fresh, sizeof fresh, "%s.new", to);
    FILE *file = fopen(fresh, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(fresh, to), 0);
}

static inline void tree_bytes(const struct tree *t, const char *path, const char *hex) {
    uint8_t bytes[512];
    char to[512];
    size_t n = strlen(hex) / 2;
    assert_true(n <= sizeof bytes && sl_hex_decode(hex, bytes, n) == 0);
    tree_path(t, path, to);
    FILE *file = fopen(to, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static inline void tree_remove(const struct tree *t, const char *path) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s/%s'", t->root, path);
    assert_int_equal(system(command), 0);
}

/* "\n" in a text stands for an end of line. */
static inline void tree_line(const struct tree *t, char *line) {
    char *at = NULL;
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '#' || line[0] == '\0') {
        return;
    }
    if ((at = strstr(line, " := "))) {
        *at = '\0';
        tree_bytes(t, line, at + 4);
    } else if ((at = strstr(line, " -> "))) {
        char to[512];
        *at = '\0';
        tree_path(t, line, to);
        assert_int_equal(symlink(at + 4, to), 0);
    } else {
        char text[1024];
        size_t n = 0;
        at = strstr(line, " = ");
        assert_non_null(at);
        *at = '\0';
        for (at += 3; *at && n < sizeof text - 2; at++) {
            bool end = at[0] == '\\' && at[1] == 'n';
            text[n++] = end ? '\n' : *at;
            at += end;
        }
        text[n++] = '\n';
        text[n] = '\0';
        tree_write(t, line, text);
    }
}

static inline void tree_lay(const struct tree *t, const char *fixture) {
    char path[512];
    char line[1024];
    snprintf(path, sizeof path, "%s/sysfs/%s.tree", SLUICE_FIXTURES, fixture);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        tree_line(t, line);
    }
    fclose(file);
}

static inline int tree_setup(void **state) {
    struct tree *t = calloc(1, sizeof *t);
    strcpy(t->root, "/tmp/sluice-sysfs-XXXXXX");
    *state = t;
    return mkdtemp(t->root) ? 0 : -1;
}

static inline int tree_teardown(void **state) {
    struct tree *t = *state;
    tree_remove(t, "");
    free(t);
    return 0;
}

#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

#endif
