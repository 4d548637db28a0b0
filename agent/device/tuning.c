/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/tuning.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/stratum/sha256.h"
#include "proto/base/log.h"
#include "proto/base/regular.h"
#include "proto/base/text.h"

#define PATH_TEXT_MAX 512
#define WHO_TEXT_MAX 256
#define HEAD "sluice-tuning 1\n"

struct entry {
    char task[SL_TUNING_TASK_MAX];
    uint64_t source;
    struct sl_tuned tuned;
};

struct sl_tuning {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX]; /* empty: in memory only */
    char device[WHO_TEXT_MAX];
    char driver[WHO_TEXT_MAX];
    bool changed;
    uint32_t count;
    struct entry entries[SL_TUNING_ENTRIES_MAX];
};

/* A name on a line of its own, whatever a driver calls itself. */
static void copy_line(char out[WHO_TEXT_MAX], const char *text) {
    sl_text_copy(out, WHO_TEXT_MAX, text);
    for (char *c = out; *c; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    }
}

static uint64_t digest_of(const char *text) {
    uint8_t digest[32];
    uint64_t first = 0;
    sl_sha256d(text, strlen(text), digest);
    for (int i = 0; i < 8; i++) {
        first = first << 8 | digest[i];
    }
    return first;
}

static bool is_task_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool is_task(const char *task) {
    size_t n = strlen(task);
    for (size_t i = 0; i < n; i++) {
        if (!is_task_char(task[i])) {
            return false;
        }
    }
    return n > 0 && n < SL_TUNING_TASK_MAX;
}

/* Reading. `at` moves on over what was as it should be. */

static bool skip(const char **at, const char *end, const char *text) {
    size_t n = strlen(text);
    if ((size_t)(end - *at) < n || memcmp(*at, text, n) != 0) {
        return false;
    }
    *at += n;
    return true;
}

static bool skip_line(const char **at, const char *end, const char *name, const char *value) {
    return skip(at, end, name) && skip(at, end, " ") && skip(at, end, value) && skip(at, end, "\n");
}

/* Written as we write it: no sign, no leading zero. */
static bool take_number(const char **at, const char *end, uint64_t max, uint64_t *ret_value) {
    uint64_t value = 0;
    const char *c = *at;
    while (c < end && *c >= '0' && *c <= '9') {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value)) {
            return false;
        }
        c++;
    }
    if (c == *at || (**at == '0' && c > *at + 1) || value > max) {
        return false;
    }
    *at = c;
    *ret_value = value;
    return true;
}

static bool take_hex(const char **at, const char *end, uint64_t *ret_value) {
    char digits[17] = {0};
    uint8_t bytes[8];
    char again[17];
    if (end - *at < 16) {
        return false;
    }
    memcpy(digits, *at, 16);
    if (sl_hex_decode(digits, bytes, sizeof bytes) != SL_OK) {
        return false;
    }
    sl_hex_encode(bytes, sizeof bytes, again);
    if (memcmp(again, digits, 16) != 0) {
        return false;
    }
    *ret_value = 0;
    for (int i = 0; i < 8; i++) {
        *ret_value = *ret_value << 8 | bytes[i];
    }
    *at += 16;
    return true;
}

static bool take_task(const char **at, const char *end, struct entry *ret_entry) {
    struct entry entry = {0};
    uint64_t value = 0;
    size_t n = 0;
    while (*at + n < end && is_task_char((*at)[n])) {
        n++;
    }
    if (n == 0 || n >= SL_TUNING_TASK_MAX) {
        return false;
    }
    memcpy(entry.task, *at, n);
    *at += n;
    if (!skip(at, end, " ") || !take_hex(at, end, &entry.source) || !skip(at, end, " ") ||
        !take_number(at, end, UINT64_MAX, &entry.tuned.figure)) {
        return false;
    }
    while (skip(at, end, " ")) {
        if (entry.tuned.count == SL_TUNING_VALUES_MAX ||
            !take_number(at, end, UINT32_MAX, &value)) {
            return false;
        }
        entry.tuned.values[entry.tuned.count++] = (uint32_t)value;
    }
    *ret_entry = entry;
    return entry.tuned.count > 0 && skip(at, end, "\n");
}

static struct entry *find(struct entry *entries, uint32_t count, const char *task) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(entries[i].task, task) == 0) {
            return &entries[i];
        }
    }
    return NULL;
}

static bool good_sum(const char *text, const char *at, const char *end) {
    uint8_t digest[32];
    char hex[65];
    sl_sha256d(text, (size_t)(at - text), digest);
    sl_hex_encode(digest, sizeof digest, hex);
    return skip_line(&at, end, "sum", hex) && at == end;
}

int sl_tuning_parse(struct sl_tuning *tuning, const char *text, size_t size) {
    const char *at = text;
    const char *end = text + size;
    uint32_t count = 0;
    if (size > SL_TUNING_FILE_MAX || !skip(&at, end, HEAD) ||
        !skip_line(&at, end, "device", tuning->device) ||
        !skip_line(&at, end, "driver", tuning->driver)) {
        return -SL_INVALID;
    }
    SL_AUTO_FREE struct entry *entries = calloc(SL_TUNING_ENTRIES_MAX, sizeof *entries);
    if (!entries) {
        return -SL_INVALID;
    }
    while (skip(&at, end, "task ")) {
        struct entry entry;
        if (count == SL_TUNING_ENTRIES_MAX || !take_task(&at, end, &entry) ||
            find(entries, count, entry.task)) {
            return -SL_INVALID;
        }
        entries[count++] = entry;
    }
    if (!good_sum(text, at, end)) {
        return -SL_INVALID;
    }
    memcpy(tuning->entries, entries, sizeof tuning->entries);
    tuning->count = count;
    tuning->changed = false;
    return SL_OK;
}

static void read_file(struct sl_tuning *tuning) {
    struct stat info;
    struct sl_error err;
    SL_AUTO_FILE FILE *file = NULL;
    int rc = sl_regular_open(tuning->path, &file, &err);
    if (rc == -SL_INVALID) {
        sl_log(SL_LOG_WARN, "device.tuning", "%s; the device is tuned again", err.text);
    }
    if (rc != SL_OK || fstat(fileno(file), &info) != 0 || info.st_uid != geteuid() ||
        info.st_size <= 0 || info.st_size > SL_TUNING_FILE_MAX) {
        return;
    }
    size_t size = (size_t)info.st_size;
    SL_AUTO_FREE char *text = malloc(size);
    if (text && fread(text, size, 1, file) == 1) {
        (void)sl_tuning_parse(tuning, text, size); /* a bad file is as good as none */
    }
}

int sl_tuning_open(const char *dir, const char *device, const char *driver,
                   struct sl_tuning **ret_tuning, struct sl_error *err) {
    SL_AUTO(sl_tuning) tuning = calloc(1, sizeof *tuning);
    if (!tuning) {
        return sl_fail(err, SL_NOMEM, "no memory for what was tuned");
    }
    copy_line(tuning->device, device);
    copy_line(tuning->driver, driver);
    if (dir && dir[0]) {
        int n = snprintf(tuning->path, sizeof tuning->path, "%s/tuning-%016" PRIx64, dir,
                         digest_of(tuning->device));
        if (n >= PATH_TEXT_MAX - 16) {
            return sl_fail(err, SL_LIMIT, "the cache folder's path is too long (%d bytes): %s", n,
                           dir);
        }
        sl_text_copy(tuning->dir, sizeof tuning->dir, dir);
        read_file(tuning);
    }
    *ret_tuning = sl_take(&tuning);
    return SL_OK;
}

void sl_tuning_close(struct sl_tuning *tuning) {
    free(tuning);
}

bool sl_tuning_find(const struct sl_tuning *tuning, const char *task, const char *source,
                    struct sl_tuned *ret_tuned) {
    for (uint32_t i = 0; tuning && i < tuning->count; i++) {
        const struct entry *entry = &tuning->entries[i];
        if (strcmp(entry->task, task) == 0 && entry->source == digest_of(source)) {
            *ret_tuned = entry->tuned;
            return true;
        }
    }
    return false;
}

int sl_tuning_put(struct sl_tuning *tuning, const char *task, const char *source,
                  const struct sl_tuned *tuned) {
    if (!tuning) {
        return SL_OK;
    }
    if (!is_task(task) || tuned->count == 0 || tuned->count > SL_TUNING_VALUES_MAX) {
        return -SL_INVALID;
    }
    struct entry *entry = find(tuning->entries, tuning->count, task);
    if (!entry) {
        if (tuning->count == SL_TUNING_ENTRIES_MAX) {
            return -SL_LIMIT;
        }
        entry = &tuning->entries[tuning->count++];
    }
    memset(entry, 0, sizeof *entry);
    sl_text_copy(entry->task, sizeof entry->task, task);
    entry->source = digest_of(source);
    entry->tuned = *tuned;
    tuning->changed = true;
    return SL_OK;
}

void sl_tuning_forget(struct sl_tuning *tuning) {
    tuning->count = 0;
    tuning->changed = true;
}

static void write_text(const struct sl_tuning *tuning, struct sl_buf *text) {
    uint8_t digest[32];
    char hex[65];
    sl_buf_printf(text, HEAD "device %s\ndriver %s\n", tuning->device, tuning->driver);
    for (uint32_t i = 0; i < tuning->count; i++) {
        const struct entry *entry = &tuning->entries[i];
        sl_buf_printf(text, "task %s %016" PRIx64 " %" PRIu64, entry->task, entry->source,
                      entry->tuned.figure);
        for (uint32_t k = 0; k < entry->tuned.count; k++) {
            sl_buf_printf(text, " %" PRIu32, entry->tuned.values[k]);
        }
        sl_buf_append(text, "\n", 1);
    }
    if (!text->failed) {
        sl_sha256d(text->data, text->len, digest);
        sl_hex_encode(digest, sizeof digest, hex);
        sl_buf_printf(text, "sum %s\n", hex);
    }
}

int sl_tuning_save(struct sl_tuning *tuning, struct sl_error *err) {
    char temporary[PATH_TEXT_MAX + 16];
    SL_AUTO_BUF struct sl_buf text = {0};
    if (!tuning || !tuning->changed || tuning->path[0] == '\0') {
        return SL_OK;
    }
    write_text(tuning, &text);
    if (text.failed) {
        return sl_fail(err, SL_NOMEM, "no memory to write %s", tuning->path);
    }
    if (mkdir(tuning->dir, 0700) != 0 && errno != EEXIST) {
        return sl_fail(err, SL_IO, "cannot make %s: %s", tuning->dir, strerror(errno));
    }
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", tuning->path);
    SL_AUTO_FD int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return sl_fail(err, SL_IO, "cannot write %s: %s", tuning->path, strerror(errno));
    }
    ssize_t n = write(fd, text.data, text.len);
    if (n != (ssize_t)text.len || rename(temporary, tuning->path) != 0) {
        int code = n >= 0 && n != (ssize_t)text.len ? ENOSPC : errno;
        unlink(temporary);
        return sl_fail(err, SL_IO, "cannot write %s: %s", tuning->path, strerror(code));
    }
    tuning->changed = false;
    return SL_OK;
}
