/* SPDX-License-Identifier: Apache-2.0
 * JSON files of a model folder, with errors that name file and field. */
#ifndef SLUICE_AGENT_CONVERT_JSON_FILE_H
#define SLUICE_AGENT_CONVERT_JSON_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"

struct json_file {
    const char *name; /* as given, for errors */
    json_t *root;     /* an object or a list; NULL when the file is absent */
};

/* name: relative to folder. An absent file is SL_OK with root NULL. */
int json_file_open(const char *folder, const char *name, struct json_file *ret_file,
                   struct sl_error *err);
void json_file_close(struct json_file *file);
#define JSON_FILE_AUTO __attribute__((cleanup(json_file_close))) struct json_file

/* A whole number in [min, max]. */
int json_file_u32(const struct json_file *file, const char *field, uint32_t min, uint32_t max,
                  uint32_t *ret_value, struct sl_error *err);

/* Fails unless object[field] is absent, null or `want`. where: how errors name the object. */
int json_expect_bool(const json_t *object, const char *where, const char *field, bool want,
                     struct sl_error *err);
int json_expect_text(const json_t *object, const char *where, const char *field, const char *want,
                     struct sl_error *err);

#endif
