/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/backtest/page.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

#define POINTS 400      /* of a line over the whole market */
#define MODE_STEPS 4032 /* of the modes: two weeks of five minutes */
#define NANO 1e-9
#define DAY_MS 86400000.0

struct sl_backtest_page {
    struct sl_buf data; /* JSON; names hold no characters that need escaping */
    bool begun;
};

int sl_backtest_page_create(const struct sl_judge_config *config,
                            struct sl_backtest_page **ret_page, struct sl_error *err) {
    SL_AUTO(sl_backtest_page) page = calloc(1, sizeof *page);
    if (!page) {
        return sl_fail(err, SL_NOMEM, "no memory for a page");
    }
    sl_buf_printf(&page->data, "{\"seed\":%llu,\"noise\":", (unsigned long long)config->seed);
    if (config->noise >= 0) {
        sl_buf_printf(&page->data, "%.6g", config->noise);
    } else {
        sl_buf_printf(&page->data, "null");
    }
    sl_buf_printf(&page->data, ",\"policies\":[");
    for (uint32_t p = 0; p < config->policy_count; p++) {
        sl_buf_printf(&page->data, "%s\"%s\"", p ? "," : "", config->policies[p].name);
    }
    sl_buf_printf(&page->data, "],\"cases\":[");
    *ret_page = sl_take(&page);
    return SL_OK;
}

void sl_backtest_page_destroy(struct sl_backtest_page *page) {
    if (page) {
        sl_buf_fini(&page->data);
        free(page);
    }
}

/* What a schedule earned by each step. */
struct earning {
    const uint8_t *modes;
    int64_t sum_nusd;
};

static void earn(struct earning *e, const struct sl_judge_case *one, uint32_t step) {
    const struct sl_market *m = one->market;
    bool moved = step > 0 && e->modes[step] != e->modes[step - 1];
    e->sum_nusd += sl_backtest_step_nusd(
        m->true_nusd_h[(size_t)step * SL_SWITCHING_MODES + e->modes[step]], m->step_ms);
    e->sum_nusd -= moved ? one->switch_nusd : 0;
}

/* [step, optimum, policy...] in USD, first and last step always among them. */
static void put_series(struct sl_buf *out, const struct sl_judge_case *one) {
    uint32_t count = one->config->policy_count + 1;
    struct earning earnings[SL_JUDGE_POLICIES_MAX + 1] = {{one->optimum_modes, 0}};
    for (uint32_t p = 0; p + 1 < count; p++) {
        earnings[p + 1].modes = one->modes[p];
    }
    uint32_t steps = one->market->steps;
    uint32_t every = steps / POINTS + 1;
    sl_buf_printf(out, ",\"series\":[");
    for (uint32_t t = 0; t < steps; t++) {
        bool shown = t % every == 0 || t + 1 == steps;
        for (uint32_t e = 0; e < count; e++) {
            earn(&earnings[e], one, t);
        }
        if (shown) {
            sl_buf_printf(out, "%s[%u", t ? "," : "", t);
            for (uint32_t e = 0; e < count; e++) {
                sl_buf_printf(out, ",%.4f", (double)earnings[e].sum_nusd * NANO);
            }
            sl_buf_printf(out, "]");
        }
    }
    sl_buf_printf(out, "]");
}

/* One digit a step; optimum first. */
static void put_modes(struct sl_buf *out, const struct sl_judge_case *one) {
    uint32_t steps = one->market->steps < MODE_STEPS ? one->market->steps : MODE_STEPS;
    sl_buf_printf(out, ",\"mode_names\":[");
    for (uint32_t m = 0; m < one->market->modes.count; m++) {
        char name[16];
        sl_judge_mode_name(one->market, m, name);
        sl_buf_printf(out, "%s\"%s\"", m ? "," : "", name);
    }
    sl_buf_printf(out, "],\"modes\":[");
    for (uint32_t p = 0; p <= one->config->policy_count; p++) {
        const uint8_t *modes = p ? one->modes[p - 1] : one->optimum_modes;
        sl_buf_printf(out, p ? ",\"" : "\"");
        for (uint32_t t = 0; t < steps; t++) {
            char digit = (char)('0' + modes[t]); /* at most ten modes */
            sl_buf_append(out, &digit, 1);
        }
        sl_buf_printf(out, "\"");
    }
    sl_buf_printf(out, "]");
}

int sl_backtest_page_see(struct sl_backtest_page *page, const struct sl_judge_case *one,
                         struct sl_error *err) {
    struct sl_buf *out = &page->data;
    double days = (double)one->market->steps * (double)one->market->step_ms / DAY_MS;
    sl_buf_printf(out, "%s\n{\"scenario\":\"%s\",\"instance\":%u,\"cost\":%.3f",
                  page->begun ? "," : "", one->set->scenario.name, one->instance,
                  (double)one->cost_ms / 1e3);
    sl_buf_printf(out, ",\"steps\":%u,\"step_ms\":%lld,\"start_ms\":%lld,\"captured\":[",
                  one->market->steps, (long long)one->market->step_ms,
                  (long long)one->set->start_ms);
    for (uint32_t p = 0; p < one->config->policy_count; p++) {
        sl_buf_printf(out, "%s%.6f", p ? "," : "",
                      sl_judge_captured(&one->results[p], &one->optimum));
    }
    sl_buf_printf(out, "],\"switches_day\":[");
    for (uint32_t p = 0; p < one->config->policy_count; p++) {
        sl_buf_printf(out, "%s%.3f", p ? "," : "", one->results[p].switches / days);
    }
    sl_buf_printf(out, "]");
    if (one->instance == 0) {
        put_series(out, one);
        put_modes(out, one);
    }
    sl_buf_printf(out, "}");
    page->begun = true;
    return out->failed ? sl_fail(err, SL_NOMEM, "no memory for a page") : SL_OK;
}

int sl_backtest_page_write(struct sl_backtest_page *page, FILE *out, struct sl_error *err) {
    sl_buf_printf(&page->data, "\n]}");
    if (page->data.failed) {
        return sl_fail(err, SL_NOMEM, "no memory for a page");
    }
    const struct {
        const char *name;
        const char *text;
    } parts[] = {
        {"{{dygraph.css}}", sl_page_dygraph_css},
        {"{{dygraph.js}}", sl_page_dygraph_js},
        {"{{report.css}}", sl_page_report_css},
        {"{{report.js}}", sl_page_report_js},
        {"{{data}}", page->data.data},
    };
    for (const char *at = sl_page_report_html; *at;) {
        size_t plain = strcspn(at, "{");
        fwrite(at, 1, plain, out);
        at += plain;
        const char *text = NULL;
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            if (strncmp(at, parts[i].name, strlen(parts[i].name)) == 0) {
                text = parts[i].text;
                at += strlen(parts[i].name);
                break;
            }
        }
        if (text) {
            fputs(text, out);
        } else if (*at) {
            fputc(*at++, out);
        }
    }
    return ferror(out) ? sl_fail_errno(err, "writing the page") : SL_OK;
}
