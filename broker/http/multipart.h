/* SPDX-License-Identifier: Apache-2.0
 * A multipart upload as it arrives: the parts may come in any order (the official SDKs differ), so
 * the file goes to disk before anything is judged. Thread: libmicrohttpd's while the body comes,
 * then the worker that finishes it. */
#ifndef SLUICE_BROKER_HTTP_MULTIPART_H
#define SLUICE_BROKER_HTTP_MULTIPART_H

#include <stddef.h>
#include <stdint.h>

#include "broker/core/types.h"
#include "broker/http/parts.h"
#include "proto/base/error.h"

/* How long a file may be asked to stay, an uploaded one or a result. */
#define SL_FILE_LIFE_MIN_S 3600
#define SL_FILE_LIFE_MAX_S (30 * 24 * 3600)

struct sl_upload {
    struct sl_parts parts;
    char path[1024]; /* of the unfinished file */
    int fd;
    int64_t bytes;
    /* Where the data of the part goes that has begun. */
    enum { SL_UPLOAD_NOWHERE, SL_UPLOAD_FILE, SL_UPLOAD_FIELD } to;
    const struct sl_upload_field *field; /* and its text, which has n_field bytes so far */
    size_t n_field;
    bool has_file;
    char filename[256];
    char purpose[32];
    char anchor[32];  /* expires_after[anchor] */
    char seconds[16]; /* expires_after[seconds] */
    /* The first thing that was wrong; code empty: nothing. */
    int status; /* HTTP */
    char code[32];
    char param[40];
    char message[200];
    struct sl_error trouble; /* ours: the disk; status SL_OK: none */
};

/* content_type: NULL when the request has none. -SL_INVALID when it is not multipart/form-data;
 * -SL_IO when there is no room. */
int sl_upload_create(const char *content_type, const char *data_dir, struct sl_upload **ret_upload,
                     struct sl_error *err);
/* Removes what was not finished. */
void sl_upload_destroy(struct sl_upload *upload);
/* Faults are kept in the upload; the rest of the body is then only skipped. */
void sl_upload_feed(struct sl_upload *upload, const char *data, size_t n);
/* The body is complete: judges the parts and fills the row but for id and tenant. -SL_INVALID:
 * status, code, param and message say why; other negative: our trouble. */
int sl_upload_check(struct sl_upload *upload, struct sl_wall now, struct sl_file_row *ret_row,
                    struct sl_error *err);
/* Makes the file durable as DATA_DIR/files/ID. */
int sl_upload_keep(struct sl_upload *upload, const char *data_dir, const char *id,
                   struct sl_error *err);

#endif
