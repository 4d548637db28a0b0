/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/multipart.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "proto/base/text.h"

#define PARSER_BYTES 4096 /* a part's headers must fit */
#define FILE_LIFE_MS (INT64_C(30) * 24 * 3600 * 1000)
#define EXPIRES_MIN_S 3600
#define EXPIRES_MAX_S 2592000
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

static void take_file(struct sl_upload *upload, const char *filename, const char *data, size_t n,
                      uint64_t offset) {
    if (offset == 0) {
        /* A part may begin with an empty piece, and its first bytes have offset 0 again. */
        if (upload->bytes > 0) {
            fault(upload, 400, "invalid_value", "file", "The part 'file' was sent twice.");
        }
        upload->has_file = true;
        sl_text_copy(upload->filename, sizeof upload->filename,
                     filename && filename[0] != '\0' ? filename : "upload");
        size_t end = strlen(upload->filename);
        while (end > 0 && !sl_utf8_valid(upload->filename, end)) {
            upload->filename[--end] = '\0';
        }
    }
    bool look = upload->bytes / ROOM_BYTES != (upload->bytes + (int64_t)n) / ROOM_BYTES;
    upload->bytes += (int64_t)n;
    if (look && sl_batch_room(upload->path, 0, &upload->trouble) != SL_OK) {
        return;
    }
    if (upload->bytes > SL_BATCH_FILE_BYTES_MAX) {
        fault(upload, 413, "file_too_large", "file",
              "A file may have at most 200 MB: split the batch.");
    } else if (upload->code[0] == '\0' && write_all(upload->fd, data, n) != SL_OK) {
        sl_fail_errno(&upload->trouble, "writing an upload");
    }
}

/* A short text field, which may come in pieces. */
static void take_field(struct sl_upload *upload, const char *key, char *field, size_t size,
                       const char *data, size_t n, uint64_t offset) {
    if (offset == 0 && field[0] != '\0') {
        fault(upload, 400, "invalid_value", key, "The part '%s' was sent twice.", key);
    } else if (offset + n >= size || memchr(data, 0, n)) {
        fault(upload, 400, "invalid_value", key, "The part '%s' is too long or not a text.", key);
    } else {
        memcpy(field + offset, data, n);
        field[offset + n] = '\0';
    }
}

static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *key,
                               const char *filename, const char *content_type,
                               const char *transfer_encoding, const char *data, uint64_t offset,
                               size_t size) {
    (void)kind;
    (void)content_type;
    (void)transfer_encoding;
    struct sl_upload *upload = cls;
    if (!key) {
        fault(upload, 400, "invalid_multipart", NULL, "A part of the upload has no name.");
    } else if (strcmp(key, "file") == 0) {
        take_file(upload, filename, data, size, offset);
    } else if (strcmp(key, "purpose") == 0) {
        take_field(upload, key, upload->purpose, sizeof upload->purpose, data, size, offset);
    } else if (strcmp(key, "expires_after[anchor]") == 0) {
        take_field(upload, key, upload->anchor, sizeof upload->anchor, data, size, offset);
    } else if (strcmp(key, "expires_after[seconds]") == 0) {
        take_field(upload, key, upload->seconds, sizeof upload->seconds, data, size, offset);
    } else {
        fault(upload, 400, "unknown_parameter", key, "Unknown parameter: '%.80s'.", key);
    }
    return upload->code[0] == '\0' && upload->trouble.status == SL_OK ? MHD_YES : MHD_NO;
}

int sl_upload_create(struct MHD_Connection *connection, const char *data_dir,
                     struct sl_upload **ret_upload, struct sl_error *err) {
    static const char wanted[] = "multipart/form-data";
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");
    if (!type || strncasecmp(type, wanted, sizeof wanted - 1) != 0) {
        return sl_fail(err, SL_INVALID,
                       "Send multipart/form-data with the parts 'purpose' and 'file'.");
    }
    int rc = sl_batch_room(data_dir, 0, err);
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
    rc = sl_batch_path(data_dir, SL_BATCH_FILES_DIR, name, upload->path, err);
    if (rc == SL_OK) {
        upload->fd = open(upload->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        rc = upload->fd >= 0 ? SL_OK : sl_fail_errno(err, "creating %s", upload->path);
    }
    if (rc == SL_OK) {
        upload->parser = MHD_create_post_processor(connection, PARSER_BYTES, on_part, upload);
        rc = upload->parser
                 ? SL_OK
                 : sl_fail(err, SL_INVALID, "The Content-Type names no usable multipart boundary.");
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
    if (upload->parser) {
        MHD_destroy_post_processor(upload->parser);
    }
    if (upload->fd >= 0) {
        close(upload->fd);
        unlink(upload->path);
    }
    free(upload);
}

/* A part that is multipart itself makes libmicrohttpd forget (and never free) names of parts, as
 * often as a body repeats it; nobody needs one. Its header begins a line, which no line of JSON
 * does. */
static void refuse_nesting(struct sl_upload *upload, const char *data, size_t n) {
    static const char header[] = "content-type:multipart/";
    static const int value = 13; /* blanks may stand before it */
    for (size_t i = 0; i < n; i++) {
        char c = data[i];
        if (c == '\r' || c == '\n') {
            upload->nested = 0;
        } else if (upload->nested < 0 || (upload->nested == value && (c == ' ' || c == '\t'))) {
            continue;
        } else if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != header[upload->nested]) {
            upload->nested = -1;
        } else if (header[++upload->nested] == '\0') {
            fault(upload, 400, "invalid_multipart", NULL,
                  "A part of the upload is multipart itself: send one plain part for each field.");
            return;
        }
    }
}

void sl_upload_feed(struct sl_upload *upload, const char *data, size_t n) {
    if (upload->code[0] == '\0') {
        refuse_nesting(upload, data, n);
    }
    if (upload->code[0] != '\0' || upload->trouble.status != SL_OK) {
        return;
    }
    if (MHD_post_process(upload->parser, data, n) != MHD_YES && upload->trouble.status == SL_OK) {
        fault(upload, 400, "invalid_multipart", NULL,
              "The multipart body cannot be read: check its boundary and part headers.");
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
    if (end == upload->seconds || *end != '\0' || seconds < EXPIRES_MIN_S ||
        seconds > EXPIRES_MAX_S) {
        fault(upload, 400, "invalid_value", "expires_after[seconds]",
              "'expires_after[seconds]' must be between %d and %d.", EXPIRES_MIN_S, EXPIRES_MAX_S);
        return false;
    }
    *ret_expires = (struct sl_wall){now.ms + seconds * 1000};
    return true;
}

int sl_upload_check(struct sl_upload *upload, struct sl_wall now, struct sl_file_row *ret_row,
                    struct sl_error *err) {
    enum MHD_Result complete = MHD_destroy_post_processor(upload->parser);
    upload->parser = NULL;
    if (upload->trouble.status != SL_OK) {
        if (err) {
            *err = upload->trouble;
        }
        return upload->trouble.status;
    }
    struct sl_wall expires = {0};
    if (upload->code[0] == '\0') {
        if (complete != MHD_YES) {
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
