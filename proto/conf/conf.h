/* SPDX-License-Identifier: Apache-2.0
 * Strict YAML configuration under one schema table per program (libyaml's document API, node
 * marks).
 *
 * A program describes each option once: dotted path, type, unit, bounds, default, help. From that
 * one table come parsing, --print-config and the option reference. Values are stored by offset into
 * the program's own plain struct. Anything not exactly of the wanted form is refused with the line
 * of the offending key: `65 kW` where watts are wanted, `80x`, `010`, `maybe` for a bool, an
 * unknown or doubled key, an anchor or tag, a list where a scalar stands, an int or bool in quotes,
 * a text with control characters. At most 1 MiB. A failed read leaves the struct untouched. Thread:
 * any, no state. */
#ifndef SLUICE_PROTO_CONF_CONF_H
#define SLUICE_PROTO_CONF_CONF_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/error.h"

enum sl_conf_type {
    SL_CONF_INVALID = 0,
    SL_CONF_TEXT,    /* char[size]; min/max are lengths */
    SL_CONF_INT,     /* int64_t, plain decimal within min..max */
    SL_CONF_BOOL,    /* bool, `true` or `false` */
    SL_CONF_SPAN_MS, /* int64_t, `500ms`, `15s`, `90m`, `6h`, `7d` */
    SL_CONF_DECIMAL, /* int64_t, decimal with `digits` decimals, scaled by 10^digits (money,
                        factors) */
    SL_CONF_CHOICE,  /* int64_t; choices "idle|hash|infer" -> 0, 1, 2 */
    SL_CONF_LIST, /* list of maps: item schema, array of structs at offset, count at count_offset */
    SL_CONF_BASE, /* a file (from the configuration's folder on) with a map of this same schema: its
                     values are the defaults of this map. No field; one level; files only */
};

struct sl_conf_option {
    const char *path; /* "pool.url", dotted; inside a list item relative to the item */
    enum sl_conf_type type;
    const char *unit; /* "W", "ms", "USD/Mtok"; shown in help and errors; NULL: none */
    size_t offset;    /* of the field in the program's struct (or in the item) */
    size_t size;      /* TEXT: size of the array; LIST: size of one item */
    int64_t min;
    int64_t max; /* LIST: greatest count */
    int digits;  /* DECIMAL */
    const char *choices;
    const char *fallback; /* default as it would stand in YAML (text without quotes; LIST:
                             "[]"); NULL: required */
    const struct sl_conf_option *item; /* LIST: ends with a NULL path */
    size_t count_offset;               /* LIST: uint32_t */
    const char *help;
};

/* Reads `path` into *config (zeroed and filled with defaults first, on success only). schema ends
 * with a NULL path. Error texts begin "FILE:LINE: ". */
int sl_conf_read(const char *path, const struct sl_conf_option *schema, void *config,
                 size_t config_size, struct sl_error *err);
/* The same from memory; `name` stands for the file name in errors. */
int sl_conf_parse(const char *name, const char *text, size_t size,
                  const struct sl_conf_option *schema, void *config, size_t config_size,
                  struct sl_error *err);
/* For a text about a configuration that was read, which begins with an option ("pools[1].url: ...",
 * "devices.cpu and ..."): puts "FILE:LINE: " before it, the line being the option's, or where it is
 * not written the innermost section's; "FILE: " where there is neither. Returns the status. */
int sl_conf_locate(const char *path, struct sl_error *err);
/* The effective configuration as YAML with help comments; reading it back gives the same struct.
 * Options whose path ends in "secret" or "password" are printed as a comment "(set)". */
void sl_conf_print(FILE *out, const struct sl_conf_option *schema, const void *config);

#endif
