/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/feeds/csv.h"
#include "proto/base/money.h"

#define TAIL_BYTES 512 /* holds the last line whole */
#define SAME_MS (INT64_C(3600) * 1000)

struct sl_feed_record {
    char path[400];
    int fd;
    int64_t size;
    int64_t last_ms;
    int64_t last_nano;
    bool has_last;
};

void sl_feed_record_close(struct sl_feed_record *record) {
    if (record) {
        if (record->fd >= 0) {
            close(record->fd);
        }
        free(record);
    }
}

static int put(struct sl_feed_record *r, const char *text, size_t len, struct sl_error *err) {
    errno = 0;
    ssize_t n = pwrite(r->fd, text, len, r->size);
    if (n != (ssize_t)len) {
        errno = errno ? errno : ENOSPC;
        return sl_fail_errno(err, "recording prices in %s", r->path);
    }
    r->size += n;
    return SL_OK;
}

/* The header must be ours: a file of something else is not written into. */
static int check_head(struct sl_feed_record *r, const char *unit, struct sl_error *err) {
    char head[96] = "";
    char wanted[96];
    int len = snprintf(wanted, sizeof wanted, "timestamp,%s\n", unit);
    ssize_t n = pread(r->fd, head, (size_t)len, 0);
    if (n < len && n >= 0 && strncmp(head, wanted, (size_t)n) == 0) {
        r->size = 0; /* new, or a crash came in its first line */
        return put(r, wanted, (size_t)len, err);
    }
    if (n != len || strcmp(head, wanted) != 0) {
        return sl_fail(
            err, SL_INVALID,
            "%s does not begin with \"timestamp,%s\": move it away, so that prices can be "
            "recorded",
            r->path, unit);
    }
    return SL_OK;
}

/* Cuts an incomplete last line, and takes time and value of the last whole one. */
static int check_tail(struct sl_feed_record *r, struct sl_error *err) {
    char tail[TAIL_BYTES];
    char time[SL_CSV_FIELD_MAX];
    char value[SL_CSV_FIELD_MAX];
    int64_t from = r->size > TAIL_BYTES ? r->size - TAIL_BYTES : 0;
    ssize_t n = pread(r->fd, tail, (size_t)(r->size - from), from);
    if (n < 0) {
        return sl_fail_errno(err, "reading %s", r->path);
    }
    while (n > 0 && tail[n - 1] != '\n') {
        n--;
    }
    r->size = from + n;
    struct sl_csv csv = {.text = tail, .size = (size_t)n};
    while (sl_csv_next(&csv)) {
        struct sl_wall at;
        if (csv.len && sl_csv_field(&csv, 0, time) && sl_csv_field(&csv, 1, value) &&
            sl_wall_parse(time, &at) == SL_OK &&
            sl_decimal_parse_lenient(value, 9, &r->last_nano, NULL) == SL_OK) {
            r->last_ms = at.ms;
            r->has_last = true;
        }
    }
    return ftruncate(r->fd, r->size) != 0 ? sl_fail_errno(err, "cutting %s", r->path) : SL_OK;
}

int sl_feed_record_open(const char *dir, const char *id, const char *unit,
                        struct sl_feed_record **ret_record, struct sl_error *err) {
    SL_AUTO(sl_feed_record) r = calloc(1, sizeof *r);
    if (!r) {
        return sl_fail(err, SL_NOMEM, "no memory for a recording");
    }
    r->fd = -1;
    int n = snprintf(r->path, sizeof r->path, "%s/%s.csv", dir, id);
    if (n < 0 || (size_t)n >= sizeof r->path || strchr(id, '/')) {
        return sl_fail(err, SL_INVALID, "feed %s: its name cannot be that of a file", id);
    }
    r->fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (r->fd < 0) {
        return sl_fail_errno(err, "cannot record prices in %s", r->path);
    }
    r->size = lseek(r->fd, 0, SEEK_END);
    int rc = check_head(r, unit, err);
    rc = rc ? rc : check_tail(r, err);
    if (rc == SL_OK) {
        *ret_record = sl_take(&r);
    }
    return rc;
}

int sl_feed_record_add(struct sl_feed_record *r, struct sl_wall at, int64_t value_nano,
                       struct sl_error *err) {
    if (r->has_last &&
        (at.ms <= r->last_ms || (value_nano == r->last_nano && at.ms - r->last_ms < SAME_MS))) {
        return SL_OK;
    }
    char time[32];
    char value[64];
    char line[128];
    sl_wall_format(at, time);
    int len =
        snprintf(line, sizeof line, "%s,%s\n", time, sl_nusd_format((sl_i128)value_nano, value));
    if (r->size + len > SL_FEED_RECORD_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "%s is full: move it away and start again", r->path);
    }
    int rc = put(r, line, (size_t)len, err);
    if (rc == SL_OK) {
        r->last_ms = at.ms;
        r->last_nano = value_nano;
        r->has_last = true;
    }
    return rc;
}
