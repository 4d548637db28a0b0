/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/parts.h"

#include <string.h>
#include <strings.h>

#include "broker/http/call.h"
#include "proto/base/text.h"

#define VALUE_MAX 512

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at) {
    while (is_blank(*at)) {
        at++;
    }
    return at;
}

/* A value, in quotes or not; what does not fit into out is left away. A backslash escapes a quote
 * and itself only: browsers send folders of Windows as they are. */
static const char *take_value(const char *at, char out[VALUE_MAX]) {
    bool quoted = *at == '"';
    size_t n = 0;
    at += quoted;
    while (*at && (quoted ? *at != '"' : *at != ';' && !is_blank(*at))) {
        at += quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\');
        if (n + 1 < VALUE_MAX) {
            out[n++] = *at;
        }
        at++;
    }
    out[n] = '\0';
    return at + (quoted && *at == '"');
}

/* The value of a parameter of a header such as `form-data; name="x"`. The first one counts. */
static bool find_parameter(const char *header, const char *name, char out[VALUE_MAX]) {
    char value[VALUE_MAX];
    const char *at = strchr(header, ';');
    while (at && *at) {
        at = skip_blanks(at + 1);
        size_t n = strcspn(at, "=; \t");
        const char *behind = skip_blanks(at + n);
        bool wanted = n == strlen(name) && strncasecmp(at, name, n) == 0 && *behind == '=';
        if (*behind == '=') {
            behind = take_value(skip_blanks(behind + 1), value);
        }
        if (wanted) {
            sl_text_copy(out, VALUE_MAX, value);
            return true;
        }
        at = strchr(behind, ';');
    }
    return false;
}

/* filename*=UTF-8''a%20b (RFC 8187), which .NET sends beside the plain one. */
static bool find_utf8(const char *header, char out[VALUE_MAX]) {
    static const char charset[] = "UTF-8'";
    char coded[VALUE_MAX];
    if (!find_parameter(header, "filename*", coded) ||
        strncasecmp(coded, charset, sizeof charset - 1) != 0) {
        return false;
    }
    const char *text = strchr(coded + sizeof charset - 1, '\''); /* behind the language */
    if (!text || !sl_percent_decode(text + 1, strlen(text + 1), out, VALUE_MAX)) {
        out[0] = '\0';
        return false;
    }
    return true;
}

static bool is_type(const char *header, const char *type) {
    size_t n = strlen(type);
    return strncasecmp(header, type, n) == 0 &&
           (header[n] == '\0' || header[n] == ';' || is_blank(header[n]));
}

int sl_parts_init(struct sl_parts *parts, const char *content_type, struct sl_parts_sink sink,
                  struct sl_error *err) {
    char boundary[VALUE_MAX];
    if (!content_type || !is_type(content_type, "multipart/form-data")) {
        return sl_fail(err, SL_INVALID,
                       "Send multipart/form-data with the parts 'purpose' and 'file'.");
    }
    size_t n = find_parameter(content_type, "boundary", boundary) ? strlen(boundary) : 0;
    bool usable = n > 0 && n <= SL_PARTS_BOUNDARY_MAX;
    for (size_t i = 0; i < n; i++) {
        usable = usable && (unsigned char)boundary[i] >= ' ';
    }
    if (!usable) {
        return sl_fail(err, SL_INVALID,
                       "The Content-Type names no usable multipart boundary: it has 1 to %d "
                       "characters.",
                       SL_PARTS_BOUNDARY_MAX);
    }
    *parts = (struct sl_parts){.state = SL_PARTS_PREAMBLE, .sink = sink};
    memcpy(parts->delimiter, "\r\n--", 4);
    memcpy(parts->delimiter + 4, boundary, n + 1);
    parts->delimiter_bytes = 4 + n;
    parts->matched = 2; /* the first boundary begins the body, or a line of the preamble */
    return SL_OK;
}

bool sl_parts_complete(const struct sl_parts *parts) {
    return parts->state == SL_PARTS_EPILOGUE;
}

static int broken(struct sl_parts *parts, const char *what, struct sl_error *err) {
    parts->state = SL_PARTS_BROKEN;
    return sl_fail(err, SL_INVALID, "%s", what);
}

static void give(struct sl_parts *parts, const char *bytes, size_t n) {
    if (parts->state == SL_PARTS_DATA && n > 0) {
        parts->sink.data(parts->sink.arg, bytes, n);
    }
}

/* Up to and with the next delimiter; returns how many bytes were used. What is data is given in one
 * piece, however often a delimiter seems to begin in it. */
static size_t take_data(struct sl_parts *parts, const char *bytes, size_t n) {
    size_t carried = parts->matched; /* of the delimiter, before these bytes */
    size_t at = 0;
    while (at < n && parts->matched < parts->delimiter_bytes) {
        if (parts->matched == 0) {
            const char *cr = memchr(bytes + at, '\r', n - at);
            at = cr ? (size_t)(cr - bytes) + 1 : n;
            parts->matched = cr != NULL;
        } else if (bytes[at] == parts->delimiter[parts->matched]) {
            parts->matched++;
            at++;
        } else { /* a delimiter begins with its only CR: what matched so far holds no other */
            give(parts, parts->delimiter, carried);
            parts->matched = carried = 0;
        }
    }
    give(parts, bytes, at - (parts->matched - carried));
    if (parts->matched == parts->delimiter_bytes) {
        parts->state = SL_PARTS_BEHIND;
        parts->matched = parts->n_headers = 0;
    }
    return at;
}

/* Two dashes, or blanks and the end of the line; n_headers counts what of that was seen. */
static int take_behind(struct sl_parts *parts, char c, struct sl_error *err) {
    char before = parts->n_headers > 0 ? parts->headers[0] : '\0';
    if (before == '-' && c == '-') {
        parts->state = SL_PARTS_EPILOGUE;
    } else if (before == '\r' && c == '\n') {
        parts->state = SL_PARTS_HEADERS;
        parts->n_headers = 0;
    } else if (before != '-' && before != '\r' && (is_blank(c) || c == '\r')) {
        parts->headers[0] = c;
        parts->n_headers = 1;
    } else if (before == '\0' && c == '-') {
        parts->headers[0] = c;
        parts->n_headers = 1;
    } else {
        return broken(parts,
                      "The multipart body cannot be read: behind a boundary stands neither the end "
                      "of the line (CR LF) nor '--'.",
                      err);
    }
    return SL_OK;
}

struct headers {
    char disposition[SL_PARTS_HEADERS_MAX + 1];
    bool nested, encoded;
};

/* One line of headers, NUL-terminated. */
static void take_line(const char *line, struct headers *out) {
    size_t n = strcspn(line, ":");
    const char *value = line[n] ? skip_blanks(line + n + 1) : "";
    while (n > 0 && is_blank(line[n - 1])) {
        n--;
    }
    if (n == strlen("content-disposition") && strncasecmp(line, "content-disposition", n) == 0) {
        sl_text_copy(out->disposition, sizeof out->disposition, value);
    } else if (n == strlen("content-type") && strncasecmp(line, "content-type", n) == 0) {
        out->nested = strncasecmp(value, "multipart/", strlen("multipart/")) == 0;
    } else if (n == strlen("content-transfer-encoding") &&
               strncasecmp(line, "content-transfer-encoding", n) == 0) {
        out->encoded =
            !is_type(value, "binary") && !is_type(value, "8bit") && !is_type(value, "7bit");
    }
}

/* The headers are whole: lines with CR LF, an empty one at the end. */
static int begin_part(struct sl_parts *parts, struct sl_error *err) {
    struct headers headers = {0};
    char name[VALUE_MAX];
    char filename[VALUE_MAX] = "";
    char *at = parts->headers;
    at[parts->n_headers] = '\0';
    if (strlen(at) != parts->n_headers) {
        return broken(parts, "A part of the upload has a NUL byte in its headers.", err);
    }
    while (*at) {
        char *end = strstr(at, "\r\n");
        while (end && is_blank(end[2])) { /* a line that goes on */
            end[0] = end[1] = ' ';
            end = strstr(end, "\r\n");
        }
        if (!end) {
            break;
        }
        *end = '\0';
        take_line(at, &headers);
        at = end + 2;
    }
    if (headers.nested) {
        return broken(parts,
                      "A part of the upload is multipart itself: send one plain part for each "
                      "field.",
                      err);
    }
    if (headers.encoded) {
        return broken(parts,
                      "A part of the upload has a Content-Transfer-Encoding: send its bytes as "
                      "they are.",
                      err);
    }
    bool named = is_type(headers.disposition, "form-data") &&
                 find_parameter(headers.disposition, "name", name);
    if (!find_utf8(headers.disposition, filename)) {
        find_parameter(headers.disposition, "filename", filename);
    }
    parts->state = SL_PARTS_DATA;
    parts->sink.begin(parts->sink.arg, named ? name : NULL, filename);
    return SL_OK;
}

static int take_header(struct sl_parts *parts, char c, struct sl_error *err) {
    if (parts->n_headers == SL_PARTS_HEADERS_MAX) {
        return broken(parts, "A part of the upload has headers of more than 4096 bytes.", err);
    }
    parts->headers[parts->n_headers++] = c;
    size_t n = parts->n_headers;
    const char *end = parts->headers + n;
    bool whole =
        n == 2 ? memcmp(end - 2, "\r\n", 2) == 0 : n >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0;
    return whole ? begin_part(parts, err) : SL_OK;
}

int sl_parts_feed(struct sl_parts *parts, const char *bytes, size_t n, struct sl_error *err) {
    int rc = SL_OK;
    for (size_t at = 0; rc == SL_OK && at < n;) {
        switch (parts->state) {
        case SL_PARTS_PREAMBLE:
        case SL_PARTS_DATA:
            at += take_data(parts, bytes + at, n - at);
            break;
        case SL_PARTS_BEHIND:
            rc = take_behind(parts, bytes[at++], err);
            break;
        case SL_PARTS_HEADERS:
            rc = take_header(parts, bytes[at++], err);
            break;
        case SL_PARTS_EPILOGUE:
            return SL_OK;
        case SL_PARTS_BROKEN:
        default:
            return broken(parts, "The multipart body cannot be read.", err);
        }
    }
    return rc;
}
