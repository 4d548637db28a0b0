/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/file_check.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/page_sum.h"
#include "broker/store/store_internal.h"
#include "broker/store/wal_view.h"

/* SQLite locks bytes at 1 GiB, so the page there is never written. */
#define LOCK_PAGE (0x40000000u / SL_PAGE_BYTES + 1)
#define EMPTY_ROOM 64

struct checking {
    const char *below; /* name of the VFS, NULL: the default */
    sqlite3_vfs *vfs;
    const char *path; /* for messages */
    struct sl_file_facts *facts;
    sqlite3_filename name;
    sqlite3_file *file; /* NULL: there is none */
    sqlite3_file *log;
    int64_t size;
    struct sl_wal_view wal;
    uint8_t head[SL_PAGE_BYTES]; /* page 1 as it counts */
    uint32_t pages;
    bool sums;
    uint32_t *empty; /* pages of zeros, rising */
    uint32_t empty_count, empty_cap;
};

static int damaged(const struct checking *c, int64_t offset, const char *what,
                   struct sl_error *err) {
    c->facts->bad_at = offset;
    sl_text_copy(c->facts->bad, sizeof c->facts->bad, what);
    return sl_fail(err, SL_CORRUPT,
                   "the store %s is damaged at byte %lld (%s); restore a backup (sluice-broker "
                   "restore), or move %s* away to start with an empty ledger",
                   c->path, (long long)offset, what, c->path);
}

/* *ret_file stays NULL when there is no such file. */
static int open_file(const struct checking *c, const char *name, int flags, sqlite3_file **ret_file,
                     struct sl_error *err) {
    int exists = 0;
    if (c->vfs->xAccess(c->vfs, name, SQLITE_ACCESS_EXISTS, &exists) == SQLITE_OK && !exists) {
        return SL_OK;
    }
    sqlite3_file *file = calloc(1, (size_t)c->vfs->szOsFile);
    if (!file) {
        return sl_fail(err, SL_NOMEM, "no memory to check %s", name);
    }
    /* The log is written to where one bit of it is turned back (wal_view.h). */
    int way = flags & SQLITE_OPEN_WAL ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int rc = c->vfs->xOpen(c->vfs, name, file, flags | way, NULL);
    if (rc != SQLITE_OK) {
        if (file->pMethods) {
            file->pMethods->xClose(file);
        }
        free(file);
        return sl_fail(err, SL_IO, "cannot open %s to check it (SQLite code %d); check its owner",
                       name, rc);
    }
    *ret_file = file;
    return SL_OK;
}

static void close_file(sqlite3_file *file) {
    if (file) {
        file->pMethods->xClose(file);
        free(file);
    }
}

static int read_file(const struct checking *c, void *out, int n, int64_t offset,
                     struct sl_error *err) {
    int rc = c->file->pMethods->xRead(c->file, out, n, offset);
    return rc == SQLITE_OK ? SL_OK
                           : sl_fail(err, SL_IO, "reading %s at byte %lld failed (SQLite code %d)",
                                     c->path, (long long)offset, rc);
}

/* A page as it counts: from the log, else from the file. */
static int read_page(const struct checking *c, uint32_t page, uint8_t *out, struct sl_error *err) {
    uint32_t frame = sl_wal_view_frame(&c->wal, page);
    if (frame && !c->wal.head_bad) {
        return sl_wal_view_page(&c->wal, frame, out, err);
    }
    int64_t offset = (int64_t)(page - 1) * SL_PAGE_BYTES;
    if (offset + SL_PAGE_BYTES > c->size) {
        return damaged(c, c->size, "the file was cut short", err);
    }
    return read_file(c, out, SL_PAGE_BYTES, offset, err);
}

/* The file's own first bytes: whichever of two writes they are from, these say what it is. */
static int check_head(struct checking *c, struct sl_error *err) {
    uint8_t head[100] = {0};
    if (c->size < (int64_t)sizeof head) {
        return damaged(c, c->size, "too short for a store, or not one at all", err);
    }
    int rc = read_file(c, head, sizeof head, 0, err);
    if (rc) {
        return rc;
    }
    if (memcmp(head, "SQLite format 3", 16) != 0) {
        return damaged(c, 0, "no store of Sluice begins like this", err);
    }
    c->facts->is_database = true;
    if (head[16] * 256 + head[17] != SL_PAGE_BYTES) {
        return damaged(c, 16, "no store of Sluice has pages of this size", err);
    }
    c->sums = head[20] == SL_PAGE_SUM_BYTES;
    if (!c->sums && (head[20] != 0 || sl_page_be32(head + 60) > 1)) {
        return damaged(c, 20, "its pages have no room for checksums", err);
    }
    return SL_OK;
}

static int check_version(const struct checking *c, struct sl_error *err) {
    uint32_t version = sl_page_be32(c->head + 60);
    bool sound =
        sl_wal_view_frame(&c->wal, 1) || !c->sums || sl_page_check(c->head, 1) == SL_PAGE_GOOD;
    if (version <= SL_SCHEMA_VERSION) {
        return SL_OK;
    }
    if (!sound) {
        return damaged(c, 0, "page 1 does not fit its checksum", err);
    }
    if (version > INT32_MAX) {
        return sl_fail(err, SL_CORRUPT,
                       "%s is not a Sluice store (schema %d); give another data_dir or move the "
                       "file away",
                       c->path, (int)version);
    }
    return sl_fail(err, SL_UNSUPPORTED,
                   "the store %s has schema %u and this program knows %d; run the newer "
                   "sluice-broker",
                   c->path, version, SL_SCHEMA_VERSION);
}

static int note_empty(struct checking *c, uint32_t page, struct sl_error *err) {
    if (c->empty_count == c->empty_cap) {
        uint32_t cap = c->empty_cap ? 2 * c->empty_cap : EMPTY_ROOM;
        uint32_t *empty = realloc(c->empty, cap * sizeof *empty);
        if (!empty) {
            return sl_fail(err, SL_NOMEM, "no memory to check %s", c->path);
        }
        c->empty = empty;
        c->empty_cap = cap;
    }
    c->empty[c->empty_count++] = page;
    return SL_OK;
}

static int check_page(struct checking *c, uint32_t page, const uint8_t *bytes,
                      struct sl_error *err) {
    char what[80];
    switch (sl_page_check(bytes, page)) {
    case SL_PAGE_GOOD:
        return SL_OK;
    case SL_PAGE_EMPTY:
        return note_empty(c, page, err);
    case SL_PAGE_BAD:
    case SL_PAGE_INVALID:
    default:
        snprintf(what, sizeof what, "page %u does not fit its checksum", page);
        return damaged(c, (int64_t)(page - 1) * SL_PAGE_BYTES, what, err);
    }
}

/* All pages that the store has in its file and that the log does not hold. */
static int check_pages(struct checking *c, struct sl_error *err) {
    enum { AT_ONCE = 64 };
    uint8_t *chunk = malloc((size_t)AT_ONCE * SL_PAGE_BYTES);
    if (!chunk) {
        return sl_fail(err, SL_NOMEM, "no memory to check %s", c->path);
    }
    int rc = SL_OK;
    uint32_t in_file = (uint32_t)(c->size / SL_PAGE_BYTES);
    for (uint32_t page = 1; rc == SL_OK && page <= c->pages; page++) {
        uint32_t at = (page - 1) % AT_ONCE;
        if (at == 0 && page <= in_file) {
            uint32_t n = in_file - page + 1 < AT_ONCE ? in_file - page + 1 : AT_ONCE;
            rc = read_file(c, chunk, (int)(n * SL_PAGE_BYTES), (int64_t)(page - 1) * SL_PAGE_BYTES,
                           err);
        }
        bool elsewhere = !c->wal.head_bad && sl_wal_view_frame(&c->wal, page);
        if (rc || elsewhere || page == LOCK_PAGE) {
            continue;
        }
        if (page > in_file) {
            rc = damaged(c, c->size, "the file was cut short", err);
        } else if (c->sums) {
            rc = check_page(c, page, chunk + (size_t)at * SL_PAGE_BYTES, err);
        }
    }
    free(chunk);
    return rc;
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Pages of zeros are legal only in the list of free ones: each is taken off the list's head. */
static int check_empty(struct checking *c, struct sl_error *err) {
    uint8_t trunk[SL_PAGE_BYTES] = {0};
    uint32_t found = 0;
    uint32_t at = sl_page_be32(c->head + 32);
    for (uint32_t seen = 0; at && seen < c->pages && found < c->empty_count; seen++) {
        int rc = at <= c->pages ? read_page(c, at, trunk, err)
                                : damaged(c, 32, "the list of free pages leads out of it", err);
        if (rc) {
            return rc;
        }
        uint32_t leaves = sl_page_be32(trunk + 4);
        leaves = leaves < SL_PAGE_BYTES / 4 - 2 ? leaves : SL_PAGE_BYTES / 4 - 2;
        for (uint32_t i = 0; i < leaves; i++) {
            uint32_t leaf = sl_page_be32(trunk + 8 + 4 * i);
            found += bsearch(&leaf, c->empty, c->empty_count, sizeof leaf, compare_u32) != NULL;
        }
        at = sl_page_be32(trunk);
    }
    if (found >= c->empty_count) {
        return SL_OK;
    }
    return damaged(c, (int64_t)(c->empty[0] - 1) * SL_PAGE_BYTES,
                   "a page that is in use holds nothing but zeros", err);
}

/* A log without a sound head is dropped by SQLite: harmless when the file has all of it. */
static int check_headless(const struct checking *c, struct sl_error *err) {
    uint8_t in_log[SL_PAGE_BYTES];
    uint8_t in_file[SL_PAGE_BYTES];
    size_t compared = SL_PAGE_BYTES - (c->sums ? SL_PAGE_SUM_BYTES : 0);
    for (uint32_t page = 1; page <= c->wal.map_count && page <= c->wal.page_count; page++) {
        uint32_t frame = sl_wal_view_frame(&c->wal, page);
        if (!frame) {
            continue;
        }
        int rc = sl_wal_view_page(&c->wal, frame, in_log, err);
        bool there = (int64_t)page * SL_PAGE_BYTES <= c->size;
        rc = rc || !there
                 ? rc
                 : read_file(c, in_file, SL_PAGE_BYTES, (int64_t)(page - 1) * SL_PAGE_BYTES, err);
        if (rc) {
            return rc;
        }
        if (!there || memcmp(in_log, in_file, compared) != 0) {
            return sl_fail(err, SL_CORRUPT,
                           "%s is damaged at byte 0 (its head): transactions that were "
                           "acknowledged would be lost; restore a backup (sluice-broker restore)",
                           c->wal.path);
        }
    }
    return SL_OK;
}

static uint32_t pages_by_head(const struct checking *c) {
    uint32_t said = sl_page_be32(c->head + 28);
    bool valid = said > 0 && memcmp(c->head + 24, c->head + 92, 4) == 0;
    return valid ? said : (uint32_t)(c->size / SL_PAGE_BYTES);
}

static int check_all(struct checking *c, struct sl_error *err) {
    int rc = check_head(c, err);
    rc = rc ? rc : sl_wal_view_read(&c->wal, c->log, sqlite3_filename_wal(c->name), err);
    rc = rc ? rc : read_page(c, 1, c->head, err);
    rc = rc ? rc : check_version(c, err);
    if (rc) {
        return rc;
    }
    bool by_log = c->wal.page_count && !c->wal.head_bad;
    c->pages = by_log ? c->wal.page_count : pages_by_head(c);
    rc = check_pages(c, err);
    if (rc == SL_OK && c->wal.head_bad) {
        rc = check_headless(c, err);
    }
    return rc || c->empty_count == 0 ? rc : check_empty(c, err);
}

static int look(struct checking *c, struct sl_file_facts *facts, struct sl_error *err) {
    int rc = open_file(c, c->name, SQLITE_OPEN_MAIN_DB, &c->file, err);
    rc = rc ? rc : open_file(c, sqlite3_filename_wal(c->name), SQLITE_OPEN_WAL, &c->log, err);
    sqlite3_int64 size = 0;
    if (rc == SL_OK && c->file && c->file->pMethods->xFileSize(c->file, &size) != SQLITE_OK) {
        rc = sl_fail(err, SL_IO, "cannot tell how long %s is; check the disk", c->path);
    }
    c->size = size;
    sqlite3_int64 log_size = 0;
    if (rc == SL_OK && c->log && c->log->pMethods->xFileSize(c->log, &log_size) != SQLITE_OK) {
        rc = sl_fail(err, SL_IO, "cannot tell how long %s-wal is; check the disk", c->path);
    }
    if (rc == SL_OK && size == 0 && log_size > 0) {
        return sl_fail(err, SL_CORRUPT,
                       "the store %s is missing or empty, but its log %s-wal is there; put the "
                       "store back, restore a backup (sluice-broker restore), or move %s* away "
                       "to start with an empty ledger",
                       c->path, c->path, c->path);
    }
    if (rc || size == 0) {
        return rc;
    }
    rc = check_all(c, err);
    facts->present = true;
    facts->has_sums = c->sums;
    facts->schema = sl_page_be32(c->head + 60);
    facts->pages = c->pages;
    facts->wal_frames = c->wal.frame_count;
    facts->wal_bytes = log_size;
    return rc;
}

/* A store is in rollback mode only while it is being made, for its very first page. SQLite undoes
 * what a crash left of that before it is looked at. */
static int settle_journal(const struct checking *c, struct sl_error *err) {
    int exists = 0;
    char vfs[SL_PAGE_VFS_NAME_MAX];
    const char *journal = sqlite3_filename_journal(c->name);
    c->vfs->xAccess(c->vfs, journal, SQLITE_ACCESS_EXISTS, &exists);
    if (!exists) {
        return SL_OK;
    }
    sqlite3 *db = NULL;
    int rc = sl_page_vfs(c->below, vfs);
    rc = rc == SQLITE_OK ? sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READWRITE, vfs) : rc;
    if (rc == SQLITE_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        /* What this says does not matter: the check that follows judges what is left. */
        sqlite3_exec(db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
    }
    sqlite3_close(db);
    return rc == SQLITE_OK || rc == SQLITE_CANTOPEN
               ? SL_OK
               : sl_fail(err, SL_IO, "opening %s failed (SQLite code %d)", c->path, rc);
}

int sl_file_check(const char *vfs, const char *path, struct sl_file_facts *ret_facts,
                  struct sl_error *err) {
    struct sl_file_facts facts = {0};
    struct checking c = {.below = vfs, .vfs = sqlite3_vfs_find(vfs), .path = path, .facts = &facts};
    char full[1024];
    char wal[1024 + 8];
    char journal[1024 + 8];
    if (!c.vfs || c.vfs->mxPathname > (int)sizeof full ||
        c.vfs->xFullPathname(c.vfs, path, sizeof full, full) == SQLITE_CANTOPEN) {
        return sl_fail(err, SL_IO, "cannot find %s; check data_dir", path);
    }
    snprintf(wal, sizeof wal, "%s-wal", full);
    snprintf(journal, sizeof journal, "%s-journal", full);
    c.name = sqlite3_create_filename(full, journal, wal, 0, NULL);
    if (!c.name) {
        return sl_fail(err, SL_NOMEM, "no memory to check %s", path);
    }
    int rc = settle_journal(&c, err);
    rc = rc ? rc : look(&c, &facts, err);
    close_file(c.file);
    close_file(c.log);
    sl_wal_view_fini(&c.wal);
    free(c.empty);
    sqlite3_free_filename((char *)c.name);
    *ret_facts = facts;
    return rc;
}
