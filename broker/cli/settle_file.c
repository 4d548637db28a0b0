/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/cli/settle_file.h"

#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/money.h"
#include "proto/base/text.h"

#define ROWS_MAX 1000
#define CELL_MAX 128

enum column { FROM = 0, TO, POOL, NODE, AMOUNT, CURRENCY, COLUMNS };
static const char *const names[COLUMNS] = {"from", "to", "pool", "node", "amount", "currency"};

struct cells {
    int count;
    char text[COLUMNS][CELL_MAX];
};

struct file {
    const char *name;
    unsigned line;
    int at[COLUMNS]; /* cell of a column; -1: it has none */
    int width;
    struct sl_wall last_from;
    json_t *rows;
    struct sl_error *err;
};

#define REFUSE(file, ...) refuse(sl_fail((file)->err, SL_INVALID, __VA_ARGS__), file)

static int refuse(int rc, const struct file *file) {
    sl_wrap(file->err, "%s:%u", file->name, file->line);
    return rc;
}

/* No cell needs quotes, so none may have them: whatever a spreadsheet hid in them is not guessed.
 */
static int split(struct file *file, const char *line, size_t n, struct cells *cells) {
    const char *end = line + n;
    cells->count = 0;
    for (const char *at = line; at <= end;) {
        const char *stop = memchr(at, ',', (size_t)(end - at));
        stop = stop ? stop : end;
        size_t bytes = (size_t)(stop - at);
        if (cells->count == COLUMNS) {
            return REFUSE(file, "too many columns");
        }
        if (bytes >= CELL_MAX || memchr(at, '"', bytes) || memchr(at, '\0', bytes)) {
            return REFUSE(file, "a value is too long, or in quotes: write it as it is");
        }
        memcpy(cells->text[cells->count], at, bytes);
        cells->text[cells->count++][bytes] = '\0';
        at = stop + 1;
    }
    return SL_OK;
}

static int read_header(struct file *file, const struct cells *cells) {
    for (int column = 0; column < COLUMNS; column++) {
        file->at[column] = -1;
    }
    file->width = cells->count;
    for (int i = 0; i < cells->count; i++) {
        int column = 0;
        while (column < COLUMNS && strcmp(names[column], cells->text[i]) != 0) {
            column++;
        }
        if (column == COLUMNS) {
            return REFUSE(file,
                          "unknown column '%.40s': the columns are from, to, pool (or node), "
                          "amount, currency",
                          cells->text[i]);
        }
        if (file->at[column] >= 0) {
            return REFUSE(file, "the column '%s' is there twice", names[column]);
        }
        file->at[column] = i;
    }
    static const enum column needed[] = {FROM, TO, AMOUNT, CURRENCY};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (file->at[needed[i]] < 0) {
            return REFUSE(file, "the column '%s' is missing", names[needed[i]]);
        }
    }
    if ((file->at[POOL] < 0) == (file->at[NODE] < 0)) {
        return REFUSE(file, "there must be one column 'pool' (all shares of the site) or 'node' "
                            "(those of one node), not both");
    }
    return SL_OK;
}

static int check_times(struct file *file, const char *from_text, const char *to_text) {
    struct sl_wall from;
    struct sl_wall to;
    if (sl_wall_parse(from_text, &from) != SL_OK || sl_wall_parse(to_text, &to) != SL_OK) {
        return REFUSE(file,
                      "'%.40s' to '%.40s' are no times such as 2026-11-01 or "
                      "2026-11-01T06:00:00Z",
                      from_text, to_text);
    }
    if (from.ms >= to.ms) {
        return REFUSE(file, "the span ends before it begins");
    }
    if (json_array_size(file->rows) > 0 && from.ms < file->last_from.ms) {
        return REFUSE(file, "'from' is earlier than in the line before: sort the rows by it");
    }
    file->last_from = from;
    return SL_OK;
}

/* A row before this one that is about a part of the same span. */
static int check_overlap(struct file *file, const char *scope, const char *from_text) {
    struct sl_wall from = {0};
    sl_wall_parse(from_text, &from);
    size_t index = 0;
    json_t *row = NULL;
    const char *key = file->at[NODE] >= 0 ? "node" : NULL;
    json_array_foreach(file->rows, index, row) {
        struct sl_wall to = {0};
        const char *other = key ? json_string_value(json_object_get(row, key)) : scope;
        sl_wall_parse(json_string_value(json_object_get(row, "to")), &to);
        if (strcmp(other, scope) == 0 && from.ms < to.ms) {
            return REFUSE(file, "its span overlaps that of line %d",
                          (int)json_integer_value(json_object_get(row, "line")));
        }
    }
    return SL_OK;
}

static int read_row(struct file *file, const struct cells *cells) {
    if (cells->count != file->width) {
        return REFUSE(file, "%d values, but %d columns", cells->count, file->width);
    }
    enum column scope = file->at[NODE] >= 0 ? NODE : POOL;
    const char *from = cells->text[file->at[FROM]];
    const char *to = cells->text[file->at[TO]];
    const char *who = cells->text[file->at[scope]];
    const char *amount = cells->text[file->at[AMOUNT]];
    const char *currency = cells->text[file->at[CURRENCY]];
    int64_t nano = 0;
    int rc = check_times(file, from, to);
    rc = rc ? rc : check_overlap(file, who, from);
    if (rc) {
        return rc;
    }
    if (scope == NODE && who[0] == '\0') {
        return REFUSE(file, "the node is missing");
    }
    if (sl_decimal_parse(amount, 9, &nano, NULL) != SL_OK) {
        return REFUSE(file, "amount '%.40s' is no decimal number with at most nine decimals",
                      amount);
    }
    if (nano < 0) {
        return REFUSE(file, "amount '%.40s' is negative", amount);
    }
    size_t letters = strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (letters < 3 || letters > 7 || currency[letters] != '\0') {
        return REFUSE(file, "currency '%.40s' is no code such as USD or BTC", currency);
    }
    if (json_array_size(file->rows) == ROWS_MAX) {
        return REFUSE(file, "more than %d rows: split the file", ROWS_MAX);
    }
    json_t *row = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "line", (int)file->line, "from", from,
                            "to", to, names[scope], who, "amount", amount, "currency", currency);
    return row && json_array_append_new(file->rows, row) == 0
               ? SL_OK
               : REFUSE(file, "a value is no UTF-8 text");
}

static int read_lines(struct file *file, const char *text, size_t bytes) {
    const char *end = text + bytes;
    bool header = true;
    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *next = stop ? stop + 1 : end;
        size_t n = (size_t)((stop ? stop : end) - line);
        n -= n > 0 && line[n - 1] == '\r';
        file->line++;
        if (n > 0) {
            struct cells cells;
            int rc = split(file, line, n, &cells);
            rc = rc ? rc : header ? read_header(file, &cells) : read_row(file, &cells);
            if (rc) {
                return rc;
            }
            header = false;
        }
        line = next;
    }
    return json_array_size(file->rows) > 0 ? SL_OK : REFUSE(file, "there are no rows");
}

int sl_cli_settle_parse(const char *name, const char *text, size_t bytes, json_t **ret_rows,
                        struct sl_error *err) {
    struct file file = {.name = name, .rows = json_array(), .err = err};
    if (!file.rows) {
        return sl_fail(err, SL_NOMEM, "no memory for the file");
    }
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark is no text */
        text += 3;
        bytes -= 3;
    }
    int rc = read_lines(&file, text, bytes);
    if (rc) {
        json_decref(file.rows);
        return rc;
    }
    *ret_rows = file.rows;
    return SL_OK;
}
