/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/feeds/config.h"

#define STEP_MAX 128
/* Times from here on are milliseconds: as seconds they would lie after the year 5100. */
#define MS_FROM INT64_C(100000000000)
#define MS_END INT64_C(253402300800000) /* the year 10000 */

struct step {
    char name[STEP_MAX];
    bool all;    /* every element */
    bool filter; /* those with key = value */
    char key[STEP_MAX];
    char value[STEP_MAX];
};

struct walk {
    const struct sl_feed_select *select;
    struct sl_error *err;
    struct sl_wall now;
    struct sl_feed_found *found; /* [count] */
    size_t count;
    size_t cap;
    bool rows;
    size_t gaps;
    size_t skipped;
    size_t other_times;
};

static bool given(const char *text) {
    return text && text[0];
}

static bool copy_part(char out[STEP_MAX], const char *text, size_t size) {
    if (size >= STEP_MAX) {
        return false;
    }
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

/* The step at *at, which then stands on the next one or is NULL. False: not a path. */
static bool next_step(const char **at, struct step *ret_step) {
    struct step s = {0};
    const char *text = *at;
    size_t n = strcspn(text, ".[");
    if (!copy_part(s.name, text, n) || (n == 0 && text[n] != '[')) {
        return false;
    }
    if (text[n] == '[') {
        const char *inside = text + n + 1;
        const char *end = strchr(inside, ']');
        const char *equal = strchr(inside, '=');
        if (!end || !equal || equal > end || equal == inside || equal + 1 == end ||
            !copy_part(s.key, inside, (size_t)(equal - inside)) ||
            !copy_part(s.value, equal + 1, (size_t)(end - equal - 1))) {
            return false;
        }
        s.filter = true;
        n = (size_t)(end + 1 - text);
    }
    s.all = strcmp(s.name, "*") == 0;
    if (s.all) {
        s.name[0] = '\0';
    } else if (strchr(s.name, '*')) {
        return false;
    }
    if (text[n] != '\0' && text[n] != '.') {
        return false;
    }
    *at = text[n] == '.' ? text + n + 1 : NULL;
    *ret_step = s;
    return true;
}

int sl_feed_path_check(const char *path, struct sl_error *err) {
    struct step step;
    const char *at = path;
    do {
        if (!next_step(&at, &step)) {
            return sl_fail(err, SL_INVALID,
                           "'%s' is no path such as data.0.price, coins[tag=ERG].btc_revenue or "
                           "offers.*.price",
                           path);
        }
    } while (at);
    return SL_OK;
}

static json_t *child_of(json_t *node, const char *name) {
    if (json_is_array(node)) {
        char *end = NULL;
        unsigned long index = strtoul(name, &end, 10);
        return name[0] >= '0' && name[0] <= '9' && *end == '\0' ? json_array_get(node, index)
                                                                : NULL;
    }
    return json_object_get(node, name);
}

/* A path of keys and indices only; NULL: not there. */
static json_t *find(json_t *node, const char *path) {
    const char *at = path;
    while (node && at && *at) {
        struct step step;
        if (!next_step(&at, &step) || step.all || step.filter) {
            return NULL;
        }
        node = child_of(node, step.name);
    }
    return node;
}

/* The shortest text that reads back as the same number: 15.2, not 15.199999999999999. */
static void real_text(double value, char out[64]) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 64, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            return;
        }
    }
}

static int number_of(json_t *node, const char *path, struct sl_feed_number *ret_number,
                     struct sl_error *err) {
    char text[64];
    if (json_is_string(node)) {
        if (strlen(json_string_value(node)) != json_string_length(node)) {
            return sl_fail(err, SL_INVALID, "the text at '%s' is no number", path);
        }
        int rc = sl_feed_number_parse(json_string_value(node), ret_number, err);
        return rc ? sl_wrap(err, "'%s'", path) : SL_OK;
    }
    if (!json_is_number(node)) {
        return sl_fail(err, SL_INVALID, "there is no number at '%s' in the answer", path);
    }
    real_text(json_number_value(node), text);
    return sl_feed_number_parse(text, ret_number, err);
}

static int time_of(json_t *node, const char *path, struct sl_wall *ret_at, struct sl_error *err) {
    struct sl_feed_number number = {0};
    int64_t nano = 0;
    const char *text = json_is_string(node) ? json_string_value(node) : "";
    if (text[0] && sl_wall_parse(text, ret_at) == SL_OK) {
        return SL_OK;
    }
    if (!node || number_of(node, path, &number, NULL) || number.digits < 0) {
        return sl_fail(err, SL_INVALID,
                       "'%s' holds no time such as 2025-01-31T12:00:00Z or Unix seconds", path);
    }
    if (sl_feed_number_compare(number, sl_feed_number_of(MS_FROM, 0)) < 0) {
        number = sl_feed_number_mul(number, sl_feed_number_of(1000, 0));
    }
    number.exponent -= 9; /* whole milliseconds are wanted, not a billion parts of them */
    if (sl_feed_number_nano(number, &nano, NULL) || nano >= MS_END) {
        return sl_fail(err, SL_INVALID, "the time at '%s' is out of reach", path);
    }
    ret_at->ms = nano;
    return SL_OK;
}

/* 1: the row counts now, 0: at another time. */
static int in_window(const struct walk *w, json_t *row) {
    struct sl_wall from = {INT64_MIN};
    struct sl_wall to = {INT64_MAX};
    json_t *node = given(w->select->valid_from) ? find(row, w->select->valid_from) : NULL;
    if (node && !json_is_null(node)) {
        int rc = time_of(node, w->select->valid_from, &from, w->err);
        if (rc) {
            return rc;
        }
    }
    node = given(w->select->valid_to) ? find(row, w->select->valid_to) : NULL;
    if (node && !json_is_null(node)) {
        int rc = time_of(node, w->select->valid_to, &to, w->err);
        if (rc) {
            return rc;
        }
    }
    return from.ms <= w->now.ms && w->now.ms < to.ms;
}

static int divide(const struct walk *w, json_t *row, struct sl_feed_number *value) {
    struct sl_feed_number by = {0};
    json_t *node = find(row, w->select->divide_by);
    if (!node) {
        return sl_fail(w->err, SL_INVALID, "there is no '%s' in the answer", w->select->divide_by);
    }
    int rc = number_of(node, w->select->divide_by, &by, w->err);
    if (rc) {
        return rc;
    }
    if (by.digits <= 0) {
        return sl_fail(w->err, SL_INVALID, "'%s' is not above 0: the value cannot be divided by it",
                       w->select->divide_by);
    }
    *value = sl_feed_number_div(*value, by);
    return SL_OK;
}

static int keep(struct walk *w, struct sl_feed_found found) {
    if (w->count == w->cap) {
        size_t grown = w->cap ? w->cap * 2 : 16;
        struct sl_feed_found *more = realloc(w->found, grown * sizeof *more);
        if (!more) {
            return sl_fail(w->err, SL_NOMEM, "no memory for the answer's rows");
        }
        w->found = more;
        w->cap = grown;
    }
    w->found[w->count++] = found;
    return SL_OK;
}

/* path: from the row to the value. */
static int take_row(struct walk *w, json_t *row, const char *path) {
    const struct sl_feed_select *select = w->select;
    struct sl_feed_found found = {0};
    if (w->count + w->gaps + w->skipped + w->other_times >= SL_FEED_ROWS_MAX) {
        return sl_fail(w->err, SL_LIMIT, "the answer has more than %d rows", SL_FEED_ROWS_MAX);
    }
    if (given(select->skip_if) && json_is_true(find(row, select->skip_if))) {
        w->skipped++;
        return SL_OK;
    }
    int rc = in_window(w, row);
    if (rc <= 0) {
        w->other_times++;
        return rc;
    }
    json_t *node = path ? find(row, path) : row;
    if (w->rows && (!node || json_is_null(node))) {
        w->gaps++;
        return SL_OK;
    }
    if (!node) {
        return sl_fail(w->err, SL_INVALID, "there is no '%s' in the answer", select->value_path);
    }
    rc = number_of(node, select->value_path, &found.value, w->err);
    if (rc == SL_OK && given(select->divide_by)) {
        rc = divide(w, row, &found.value);
    }
    if (rc == SL_OK && given(select->time_path)) {
        found.has_time = true;
        rc = time_of(find(row, select->time_path), select->time_path, &found.as_of, w->err);
    }
    return rc ? rc : keep(w, found);
}

static bool matches(const struct step *step, json_t *node) {
    char text[64];
    if (!step->filter) {
        return true;
    }
    json_t *field = json_object_get(node, step->key);
    if (json_is_number(field)) {
        real_text(json_number_value(field), text);
        return strcmp(text, step->value) == 0;
    }
    if (json_is_boolean(field)) {
        return strcmp(json_is_true(field) ? "true" : "false", step->value) == 0;
    }
    return json_is_string(field) && strcmp(json_string_value(field), step->value) == 0;
}

/* An object that has the value itself is a row: some sources show one row where they answer a list.
 */
static bool is_single_row(json_t *node, const char *rest) {
    return json_is_object(node) && rest && !strpbrk(rest, "*[") && find(node, rest);
}

static int visit(struct walk *w, json_t *node, const char *path);

static int visit_element(struct walk *w, const struct step *step, json_t *element,
                         const char *rest) {
    return matches(step, element) ? visit(w, element, rest) : SL_OK;
}

static int fan_out(struct walk *w, const struct step *step, json_t *node, const char *rest) {
    const char *key;
    json_t *value;
    size_t i;
    int rc = SL_OK;
    w->rows = true;
    if (json_is_array(node)) {
        json_array_foreach(node, i, value) {
            rc = rc ? rc : visit_element(w, step, value, rest);
        }
        return rc;
    }
    if (is_single_row(node, rest)) {
        return visit_element(w, step, node, rest);
    }
    json_object_foreach(node, key, value) {
        rc = rc ? rc : visit_element(w, step, value, rest);
    }
    return rc;
}

/* Depth: one for every `*` or `[` of the path, which is short. */
static int visit(struct walk *w, json_t *node, const char *path) {
    const char *at = path;
    if (!at || !strpbrk(at, "*[")) {
        return take_row(w, node, at);
    }
    while (at) {
        struct step step;
        if (!next_step(&at, &step)) {
            return sl_feed_path_check(w->select->value_path, w->err);
        }
        if (step.name[0]) {
            node = child_of(node, step.name);
        }
        if (!node) {
            return SL_OK; /* said once, when no row was found */
        }
        if (step.all || step.filter) {
            return fan_out(w, &step, node, at);
        }
    }
    return take_row(w, node, NULL);
}

static int compare(const void *a, const void *b) {
    return sl_feed_number_compare(((const struct sl_feed_found *)a)->value,
                                  ((const struct sl_feed_found *)b)->value);
}

static int pick(struct walk *w, struct sl_feed_found *ret_found) {
    size_t at = 0;
    if (w->select->pick == SL_FEED_PICK_ONLY && w->count > 1) {
        return sl_fail(w->err, SL_INVALID,
                       "%zu values fit '%s': name one with [key=value], or say with pick which",
                       w->count, w->select->value_path);
    }
    if (w->select->pick == SL_FEED_PICK_MIN || w->select->pick == SL_FEED_PICK_MAX ||
        w->select->pick == SL_FEED_PICK_MEDIAN) {
        qsort(w->found, w->count, sizeof w->found[0], compare);
    }
    if (w->select->pick == SL_FEED_PICK_LAST || w->select->pick == SL_FEED_PICK_MAX) {
        at = w->count - 1;
    } else if (w->select->pick == SL_FEED_PICK_MEDIAN) {
        at = (w->count - 1) / 2;
    }
    for (size_t i = 1; w->select->pick == SL_FEED_PICK_NEWEST && i < w->count; i++) {
        at = w->found[i].as_of.ms > w->found[at].as_of.ms ? i : at;
    }
    *ret_found = w->found[at];
    return SL_OK;
}

static int fail_empty(const struct walk *w) {
    char now[32];
    if (w->other_times > 0) {
        return sl_fail(w->err, SL_INVALID,
                       "none of the answer's %zu rows is valid now, at %s: check valid_from, "
                       "valid_to and the clock",
                       w->other_times, sl_wall_format(w->now, now));
    }
    if (w->skipped > 0) {
        return sl_fail(w->err, SL_INVALID, "'%s' is true in all of the answer's rows that fit",
                       w->select->skip_if);
    }
    return sl_fail(w->err, SL_INVALID, "there is no '%s' in the answer", w->select->value_path);
}

static int fail_parse(const char *text, size_t size, const json_error_t *why,
                      struct sl_error *err) {
    size_t at = 0;
    while (at < size && strchr(" \t\r\n", text[at]) && text[at]) {
        at++;
    }
    if (at < size && text[at] == '<') {
        return sl_fail(err, SL_INVALID,
                       "the answer is a web page, not JSON: check url and, where one is needed, "
                       "the key");
    }
    return sl_fail(err, SL_INVALID, "the answer is not JSON: %s", why->text);
}

int sl_feed_json_find(const char *text, size_t size, const struct sl_feed_select *select,
                      struct sl_wall now, struct sl_feed_found *ret_found, struct sl_error *err) {
    json_error_t why;
    int rc = sl_feed_path_check(select->value_path, err);
    if (rc) {
        return rc;
    }
    /* Whole numbers as reals too: a network's hash rate does not fit into 64 bits. */
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
    if (!root) {
        return fail_parse(text, size, &why, err);
    }
    struct walk w = {.select = select, .now = now, .err = err};
    rc = visit(&w, root, select->value_path);
    if (rc == SL_OK) {
        rc = w.count == 0 ? fail_empty(&w) : pick(&w, ret_found);
    }
    free(w.found);
    json_decref(root);
    return rc;
}
