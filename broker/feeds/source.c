/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/source.h"

#include <stdlib.h>
#include <string.h>

#include "broker/feeds/derive.h"
#include "broker/feeds/json.h"
#include "broker/feeds/series.h"

struct sl_feed_source {
    const struct sl_feed_config *config;
    /* One for each different resource; a feed that derives nothing has one. */
    struct sl_feed_http *https[SL_FEED_INPUTS_MAX];
    uint32_t http_of_input[SL_FEED_INPUTS_MAX];
    uint32_t http_count;
};

/* Inputs that stand in the same answer are read from one request. */
static int add_input(struct sl_feed_source *source, uint32_t input, const _Atomic bool *stopping,
                     struct sl_error *err) {
    const struct sl_feed_config *c = source->config;
    for (uint32_t i = 0; i < input; i++) {
        if (strcmp(c->inputs[i].resource, c->inputs[input].resource) == 0) {
            source->http_of_input[input] = source->http_of_input[i];
            return SL_OK;
        }
    }
    source->http_of_input[input] = source->http_count;
    int rc = sl_feed_http_create(c, c->inputs[input].resource, stopping,
                                 &source->https[source->http_count], err);
    source->http_count += rc == SL_OK;
    return rc;
}

int sl_feed_source_create(const struct sl_feed_config *config, const _Atomic bool *stopping,
                          struct sl_feed_source **ret_source, struct sl_error *err) {
    SL_AUTO(sl_feed_source) source = calloc(1, sizeof *source);
    if (!source) {
        return sl_fail(err, SL_NOMEM, "no memory for feed %s", config->id);
    }
    source->config = config;
    int rc = SL_OK;
    if (config->derive == SL_FEED_DERIVE_NONE) {
        rc = sl_feed_http_create(config, config->resource, stopping, &source->https[0], err);
        source->http_count = 1;
    }
    for (uint32_t i = 0; config->derive && rc == SL_OK && i < config->input_count; i++) {
        rc = add_input(source, i, stopping, err);
    }
    if (rc == SL_OK) {
        *ret_source = sl_take(&source);
    }
    return rc;
}

void sl_feed_source_destroy(struct sl_feed_source *source) {
    if (source) {
        for (uint32_t i = 0; i < source->http_count; i++) {
            sl_feed_http_destroy(source->https[i]);
        }
        free(source);
    }
}

/* A role's figure in nano units; only power may be negative. */
static int finish(const struct sl_feed_config *config, struct sl_feed_number number,
                  struct sl_feed_value *value, struct sl_error *err) {
    struct sl_feed_unit unit;
    int rc = sl_feed_config_unit(config, &unit, err);
    rc = rc ? rc : sl_feed_number_nano(sl_feed_number_mul(number, unit.scale), &value->nano, err);
    if (rc) {
        return rc;
    }
    if (number.digits < 0 && unit.role != SL_FEED_POWER) {
        return sl_fail(err, SL_INVALID, "a negative price was answered");
    }
    if (value->nano == 0 && number.digits != 0) {
        return sl_fail(err, SL_INVALID, "the figure is below 1e-9 in %s: check unit and factor",
                       config->unit);
    }
    return SL_OK;
}

static int read_csv(const struct sl_feed_config *config, const char *text, size_t size,
                    struct sl_wall now, struct sl_feed_value *ret_value, struct sl_error *err) {
    struct sl_feed_unit unit;
    int rc = sl_feed_config_unit(config, &unit, err);
    if (rc) {
        return rc;
    }
    if (size > 0 && text[0] == '<') {
        return sl_fail(err, SL_INVALID, "the answer is a web page, not CSV: check url");
    }
    const struct sl_series_format format = {.time_column = config->time_column,
                                            .value_column = config->value_column,
                                            .filter_column = config->filter_column,
                                            .filter_value = config->filter_value,
                                            .scale = unit.scale,
                                            .negative_ok = unit.role == SL_FEED_POWER};
    SL_AUTO(sl_series) series = NULL;
    rc = sl_series_parse("the answer", text, size, &format, &series, err);
    if (rc) {
        return rc;
    }
    const struct sl_series_row *row = sl_series_at(series, now);
    if (!row) {
        char first[32];
        return sl_fail(err, SL_INVALID,
                       "the answer's first row is dated in the future, %s: check the clocks and "
                       "the offsets in '%s'",
                       sl_wall_format(series->rows[0].at, first), config->time_column);
    }
    *ret_value = (struct sl_feed_value){row->value_nano, true, row->at};
    return SL_OK;
}

int sl_feed_source_read(const struct sl_feed_config *config, const char *text, size_t size,
                        struct sl_wall now, struct sl_feed_value *ret_value, struct sl_error *err) {
    if (config->format == SL_FEED_FORMAT_CSV) {
        return read_csv(config, text, size, now, ret_value, err);
    }
    const struct sl_feed_select select = {.value_path = config->value_path,
                                          .pick = (int)config->pick,
                                          .divide_by = config->divide_by,
                                          .time_path = config->time_path,
                                          .valid_from = config->valid_from,
                                          .valid_to = config->valid_to,
                                          .skip_if = config->skip_if};
    struct sl_feed_found found = {0};
    struct sl_feed_value value = {0};
    int rc = sl_feed_json_find(text, size, &select, now, &found, err);
    value.has_time = found.has_time;
    value.as_of = found.as_of;
    rc = rc ? rc : finish(config, found.value, &value, err);
    if (rc == SL_OK) {
        *ret_value = value;
    }
    return rc;
}

struct answer {
    const char *text;
    size_t size;
};

static int derive(const struct sl_feed_source *source, const struct answer *answers,
                  struct sl_wall now, struct sl_feed_value *ret_value, struct sl_error *err) {
    const struct sl_feed_config *c = source->config;
    struct sl_feed_number figures[SL_FEED_IN_COUNT] = {0};
    struct sl_feed_number per_ph;
    struct sl_feed_value value = {0};
    bool has_price = false;
    for (uint32_t i = 0; i < c->input_count; i++) {
        const struct sl_feed_input *input = &c->inputs[i];
        const struct answer *answer = &answers[source->http_of_input[i]];
        const struct sl_feed_select select = {.value_path = input->value_path,
                                              .time_path = input->time_path};
        struct sl_feed_found found = {0};
        int rc = sl_feed_json_find(answer->text, answer->size, &select, now, &found, err);
        if (rc) {
            return rc;
        }
        figures[input->name] = found.value;
        has_price = has_price || input->name == SL_FEED_IN_PRICE;
        if (found.has_time && (!value.has_time || found.as_of.ms < value.as_of.ms)) {
            value.has_time = true;
            value.as_of = found.as_of;
        }
    }
    const struct sl_feed_bitcoin in = {.difficulty = figures[SL_FEED_IN_DIFFICULTY],
                                       .reward = figures[SL_FEED_IN_REWARD],
                                       .first_block = figures[SL_FEED_IN_FIRST_BLOCK],
                                       .last_block = figures[SL_FEED_IN_LAST_BLOCK],
                                       .has_price = has_price,
                                       .price = figures[SL_FEED_IN_PRICE]};
    int rc = sl_feed_bitcoin_hashprice(&in, &per_ph, err);
    rc = rc ? rc : finish(c, per_ph, &value, err);
    if (rc == SL_OK) {
        *ret_value = value;
    }
    return rc;
}

int sl_feed_source_look(struct sl_feed_source *source, struct sl_feed_value *ret_value,
                        int64_t *ret_retry_ms, struct sl_error *err) {
    struct answer answers[SL_FEED_INPUTS_MAX] = {0};
    for (uint32_t i = 0; i < source->http_count; i++) {
        int rc = sl_feed_http_get(source->https[i], &answers[i].text, &answers[i].size,
                                  ret_retry_ms, err);
        if (rc) {
            return rc;
        }
    }
    struct sl_wall now = sl_clock_wall();
    return source->config->derive == SL_FEED_DERIVE_NONE
               ? sl_feed_source_read(source->config, answers[0].text, answers[0].size, now,
                                     ret_value, err)
               : derive(source, answers, now, ret_value, err);
}
