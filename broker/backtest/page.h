/* SPDX-License-Identifier: Apache-2.0
 * The report of a backtest as one page that needs nothing else: styles, charting library and
 * figures are inside. Thread: any. */
#ifndef SLUICE_BROKER_BACKTEST_PAGE_H
#define SLUICE_BROKER_BACKTEST_PAGE_H

#include <stdio.h>

#include "broker/backtest/judge.h"

struct sl_backtest_page;
int sl_backtest_page_create(const struct sl_judge_config *config,
                            struct sl_backtest_page **ret_page, struct sl_error *err);
int sl_backtest_page_see(struct sl_backtest_page *page, const struct sl_judge_case *one,
                         struct sl_error *err);
int sl_backtest_page_write(struct sl_backtest_page *page, FILE *out, struct sl_error *err);
void sl_backtest_page_destroy(struct sl_backtest_page *page);
SL_DEFINE_AUTO(sl_backtest_page, sl_backtest_page_destroy)

/* embedded.c; texts that end with a NUL */
extern const char sl_page_report_html[], sl_page_report_css[], sl_page_report_js[],
    sl_page_dygraph_js[], sl_page_dygraph_css[];

#endif
