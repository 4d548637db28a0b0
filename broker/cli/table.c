/* SPDX-License-Identifier: Apache-2.0
 * Aligned tables. Widths count code points, so that a tenant's or device's name with accents does
 * not shift a column. */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

#define COLUMNS_MAX 20

static int width_of(const char *text) {
    int width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

/* Green earns from tenants, yellow from the pool, dim earns nothing, red wants a person. */
static const char *tone_of(const char *text) {
    static const struct {
        const char *text;
        const char *tone;
    } tones[] = {
        {"-", ""},
        {"no", ""},
        {"unknown", "\033[2m"},
        {"idle", "\033[2m"},
        {"hash", "\033[33m"},
        {"hashing", "\033[33m"},
        {"live", ""},
        {"good", ""},
        {"infer", "\033[32m"},
        {"hello", ""},
        {"stale", "\033[31m"},
        {"leased", "\033[32m"},
        {"invalid", "\033[31m"},
    };
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++) {
        if (strcmp(tones[i].text, text) == 0) {
            return tones[i].tone;
        }
    }
    return "\033[31m";
}

static void print_cell(const struct sl_cli *cli, const struct sl_cli_column *column,
                       const char *text, int width, bool last) {
    int pad = width - width_of(text);
    const char *tone = cli->colour && column->tone ? tone_of(text) : "";
    printf("%*s%s%s%s%*s", column->right ? pad : 0, "", tone, text, tone[0] ? "\033[0m" : "",
           column->right || last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

static void print_titles(const struct sl_cli *cli, const struct sl_cli_column *columns,
                         const int *widths) {
    fputs(cli->colour ? "\033[1m" : "", stdout);
    for (int c = 0; columns[c].title; c++) {
        struct sl_cli_column plain = columns[c];
        plain.tone = false;
        bool last = !columns[c + 1].title;
        if (last) {
            printf("%*s%s%s\n", plain.right ? widths[c] - width_of(plain.title) : 0, "",
                   plain.title, cli->colour ? "\033[0m" : "");
        } else {
            print_cell(cli, &plain, plain.title, widths[c], false);
        }
    }
}

void sl_cli_table(const struct sl_cli *cli, const json_t *rows, const struct sl_cli_column *columns,
                  const char *none) {
    int widths[COLUMNS_MAX] = {0};
    int count = 0;
    while (columns[count].title) {
        sl_assert(count < COLUMNS_MAX);
        widths[count] = width_of(columns[count].title);
        count++;
    }
    size_t row_count = json_array_size(rows);
    if (row_count == 0) {
        printf("%s\n", none);
        return;
    }
    struct sl_buf *cells = calloc(row_count * (size_t)count + 1, sizeof *cells);
    if (!cells) {
        return;
    }
    for (size_t r = 0; r < row_count; r++) {
        for (int c = 0; c < count; c++) {
            struct sl_buf *cell = &cells[r * (size_t)count + (size_t)c];
            sl_cli_value(json_array_get(rows, r), columns[c].path, columns[c].format, cell);
            int width = cell->data ? width_of(cell->data) : 0;
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    print_titles(cli, columns, widths);
    for (size_t r = 0; r < row_count; r++) {
        for (int c = 0; c < count; c++) {
            struct sl_buf *cell = &cells[r * (size_t)count + (size_t)c];
            print_cell(cli, &columns[c], cell->data ? cell->data : "", widths[c], c + 1 == count);
            sl_buf_fini(cell);
        }
    }
    free(cells);
}

void sl_cli_fields(const struct sl_cli *cli, const json_t *object,
                   const struct sl_cli_column *columns) {
    int width = 0;
    for (int i = 0; columns[i].title; i++) {
        int w = width_of(columns[i].title);
        width = w > width ? w : width;
    }
    for (int i = 0; columns[i].title; i++) {
        SL_AUTO_BUF struct sl_buf value = {0};
        sl_cli_value(object, columns[i].path, columns[i].format, &value);
        const char *text = value.data ? value.data : "-";
        const char *tone = cli->colour && columns[i].tone ? tone_of(text) : "";
        printf("%s%s%s%*s  %s%s%s\n", cli->colour ? "\033[1m" : "", columns[i].title,
               cli->colour ? "\033[0m" : "", width - width_of(columns[i].title), "", tone, text,
               tone[0] ? "\033[0m" : "");
    }
}

void sl_cli_heading(const struct sl_cli *cli, const char *text) {
    printf("\n%s%s%s\n", cli->colour ? "\033[1m" : "", text, cli->colour ? "\033[0m" : "");
}
