/* SPDX-License-Identifier: Apache-2.0
 * The parts of the report's page as they lie in the tree, and the charting library as it lies on
 * the machine that builds (Debian libjs-dygraphs). */
#include "broker/backtest/page.h"

#define EMBED(name, path)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global sl_page_" #name "\n"                                                          \
            "sl_page_" #name ":\n"                                                                 \
            ".incbin \"" path "\"\n"                                                               \
            ".byte 0\n"                                                                            \
            ".previous\n")

EMBED(report_html, SLUICE_PAGE "/report.html");
EMBED(report_css, SLUICE_PAGE "/report.css");
EMBED(report_js, SLUICE_PAGE "/report.js");
EMBED(dygraph_js, SLUICE_DYGRAPHS "/dygraph.min.js");
EMBED(dygraph_css, SLUICE_DYGRAPHS "/dygraph.min.css");
