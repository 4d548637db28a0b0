/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/csv.h"

#include <string.h>

bool sl_csv_next(struct sl_csv *csv) {
    if (csv->offset >= csv->size) {
        return false;
    }
    const char *start = csv->text + csv->offset;
    const char *end = memchr(start, '\n', csv->size - csv->offset);
    size_t len = end ? (size_t)(end - start) : csv->size - csv->offset;
    csv->offset += len + (end ? 1 : 0);
    if (len > 0 && start[len - 1] == '\r') {
        len--;
    }
    csv->at = start;
    csv->len = len;
    csv->number++;
    return true;
}

bool sl_csv_field(const struct sl_csv *csv, int index, char out[SL_CSV_FIELD_MAX]) {
    const char *at = csv->at;
    const char *end = csv->at + csv->len;
    for (int i = 0; i < index; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (!comma) {
            return false;
        }
        at = comma + 1;
    }
    const char *comma = memchr(at, ',', (size_t)(end - at));
    size_t len = (size_t)((comma ? comma : end) - at);
    if (len >= SL_CSV_FIELD_MAX) {
        return false;
    }
    memcpy(out, at, len);
    out[len] = '\0';
    return strlen(out) == len;
}

int sl_csv_column(const struct sl_csv *csv, const char *name) {
    char field[SL_CSV_FIELD_MAX];
    for (int i = 0; i < SL_CSV_COLUMNS_MAX && sl_csv_field(csv, i, field); i++) {
        if (strcmp(field, name) == 0) {
            return i;
        }
    }
    return -1;
}
