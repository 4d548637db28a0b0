/* SPDX-License-Identifier: Apache-2.0
 * Reading the params and results of messages (message.h) into plain data. */
#include "agent/stratum/message.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int sl_message_read_hex32(const json_t *value, const char *what, uint32_t *ret_value,
                          struct sl_error *err) {
    uint8_t bytes[4];
    const char *text = json_string_value(value);
    if (!text || sl_hex_decode(text, bytes, 4) < 0) {
        return sl_fail(err, SL_INVALID, "the pool's %s is not 8 hex digits", what);
    }
    *ret_value =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return SL_OK;
}

int sl_message_read_mask(const json_t *value, const char *what, uint32_t *ret_mask,
                         struct sl_error *err) {
    const char *text = json_string_value(value);
    if (text && strncasecmp(text, "0x", 2) == 0) {
        text += 2;
    }
    size_t digits = text ? strspn(text, "0123456789abcdefABCDEF") : 0;
    if (digits == 0 || digits > 8 || text[digits] != '\0') {
        return sl_fail(err, SL_INVALID, "the pool's %s is not 8 hex digits", what);
    }
    *ret_mask = (uint32_t)strtoul(text, NULL, 16);
    return SL_OK;
}

static int read_hex_bytes(const json_t *value, const char *what, struct sl_buf *out,
                          struct sl_error *err) {
    const char *text = json_string_value(value);
    size_t n = text ? strlen(text) : 1;
    if (n % 2 != 0) {
        return sl_fail(err, SL_INVALID, "the pool's %s is not hex", what);
    }
    if (n / 2 > SL_JOB_COINBASE_MAX) {
        return sl_fail(err, SL_LIMIT, "the pool's %s has %zu bytes: at most %d", what, n / 2,
                       SL_JOB_COINBASE_MAX);
    }
    uint8_t *bytes = malloc(n / 2 + 1);
    if (!bytes) {
        return sl_fail(err, SL_NOMEM, "no memory for the pool's %s", what);
    }
    int rc = sl_hex_decode(text, bytes, n / 2);
    if (rc == SL_OK) {
        sl_buf_append(out, bytes, n / 2);
    }
    free(bytes);
    if (rc < 0) {
        return sl_fail(err, SL_INVALID, "the pool's %s is not hex", what);
    }
    return out->failed ? sl_fail(err, SL_NOMEM, "no memory for the pool's %s", what) : SL_OK;
}

void sl_notify_store_fini(struct sl_notify_store *store) {
    sl_buf_fini(&store->coinb1);
    sl_buf_fini(&store->coinb2);
}

static int read_job_id(const json_t *value, struct sl_job *draft, struct sl_error *err) {
    const char *text = json_string_value(value);
    if (!text || !text[0] || !sl_text_copy(draft->id, sizeof draft->id, text)) {
        return sl_fail(err, SL_INVALID, "the pool's job id is not a text of 1 to %d characters",
                       SL_JOB_ID_MAX);
    }
    return SL_OK;
}

/* The wire has each 4-byte word of the header's bytes reversed. */
static int read_prevhash(const json_t *value, struct sl_job *draft, struct sl_error *err) {
    const char *text = json_string_value(value);
    uint8_t wire[32];
    if (!text || sl_hex_decode(text, wire, 32) < 0) {
        return sl_fail(err, SL_INVALID, "the pool's prevhash is not 64 hex digits");
    }
    for (int i = 0; i < 32; i++) {
        draft->prevhash[i] = wire[i ^ 3];
    }
    return SL_OK;
}

static int read_branches(const json_t *list, struct sl_notify_store *store, struct sl_job *draft,
                         struct sl_error *err) {
    if (!json_is_array(list) || json_array_size(list) > SL_JOB_BRANCHES_MAX) {
        return sl_fail(err, SL_INVALID, "the pool's merkle branch is not a list of at most %d",
                       SL_JOB_BRANCHES_MAX);
    }
    draft->branch_count = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < draft->branch_count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || sl_hex_decode(text, store->branches[i], 32) < 0) {
            return sl_fail(err, SL_INVALID, "the pool's merkle branch %u is not 64 hex digits", i);
        }
    }
    draft->branches = (const uint8_t(*)[32])store->branches;
    return SL_OK;
}

/* As other miners read it: what is not plainly "true" is false. Nothing is lost by that, since a
 * new block is known by its prevhash. */
static bool is_clean(const json_t *clean) {
    const char *text = json_string_value(clean);
    return json_is_true(clean) || json_number_value(clean) != 0 ||
           (text && (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0));
}

/* params: job_id, prevhash, coinb1, coinb2, branches, version, nbits, ntime, clean_jobs. */
int sl_message_read_notify(const json_t *params, struct sl_notify_store *store,
                           struct sl_job *draft, struct sl_error *err) {
    if (json_array_size(params) < 8) {
        return sl_fail(err, SL_INVALID, "the pool's job has %zu fields instead of 9",
                       json_array_size(params));
    }
    int rc = read_job_id(json_array_get(params, 0), draft, err);
    if (rc < 0 || (rc = read_prevhash(json_array_get(params, 1), draft, err)) < 0 ||
        (rc = read_hex_bytes(json_array_get(params, 2), "coinb1", &store->coinb1, err)) < 0 ||
        (rc = read_hex_bytes(json_array_get(params, 3), "coinb2", &store->coinb2, err)) < 0 ||
        (rc = read_branches(json_array_get(params, 4), store, draft, err)) < 0 ||
        (rc = sl_message_read_hex32(json_array_get(params, 5), "version", &draft->version, err)) <
            0 ||
        (rc = sl_message_read_hex32(json_array_get(params, 6), "nbits", &draft->nbits, err)) < 0 ||
        (rc = sl_message_read_hex32(json_array_get(params, 7), "ntime", &draft->ntime, err)) < 0) {
        return rc;
    }
    draft->clean = is_clean(json_array_get(params, 8));
    draft->coinb1 = (const uint8_t *)store->coinb1.data;
    draft->coinb2 = (const uint8_t *)store->coinb2.data;
    draft->coinb1_size = (uint32_t)store->coinb1.len;
    draft->coinb2_size = (uint32_t)store->coinb2.len;
    return SL_OK;
}

int sl_message_read_difficulty(const json_t *params, struct sl_difficulty *ret_difficulty,
                               struct sl_error *err) {
    const json_t *value = json_array_get(params, 0);
    int rc;
    if (json_is_integer(value)) {
        rc = sl_difficulty_from_int(json_integer_value(value), ret_difficulty, err);
    } else if (json_is_real(value)) {
        rc = sl_difficulty_from_double(json_real_value(value), ret_difficulty, err);
    } else {
        return sl_fail(err, SL_INVALID, "the pool's difficulty is not a number");
    }
    if (rc < 0) {
        sl_wrap(err, "the pool's set_difficulty");
    }
    return rc;
}

int sl_message_read_extranonce(const json_t *array, size_t first, struct sl_job_terms *terms,
                               struct sl_error *err) {
    const char *text = json_string_value(json_array_get(array, first));
    const json_t *size = json_array_get(array, first + 1);
    uint8_t bytes[SL_EXTRANONCE1_MAX];
    size_t n = text ? strlen(text) / 2 : 0;
    if (!text || n > sizeof bytes || sl_hex_decode(text, bytes, n) < 0) {
        return sl_fail(err, SL_INVALID, "the pool's extranonce1 is not hex of at most %d bytes",
                       SL_EXTRANONCE1_MAX);
    }
    if (!json_is_integer(size) || json_integer_value(size) < 1 ||
        json_integer_value(size) > SL_EXTRANONCE2_MAX) {
        return sl_fail(err, SL_INVALID, "the pool's extranonce2 size is not a number from 1 to %d",
                       SL_EXTRANONCE2_MAX);
    }
    memset(terms->extranonce1, 0, sizeof terms->extranonce1);
    memcpy(terms->extranonce1, bytes, n);
    terms->extranonce1_size = (uint8_t)n;
    terms->extranonce2_size = (uint8_t)json_integer_value(size);
    return SL_OK;
}

/* The id of ["mining.notify", id]; else that of whatever subscription stands first. */
void sl_message_read_session_id(const json_t *result, char *out, size_t out_size) {
    const json_t *list = json_array_get(result, 0);
    const char *found = NULL;
    out[0] = '\0';
    if (json_is_string(json_array_get(list, 0))) {
        found = json_string_value(json_array_get(list, 1)); /* one flat pair */
    }
    size_t i;
    json_t *pair;
    json_array_foreach(list, i, pair) {
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *id = json_string_value(json_array_get(pair, 1));
        if (name && id && (!found || strcmp(name, "mining.notify") == 0)) {
            found = id;
        }
    }
    if (found && !sl_text_copy(out, out_size, found)) {
        out[0] = '\0'; /* a cut id would name another session */
    }
}

int sl_message_read_configure(const struct sl_message *message, bool *ret_rolling,
                              uint32_t *ret_mask, struct sl_error *err) {
    const json_t *rolling = json_object_get(message->result, "version-rolling");
    if (message->error.present || !json_is_true(rolling)) {
        *ret_rolling = false; /* refused, unknown, or an error text */
        *ret_mask = 0;
        return SL_OK;
    }
    const json_t *mask = json_object_get(message->result, "version-rolling.mask");
    int rc = sl_message_read_mask(mask, "version-rolling.mask", ret_mask, err);
    if (rc < 0) {
        return rc;
    }
    *ret_rolling = true;
    return SL_OK;
}

static int read_port(const json_t *value, uint16_t *port, struct sl_error *err) {
    json_int_t number = 0;
    if (json_is_integer(value)) {
        number = json_integer_value(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t digits = strspn(text, "0123456789");
        if (digits > 0 && digits <= 5 && text[digits] == '\0') {
            number = strtoll(text, NULL, 10);
        }
    }
    if (number < 1 || number > 65535) {
        return sl_fail(err, SL_INVALID, "the pool's client.reconnect has no usable port");
    }
    *port = (uint16_t)number;
    return SL_OK;
}

int sl_message_read_reconnect(const json_t *params, struct sl_pool_url *url, int64_t *wait_s,
                              struct sl_error *err) {
    struct sl_pool_url to = *url;
    const json_t *host = json_array_get(params, 0);
    const json_t *port = json_array_get(params, 1);
    const json_t *wait = json_array_get(params, 2);
    if (host && !json_is_null(host)) {
        const char *text = json_string_value(host);
        if (!text || !sl_text_copy(to.host, sizeof to.host, text[0] ? text : url->host)) {
            return sl_fail(err, SL_INVALID, "the pool's client.reconnect has no usable host");
        }
    }
    if (port && !json_is_null(port)) {
        int rc = read_port(port, &to.port, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (json_is_number(wait)) {
        double seconds = json_number_value(wait);
        *wait_s = seconds > 0 ? (seconds < 3600 ? (int64_t)seconds : 3600) : 0;
    }
    *url = to;
    return SL_OK;
}
