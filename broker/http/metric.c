/* SPDX-License-Identifier: Apache-2.0
 * The form of a metric: what stands before its values, and values of labels. */
#include "broker/http/views.h"

void sl_view_metric_head(struct sl_buf *buf, const char *name, const char *type, const char *help) {
    sl_buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void sl_view_metric_label(struct sl_buf *buf, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            sl_buf_append(buf, "\\", 1);
        }
        sl_buf_append(buf, *c == '\n' ? "\\n" : c, *c == '\n' ? 2 : 1);
    }
}
