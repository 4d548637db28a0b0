/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/multipart.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "proto/base/text.h"

#define FILE_LIFE_MS (INT64_C(1000) * SL_FILE_LIFE_MAX_S)
#define ROOM_BYTES (INT64_C(4) << 20) /* received from one look at the disk to the next */

static void fault(struct sl_upload *upload, int status, const char *code, const char *param,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

static void fault(struct sl_upload *upload, int status, const char *code, const char *param,
                  const char *format, ...) {
    if (upload->code[0] != '\0') {
        return;
    }
    upload->status = status;
    sl_text_copy(upload->code, sizeof upload->code, code);
    sl_text_copy(upload->param, sizeof upload->param, param ? param : "");
    va_list args;
    va_start(args, format);
    vsnprintf(upload->message, sizeof upload->message, format, args);
    va_end(args);
}

static int write_all(int fd, const char *data, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, data, n);
        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -SL_IO;
        }
        data += done;
        n -= (size_t)done;
    }
    return SL_OK;
}

/* The text parts. */
struct sl_upload_field {
    const char *key;
    size_t offset, size; /* in struct sl_upload */
};
#define FIELD(key, member)                                                                         \
    { key, offsetof(struct sl_upload, member), sizeof((struct sl_upload *)0)->member }
static const struct sl_upload_field fields[] = {
    FIELD("purpose", purpose),
    FIELD("expires_after[anchor]", anchor),
    FIELD("expires_after[seconds]", seconds),
};

static char *text_of(struct sl_upload *upload, const struct sl_upload_field *field) {
    return (char *)upload + field->offset;
}

/* A name is shown, never a path. Shells of Windows send it in their own code page: what is no UTF-8
 * keeps its ASCII. One that is too long is cut between two characters. */
static void take_filename(struct sl_upload *upload, const char *filename) {
    char *name = upload->filename;
    bool text = sl_utf8_valid(filename, strlen(filename));
    sl_text_copy(name, sizeof upload->filename, filename[0] != '\0' ? filename : "upload");
    for (char *at = name; !text && *at; at++) {
        *at = (unsigned char)*at < 0x80 ? *at : '?';
    }
    size_t end = strlen(name);
    while (end > 0 && !sl_utf8_valid(name, end)) {
        name[--end] = '\0';
    }
}

static void begin_file(struct sl_upload *upload, const char *filename) {
    if (upload->has_file) {
        fault(upload, 400, "invalid_value", "file", "The part 'file' was sent twice.");
        return;
    }
    upload->has_file = true;
    upload->to = SL_UPLOAD_FILE;
    take_filename(upload, filename);
}

static void begin_part(void *arg, const char *name, const char *filename) {
    struct sl_upload *upload = arg;
    upload->to = SL_UPLOAD_NOWHERE;
    if (!name) {
        fault(upload, 400, "invalid_multipart", NULL, "A part of the upload has no name.");
        return;
    }
    if (strcmp(name, "file") == 0) {
        begin_file(upload, filename);
        return;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(name, fields[i].key) != 0) {
            continue;
        }
        if (text_of(upload, &fields[i])[0] != '\0') {
            fault(upload, 400, "invalid_value", name, "The part '%s' was sent twice.", name);
        }
        upload->to = SL_UPLOAD_FIELD;
        upload->field = &fields[i];
        upload->n_field = 0;
        return;
    }
    fault(upload, 400, "unknown_parameter", name, "Unknown parameter: '%.80s'.", name);
}

static void take_file(struct sl_upload *upload, const char *data, size_t n) {
    bool look = upload->bytes / ROOM_BYTES != (upload->bytes + (int64_t)n) / ROOM_BYTES;
    upload->bytes += (int64_t)n;
    if (look && sl_batch_room(SL_ROOM_TENANTS, upload->path, 0, &upload->trouble) != SL_OK) {
        return;
    }
    if (upload->bytes > SL_BATCH_FILE_BYTES_MAX) {
        fault(upload, 413, "file_too_large", "file",
              "A file may have at most 200 MB: split the batch.");
    } else if (write_all(upload->fd, data, n) != SL_OK) {
        sl_fail_errno(&upload->trouble, "writing an upload");
    }
}

static void take_field(struct sl_upload *upload, const char *data, size_t n) {
    const struct sl_upload_field *field = upload->field;
    if (n >= field->size - upload->n_field || memchr(data, 0, n)) {
        fault(upload, 400, "invalid_value", field->key, "The part '%s' is too long or not a text.",
              field->key);
        return;
    }
    memcpy(text_of(upload, field) + upload->n_field, data, n);
    upload->n_field += n;
    text_of(upload, field)[upload->n_field] = '\0';
}

static void take_data(void *arg, const char *data, size_t n) {
    struct sl_upload *upload = arg;
    if (upload->code[0] != '\0' || upload->trouble.status != SL_OK) {
        return;
    }
    if (upload->to == SL_UPLOAD_FILE) {
        take_file(upload, data, n);
    } else if (upload->to == SL_UPLOAD_FIELD) {
        take_field(upload, data, n);
    }
}

int sl_upload_create(const char *content_type, const char *data_dir, struct sl_upload **ret_upload,
                     struct sl_error *err) {
    struct sl_parts parts = {0};
    int rc = sl_parts_init(&parts, content_type, (struct sl_parts_sink){0}, err);
    rc = rc ? rc : sl_batch_room(SL_ROOM_TENANTS, data_dir, 0, err);
    if (rc) {
        return rc;
    }
    struct sl_upload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        return sl_fail(err, SL_NOMEM, "receiving an upload");
    }
    uint8_t random[12];
    char name[32] = "tmp-";
    randombytes_buf(random, sizeof random);
    sl_hex_encode(random, sizeof random, name + 4);
    upload->fd = -1;
    upload->parts = parts;
    upload->parts.sink = (struct sl_parts_sink){upload, begin_part, take_data};
    rc = sl_batch_path(data_dir, SL_BATCH_FILES_DIR, name, upload->path, err);
    if (rc == SL_OK) {
        upload->fd = open(upload->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        rc = upload->fd >= 0 ? SL_OK : sl_fail_errno(err, "creating %s", upload->path);
    }
    if (rc != SL_OK) {
        sl_upload_destroy(upload);
        return rc;
    }
    *ret_upload = upload;
    return SL_OK;
}

void sl_upload_destroy(struct sl_upload *upload) {
    if (!upload) {
        return;
    }
    if (upload->fd >= 0) {
        close(upload->fd);
        unlink(upload->path);
    }
    free(upload);
}

void sl_upload_feed(struct sl_upload *upload, const char *data, size_t n) {
    struct sl_error err = {0};
    if (upload->code[0] != '\0' || upload->trouble.status != SL_OK) {
        return;
    }
    if (sl_parts_feed(&upload->parts, data, n, &err) != SL_OK) {
        fault(upload, 400, "invalid_multipart", NULL, "%s", err.text);
    }
}

static bool parse_expiry(struct sl_upload *upload, struct sl_wall now,
                         struct sl_wall *ret_expires) {
    if (upload->anchor[0] == '\0' && upload->seconds[0] == '\0') {
        *ret_expires = (struct sl_wall){now.ms + FILE_LIFE_MS};
        return true;
    }
    if (strcmp(upload->anchor, "created_at") != 0) {
        fault(upload, 400, "invalid_value", "expires_after[anchor]",
              "'expires_after[anchor]' must be \"created_at\".");
        return false;
    }
    char *end = NULL;
    long seconds = strtol(upload->seconds, &end, 10);
    if (end == upload->seconds || *end != '\0' || seconds < SL_FILE_LIFE_MIN_S ||
        seconds > SL_FILE_LIFE_MAX_S) {
        fault(upload, 400, "invalid_value", "expires_after[seconds]",
              "'expires_after[seconds]' must be between %d and %d.", SL_FILE_LIFE_MIN_S,
              SL_FILE_LIFE_MAX_S);
        return false;
    }
    *ret_expires = (struct sl_wall){now.ms + seconds * 1000};
    return true;
}

int sl_upload_check(struct sl_upload *upload, struct sl_wall now, struct sl_file_row *ret_row,
                    struct sl_error *err) {
    if (upload->trouble.status != SL_OK) {
        if (err) {
            *err = upload->trouble;
        }
        return upload->trouble.status;
    }
    struct sl_wall expires = {0};
    if (upload->code[0] == '\0') {
        if (!sl_parts_complete(&upload->parts)) {
            fault(upload, 400, "invalid_multipart", NULL,
                  "The multipart body ends before its last boundary.");
        } else if (!upload->has_file) {
            fault(upload, 400, "missing_required_parameter", "file",
                  "Missing required part: "
                  "'file'.");
        } else if (upload->purpose[0] == '\0') {
            fault(upload, 400, "missing_required_parameter", "purpose",
                  "Missing required part: 'purpose'.");
        } else if (strcmp(upload->purpose, "batch") != 0) {
            fault(upload, 400, "invalid_value", "purpose", "'purpose' must be \"batch\".");
        }
    }
    if (upload->code[0] != '\0' || !parse_expiry(upload, now, &expires)) {
        return sl_fail(err, SL_INVALID, "%s", upload->message);
    }
    struct sl_file_row row = {.bytes = upload->bytes, .created = now, .expires = expires};
    sl_text_copy(row.filename, sizeof row.filename, upload->filename);
    sl_text_copy(row.purpose, sizeof row.purpose, upload->purpose);
    *ret_row = row;
    return SL_OK;
}

int sl_upload_keep(struct sl_upload *upload, const char *data_dir, const char *id,
                   struct sl_error *err) {
    char path[SL_BATCH_PATH_MAX];
    int rc = sl_batch_path(data_dir, SL_BATCH_FILES_DIR, id, path, err);
    if (rc != SL_OK) {
        return rc;
    }
    if (fsync(upload->fd) != 0 || rename(upload->path, path) != 0) {
        return sl_fail_errno(err, "keeping an upload");
    }
    close(upload->fd);
    upload->fd = -1;
    return sl_batch_sync_dir(data_dir, SL_BATCH_FILES_DIR, err);
}
