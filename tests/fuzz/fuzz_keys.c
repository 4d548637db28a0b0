/* SPDX-License-Identifier: Apache-2.0
 * The link's two key files. Byte 0 chooses: a host's own keys, or the agents that are let in. Error
 * texts name file and line and never show a secret. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/link/allow.h"
#include "proto/link/link.h"

#define SECRET "secret "

static void write_file(const char *path, const uint8_t *bytes, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_check(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

/* No line that begins as a secret one is quoted, not even in part. */
static void check_no_secret(const char *said, const char *file) {
    for (const char *at = strstr(file, SECRET); at; at = strstr(at + 1, SECRET)) {
        char part[17] = "";
        strncpy(part, at + strlen(SECRET), 16);
        part[strcspn(part, "\n")] = '\0';
        fuzz_check(strlen(part) < 12 || !strstr(said, part));
    }
}

static void check_own(const char *path, const char *file) {
    struct sl_link_keys keys;
    struct sl_link_keys untouched;
    struct sl_error err = {0};
    memset(&keys, 0x5A, sizeof keys);
    untouched = keys;
    int rc = sl_link_keys_read(path, &keys, &err);
    if (rc == SL_OK) {
        fuzz_check(sl_link_key_check(keys.public_key, NULL) == SL_OK);
        fuzz_check(strlen(keys.secret_key) == SL_LINK_KEY_MAX - 1);
    } else {
        fuzz_check_error(rc, &err);
        fuzz_check(memcmp(&keys, &untouched, sizeof keys) == 0);
        check_no_secret(err.text, file);
    }
}

static bool begins_a_line(const char *file, const char *key) {
    for (const char *at = strstr(file, key); at; at = strstr(at + 1, key)) {
        const char *before = at;
        while (before > file && strchr(" \t", before[-1])) {
            before--;
        }
        if (before == file || before[-1] == '\n') {
            return true;
        }
    }
    return false;
}

static void check_allowed(const char *path, const char *file, size_t size) {
    struct sl_allow *allow = NULL;
    struct sl_error err = {0};
    int rc = sl_allow_create(path, &allow, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(!allow);
        return;
    }
    /* Who is in must stand there, as the first of a line. */
    for (size_t at = 0; at + SL_LINK_KEY_MAX - 1 <= size && at < 200; at++) {
        char key[SL_LINK_KEY_MAX] = "";
        memcpy(key, file + at, SL_LINK_KEY_MAX - 1);
        if (sl_allow_has(allow, key, false)) {
            fuzz_check(sl_link_key_check(key, NULL) == SL_OK);
            fuzz_check(begins_a_line(file, key));
        }
    }
    fuzz_check(!sl_allow_has(allow, "", false));
    sl_allow_destroy(allow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[64];
    struct fuzz_input in = {data, size};
    bool own = fuzz_u8(&in) & 1;
    if (path[0] == '\0') {
        snprintf(path, sizeof path, "/dev/shm/sluice-fuzz-keys-%d", (int)getpid());
    }
    char *file = fuzz_text(in.at, in.left);
    write_file(path, in.at, in.left);
    if (own) {
        check_own(path, file);
    } else {
        check_allowed(path, file, in.left);
    }
    unlink(path);
    free(file);
    return 0;
}
