/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/json.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/error.h"

static void append_escaped(struct sl_buf *buf, const char *text) {
    bool valid = sl_utf8_valid(text, strlen(text));
    sl_buf_append(buf, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            sl_buf_printf(buf, "\\%c", *c);
        } else if (*c < 0x20 || *c == 0x7F) {
            sl_buf_printf(buf, "\\u%04x", *c);
        } else if (*c >= 0x80 && !valid) {
            sl_buf_append(buf, "?", 1);
        } else {
            sl_buf_append(buf, c, 1);
        }
    }
    sl_buf_append(buf, "\"", 1);
}

static void begin(struct sl_json *json, const char *key) {
    if (json->comma) {
        sl_buf_append(&json->buf, ",", 1);
    }
    if (key) {
        append_escaped(&json->buf, key);
        sl_buf_append(&json->buf, ":", 1);
    }
    json->comma = true;
}

void sl_json_open(struct sl_json *json, const char *key, char bracket) {
    begin(json, key);
    sl_buf_append(&json->buf, &bracket, 1);
    json->comma = false;
}

void sl_json_close(struct sl_json *json, char bracket) {
    sl_buf_append(&json->buf, &bracket, 1);
    json->comma = true;
}

void sl_json_text(struct sl_json *json, const char *key, const char *text) {
    begin(json, key);
    if (text) {
        append_escaped(&json->buf, text);
    } else {
        sl_buf_append(&json->buf, "null", 4);
    }
}

void sl_json_name(struct sl_json *json, const char *key, const char *text) {
    sl_json_text(json, key, text && text[0] != '\0' ? text : NULL);
}

void sl_json_int(struct sl_json *json, const char *key, int64_t value) {
    begin(json, key);
    sl_buf_printf(&json->buf, "%" PRId64, value);
}

void sl_json_uint(struct sl_json *json, const char *key, uint64_t value) {
    begin(json, key);
    sl_buf_printf(&json->buf, "%" PRIu64, value);
}

void sl_json_i128(struct sl_json *json, const char *key, sl_i128 value) {
    char text[48];
    sl_json_raw(json, key, sl_i128_format(value, text));
}

void sl_json_bool(struct sl_json *json, const char *key, bool value) {
    sl_json_raw(json, key, value ? "true" : "false");
}

void sl_json_null(struct sl_json *json, const char *key) {
    sl_json_raw(json, key, "null");
}

void sl_json_raw(struct sl_json *json, const char *key, const char *text) {
    begin(json, key);
    sl_buf_append(&json->buf, text, strlen(text));
}

void sl_json_decimal(struct sl_json *json, const char *key, uint64_t value, int digits) {
    uint64_t unit = 1;
    sl_assert(digits > 0 && digits < 19);
    for (int i = 0; i < digits; i++) {
        unit *= 10;
    }
    begin(json, key);
    sl_buf_printf(&json->buf, "%" PRIu64 ".%0*" PRIu64, value / unit, digits, value % unit);
}

void sl_json_usd(struct sl_json *json, const char *key, sl_i128 nusd) {
    char text[64];
    sl_json_text(json, key, sl_nusd_format(nusd, text));
}

void sl_json_unix(struct sl_json *json, const char *key, struct sl_wall time) {
    if (time.ms == 0) {
        sl_json_null(json, key);
    } else {
        sl_json_int(json, key, time.ms / 1000);
    }
}

void sl_json_time(struct sl_json *json, const char *key, struct sl_wall time) {
    char text[32];
    sl_json_text(json, key, time.ms == 0 ? NULL : sl_wall_format(time, text));
}

void sl_json_fini(struct sl_json *json) {
    sl_buf_fini(&json->buf);
    json->comma = false;
}
