/* SPDX-License-Identifier: Apache-2.0
 * Lines and fields of a CSV text of prices: a first line that names the columns, fields between
 * commas. Quotes are not used by any price recording we read; a field that has them stays as it
 * is, and is then no time and no number. Nothing is allocated. Thread: any; pure. */
#ifndef SLUICE_BROKER_FEEDS_CSV_H
#define SLUICE_BROKER_FEEDS_CSV_H

#include <stdbool.h>
#include <stddef.h>

#define SL_CSV_COLUMNS_MAX 128
#define SL_CSV_FIELD_MAX 128

/* Zero it, but for the text, which is borrowed. */
struct sl_csv {
    const char *text;
    size_t size;
    size_t offset;  /* of what comes next */
    const char *at; /* the present line, without its end */
    size_t len;
    int number; /* from 1 */
};

/* The next line; false at the end. */
bool sl_csv_next(struct sl_csv *csv);
/* Field `index` of the present line; false when there is none, it is too long, or it holds a NUL.
 */
bool sl_csv_field(const struct sl_csv *csv, int index, char out[SL_CSV_FIELD_MAX]);
/* The column of the present line, which names them, of that name; -1: there is none. */
int sl_csv_column(const struct sl_csv *csv, const char *name);

#endif
