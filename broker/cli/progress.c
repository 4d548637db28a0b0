/* SPDX-License-Identifier: Apache-2.0
 * Rate and time to go of a batch, over its last samples: a lease comes and goes, and the rate of
 * the whole time would tell neither. */
#include <stdio.h>

#include "broker/cli/batch.h"

void sl_cli_progress_add(struct sl_cli_progress *progress, int64_t now_ns, uint64_t done) {
    unsigned at = progress->count % SL_CLI_SAMPLES;
    progress->at_ns[at] = now_ns;
    progress->done[at] = done;
    progress->count++;
}

double sl_cli_progress_rate(const struct sl_cli_progress *progress) {
    if (progress->count < 2) {
        return -1;
    }
    unsigned newest = (progress->count - 1) % SL_CLI_SAMPLES;
    unsigned oldest = progress->count <= SL_CLI_SAMPLES ? 0 : progress->count % SL_CLI_SAMPLES;
    int64_t span_ns = progress->at_ns[newest] - progress->at_ns[oldest];
    uint64_t done = progress->done[newest] - progress->done[oldest];
    return span_ns > 0 ? (double)done * 1e9 / (double)span_ns : -1;
}

static void add_time_to_go(struct sl_buf *out, double s) {
    if (s < 90) {
        sl_buf_printf(out, "  %.0f s to go", s);
    } else if (s < 90 * 60) {
        sl_buf_printf(out, "  %.0f min to go", s / 60);
    } else {
        sl_buf_printf(out, "  %.1f h to go", s / 3600);
    }
}

void sl_cli_progress_text(const struct sl_cli_progress *progress, int bar_width,
                          struct sl_buf *out) {
    uint64_t total = progress->total;
    uint64_t done =
        progress->count > 0 ? progress->done[(progress->count - 1) % SL_CLI_SAMPLES] : 0;
    done = total > 0 && done > total ? total : done;
    if (bar_width > 0 && total > 0) {
        int full = (int)((double)done / (double)total * bar_width);
        sl_buf_append(out, "[", 1);
        for (int i = 0; i < bar_width; i++) {
            sl_buf_append(out, i < full ? "#" : ".", 1);
        }
        sl_buf_append(out, "] ", 2);
    }
    sl_buf_printf(out, "%llu/", (unsigned long long)done);
    sl_buf_printf(out, total > 0 ? "%llu lines" : "? lines", (unsigned long long)total);
    double rate = sl_cli_progress_rate(progress);
    if (rate >= 0) {
        sl_buf_printf(out, rate < 10 ? "  %.1f/s" : "  %.0f/s", rate);
    }
    if (rate > 0 && total > done) {
        add_time_to_go(out, (double)(total - done) / rate);
    }
}
