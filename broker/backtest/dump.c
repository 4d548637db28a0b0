/* SPDX-License-Identifier: Apache-2.0
 * JSON and CSV. */
#include <inttypes.h>

#include "broker/backtest/output.h"

/* Seconds without a needless fraction: 1, 0.5, 1800. */
static void print_seconds(FILE *out, int64_t ms) {
    fprintf(out, "%" PRId64, ms / 1000);
    if (ms % 1000) {
        fprintf(out, ".%03" PRId64, ms % 1000);
    }
}

int sl_backtest_json_see(struct sl_backtest_json *json, const struct sl_judge_case *one,
                         struct sl_error *err) {
    for (uint32_t p = 0; p < one->config->policy_count; p++) {
        const struct sl_backtest_result *result = &one->results[p];
        /* Names hold no characters that JSON escapes: see the checks of files and options. */
        fprintf(json->out, "%s\n{\"scenario\":\"%s\",\"policy\":\"%s\",\"switch_cost_s\":",
                json->begun ? "," : "[", one->set->scenario.name, one->config->policies[p].name);
        print_seconds(json->out, one->cost_ms);
        fprintf(json->out,
                ",\"noise\":%.6g,\"instance\":%u,\"revenue_nusd\":%" PRId64
                ",\"optimum_nusd\":%" PRId64 ",\"captured\":%.9f,\"switches\":%u}",
                one->noise, one->instance, result->revenue_nusd, one->optimum.revenue_nusd,
                sl_judge_captured(result, &one->optimum), result->switches);
        json->begun = true;
    }
    return ferror(json->out) ? sl_fail_errno(err, "writing the results") : SL_OK;
}

void sl_backtest_json_end(struct sl_backtest_json *json) {
    fputs(json->begun ? "\n]\n" : "[]\n", json->out);
}

/* ---- CSV ---- */

/* All modes that any scenario can have, in the order of the columns. */
#define COLUMNS (SL_SCENARIO_ALGORITHMS + 2)

static void column_name(uint32_t column, char name[16]) {
    if (column < SL_SCENARIO_ALGORITHMS) {
        snprintf(name, 16, "hash%u", column);
    } else {
        snprintf(name, 16, column == SL_SCENARIO_ALGORITHMS ? "lease" : "idle");
    }
}

/* The mode of a market that stands in a column; -1: it has none. */
static int mode_of(const struct sl_market *market, uint32_t column) {
    for (uint32_t m = 0; m < market->modes.count; m++) {
        bool hash = market->modes.kind[m] == SL_SWITCHING_HASH;
        bool lease = market->modes.kind[m] == SL_SWITCHING_LEASE;
        uint32_t at = hash ? m : lease ? SL_SCENARIO_ALGORITHMS : SL_SCENARIO_ALGORITHMS + 1;
        if (at == column) {
            return (int)m;
        }
    }
    return -1;
}

int sl_backtest_dump_head(FILE *out, const struct sl_judge_config *config, struct sl_error *err) {
    static const char *const kinds[] = {"true", "quoted"};
    fputs("scenario,instance,switch_cost_s,switch_cost_nusd,step", out);
    for (int k = 0; k < 2; k++) {
        for (uint32_t c = 0; c < COLUMNS; c++) {
            char name[16];
            column_name(c, name);
            fprintf(out, ",%s_%s", kinds[k], name);
        }
    }
    for (uint32_t p = 0; p < config->policy_count; p++) {
        fprintf(out, ",mode_%s", config->policies[p].name);
    }
    fputc('\n', out);
    return ferror(out) ? sl_fail_errno(err, "writing the dump") : SL_OK;
}

static void dump_rates(FILE *out, const struct sl_market *market, uint32_t step, const int *columns,
                       bool quoted) {
    for (uint32_t c = 0; c < COLUMNS; c++) {
        fputc(',', out);
        if (columns[c] >= 0) {
            size_t at = (size_t)step * SL_SWITCHING_MODES + (size_t)columns[c];
            fprintf(out, "%" PRId64,
                    quoted ? market->gross_nusd_h[at] - market->known_nusd_h[at]
                           : market->true_nusd_h[at]);
        }
    }
}

int sl_backtest_dump_see(FILE *out, const struct sl_judge_case *one, struct sl_error *err) {
    const struct sl_market *market = one->market;
    char names[SL_SWITCHING_MODES][16];
    int columns[COLUMNS];
    for (uint32_t c = 0; c < COLUMNS; c++) {
        columns[c] = mode_of(market, c);
    }
    for (uint32_t m = 0; m < market->modes.count; m++) {
        sl_judge_mode_name(market, m, names[m]);
    }
    for (uint32_t t = 0; t < market->steps; t++) {
        fprintf(out, "%s,%u,", one->set->scenario.name, one->instance);
        print_seconds(out, one->cost_ms);
        fprintf(out, ",%" PRId64 ",%u", one->switch_nusd, t);
        dump_rates(out, market, t, columns, false);
        dump_rates(out, market, t, columns, true);
        for (uint32_t p = 0; p < one->config->policy_count; p++) {
            fprintf(out, ",%s", names[one->modes[p][t]]);
        }
        fputc('\n', out);
    }
    return ferror(out) ? sl_fail_errno(err, "writing the dump") : SL_OK;
}
