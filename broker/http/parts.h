/* SPDX-License-Identifier: Apache-2.0
 * Takes a multipart/form-data body apart as it arrives, in pieces of any size: RFC 2046 and 7578,
 * with names in quotes or without (.NET), blanks behind a boundary, a preamble and an epilogue.
 * Holds one part's headers, never its data. Thread: any; one object at a time. */
#ifndef SLUICE_BROKER_HTTP_PARTS_H
#define SLUICE_BROKER_HTTP_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/error.h"

#define SL_PARTS_BOUNDARY_MAX 70 /* RFC 2046 */
#define SL_PARTS_HEADERS_MAX 4096

struct sl_parts_sink {
    void *arg;
    /* A part begins. name: NULL when it has none; filename: "" when it has none. */
    void (*begin)(void *arg, const char *name, const char *filename);
    void (*data)(void *arg, const char *bytes, size_t n);
};

enum sl_parts_state {
    SL_PARTS_PREAMBLE = 1, /* before the first boundary */
    SL_PARTS_BEHIND,       /* right behind a boundary */
    SL_PARTS_HEADERS,
    SL_PARTS_DATA,
    SL_PARTS_EPILOGUE, /* behind the last boundary: whatever comes is passed over */
    SL_PARTS_BROKEN,
};

struct sl_parts {
    enum sl_parts_state state;
    struct sl_parts_sink sink;
    char delimiter[4 + SL_PARTS_BOUNDARY_MAX + 1]; /* CR LF - - boundary */
    size_t delimiter_bytes;
    size_t matched; /* bytes of the delimiter that the latest bytes are */
    size_t n_headers;
    char headers[SL_PARTS_HEADERS_MAX + 1];
};

/* Of a Content-Type header (NULL: none). -SL_INVALID: it is not multipart/form-data, or its
 * boundary is none. */
int sl_parts_init(struct sl_parts *parts, const char *content_type, struct sl_parts_sink sink,
                  struct sl_error *err);
/* -SL_INVALID: the body is no multipart, and stays that. */
int sl_parts_feed(struct sl_parts *parts, const char *bytes, size_t n, struct sl_error *err);
/* The last boundary was seen. */
bool sl_parts_complete(const struct sl_parts *parts);

#endif
