/* SPDX-License-Identifier: Apache-2.0
 * JSON files of a model folder. */
#include "agent/convert/json_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/convert/hf_folder.h"
#include "agent/models/mapping.h"
#include "proto/base/cleanup.h"

static bool is_whole(const json_t *value) {
    double real = json_real_value(value);
    return json_is_real(value) && fabs(real) < 0x1p53 && real == trunc(real);
}

/* Whole numbers that were read as reals, back to what they are; larger ones stay. */
static void make_whole(json_t *root) {
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(root, key, value) {
        if (is_whole(value)) {
            json_object_set_new(root, key, json_integer((json_int_t)json_real_value(value)));
        } else {
            make_whole(value);
        }
    }
    json_array_foreach(root, i, value) {
        if (is_whole(value)) {
            json_array_set_new(root, i, json_integer((json_int_t)json_real_value(value)));
        } else {
            make_whole(value);
        }
    }
}

/* Tokenizers that know no limit of length are saved with 10^30, which is no integer of jansson's.
 */
static json_t *load(const char *text, size_t n, json_error_t *why) {
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, why);
    if (!root && json_error_code(why) == json_error_numeric_overflow) {
        root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, why);
        make_whole(root);
    }
    return root;
}

static int parse(const char *path, const char *name, json_t **ret_root, struct sl_error *err) {
    struct sl_mapping mapping = {0};
    json_error_t why;
    int rc = sl_mapping_open(path, &mapping, err);
    if (rc) {
        return rc;
    }
    if (mapping.n > SL_HF_MAX_JSON_BYTES) {
        rc = sl_fail(err, SL_LIMIT, "%s has %zu bytes; at most %zu are read", name, mapping.n,
                     SL_HF_MAX_JSON_BYTES);
    } else {
        json_t *root = load((const char *)mapping.bytes, mapping.n, &why);
        if (root) {
            *ret_root = root;
        } else {
            rc = sl_fail(err, SL_CORRUPT, "%s, line %d: %s", name, why.line, why.text);
        }
    }
    sl_mapping_close(&mapping);
    return rc;
}

int json_file_open(const char *folder, const char *name, struct json_file *ret_file,
                   struct sl_error *err) {
    SL_AUTO_FREE char *path = NULL;
    json_t *root = NULL;
    struct sl_error why = {0};
    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return sl_fail(err, SL_NOMEM, "a path");
    }
    int rc = parse(path, name, &root, &why);
    if (rc && rc != -SL_NOTFOUND) {
        return sl_fail(err, (enum sl_status) - rc, "%s: %s", path, why.text);
    }
    *ret_file = (struct json_file){name, root};
    return SL_OK;
}

void json_file_close(struct json_file *file) {
    json_decref(file->root);
    file->root = NULL;
}

int json_file_u32(const struct json_file *file, const char *field, uint32_t min, uint32_t max,
                  uint32_t *ret_value, struct sl_error *err) {
    const json_t *value = json_object_get(file->root, field);
    if (!json_is_integer(value) || json_integer_value(value) < (json_int_t)min ||
        json_integer_value(value) > (json_int_t)max) {
        return sl_fail(err, SL_INVALID,
                       "%s: %s must be a whole number from %" PRIu32 " to %" PRIu32, file->name,
                       field, min, max);
    }
    *ret_value = (uint32_t)json_integer_value(value);
    return SL_OK;
}

int json_expect_bool(const json_t *object, const char *where, const char *field, bool want,
                     struct sl_error *err) {
    const json_t *value = json_object_get(object, field);
    if (!value || json_is_null(value) || (json_is_boolean(value) && json_is_true(value) == want)) {
        return SL_OK;
    }
    return sl_fail(err, SL_UNSUPPORTED, "%s: %s is not %s, which is all that is supported", where,
                   field, want ? "true" : "false");
}

int json_expect_text(const json_t *object, const char *where, const char *field, const char *want,
                     struct sl_error *err) {
    const json_t *value = json_object_get(object, field);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) || (text && strcmp(text, want) == 0)) {
        return SL_OK;
    }
    return sl_fail(err, SL_UNSUPPORTED, "%s: %s is '%.40s'; only '%s' is supported", where, field,
                   text ? text : "(no text)", want);
}
