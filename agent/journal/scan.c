/* SPDX-License-Identifier: Apache-2.0
 * Checking a journal from its head to its end, and telling a torn last batch from damage.
 *
 * A batch is written only after the one before it is durable, and only into zeros. So a power
 * failure can leave nothing but: the last batch, complete or with whole pieces still zero, and no
 * batch behind it. Everything else is damage. */
#include "agent/journal/journal_internal.h"

#include <stdlib.h>
#include <string.h>

#include "agent/journal/crc32c.h"

#define SEARCH_CHUNK (64 * 1024)

enum stop_reason {
    STOP_INVALID = 0,
    STOP_ZEROS,   /* no batch begins here */
    STOP_HEAD,    /* not zero, not a sound head either */
    STOP_PAYLOAD, /* sound head, wrong sum of the payload */
    STOP_RECORD,  /* sound sums around something that we never wrote */
};

struct scan {
    const char *path;
    struct journal_file *file;
    struct journal_index *index;
    int64_t size;
    int64_t offset; /* of the batch looked at */
    uint64_t number;
    struct journal_batch batch;
    uint8_t *payload; /* [payload_room] */
    size_t payload_room;
};

static bool all_zero(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

static int damaged(const struct scan *scan, struct sl_error *err, const char *what) {
    return sl_fail(err, SL_CORRUPT,
                   "%s is damaged at byte %lld (%s): restore it from a backup, or move it away to "
                   "start empty (results and shares not yet reported are lost then, the broker "
                   "issues the work again)",
                   scan->path, (long long)scan->offset, what);
}

/* Applies the payload's records. 1: fine; 0: malformed; negative: error. */
static int apply_records(struct scan *scan, struct sl_error *err) {
    size_t at = 0;
    for (uint32_t i = 0; i < scan->batch.record_count; i++) {
        struct journal_record record;
        size_t start = at;
        if (!journal_record_next(scan->payload, scan->batch.payload_bytes, &at, &record)) {
            return 0;
        }
        int rc = journal_index_apply(scan->index, &record,
                                     scan->offset + JOURNAL_UNIT + (int64_t)start, err);
        if (rc) {
            return rc;
        }
    }
    size_t rest = scan->batch.payload_bytes - at;
    return rest < JOURNAL_UNIT && all_zero(scan->payload + at, rest);
}

static int read_payload(struct scan *scan, const struct journal_batch *batch, int64_t offset,
                        struct sl_error *err) {
    if (batch->payload_bytes > scan->payload_room) {
        free(scan->payload);
        scan->payload_room = 0;
        scan->payload = malloc(batch->payload_bytes);
        if (!scan->payload) {
            return sl_fail(err, SL_NOMEM, "no memory to check %s", scan->path);
        }
        scan->payload_room = batch->payload_bytes;
    }
    return journal_file_read(scan->file, scan->payload, batch->payload_bytes, offset, err);
}

/* Reads the batch at the offset; 0: applied, positive: enum stop_reason, negative: error. */
static int read_batch(struct scan *scan, struct sl_error *err) {
    uint8_t head[JOURNAL_UNIT];
    int rc = journal_file_read(scan->file, head, sizeof head, scan->offset, err);
    if (rc) {
        return rc;
    }
    if (all_zero(head, sizeof head)) {
        return STOP_ZEROS;
    }
    if (!journal_batch_decode(head, &scan->batch) || scan->batch.number != scan->number + 1) {
        return STOP_HEAD;
    }
    rc = read_payload(scan, &scan->batch, scan->offset + JOURNAL_UNIT, err);
    if (rc) {
        return rc;
    }
    if (sl_crc32c(0, scan->payload, scan->batch.payload_bytes) != scan->batch.payload_crc) {
        return STOP_PAYLOAD;
    }
    rc = apply_records(scan, err);
    return rc < 0 ? rc : rc ? 0 : STOP_RECORD;
}

/* Whether anything, and whether a sound batch, stands at or behind `from`. */
static int look_behind(struct scan *scan, int64_t from, bool *ret_any, bool *ret_batch,
                       struct sl_error *err) {
    uint8_t chunk[SEARCH_CHUNK];
    for (int64_t at = from; at < scan->size; at += SEARCH_CHUNK) {
        int rc = journal_file_read(scan->file, chunk, sizeof chunk, at, err);
        if (rc) {
            return rc;
        }
        if (all_zero(chunk, sizeof chunk)) {
            continue;
        }
        *ret_any = true;
        for (size_t i = 0; i < sizeof chunk; i += JOURNAL_UNIT) {
            struct journal_batch batch;
            if (!journal_batch_decode(chunk + i, &batch) || batch.number <= scan->number) {
                continue;
            }
            rc = read_payload(scan, &batch, at + (int64_t)i + JOURNAL_UNIT, err);
            if (rc) {
                return rc;
            }
            if (sl_crc32c(0, scan->payload, batch.payload_bytes) == batch.payload_crc) {
                *ret_batch = true;
                return SL_OK;
            }
        }
    }
    return SL_OK;
}

/* True when a piece of the batch behind that of its head was never written. */
static bool piece_missing(const struct scan *scan) {
    int64_t end = scan->offset + JOURNAL_UNIT + scan->batch.payload_bytes;
    if (end > scan->size) {
        return true;
    }
    int64_t base = scan->offset + JOURNAL_UNIT;
    int64_t at = (scan->offset / JOURNAL_PIECE + 1) * JOURNAL_PIECE;
    for (; at < end; at += JOURNAL_PIECE) {
        int64_t n = end - at < JOURNAL_PIECE ? end - at : JOURNAL_PIECE;
        if (all_zero(scan->payload + (at - base), (size_t)n)) {
            return true;
        }
    }
    return false;
}

/* The scan stopped at scan->offset: is this the end, a torn last batch, or damage? */
static int judge(struct scan *scan, enum stop_reason reason, uint64_t *ret_cut,
                 struct sl_error *err) {
    bool torn = reason == STOP_ZEROS;
    if (reason == STOP_HEAD) {
        torn = scan->offset + JOURNAL_UNIT > scan->size;
    } else if (reason == STOP_PAYLOAD) {
        torn = piece_missing(scan);
    }
    bool any = false;
    bool batch = false;
    int rc = look_behind(scan, scan->offset, &any, &batch, err);
    if (rc) {
        return rc;
    }
    if (batch || !torn) {
        static const char *const what[] = {
            [STOP_ZEROS] = "a batch is missing, later ones are there",
            [STOP_HEAD] = "the head of a batch",
            [STOP_PAYLOAD] = "the sum of a batch does not fit",
            [STOP_RECORD] = "a record of an unknown form; was it written by a newer version?",
        };
        return damaged(scan, err, what[reason]);
    }
    *ret_cut = any ? (uint64_t)(scan->size - scan->offset) : 0;
    return SL_OK;
}

static int scan_file(struct scan *scan, uint64_t *ret_cut, struct sl_error *err) {
    uint8_t head[JOURNAL_UNIT];
    int rc = journal_file_read(scan->file, head, sizeof head, 0, err);
    if (rc) {
        return rc;
    }
    if (scan->size < JOURNAL_UNIT || !journal_file_head_ok(head)) {
        return damaged(scan, err, "not a journal of sluice-agent, or of another version");
    }
    scan->offset = JOURNAL_UNIT;
    for (;;) {
        rc = scan->offset < scan->size ? read_batch(scan, err) : STOP_ZEROS;
        if (rc < 0) {
            return rc;
        }
        if (rc > 0) {
            return judge(scan, (enum stop_reason)rc, ret_cut, err);
        }
        scan->number = scan->batch.number;
        scan->offset += JOURNAL_UNIT + scan->batch.payload_bytes;
    }
}

int journal_scan(const char *path, struct journal_file *file, struct journal_index *index,
                 uint64_t *ret_cut, struct sl_error *err) {
    struct scan scan = {.path = path, .file = file, .index = index};
    scan.size = file->ops->size(file->ops->context, file->fd);
    if (scan.size < 0) {
        return sl_fail(err, SL_IO, "size of %s: %s", path, strerror((int)-scan.size));
    }
    uint64_t cut = 0;
    int rc = scan_file(&scan, &cut, err);
    free(scan.payload);
    if (rc == SL_OK) {
        file->size = scan.size;
        file->end = scan.offset;
        file->number = scan.number;
        *ret_cut = cut;
    }
    return rc;
}
