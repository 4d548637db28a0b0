/* SPDX-License-Identifier: Apache-2.0
 * The log's form (SQLite's file format, 4): a head of 32 bytes with two salts, then frames of a
 * head of 24 bytes and a page. A frame belongs to the present log when it has its salts. */
#include "broker/store/wal_view.h"

#include <stdlib.h>
#include <string.h>

#include "broker/store/page_sum.h"
#include "broker/store/store_internal.h"

#define FRAME_BYTES (SL_WAL_FRAME_HEAD_BYTES + SL_PAGE_BYTES)
#define WAL_MAGIC 0x377f0682u
#define WAL_VERSION 3007000u
#define SECTOR 512
#define EVIDENCE_BYTES 8
#define LONELY_BYTES 16

/* 256 GiB: what a hostile log may make us take memory for. */
#define PAGES_MAX (1u << 26)

struct frame {
    uint8_t bytes[FRAME_BYTES];
};

struct sum {
    uint32_t s0, s1;
};

static uint32_t native32(const uint8_t *in, bool big_endian) {
    return big_endian
               ? sl_page_be32(in)
               : (uint32_t)in[3] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[1] << 8 | in[0];
}

static struct sum sum_more(struct sum sum, const uint8_t *bytes, int n, bool big_endian) {
    for (int i = 0; i < n; i += 8) {
        sum.s0 += native32(bytes + i, big_endian) + sum.s1;
        sum.s1 += native32(bytes + i + 4, big_endian) + sum.s0;
    }
    return sum;
}

static struct sum stored_sum(const uint8_t *frame) {
    return (struct sum){sl_page_be32(frame + 16), sl_page_be32(frame + 20)};
}

static bool same(struct sum a, struct sum b) {
    return a.s0 == b.s0 && a.s1 == b.s1;
}

static int64_t frame_offset(uint32_t frame) {
    return SL_WAL_HEAD_BYTES + (int64_t)(frame - 1) * FRAME_BYTES;
}

static int read_at(const struct sl_wal_view *view, void *out, int n, int64_t offset,
                   struct sl_error *err) {
    int rc = view->file->pMethods->xRead(view->file, out, n, offset);
    return rc == SQLITE_OK ? SL_OK
                           : sl_fail(err, SL_IO, "reading %s at byte %lld failed (SQLite code %d)",
                                     view->path, (long long)offset, rc);
}

static bool has_salts(const struct sl_wal_view *view, const uint8_t *frame) {
    return sl_page_be32(frame + 8) == view->salt[0] && sl_page_be32(frame + 12) == view->salt[1];
}

static bool is_commit(const uint8_t *frame) {
    return sl_page_be32(frame + 4) != 0;
}

static bool continues(const struct sl_wal_view *view, const uint8_t *frame, struct sum before) {
    struct sum sum = sum_more(before, frame, 8, view->big_endian);
    sum = sum_more(sum, frame + SL_WAL_FRAME_HEAD_BYTES, SL_PAGE_BYTES, view->big_endian);
    return sl_page_be32(frame) != 0 && has_salts(view, frame) && same(sum, stored_sum(frame));
}

static int damaged(const struct sl_wal_view *view, int64_t offset, const char *what,
                   struct sl_error *err) {
    return sl_fail(err, SL_CORRUPT,
                   "%s is damaged at byte %lld (%s): transactions that were acknowledged would be "
                   "lost; restore a backup (sluice-broker restore)",
                   view->path, (long long)offset, what);
}

static int note(struct sl_wal_view *view, uint32_t page, uint32_t frame, struct sl_error *err) {
    if (page == 0) { /* the first frame of a log without its head: nothing has checked it */
        return damaged(view, frame_offset(frame), "its page has no number", err);
    }
    if (page > PAGES_MAX) {
        return damaged(view, frame_offset(frame), "no store has so many pages", err);
    }
    if (page > view->map_count) {
        uint32_t count = page + 1024;
        uint32_t *map = realloc(view->map, count * sizeof *map);
        if (!map) {
            return sl_fail(err, SL_NOMEM, "no memory to check %s", view->path);
        }
        memset(map + view->map_count, 0, (count - view->map_count) * sizeof *map);
        view->map = map;
        view->map_count = count;
    }
    view->map[page - 1] = frame;
    return SL_OK;
}

/* Takes over the pages of the whole transactions up to `last`. */
static int map_pages(struct sl_wal_view *view, uint32_t last, struct sl_error *err) {
    int rc = SL_OK;
    for (uint32_t i = 1; rc == SL_OK && i <= last; i++) {
        uint8_t head[8];
        rc = read_at(view, head, sizeof head, frame_offset(i), err);
        rc = rc ? rc : note(view, sl_page_be32(head), i, err);
        view->page_count = i == last ? sl_page_be32(head + 4) : view->page_count;
    }
    view->frame_count = last;
    return rc;
}

/* A frame whose sum does not fit, and the single bits that would make it fit when turned. More than
 * one can: high bits of words three apart look the same to the sum. */
struct suspect {
    const struct sl_wal_view *view;
    const uint8_t *bytes;
    uint32_t number;
    int bits;     /* found, that no torn write explains */
    int last_bit; /* of them */
    bool torn;    /* one was found that may as well be a torn sector */
};

/* A sector that was never written, or half of one, may differ from what should be there by one bit
 * as well, when next to nothing is to be written before or behind it. So both sides of the bit have
 * to hold something; or it stands alone among zeros, where zeros should be. (A sector that holds
 * nothing at all is no explanation: nobody writes a sector of one single bit.) */
static void found_bit(struct suspect *s, int bit) {
    int64_t at = bit / 8;
    int64_t from = (frame_offset(s->number) + at) / SECTOR * SECTOR - frame_offset(s->number);
    int64_t to = from + SECTOR < FRAME_BYTES ? from + SECTOR : FRAME_BYTES;
    from = from < 0 ? 0 : from;
    int sides[2] = {0, 0};
    bool lonely =
        at - from >= LONELY_BYTES && to - at > LONELY_BYTES && s->bytes[at] == 1 << bit % 8;
    for (int64_t i = from; i < to; i++) {
        if (i != at && s->bytes[i]) {
            sides[i > at]++;
            lonely = lonely && (i < at - LONELY_BYTES || i > at + LONELY_BYTES);
        }
    }
    if (lonely || (sides[0] >= EVIDENCE_BYTES && sides[1] >= EVIDENCE_BYTES)) {
        s->bits++;
        s->last_bit = bit;
    } else if (sides[0] + sides[1] > 0) {
        s->torn = true;
    }
}

/* Bits of the 32-bit word at `at`. A step of the sum is linear, so a change d of the word changes
 * the end by d * effect. */
static void turn_word(struct suspect *s, int at, struct sum effect, struct sum missing) {
    uint32_t word = native32(s->bytes + at, s->view->big_endian);
    for (int bit = 0; bit < 32; bit++) {
        uint32_t change = word >> bit & 1 ? 0u - (1u << bit) : 1u << bit;
        if (same((struct sum){change * effect.s0, change * effect.s1}, missing)) {
            found_bit(s, 8 * at + (s->view->big_endian ? 24 - bit / 8 * 8 + bit % 8 : bit));
        }
    }
}

/* The only bit of a big-endian word. */
static int only_bit(uint32_t difference) {
    int bit = __builtin_ctz(difference);
    return 24 - bit / 8 * 8 + bit % 8;
}

static void find_wrong_bits(struct suspect *s, struct sum before) {
    const uint8_t *frame = s->bytes;
    bool big_endian = s->view->big_endian;
    struct sum sum = sum_more(before, frame, 8, big_endian);
    sum = sum_more(sum, frame + SL_WAL_FRAME_HEAD_BYTES, SL_PAGE_BYTES, big_endian);
    struct sum missing = {stored_sum(frame).s0 - sum.s0, stored_sum(frame).s1 - sum.s1};
    uint32_t other[4] = {sl_page_be32(frame + 8) ^ s->view->salt[0],
                         sl_page_be32(frame + 12) ^ s->view->salt[1], stored_sum(frame).s0 ^ sum.s0,
                         stored_sum(frame).s1 ^ sum.s1};
    int bits = 0;
    for (int i = 0; i < 4; i++) {
        bits += __builtin_popcount(other[i]);
    }
    for (int i = 0; i < 4 && bits == 1; i++) {
        if (other[i]) {
            found_bit(s, 8 * (8 + 4 * i) + only_bit(other[i]));
        }
    }
    if (other[0] || other[1]) {
        return; /* else of an earlier log, or never written */
    }
    struct sum first = {1, 1}; /* effects of the two words of a step, from the last step on */
    struct sum second = {0, 1};
    for (int step = SL_PAGE_BYTES / 8; step >= 0; step--) {
        int at = step == 0 ? 0 : SL_WAL_FRAME_HEAD_BYTES + 8 * (step - 1);
        turn_word(s, at, first, missing);
        turn_word(s, at + 4, second, missing);
        first = (struct sum){first.s0 + first.s1, first.s0 + 2 * first.s1};
        second = (struct sum){second.s0 + second.s1, second.s0 + 2 * second.s1};
    }
}

/* The commit mark shares half a sector with salts and sum: they are of one write, even where a
 * sector was torn in the middle. Else the mark may be that of an older log's frame in the same
 * place. */
static bool head_in_one_half(uint32_t frame) {
    int64_t offset = frame_offset(frame);
    int64_t half = SECTOR / 2;
    return (offset + 4) / half == (offset + SL_WAL_FRAME_HEAD_BYTES - 1) / half;
}

/* Whether a frame at or behind `bad` continues a commit at or behind `bad`. */
static int written_after(const struct sl_wal_view *view, uint32_t bad, bool *ret_found,
                         struct sl_error *err) {
    struct frame before = {0};
    struct frame now = {0};
    bool before_good = false;
    int rc = read_at(view, before.bytes, FRAME_BYTES, frame_offset(bad), err);
    for (uint32_t i = bad + 1; rc == SL_OK && i <= view->room && !*ret_found; i++) {
        rc = read_at(view, now.bytes, SL_WAL_FRAME_HEAD_BYTES, frame_offset(i), err);
        bool good = false;
        if (rc == SL_OK && has_salts(view, now.bytes)) {
            rc = read_at(view, now.bytes, FRAME_BYTES, frame_offset(i), err);
            good = rc == SL_OK && continues(view, now.bytes, stored_sum(before.bytes));
        }
        /* Its sum is continued, so its head was written in this log, whatever its salts say now. */
        bool commit = is_commit(before.bytes) && (before_good || head_in_one_half(i - 1));
        *ret_found = good && commit;
        before = now;
        before_good = good;
    }
    return rc;
}

/* Whether `frame`, which stands at `number`, and those behind it are a whole transaction. */
static int whole_from(const struct sl_wal_view *view, uint32_t number, const struct frame *first,
                      bool *ret_whole, struct sl_error *err) {
    struct frame frame = *first;
    while (!is_commit(frame.bytes) && number < view->room) {
        struct sum sum = stored_sum(frame.bytes);
        int rc = read_at(view, frame.bytes, FRAME_BYTES, frame_offset(++number), err);
        if (rc) {
            return rc;
        }
        if (!continues(view, frame.bytes, sum)) {
            return SL_OK;
        }
    }
    *ret_whole = is_commit(frame.bytes);
    return SL_OK;
}

/* Only one bit stands between the log and a whole last transaction. In a log that began anew a
 * sector that was never written may hold an older frame of the same page, which differs by so
 * little as well; so it may be damage or a torn write. Either way the sums say what the transaction
 * is, and to have it is right, whether it was acknowledged or not: the bit is turned back. */
static int turn_back(const struct sl_wal_view *view, uint32_t bad, struct frame *frame, int bit,
                     bool *ret_mended, struct sl_error *err) {
    sqlite3_file *file = view->file;
    bool whole = false;
    frame->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    int rc = whole_from(view, bad, frame, &whole, err);
    if (rc || !whole) {
        return rc; /* other parts of it are missing: nobody was told of it */
    }
    int64_t at = frame_offset(bad) + bit / 8;
    if (file->pMethods->xWrite(file, &frame->bytes[bit / 8], 1, at) != SQLITE_OK ||
        file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) != SQLITE_OK) {
        return sl_fail(err, SL_IO, "turning back a bit of %s at byte %lld failed; check the disk",
                       view->path, (long long)at);
    }
    *ret_mended = true;
    return SL_OK;
}

/* Frame `bad` does not continue the one before it: the end of the log, or damage? */
static int judge(const struct sl_wal_view *view, uint32_t bad, struct sum before, bool *ret_mended,
                 struct sl_error *err) {
    bool after = false;
    int rc = written_after(view, bad, &after, err);
    if (rc || after) {
        return rc ? rc
                  : damaged(view, frame_offset(bad), "later transactions stand behind it", err);
    }
    struct frame frame;
    rc = read_at(view, frame.bytes, FRAME_BYTES, frame_offset(bad), err);
    if (rc) {
        return rc;
    }
    struct suspect suspect = {.view = view, .bytes = frame.bytes, .number = bad};
    find_wrong_bits(&suspect, before);
    if (suspect.bits == 1 && !suspect.torn) {
        return turn_back(view, bad, &frame, suspect.last_bit, ret_mended, err);
    }
    if (suspect.bits > 1 && !suspect.torn) {
        return damaged(view, frame_offset(bad), "one bit of its last transaction is wrong", err);
    }
    return SL_OK;
}

static int read_frames(struct sl_wal_view *view, struct sum sum, struct sl_error *err) {
    struct frame frame;
    uint32_t last = 0;
    for (uint32_t i = 1; i <= view->room; i++) {
        int rc = read_at(view, frame.bytes, FRAME_BYTES, frame_offset(i), err);
        bool mended = false;
        if (rc == SL_OK && !continues(view, frame.bytes, sum)) {
            rc = judge(view, i, sum, &mended, err);
            if (rc == SL_OK && !mended) {
                break;
            }
            rc = rc ? rc : read_at(view, frame.bytes, FRAME_BYTES, frame_offset(i), err);
        }
        if (rc) {
            return rc;
        }
        sum = stored_sum(frame.bytes);
        last = is_commit(frame.bytes) ? i : last;
    }
    return map_pages(view, last, err);
}

static bool head_fits(struct sl_wal_view *view, const uint8_t *head, struct sum *ret_sum) {
    uint32_t magic = sl_page_be32(head);
    if ((magic & ~1u) != WAL_MAGIC || sl_page_be32(head + 4) != WAL_VERSION ||
        sl_page_be32(head + 8) != SL_PAGE_BYTES) {
        return false;
    }
    view->big_endian = magic & 1;
    view->salt[0] = sl_page_be32(head + 16);
    view->salt[1] = sl_page_be32(head + 20);
    *ret_sum = sum_more((struct sum){0, 0}, head, 24, view->big_endian);
    return ret_sum->s0 == sl_page_be32(head + 24) && ret_sum->s1 == sl_page_be32(head + 28);
}

/* Without a sound head SQLite takes the log for empty. Right, if all of it is in the store's file
 * already (a head torn while the log began anew): the caller compares. */
static int read_headless(struct sl_wal_view *view, const uint8_t *head, struct sl_error *err) {
    struct frame frame;
    if (view->room == 0) {
        return SL_OK;
    }
    int rc = read_at(view, frame.bytes, FRAME_BYTES, frame_offset(1), err);
    if (rc) {
        return rc;
    }
    view->head_bad = true;
    view->big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    view->salt[0] = sl_page_be32(frame.bytes + 8);
    view->salt[1] = sl_page_be32(frame.bytes + 12);
    struct sum head_sum = {sl_page_be32(head + 24), sl_page_be32(head + 28)};
    uint32_t last = is_commit(frame.bytes) && continues(view, frame.bytes, head_sum) ? 1 : 0;
    for (uint32_t i = 2; i <= view->room; i++) {
        struct sum before = stored_sum(frame.bytes);
        rc = read_at(view, frame.bytes, FRAME_BYTES, frame_offset(i), err);
        if (rc) {
            return rc;
        }
        if (!continues(view, frame.bytes, before)) {
            break;
        }
        last = is_commit(frame.bytes) ? i : last;
    }
    return map_pages(view, last, err);
}

int sl_wal_view_read(struct sl_wal_view *view, sqlite3_file *file, const char *path,
                     struct sl_error *err) {
    *view = (struct sl_wal_view){.file = file, .path = path};
    sqlite3_int64 size = 0;
    if (!file) {
        return SL_OK;
    }
    if (file->pMethods->xFileSize(file, &size) != SQLITE_OK) {
        return sl_fail(err, SL_IO, "cannot tell how long %s is; check the disk", path);
    }
    view->size = size;
    if (size < SL_WAL_HEAD_BYTES) {
        return SL_OK; /* its first write has not ended */
    }
    view->room = (uint32_t)((size - SL_WAL_HEAD_BYTES) / FRAME_BYTES);
    uint8_t head[SL_WAL_HEAD_BYTES];
    struct sum sum = {0, 0};
    int rc = read_at(view, head, sizeof head, 0, err);
    if (rc == SL_OK) {
        rc = head_fits(view, head, &sum) ? read_frames(view, sum, err)
                                         : read_headless(view, head, err);
    }
    if (rc) {
        sl_wal_view_fini(view);
    }
    return rc;
}

void sl_wal_view_fini(struct sl_wal_view *view) {
    free(view->map);
    view->map = NULL;
    view->map_count = 0;
}

uint32_t sl_wal_view_frame(const struct sl_wal_view *view, uint32_t page) {
    return page <= view->map_count ? view->map[page - 1] : 0;
}

int sl_wal_view_page(const struct sl_wal_view *view, uint32_t frame, uint8_t *ret_page,
                     struct sl_error *err) {
    return read_at(view, ret_page, SL_PAGE_BYTES, frame_offset(frame) + SL_WAL_FRAME_HEAD_BYTES,
                   err);
}
