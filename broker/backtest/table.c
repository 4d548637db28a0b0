/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "broker/backtest/output.h"
#include "proto/base/text.h"

struct line {
    char scenario[SL_SCENARIO_NAME_MAX];
    double captured[SL_JUDGE_POLICIES_MAX][SL_JUDGE_COSTS_MAX]; /* sums over instances */
    uint32_t instances[SL_JUDGE_COSTS_MAX];
};

struct sl_backtest_table {
    struct sl_judge_config config;
    struct line *lines;
    size_t count;
};

int sl_backtest_table_create(struct sl_backtest_table **ret_table, struct sl_error *err) {
    struct sl_backtest_table *table = calloc(1, sizeof *table);
    if (!table) {
        return sl_fail(err, SL_NOMEM, "no memory for a table");
    }
    *ret_table = table;
    return SL_OK;
}

void sl_backtest_table_destroy(struct sl_backtest_table *table) {
    if (table) {
        free(table->lines);
        free(table);
    }
}

static struct line *line_of(struct sl_backtest_table *table, const char *scenario) {
    if (table->count > 0 && strcmp(table->lines[table->count - 1].scenario, scenario) == 0) {
        return &table->lines[table->count - 1];
    }
    struct line *lines = realloc(table->lines, (table->count + 1) * sizeof *lines);
    if (!lines) {
        return NULL;
    }
    table->lines = lines;
    struct line *line = &lines[table->count++];
    memset(line, 0, sizeof *line);
    sl_text_copy(line->scenario, sizeof line->scenario, scenario);
    return line;
}

int sl_backtest_table_see(struct sl_backtest_table *table, const struct sl_judge_case *one,
                          struct sl_error *err) {
    struct line *line = line_of(table, one->set->scenario.name);
    if (!line) {
        return sl_fail(err, SL_NOMEM, "no memory for a table");
    }
    table->config = *one->config;
    uint32_t cost = 0;
    while (one->config->cost_ms[cost] != one->cost_ms) {
        cost++;
    }
    for (uint32_t p = 0; p < one->config->policy_count; p++) {
        line->captured[p][cost] += sl_judge_captured(&one->results[p], &one->optimum);
    }
    line->instances[cost]++;
    return SL_OK;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percent_of(const struct line *line, uint32_t policy, uint32_t cost) {
    return 100 * line->captured[policy][cost] / line->instances[cost];
}

static void print_row(const struct sl_backtest_table *table, FILE *out, const char *first,
                      uint32_t policy, const double *figures) {
    fprintf(out, "%-12s  %-14s", first, table->config.policies[policy].name);
    for (uint32_t c = 0; c < table->config.cost_count; c++) {
        fprintf(out, " %9.2f", figures[c]);
    }
    fputc('\n', out);
}

static void print_summary(const struct sl_backtest_table *table, FILE *out, bool median,
                          double *sorted) {
    for (uint32_t p = 0; p < table->config.policy_count; p++) {
        double figures[SL_JUDGE_COSTS_MAX] = {0};
        for (uint32_t c = 0; c < table->config.cost_count; c++) {
            for (size_t i = 0; i < table->count; i++) {
                sorted[i] = percent_of(&table->lines[i], p, c);
            }
            qsort(sorted, table->count, sizeof *sorted, compare);
            size_t half = table->count / 2;
            double middle = table->count % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
            figures[c] = median ? middle : sorted[0];
        }
        print_row(table, out, p ? "" : median ? "median" : "lowest", p, figures);
    }
}

static void print_head(const struct sl_backtest_table *table, FILE *out) {
    fprintf(out, "captured, %% of the clairvoyant optimum, by the cost of a switch\n%-12s  %-14s",
            "scenario", "policy");
    for (uint32_t c = 0; c < table->config.cost_count; c++) {
        int64_t ms = table->config.cost_ms[c];
        char text[24];
        if (ms % 60000 == 0) {
            snprintf(text, sizeof text, "%lld min", (long long)(ms / 60000));
        } else {
            snprintf(text, sizeof text, "%.5g s", (double)ms / 1e3);
        }
        fprintf(out, " %9s", text);
    }
    fputc('\n', out);
}

void sl_backtest_table_print(const struct sl_backtest_table *table, FILE *out) {
    SL_AUTO_FREE double *sorted = calloc(table->count ? table->count : 1, sizeof *sorted);
    if (!sorted || table->count == 0) {
        return;
    }
    print_head(table, out);
    for (size_t i = 0; i < table->count; i++) {
        for (uint32_t p = 0; p < table->config.policy_count; p++) {
            double figures[SL_JUDGE_COSTS_MAX] = {0};
            for (uint32_t c = 0; c < table->config.cost_count; c++) {
                figures[c] = percent_of(&table->lines[i], p, c);
            }
            print_row(table, out, p ? "" : table->lines[i].scenario, p, figures);
        }
    }
    if (table->count > 1) {
        print_summary(table, out, true, sorted);
        print_summary(table, out, false, sorted);
    }
}
