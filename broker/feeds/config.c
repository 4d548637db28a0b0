/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/config.h"

#include <string.h>

#include "broker/feeds/json.h"

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* A key goes over an encrypted connection, or stays on this machine. */
static bool keeps_secret(const char *url) {
    static const char *const here[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
        size_t n = strlen(here[i]);
        if (strncmp(url, here[i], n) == 0 && strchr(":/?", url[n])) {
            return true; /* strchr finds the terminating NUL too: the host alone */
        }
    }
    return starts(url, "https://");
}

static int check_key(const struct sl_feed_config *c, struct sl_error *err) {
    if (!c->key_file[0] != !c->key_header[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: key_file and key_header belong together", c->id);
    }
    if (strpbrk(c->key_header, ": \t")) {
        return sl_fail(err, SL_INVALID, "feed %s: key_header is a header's name, such as X-Api-Key",
                       c->id);
    }
    if (c->key_file[0] && !keeps_secret(c->url)) {
        return sl_fail(err, SL_INVALID, "feed %s: a key is sent by https:// only", c->id);
    }
    return SL_OK;
}

static int check_inputs(const struct sl_feed_config *c, struct sl_error *err) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < c->input_count; i++) {
        uint32_t bit = 1U << (uint32_t)c->inputs[i].name;
        if (seen & bit) {
            return sl_fail(err, SL_INVALID, "feed %s: an input stands twice", c->id);
        }
        seen |= bit;
        int rc = sl_feed_path_check(c->inputs[i].value_path, err);
        if (rc) {
            return sl_wrap(err, "feed %s", c->id);
        }
    }
    uint32_t needed = (1U << SL_FEED_IN_PRICE) - 1; /* all but the price */
    if ((seen & needed) != needed) {
        return sl_fail(err, SL_INVALID,
                       "feed %s: inputs must be difficulty, reward, first_block and last_block, "
                       "and price where the unit is not in BTC",
                       c->id);
    }
    bool has_price = seen & (1U << SL_FEED_IN_PRICE);
    bool per_ph = strstr(c->unit, "_per_ph_day") != NULL;
    if (!per_ph || starts(c->unit, "btc_") == has_price) {
        return sl_fail(err, SL_INVALID,
                       "feed %s: the derived figure is per PH/s and day, in BTC or, with the input "
                       "price, in its currency: unit must be %s",
                       c->id, has_price ? "usd_per_ph_day or the like" : "btc_per_ph_day");
    }
    return SL_OK;
}

static int check_json(const struct sl_feed_config *c, struct sl_error *err) {
    if (c->derive != SL_FEED_DERIVE_NONE) {
        return check_inputs(c, err);
    }
    if (!c->value_path[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: an http feed needs url and value_path", c->id);
    }
    if (c->pick == SL_FEED_PICK_NEWEST && !c->time_path[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: pick newest needs time_path", c->id);
    }
    int rc = sl_feed_path_check(c->value_path, err);
    return rc ? sl_wrap(err, "feed %s: value_path", c->id) : SL_OK;
}

static int check_http(const struct sl_feed_config *c, struct sl_error *err) {
    if (!c->url[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: an http feed needs url and value_path", c->id);
    }
    if (!starts(c->url, "http://") && !starts(c->url, "https://")) {
        return sl_fail(err, SL_INVALID, "feed %s: url must begin with https:// or http://", c->id);
    }
    if (c->body[0] && c->method != SL_FEED_POST) {
        return sl_fail(err, SL_INVALID, "feed %s: a body needs method: post", c->id);
    }
    int rc = check_key(c, err);
    if (rc) {
        return rc;
    }
    if (c->format != SL_FEED_FORMAT_CSV) {
        return check_json(c, err);
    }
    if (!c->value_column[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: a csv answer needs column", c->id);
    }
    return c->derive == SL_FEED_DERIVE_NONE
               ? SL_OK
               : sl_fail(err, SL_INVALID, "feed %s: derive needs format: json", c->id);
}

int sl_feed_check(const struct sl_feed_config *c, struct sl_error *err) {
    struct sl_feed_unit unit = {0};
    int rc = sl_feed_config_unit(c, &unit, err);
    if (rc) {
        return rc;
    }
    if (!c->filter_column[0] != !c->filter_value[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: filter_column and filter_value belong together",
                       c->id);
    }
    if (c->algorithm[0] && unit.role != SL_FEED_HASHPRICE) {
        return sl_fail(err, SL_INVALID, "feed %s: only a hashprice has an algorithm", c->id);
    }
    if (c->model[0] && unit.role != SL_FEED_LEASE_REF) {
        return sl_fail(err, SL_INVALID, "feed %s: only a lease_ref has a model", c->id);
    }
    if (c->kind == SL_FEED_HTTP) {
        return check_http(c, err);
    }
    if (!c->path[0] || !c->value_column[0]) {
        return sl_fail(err, SL_INVALID, "feed %s: a csv feed needs path and column", c->id);
    }
    return SL_OK;
}

int sl_feed_config_unit(const struct sl_feed_config *c, struct sl_feed_unit *ret_unit,
                        struct sl_error *err) {
    struct sl_feed_unit unit = {0};
    int rc = sl_feed_unit_parse(c->unit, (enum sl_feed_role)(c->role + 1), &unit, err);
    if (rc) {
        return sl_wrap(err, "feed %s", c->id);
    }
    if (c->factor_e12 > 0) {
        unit.scale = sl_feed_number_mul(unit.scale, sl_feed_number_of(c->factor_e12, -12));
    }
    *ret_unit = unit;
    return SL_OK;
}
