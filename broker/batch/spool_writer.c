/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "broker/batch/spool_file.h"
#include "proto/base/text.h"

struct sl_spool_writer {
    char data_dir[SL_BATCH_PATH_MAX];
    char path[SL_BATCH_PATH_MAX];
    char tmp[SL_BATCH_PATH_MAX];
    FILE *file;
    uint64_t offset;
    uint32_t count;
    uint32_t cap;
    bool tokens; /* a line has token ids */
    struct sl_spool_entry *entries;
    struct sl_buf record;
};

uint32_t sl_spool_crc(uint32_t crc, const void *data, size_t n) {
    return (uint32_t)crc32_z(crc, data, n);
}

static int open_file(struct sl_spool_writer *writer, const char *batch_id, struct sl_error *err) {
    int rc = sl_batch_path(writer->data_dir, SL_BATCH_SPOOL_DIR, batch_id, writer->path, err);
    if (rc == SL_OK) {
        rc = sl_batch_make_dir(writer->data_dir, SL_BATCH_SPOOL_DIR, err);
    }
    if (rc != SL_OK) {
        return rc;
    }
    snprintf(writer->tmp, sizeof writer->tmp, "%.1000s.tmp", writer->path);
    int fd = open(writer->tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return sl_fail_errno(err, "creating %s", writer->tmp);
    }
    writer->file = fdopen(fd, "w");
    if (!writer->file) {
        close(fd);
        return sl_fail(err, SL_NOMEM, "writing a spool");
    }
    setvbuf(writer->file, NULL, _IOFBF, 256 * 1024);
    struct sl_spool_header header = {0};
    if (fwrite(&header, sizeof header, 1, writer->file) != 1) {
        return sl_fail_errno(err, "writing %s", writer->tmp);
    }
    writer->offset = sizeof header;
    return SL_OK;
}

int sl_spool_writer_create(const char *data_dir, const char *batch_id,
                           struct sl_spool_writer **ret_writer, struct sl_error *err) {
    struct sl_spool_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return sl_fail(err, SL_NOMEM, "writing a spool");
    }
    sl_text_copy(writer->data_dir, sizeof writer->data_dir, data_dir);
    int rc = open_file(writer, batch_id, err);
    if (rc != SL_OK) {
        sl_spool_writer_destroy(writer);
        return rc;
    }
    *ret_writer = writer;
    return SL_OK;
}

void sl_spool_writer_destroy(struct sl_spool_writer *writer) {
    if (!writer) {
        return;
    }
    if (writer->file) {
        fclose(writer->file);
        unlink(writer->tmp);
    }
    free(writer->entries);
    sl_buf_fini(&writer->record);
    free(writer);
}

/* The id as it will stand between the quotes of an output line. */
static int append_custom_id(struct sl_buf *buf, const json_t *id, uint32_t *ret_bytes) {
    SL_AUTO_FREE char *quoted = sl_batch_json_line(id);
    if (!quoted) {
        return -SL_NOMEM;
    }
    size_t n = strlen(quoted) - 2;
    sl_buf_append(buf, quoted + 1, n);
    *ret_bytes = (uint32_t)n;
    return SL_OK;
}

static const json_t *input_at(const struct sl_batch_line *line, uint32_t i) {
    return line->single ? line->input : json_array_get(line->input, i);
}

static uint32_t input_bytes(const struct sl_batch_line *line, const json_t *input) {
    return line->tokens ? (uint32_t)(json_array_size(input) * sizeof(uint32_t))
                        : (uint32_t)(line->prefix_bytes + json_string_length(input));
}

static void append_input(struct sl_buf *buf, const struct sl_batch_line *line,
                         const json_t *input) {
    if (!line->tokens) {
        sl_buf_append(buf, line->prefix, line->prefix_bytes);
        sl_buf_append(buf, json_string_value(input), json_string_length(input));
        return;
    }
    for (size_t i = 0; i < json_array_size(input); i++) {
        uint32_t id = (uint32_t)json_integer_value(json_array_get(input, i));
        sl_buf_append(buf, &id, sizeof id);
    }
}

static int build_record(struct sl_buf *buf, const struct sl_batch_line *line,
                        size_t *ret_inputs_at) {
    struct sl_spool_record record = {0};
    record.flags = (line->base64 ? SL_SPOOL_BASE64 : 0) | (line->single ? SL_SPOOL_SINGLE : 0) |
                   (line->tokens ? SL_SPOOL_TOKENS : 0);
    record.refusal_bytes = line->refusal ? (uint32_t)strlen(line->refusal) : 0;
    record.input_count = line->input_count;
    buf->len = 0;
    sl_buf_append(buf, &record, sizeof record);
    if (append_custom_id(buf, line->custom_id, &record.custom_id_bytes) != SL_OK) {
        return -SL_NOMEM;
    }
    sl_buf_append(buf, line->refusal ? line->refusal : "", record.refusal_bytes);
    for (uint32_t i = 0; i < line->input_count; i++) {
        uint32_t bytes = input_bytes(line, input_at(line, i));
        sl_buf_append(buf, &bytes, sizeof bytes);
    }
    *ret_inputs_at = buf->len;
    for (uint32_t i = 0; i < line->input_count; i++) {
        append_input(buf, line, input_at(line, i));
    }
    if (buf->failed) {
        return -SL_NOMEM;
    }
    memcpy(buf->data, &record, sizeof record);
    return SL_OK;
}

static int grow(struct sl_spool_writer *writer) {
    if (writer->count < writer->cap) {
        return SL_OK;
    }
    uint32_t cap = writer->cap ? writer->cap * 2 : 1024;
    struct sl_spool_entry *entries = realloc(writer->entries, cap * sizeof *entries);
    if (!entries) {
        return -SL_NOMEM;
    }
    writer->entries = entries;
    writer->cap = cap;
    return SL_OK;
}

int sl_spool_writer_add(struct sl_spool_writer *writer, const struct sl_batch_line *line,
                        struct sl_error *err) {
    struct sl_buf *record = &writer->record;
    size_t inputs_at = 0;
    if (grow(writer) != SL_OK || build_record(record, line, &inputs_at) != SL_OK) {
        return sl_fail(err, SL_NOMEM, "spooling a line");
    }
    /* Ids are read in place, so they must be aligned. */
    static const char zeros[sizeof(uint32_t)];
    size_t pad = line->tokens ? -(writer->offset + inputs_at) % sizeof(uint32_t) : 0;
    writer->offset += pad;
    writer->tokens = writer->tokens || line->tokens;
    if (fwrite(zeros, 1, pad, writer->file) != pad ||
        fwrite(record->data, record->len, 1, writer->file) != 1) {
        return sl_fail_errno(err, "writing %s", writer->tmp);
    }
    writer->entries[writer->count++] = (struct sl_spool_entry){
        .offset = writer->offset,
        .bytes = (uint32_t)record->len,
        .crc = sl_spool_crc(0, record->data, record->len),
        .worst_tokens = line->worst_tokens,
    };
    writer->offset += record->len;
    return SL_OK;
}

static int write_ends(struct sl_spool_writer *writer, const char *model) {
    size_t index_bytes = writer->count * sizeof *writer->entries;
    struct sl_spool_header header = {.order = SL_SPOOL_ORDER,
                                     .count = writer->count,
                                     .index_offset = writer->offset,
                                     .index_crc = sl_spool_crc(0, writer->entries, index_bytes)};
    memcpy(header.magic, writer->tokens ? SL_SPOOL_MAGIC_TOKENS : SL_SPOOL_MAGIC,
           sizeof header.magic);
    sl_text_copy(header.model, sizeof header.model, model);
    header.header_crc = sl_spool_crc(0, &header, offsetof(struct sl_spool_header, header_crc));
    if (fwrite(writer->entries, 1, index_bytes, writer->file) != index_bytes ||
        fseeko(writer->file, 0, SEEK_SET) != 0 ||
        fwrite(&header, sizeof header, 1, writer->file) != 1 || fflush(writer->file) != 0) {
        return -SL_IO;
    }
    return fdatasync(fileno(writer->file)) == 0 ? SL_OK : -SL_IO;
}

int sl_spool_writer_finish(struct sl_spool_writer *writer, const char *model,
                           struct sl_error *err) {
    if (writer->count == 0 || write_ends(writer, model) != SL_OK) {
        return sl_fail_errno(err, "writing %s (is the disk full?)", writer->tmp);
    }
    if (rename(writer->tmp, writer->path) != 0) {
        return sl_fail_errno(err, "renaming %s", writer->tmp);
    }
    fclose(writer->file);
    writer->file = NULL;
    return sl_batch_sync_dir(writer->data_dir, SL_BATCH_SPOOL_DIR, err);
}
