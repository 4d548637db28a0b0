/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/batch/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/spool_file.h"
#include "proto/base/text.h"

#define LET_GO_BYTES ((size_t)4 * 1024 * 1024)

struct sl_spool {
    const uint8_t *data; /* mapped: the pages come and go with the page cache */
    size_t size;
    struct sl_spool_header header;
    size_t read;      /* bytes of records since the map was let go */
    bool tokens;      /* may hold lines with token ids */
    uint8_t *checked; /* [header.count] 1: the record's CRC was right */
    char id[SL_ID_MAX];
};

/* A record taken apart; everything lies inside the map. */
struct parts {
    struct sl_spool_record record;
    const char *custom_id;
    const char *refusal;
    const uint8_t *lengths; /* [record.input_count] u32, not aligned */
    const char *texts;
    size_t text_bytes;
};

static int damaged(const struct sl_spool *spool, const char *what, struct sl_error *err) {
    return sl_fail(err, SL_CORRUPT, "the spool of %s is damaged (%s): it is built anew", spool->id,
                   what);
}

static int check_file(struct sl_spool *spool, struct sl_error *err) {
    struct sl_spool_header *header = &spool->header;
    if (spool->size < sizeof *header) {
        return damaged(spool, "too short", err);
    }
    memcpy(header, spool->data, sizeof *header);
    spool->tokens = memcmp(header->magic, SL_SPOOL_MAGIC_TOKENS, sizeof header->magic) == 0;
    if ((memcmp(header->magic, SL_SPOOL_MAGIC, sizeof header->magic) != 0 && !spool->tokens) ||
        header->order != SL_SPOOL_ORDER ||
        header->header_crc !=
            sl_spool_crc(0, header, offsetof(struct sl_spool_header, header_crc))) {
        return damaged(spool, "header", err);
    }
    size_t index_bytes = header->count * sizeof(struct sl_spool_entry);
    if (header->count == 0 || header->count > SL_BATCH_LINES_MAX ||
        header->index_offset > spool->size || spool->size - header->index_offset != index_bytes ||
        header->index_crc != sl_spool_crc(0, spool->data + header->index_offset, index_bytes) ||
        !memchr(header->model, 0, sizeof header->model)) {
        return damaged(spool, "index", err);
    }
    return SL_OK;
}

static int map_file(struct sl_spool *spool, const char *path, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return sl_fail(err, SL_NOTFOUND, "there is no spool of %s", spool->id);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "opening %s", path);
    }
    if (st.st_size == 0) {
        return damaged(spool, "empty", err);
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        return sl_fail_errno(err, "mapping %s", path);
    }
    spool->data = data;
    spool->size = (size_t)st.st_size;
    return SL_OK;
}

/* The index need not be aligned in the file. */
static struct sl_spool_entry entry_at(const struct sl_spool *spool, uint32_t line) {
    struct sl_spool_entry entry;
    memcpy(&entry, spool->data + spool->header.index_offset + line * sizeof entry, sizeof entry);
    return entry;
}

int sl_spool_open(const char *data_dir, const char *batch_id, struct sl_spool **ret_spool,
                  struct sl_error *err) {
    char path[SL_BATCH_PATH_MAX];
    int rc = sl_batch_path(data_dir, SL_BATCH_SPOOL_DIR, batch_id, path, err);
    if (rc != SL_OK) {
        return rc;
    }
    SL_AUTO(sl_spool) spool = calloc(1, sizeof *spool);
    if (!spool) {
        return sl_fail(err, SL_NOMEM, "opening a spool");
    }
    sl_text_copy(spool->id, sizeof spool->id, batch_id);
    if ((rc = map_file(spool, path, err)) != SL_OK || (rc = check_file(spool, err)) != SL_OK) {
        return rc;
    }
    spool->checked = calloc(spool->header.count, 1);
    if (!spool->checked) {
        return sl_fail(err, SL_NOMEM, "opening a spool");
    }
    *ret_spool = sl_take(&spool);
    return SL_OK;
}

void sl_spool_close(struct sl_spool *spool) {
    if (!spool) {
        return;
    }
    if (spool->data) {
        munmap((void *)(uintptr_t)spool->data, spool->size);
    }
    free(spool->checked);
    free(spool);
}

uint32_t sl_spool_count(const struct sl_spool *spool) {
    return spool->header.count;
}

const char *sl_spool_model(const struct sl_spool *spool) {
    return spool->header.model;
}

static uint32_t length_at(const struct parts *parts, uint32_t i) {
    uint32_t bytes;
    memcpy(&bytes, parts->lengths + i * sizeof bytes, sizeof bytes);
    return bytes;
}

/* Cuts the record into its parts; the sum of all must be the record exactly. */
static bool cut_record(const uint8_t *at, size_t bytes, struct parts *ret_parts) {
    struct parts parts = {0};
    if (bytes < sizeof parts.record) {
        return false;
    }
    memcpy(&parts.record, at, sizeof parts.record);
    uint64_t fixed = (uint64_t)sizeof parts.record + parts.record.custom_id_bytes +
                     parts.record.refusal_bytes +
                     (uint64_t)parts.record.input_count * sizeof(uint32_t);
    if (parts.record.input_count > SL_MSG_INPUTS_MAX || fixed > bytes) {
        return false;
    }
    parts.custom_id = (const char *)at + sizeof parts.record;
    parts.refusal = parts.custom_id + parts.record.custom_id_bytes;
    parts.lengths = (const uint8_t *)parts.refusal + parts.record.refusal_bytes;
    parts.texts = (const char *)at + fixed;
    parts.text_bytes = bytes - (size_t)fixed;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < parts.record.input_count; i++) {
        sum += length_at(&parts, i);
    }
    if (sum != parts.text_bytes) {
        return false;
    }
    if (parts.record.flags & SL_SPOOL_TOKENS) {
        bool whole = (uintptr_t)parts.texts % sizeof(uint32_t) == 0;
        for (uint32_t i = 0; i < parts.record.input_count; i++) {
            whole = whole && length_at(&parts, i) % sizeof(uint32_t) == 0;
        }
        if (!whole) {
            return false;
        }
    }
    *ret_parts = parts;
    return true;
}

/* What was read stays in the system's cache, not in this process, where every open batch would grow
 * by its whole file in the course of its work. Pointers into the map stay good. */
static void let_go(struct sl_spool *spool, size_t bytes) {
    spool->read += bytes;
    if (spool->read >= LET_GO_BYTES) {
        spool->read = 0;
        (void)madvise((void *)(uintptr_t)spool->data, spool->size, MADV_DONTNEED);
    }
}

static int find_record(struct sl_spool *spool, uint32_t line, struct parts *ret_parts,
                       uint32_t *ret_worst_tokens, struct sl_error *err) {
    if (line >= spool->header.count) {
        return sl_fail(err, SL_NOTFOUND, "batch %s has no line %u", spool->id, line + 1);
    }
    struct sl_spool_entry entry = entry_at(spool, line);
    if (entry.offset < sizeof spool->header || entry.offset > spool->header.index_offset ||
        entry.bytes > spool->header.index_offset - entry.offset) {
        return damaged(spool, "index entry", err);
    }
    let_go(spool, entry.bytes);
    const uint8_t *at = spool->data + entry.offset;
    if (!spool->checked[line]) {
        if (entry.crc != sl_spool_crc(0, at, entry.bytes)) {
            return damaged(spool, "record", err);
        }
        spool->checked[line] = 1;
    }
    if (!cut_record(at, entry.bytes, ret_parts) ||
        ((ret_parts->record.flags & SL_SPOOL_TOKENS) && !spool->tokens)) {
        return damaged(spool, "record", err);
    }
    *ret_worst_tokens = entry.worst_tokens;
    return SL_OK;
}

int sl_spool_line(struct sl_spool *spool, uint32_t line, struct sl_spool_line *ret_line,
                  struct sl_error *err) {
    struct parts parts = {0};
    uint32_t worst = 0;
    int rc = find_record(spool, line, &parts, &worst, err);
    if (rc != SL_OK) {
        return rc;
    }
    *ret_line = (struct sl_spool_line){
        .custom_id = parts.custom_id,
        .custom_id_bytes = parts.record.custom_id_bytes,
        .base64 = (parts.record.flags & SL_SPOOL_BASE64) != 0,
        .single = (parts.record.flags & SL_SPOOL_SINGLE) != 0,
        .tokens = (parts.record.flags & SL_SPOOL_TOKENS) != 0,
        .refusal = parts.record.refusal_bytes ? parts.refusal : NULL,
        .refusal_bytes = parts.record.refusal_bytes,
        .input_count = parts.record.input_count,
        .worst_tokens = worst,
    };
    return SL_OK;
}

int sl_spool_inputs(struct sl_spool *spool, uint32_t line, struct sl_msg_input *ret_inputs,
                    uint32_t max, struct sl_error *err) {
    struct parts parts = {0};
    uint32_t worst = 0;
    int rc = find_record(spool, line, &parts, &worst, err);
    if (rc != SL_OK) {
        return rc;
    }
    if (parts.record.input_count > max) {
        return sl_fail(err, SL_LIMIT, "line %u has %u texts, room was given for %u", line + 1,
                       parts.record.input_count, max);
    }
    const char *at = parts.texts;
    bool tokens = (parts.record.flags & SL_SPOOL_TOKENS) != 0;
    for (uint32_t i = 0; i < parts.record.input_count; i++) {
        uint32_t bytes = length_at(&parts, i);
        ret_inputs[i] = (struct sl_msg_input){.text = "", .bytes = 0};
        if (tokens) {
            ret_inputs[i].ids = (const uint32_t *)(const void *)at; /* cut_record: aligned */
            ret_inputs[i].id_count = bytes / sizeof(uint32_t);
        } else {
            ret_inputs[i].text = at;
            ret_inputs[i].bytes = bytes;
        }
        at += bytes;
    }
    return SL_OK;
}

int sl_spool_verify(struct sl_spool *spool, uint32_t **ret_worst_tokens, bool *ret_tokens,
                    struct sl_error *err) {
    uint32_t *worst = calloc(spool->header.count, sizeof *worst);
    if (!worst) {
        return sl_fail(err, SL_NOMEM, "reading a spool");
    }
    for (uint32_t i = 0; i < spool->header.count; i++) {
        struct parts parts = {0};
        int rc = find_record(spool, i, &parts, &worst[i], err);
        if (rc != SL_OK) {
            free(worst);
            return rc;
        }
    }
    let_go(spool, LET_GO_BYTES);
    *ret_worst_tokens = worst;
    *ret_tokens = spool->tokens;
    return SL_OK;
}

void sl_spool_delete(const char *data_dir, const char *batch_id) {
    char path[SL_BATCH_PATH_MAX];
    if (sl_batch_path(data_dir, SL_BATCH_SPOOL_DIR, batch_id, path, NULL) == SL_OK) {
        unlink(path);
    }
}
