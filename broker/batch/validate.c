/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/batch/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/line.h"
#include "broker/batch/spool_file.h"
#include "proto/base/text.h"

#define READ_BYTES (64 * 1024)

/* Cuts a file into lines without ever holding more than one of them. */
struct line_reader {
    int fd;
    struct sl_buf buf;
    size_t at;   /* where the next line starts in buf */
    size_t seen; /* no line end before this offset */
    bool eof;
    bool skipping; /* inside a line that is too long already */
};

struct checker {
    const char *endpoint;
    const struct sl_batch_model *models;
    uint32_t model_count;
    struct sl_spool_writer *writer;
    char model[SL_MSG_NAME_MAX]; /* of the first line that names one on offer */
    json_t *seen;                /* custom_id -> line, hashed with a random seed by jansson */
    json_t *errors;
    uint64_t error_count;
    uint64_t inputs;
    uint32_t lines;
};

static int read_more(struct line_reader *reader, struct sl_error *err) {
    sl_buf_consume(&reader->buf, reader->at);
    reader->seen -= reader->at;
    reader->at = 0;
    char chunk[READ_BYTES];
    ssize_t n = read(reader->fd, chunk, sizeof chunk);
    if (n < 0) {
        return errno == EINTR ? SL_OK : sl_fail_errno(err, "reading a batch's input file");
    }
    if (n == 0) {
        reader->eof = true;
        return SL_OK;
    }
    sl_buf_append(&reader->buf, chunk, (size_t)n);
    return reader->buf.failed ? sl_fail(err, SL_NOMEM, "reading a batch's input file") : SL_OK;
}

/* SL_OK with a line (*ret_too_long: it had more than the limit, the text is empty), -SL_CLOSED at
 * the end. The text is valid until the next call. */
static int next_line(struct line_reader *reader, const char **ret_text, size_t *ret_bytes,
                     bool *ret_too_long, struct sl_error *err) {
    for (;;) {
        const char *start = reader->buf.data ? reader->buf.data + reader->at : "";
        size_t have = reader->buf.len - reader->at;
        size_t old = reader->seen - reader->at;
        const char *end = have > old ? memchr(start + old, '\n', have - old) : NULL;
        if (end || (reader->eof && (have > 0 || reader->skipping))) {
            size_t bytes = end ? (size_t)(end - start) : have;
            reader->at += bytes + (end ? 1 : 0);
            reader->seen = reader->at;
            bytes -= bytes > 0 && start[bytes - 1] == '\r' ? 1 : 0;
            *ret_too_long = reader->skipping || bytes > SL_BATCH_LINE_BYTES_MAX;
            *ret_text = start;
            *ret_bytes = *ret_too_long ? 0 : bytes;
            reader->skipping = false;
            return SL_OK;
        }
        if (reader->eof) {
            return -SL_CLOSED;
        }
        reader->seen = reader->buf.len;
        if (have > SL_BATCH_LINE_BYTES_MAX + 1) {
            reader->skipping = true;
            reader->at = reader->buf.len;
        }
        int rc = read_more(reader, err);
        if (rc != SL_OK) {
            return rc;
        }
    }
}

/* line 0: about the whole file. */
static int add_error(struct checker *check, const char *code, const char *param, uint32_t line,
                     const char *message, struct sl_error *err) {
    if (check->error_count++ >= SL_BATCH_ERRORS_MAX) {
        return SL_OK;
    }
    json_t *place = line ? json_integer(line) : json_null();
    json_t *entry = json_pack("{s:s, s:s, s:s?, s:o}", "code", code, "message", message, "param",
                              param && param[0] != '\0' ? param : NULL, "line", place);
    if (!entry || json_array_append_new(check->errors, entry) != 0) {
        return sl_fail(err, SL_NOMEM, "listing a batch's errors");
    }
    return SL_OK;
}

static const struct sl_batch_model *find_model(const struct checker *check, const char *model) {
    for (uint32_t i = 0; i < check->model_count; i++) {
        if (strcmp(check->models[i].id, model) == 0) {
            return &check->models[i];
        }
    }
    return NULL;
}

/* What can only be judged with the other lines in view. */
static int check_against_others(struct checker *check, struct sl_batch_line *line,
                                struct sl_error *err) {
    const char *id = json_string_value(line->custom_id);
    size_t id_bytes = json_string_length(line->custom_id);
    const json_t *first = json_object_getn(check->seen, id, id_bytes);
    if (first) {
        sl_batch_line_fault(line, "duplicate_custom_id", "custom_id",
                            "The custom_id '%.100s' is used already on line %lld: give every line "
                            "its own.",
                            id, (long long)json_integer_value(first));
    } else if (json_object_setn_new_nocheck(check->seen, id, id_bytes,
                                            json_integer(check->lines)) != 0) {
        return sl_fail(err, SL_NOMEM, "comparing custom_ids");
    }
    const struct sl_batch_model *model = find_model(check, line->model);
    if (check->model_count > 0 && !model) {
        sl_batch_line_fault(line, "model_not_found", "body.model",
                            "The model '%s' is not offered: /v1/models lists those that are.",
                            line->model);
    } else if (check->model[0] == '\0') {
        sl_text_copy(check->model, sizeof check->model, line->model);
    } else if (strcmp(check->model, line->model) != 0) {
        sl_batch_line_fault(line, "model_mismatch", "body.model",
                            "All lines of a batch must name one model; the first names '%s'.",
                            check->model);
    }
    uint64_t before = check->inputs;
    check->inputs += line->input_count;
    if (check->inputs > SL_BATCH_INPUTS_TOTAL_MAX && before <= SL_BATCH_INPUTS_TOTAL_MAX) {
        sl_batch_line_fault(line, "too_many_inputs", "input",
                            "A batch may hold at most %d inputs over all lines; this line exceeds "
                            "it: split the batch.",
                            SL_BATCH_INPUTS_TOTAL_MAX);
    }
    return model && model->input_prefix ? sl_batch_line_prefix(line, model->input_prefix, err)
                                        : SL_OK;
}

static int check_line(struct checker *check, const char *text, size_t bytes, bool too_long,
                      struct sl_error *err) {
    struct sl_batch_line line = {0};
    int rc = SL_OK;
    if (too_long) {
        sl_batch_line_fault(&line, "line_too_long", NULL,
                            "This line has more than %d bytes: split its input over several "
                            "lines.",
                            SL_BATCH_LINE_BYTES_MAX);
    } else {
        rc = sl_batch_line_check(text, bytes, check->endpoint, &line, err);
    }
    if (rc == SL_OK && line.code[0] == '\0') {
        rc = check_against_others(check, &line, err);
    }
    if (rc == SL_OK && line.code[0] != '\0') {
        rc = add_error(check, line.code, line.param, check->lines, line.message, err);
    } else if (rc == SL_OK && check->error_count == 0) {
        rc = sl_spool_writer_add(check->writer, &line, err);
    }
    sl_batch_line_fini(&line);
    return rc;
}

/* What Windows calls Unicode, and PowerShell writes by `>`: each of its lines would be at fault in
 * a way that says nothing. */
static bool is_utf16(const char *text, size_t bytes) {
    return bytes >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0);
}

static int check_file(struct checker *check, struct line_reader *reader, struct sl_error *err) {
    const char *text = NULL;
    size_t bytes = 0;
    bool too_long = false;
    int rc = SL_OK;
    while ((rc = next_line(reader, &text, &bytes, &too_long, err)) == SL_OK) {
        if (check->lines == 0 && is_utf16(text, bytes)) {
            check->lines++;
            return add_error(check, "invalid_json_line", NULL, 1,
                             "The file is UTF-16 or UTF-32, not UTF-8: save it as UTF-8.", err);
        }
        if (check->lines == 0 && bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3; /* a byte order mark, which Windows editors write */
            bytes -= 3;
            if (bytes == 0 && reader->eof && reader->at == reader->buf.len) {
                break;
            }
        }
        if (check->lines == SL_BATCH_LINES_MAX) {
            char message[128];
            snprintf(message, sizeof message, "A batch may have at most %d lines: split the file.",
                     SL_BATCH_LINES_MAX);
            return add_error(check, "too_many_tasks", NULL, 0, message, err);
        }
        check->lines++;
        if ((rc = check_line(check, text, bytes, too_long, err)) != SL_OK) {
            return rc;
        }
    }
    if (rc != SL_OK && rc != -SL_CLOSED) {
        return rc;
    }
    return check->lines > 0 ? SL_OK
                            : add_error(check, "empty_file", NULL, 0,
                                        "The input file is empty: write one request a line.", err);
}

/* A file that is gone or too large is the tenant's trouble and goes to errors; then *ret_fd stays
 * as it is. */
static int open_input(struct checker *check, const char *data_dir, const char *file_id, int *ret_fd,
                      struct sl_error *err) {
    char path[SL_BATCH_PATH_MAX];
    int rc = sl_batch_path(data_dir, SL_BATCH_FILES_DIR, file_id, path, err);
    if (rc != SL_OK) {
        return rc;
    }
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return add_error(check, "file_not_found", "input_file_id", 0,
                         "The input file was deleted before it was read: upload it again.", err);
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = sl_fail_errno(err, "opening %s", path);
    } else if (st.st_size > SL_BATCH_FILE_BYTES_MAX) {
        rc = add_error(check, "file_too_large", "input_file_id", 0,
                       "The input file is larger than 200 MB: split it.", err);
    } else if ((rc = sl_batch_room(SL_ROOM_RESULTS, data_dir, st.st_size, err)) == SL_OK) {
        *ret_fd = fd; /* its texts are written again */
        return SL_OK;
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static int render_errors(struct checker *check, char **ret_errors, struct sl_error *err) {
    if (check->error_count > SL_BATCH_ERRORS_MAX) {
        char message[128];
        snprintf(message, sizeof message,
                 "%llu more lines are at fault; only the first %d errors are listed.",
                 (unsigned long long)check->error_count - SL_BATCH_ERRORS_MAX, SL_BATCH_ERRORS_MAX);
        json_t *entry = json_pack("{s:s, s:s, s:n, s:n}", "code", "too_many_errors", "message",
                                  message, "param", "line");
        if (json_array_append_new(check->errors, entry) != 0) {
            return sl_fail(err, SL_NOMEM, "listing a batch's errors");
        }
    }
    *ret_errors = json_dumps(check->errors, JSON_COMPACT);
    return *ret_errors ? SL_OK : sl_fail(err, SL_NOMEM, "listing a batch's errors");
}

/* The lines of a whole spool; -SL_NOTFOUND or -SL_CORRUPT when it must be (re)built. */
static int use_spool(const char *data_dir, const char *batch_id, struct sl_batch_validation *out,
                     struct sl_error *err) {
    SL_AUTO(sl_spool) spool = NULL;
    int rc = sl_spool_open(data_dir, batch_id, &spool, err);
    if (rc == SL_OK) {
        rc = sl_spool_verify(spool, &out->lines.worst_tokens, &out->lines.tokens, err);
    }
    if (rc == SL_OK) {
        out->lines.count = sl_spool_count(spool);
        sl_text_copy(out->model, sizeof out->model, sl_spool_model(spool));
    }
    return rc;
}

static int check_input(struct checker *check, const char *data_dir, const char *file_id,
                       struct sl_error *err) {
    SL_AUTO_FD int fd = -1;
    int rc = open_input(check, data_dir, file_id, &fd, err);
    if (rc != SL_OK || fd < 0) {
        return rc;
    }
    struct line_reader reader = {.fd = fd};
    rc = check_file(check, &reader, err);
    sl_buf_fini(&reader.buf);
    return rc;
}

int sl_batch_validate(const char *data_dir, const char *batch_id, const char *input_file_id,
                      const char *endpoint, const struct sl_batch_model *models,
                      uint32_t model_count, struct sl_batch_validation *ret_validation,
                      struct sl_error *err) {
    struct sl_batch_validation out = {0};
    int rc = use_spool(data_dir, batch_id, &out, err);
    if (rc != -SL_NOTFOUND && rc != -SL_CORRUPT) {
        if (rc == SL_OK) {
            *ret_validation = out;
        }
        return rc;
    }
    SL_AUTO(sl_spool_writer) writer = NULL;
    if ((rc = sl_spool_writer_create(data_dir, batch_id, &writer, err)) != SL_OK) {
        return rc;
    }
    struct checker check = {.endpoint = endpoint,
                            .models = models,
                            .model_count = model_count,
                            .writer = writer,
                            .seen = json_object(),
                            .errors = json_array()};
    if (!check.seen || !check.errors) {
        rc = sl_fail(err, SL_NOMEM, "checking a batch");
    } else {
        rc = check_input(&check, data_dir, input_file_id, err);
    }
    if (rc == SL_OK && check.error_count > 0) {
        rc = render_errors(&check, &out.errors, err);
    } else if (rc == SL_OK) {
        rc = sl_spool_writer_finish(writer, check.model, err);
        rc = rc == SL_OK ? use_spool(data_dir, batch_id, &out, err) : rc;
    }
    json_decref(check.seen);
    json_decref(check.errors);
    if (rc == SL_OK) {
        *ret_validation = out;
    } else {
        sl_batch_validation_fini(&out);
    }
    return rc;
}

void sl_batch_validation_fini(struct sl_batch_validation *validation) {
    free(validation->lines.worst_tokens);
    free(validation->errors);
    *validation = (struct sl_batch_validation){0};
}
