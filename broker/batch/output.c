/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/batch/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/line.h"
#include "broker/batch/number.h"
#include "proto/base/text.h"

#define CHUNK_BYTES 16384
#define ROOM_BYTES (1024 * 1024) /* after so many it is looked how full the disk is */

/* One of the two files; created when its first line comes. */
struct sink {
    FILE *file;
    char id[SL_ID_MAX];
    char path[SL_BATCH_PATH_MAX];
    char tmp[SL_BATCH_PATH_MAX];
};

struct writer {
    const struct sl_batch_row *batch;
    const char *dir;
    const char *suffix; /* of the batch's id */
    struct sl_spool *spool;
    struct sink output;
    struct sink error;
    uint32_t next;  /* first line not written yet */
    int64_t looked; /* bytes after which it is looked again how full the disk is */
    int rc;
    struct sl_error *err;
};

static int sink_init(struct sink *sink, const char *data_dir, char kind, const char *suffix,
                     struct sl_error *err) {
    snprintf(sink->id, sizeof sink->id, "file-%c%.32s", kind, suffix);
    int rc = sl_batch_path(data_dir, SL_BATCH_FILES_DIR, sink->id, sink->path, err);
    if (rc == SL_OK) {
        snprintf(sink->tmp, sizeof sink->tmp, "%.1000s.tmp", sink->path);
    }
    return rc;
}

static int sink_open(struct sink *sink, struct sl_error *err) {
    if (sink->file) {
        return SL_OK;
    }
    int fd = open(sink->tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    sink->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!sink->file) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = saved;
        return sl_fail_errno(err, "creating %s", sink->tmp);
    }
    setvbuf(sink->file, NULL, _IOFBF, 256 * 1024);
    return SL_OK;
}

static void sink_abort(struct sink *sink) {
    if (sink->file) {
        fclose(sink->file);
        unlink(sink->tmp);
        sink->file = NULL;
    }
}

/* Durable under its final name except for the folder; the row is filled. */
static int sink_finish(struct sink *sink, const struct sl_batch_row *batch, const char *word,
                       struct sl_wall now, struct sl_file_row *ret_row, struct sl_error *err) {
    struct sl_file_row row = {0};
    if (!sink->file) {
        *ret_row = row;
        return SL_OK;
    }
    struct stat st;
    if (fflush(sink->file) != 0 || ferror(sink->file) || fsync(fileno(sink->file)) != 0 ||
        fstat(fileno(sink->file), &st) != 0 || rename(sink->tmp, sink->path) != 0) {
        return sl_fail_errno(err, "writing %s (is the disk full?)", sink->tmp);
    }
    fclose(sink->file);
    sink->file = NULL;
    sl_text_copy(row.id, sizeof row.id, sink->id);
    sl_text_copy(row.tenant, sizeof row.tenant, batch->tenant);
    snprintf(row.filename, sizeof row.filename, "%s_%s.jsonl", batch->id, word);
    sl_text_copy(row.purpose, sizeof row.purpose, "batch_output");
    row.bytes = st.st_size;
    row.created = now;
    *ret_row = row;
    return SL_OK;
}

/* Results are as large as tenants ask for. Before they take what the store needs they are given up,
 * to be written when there is room. */
static int look_for_room(struct writer *writer) {
    off_t output = writer->output.file ? ftello(writer->output.file) : 0;
    off_t error = writer->error.file ? ftello(writer->error.file) : 0;
    if (output + error < writer->looked) {
        return SL_OK;
    }
    writer->looked = output + error + ROOM_BYTES;
    return sl_batch_room(SL_ROOM_RESULTS, writer->dir, ROOM_BYTES, writer->err);
}

/* Everything up to the response: ids say which line of which batch it was. */
static void write_head(FILE *file, const struct writer *writer, uint32_t line,
                       const struct sl_spool_line *spooled) {
    fprintf(file, "{\"id\":\"batch_req_%s%08x\",\"custom_id\":\"", writer->suffix, line);
    fwrite(spooled->custom_id, 1, spooled->custom_id_bytes, file);
    fputs("\",\"response\":", file);
}

static void write_response_head(FILE *file, const struct writer *writer, uint32_t line,
                                int status) {
    fprintf(file, "{\"status_code\":%d,\"request_id\":\"req_%s%08x\",\"body\":", status,
            writer->suffix, line);
}

static uint32_t float_bits(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static bool all_finite(const uint8_t *vectors, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if ((float_bits(vectors + 4 * i) >> 23 & 0xFF) == 0xFF) {
            return false;
        }
    }
    return true;
}

static void write_floats(FILE *file, const uint8_t *vector, uint32_t dim) {
    char chunk[CHUNK_BYTES];
    size_t at = 0;
    chunk[at++] = '[';
    for (uint32_t i = 0; i < dim; i++) {
        if (at > sizeof chunk - SL_FLOAT_TEXT_MAX - 2) {
            fwrite(chunk, 1, at, file);
            at = 0;
        }
        if (i > 0) {
            chunk[at++] = ',';
        }
        at += sl_float_format(float_bits(vector + 4 * (size_t)i), chunk + at);
    }
    chunk[at++] = ']';
    fwrite(chunk, 1, at, file);
}

static void write_base64(FILE *file, const uint8_t *vector, uint32_t dim) {
    char chunk[CHUNK_BYTES];
    const size_t step = CHUNK_BYTES / 4 * 3; /* a multiple of three: no padding inside */
    size_t bytes = 4 * (size_t)dim;
    fputc('"', file);
    for (size_t i = 0; i < bytes; i += step) {
        size_t n = bytes - i < step ? bytes - i : step;
        n = sl_base64_encode(vector + i, n, chunk);
        fwrite(chunk, 1, n, file);
    }
    fputc('"', file);
}

static void write_json_string(FILE *file, const char *text) {
    json_t *value = json_string(text);
    if (!value || json_dumpf(value, file, JSON_ENCODE_ANY | JSON_COMPACT) != 0) {
        fputs("\"\"", file);
    }
    json_decref(value);
}

static int write_good(struct writer *writer, const struct sl_result_row *row,
                      const struct sl_spool_line *spooled) {
    int rc = sink_open(&writer->output, writer->err);
    if (rc != SL_OK) {
        return rc;
    }
    FILE *file = writer->output.file;
    write_head(file, writer, row->line, spooled);
    write_response_head(file, writer, row->line, 200);
    fputs("{\"object\":\"list\",\"data\":[", file);
    for (uint32_t i = 0; i < row->vector_count; i++) {
        const uint8_t *vector = row->vectors + 4 * (size_t)row->dim * i;
        fprintf(file, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", i ? "," : "", i);
        if (spooled->base64) {
            write_base64(file, vector, row->dim);
        } else {
            write_floats(file, vector, row->dim);
        }
        fputc('}', file);
    }
    fputs("],\"model\":", file);
    write_json_string(file, writer->batch->model);
    fprintf(file, ",\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}}},\"error\":null}\n",
            row->tokens, row->tokens);
    return SL_OK;
}

static int write_refused(struct writer *writer, uint32_t line, const struct sl_spool_line *spooled,
                         int status, const char *body, size_t body_bytes) {
    int rc = sink_open(&writer->error, writer->err);
    if (rc != SL_OK) {
        return rc;
    }
    FILE *file = writer->error.file;
    write_head(file, writer, line, spooled);
    write_response_head(file, writer, line, status);
    fwrite(body, 1, body_bytes, file);
    fputs("},\"error\":null}\n", file);
    return SL_OK;
}

static void too_long_text(const char *model, const struct sl_result_row *row, char *out,
                          size_t size) {
    if (row->tokens == 0 && row->dim > 0) {
        snprintf(out, size,
                 "'input' has too many inputs: vectors of the model '%s' leave room for %u in a "
                 "line. Split it over several lines.",
                 model, row->dim);
        return;
    }
    int n = snprintf(out, size, "'input' has %u tokens; ", row->tokens);
    if (row->dim > 0) {
        snprintf(out + n, size - (size_t)n,
                 "the maximum context length of the model '%s' is %u tokens for each text.", model,
                 row->dim);
    } else { /* its agent is an older one */
        snprintf(out + n, size - (size_t)n,
                 "each text must not exceed the max input tokens of the model '%s'.", model);
    }
}

static int write_failed(struct writer *writer, const struct sl_result_row *row,
                        const struct sl_spool_line *spooled) {
    char message[256];
    const char *type = "invalid_request_error";
    const char *code = "server_error";
    const char *param = NULL;
    int status = 400;
    if (row->status == SL_LINE_TOO_LONG) {
        too_long_text(writer->batch->model, row, message, sizeof message);
        code = row->tokens == 0 && row->dim > 0 ? "invalid_value" : "context_length_exceeded";
        param = "input";
    } else if (row->status == SL_LINE_BAD_TOKEN) {
        snprintf(message, sizeof message,
                 "'input' holds a token id that the vocabulary of the model '%s' does not have.",
                 writer->batch->model);
        code = "invalid_value";
        param = "input";
    } else if (row->status == SL_LINE_BAD_MODEL) {
        snprintf(message, sizeof message, "The model '%s' is not offered any more.",
                 writer->batch->model);
        code = "model_not_found";
        param = "model";
        status = 404;
    } else {
        snprintf(message, sizeof message,
                 "No device gave a valid vector for this line: it was not billed, submit it "
                 "again.");
        type = "server_error";
        status = 500;
    }
    SL_AUTO_FREE char *body = sl_batch_error_body(type, code, param, message);
    if (!body) {
        return sl_fail(writer->err, SL_NOMEM, "writing an error line");
    }
    return write_refused(writer, row->line, spooled, status, body, strlen(body));
}

/* A line that never ran. */
static int write_missing(struct writer *writer, uint32_t line,
                         const struct sl_spool_line *spooled) {
    bool expired = writer->batch->after_finalizing == SL_BATCH_EXPIRED;
    if (!expired && writer->batch->after_finalizing != SL_BATCH_CANCELLED) {
        return sl_fail(writer->err, SL_BADSTATE, "batch %s: line %u has no result yet",
                       writer->batch->id, line + 1);
    }
    int rc = sink_open(&writer->error, writer->err);
    if (rc != SL_OK) {
        return rc;
    }
    FILE *file = writer->error.file;
    write_head(file, writer, line, spooled);
    fprintf(file, "null,\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n",
            expired ? "batch_expired" : "batch_cancelled",
            expired ? "The batch's deadline passed before this line was run."
                    : "The batch was cancelled before this line was run.");
    return SL_OK;
}

/* Lines before `line` that have no result row: refused ones and those that never ran. */
static int write_gap(struct writer *writer, uint32_t line) {
    for (; writer->next < line; writer->next++) {
        struct sl_spool_line spooled;
        int rc = look_for_room(writer);
        rc = rc ? rc : sl_spool_line(writer->spool, writer->next, &spooled, writer->err);
        if (rc == SL_OK && spooled.refusal) {
            rc = write_refused(writer, writer->next, &spooled, 400, spooled.refusal,
                               spooled.refusal_bytes);
        } else if (rc == SL_OK) {
            rc = write_missing(writer, writer->next, &spooled);
        }
        if (rc != SL_OK) {
            return rc;
        }
    }
    return SL_OK;
}

static int write_result(struct writer *writer, const struct sl_result_row *row) {
    if (row->line < writer->next || row->line >= sl_spool_count(writer->spool)) {
        return sl_fail(writer->err, SL_CORRUPT, "batch %s: stored result of line %u out of order",
                       writer->batch->id, row->line + 1);
    }
    int rc = look_for_room(writer);
    rc = rc ? rc : write_gap(writer, row->line);
    struct sl_spool_line spooled;
    if (rc == SL_OK) {
        rc = sl_spool_line(writer->spool, row->line, &spooled, writer->err);
    }
    if (rc != SL_OK) {
        return rc;
    }
    writer->next = row->line + 1;
    if (spooled.refusal) { /* never issued; the refusal stands whatever the store says */
        return write_refused(writer, row->line, &spooled, 400, spooled.refusal,
                             spooled.refusal_bytes);
    }
    bool good = row->status == SL_LINE_OK && row->vectors &&
                row->vector_count == spooled.input_count &&
                all_finite(row->vectors, (size_t)row->vector_count * row->dim);
    return good ? write_good(writer, row, &spooled) : write_failed(writer, row, &spooled);
}

static int on_result(void *arg, const void *row) {
    struct writer *writer = arg;
    writer->rc = write_result(writer, row);
    return writer->rc;
}

static int write_all(struct writer *writer, struct sl_reader *reader) {
    int rc = sl_reader_results(reader, writer->batch->id, true, on_result, writer, writer->err);
    /* A store that cannot be read is never taken for a file of this batch that cannot. */
    rc = rc ? -SL_CORRUPT : writer->rc;
    return rc == SL_OK ? write_gap(writer, sl_spool_count(writer->spool)) : rc;
}

int sl_batch_write_outputs(const char *data_dir, struct sl_reader *reader,
                           const struct sl_batch_row *batch, struct sl_wall now,
                           struct sl_file_row *ret_output, struct sl_file_row *ret_error,
                           struct sl_error *err) {
    const char *dash = strchr(batch->id, '_');
    struct writer writer = {
        .batch = batch, .dir = data_dir, .suffix = dash ? dash + 1 : batch->id, .err = err};
    SL_AUTO(sl_spool) spool = NULL;
    int rc = sl_spool_open(data_dir, batch->id, &spool, err);
    if (rc == SL_OK) {
        rc = sl_batch_make_dir(data_dir, SL_BATCH_FILES_DIR, err);
    }
    if (rc != SL_OK || (rc = sink_init(&writer.output, data_dir, 'o', writer.suffix, err)) ||
        (rc = sink_init(&writer.error, data_dir, 'e', writer.suffix, err))) {
        return rc;
    }
    writer.spool = spool;
    struct sl_file_row output = {0};
    struct sl_file_row error = {0};
    rc = write_all(&writer, reader);
    if (rc == SL_OK) {
        rc = sink_finish(&writer.output, batch, "output", now, &output, err);
    }
    if (rc == SL_OK) {
        rc = sink_finish(&writer.error, batch, "error", now, &error, err);
    }
    if (rc == SL_OK) {
        rc = sl_batch_sync_dir(data_dir, SL_BATCH_FILES_DIR, err);
    }
    sink_abort(&writer.output);
    sink_abort(&writer.error);
    if (rc == SL_OK) {
        *ret_output = output;
        *ret_error = error;
    }
    return rc;
}
