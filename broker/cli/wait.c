/* SPDX-License-Identifier: Apache-2.0
 * Following a batch to its end: a bar on a terminal, now and then a line elsewhere. On stderr, so
 * that stdout stays with the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/cli/batch.h"
#include "proto/base/clock.h"

#define POLL_MS 300
#define LINE_EVERY_MS 10000 /* where there is no terminal */
#define AWAY_MAX_MS 300000  /* a broker that is restarted comes back */
#define BAR_WIDTH 30

struct watch {
    const struct sl_cli *cli;
    bool terminal;
    int64_t said_ns; /* last line without a terminal */
    char status[24]; /* last seen */
    struct sl_cli_progress progress;
};

static void pause_ms(int64_t ms) {
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&span, NULL);
}

static bool is_final(const char *status) {
    static const char *const finals[] = {"completed", "failed", "expired", "cancelled"};
    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
        if (strcmp(status, finals[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void show(struct watch *watch, const json_t *batch, int64_t now_ns) {
    const char *status = sl_cli_text(batch, "status");
    bool changed = strcmp(status, watch->status) != 0;
    uint64_t done = (uint64_t)(json_integer_value(sl_cli_find(batch, "request_counts.completed")) +
                               json_integer_value(sl_cli_find(batch, "request_counts.failed")));
    watch->progress.total =
        (uint64_t)json_integer_value(sl_cli_find(batch, "request_counts.total"));
    sl_cli_progress_add(&watch->progress, now_ns, done);
    sl_text_copy(watch->status, sizeof watch->status, status);
    bool due =
        changed || is_final(status) || now_ns - watch->said_ns >= LINE_EVERY_MS * SL_NS_PER_MS;
    if (!watch->terminal && !due) {
        return;
    }
    SL_AUTO_BUF struct sl_buf text = {0};
    sl_cli_progress_text(&watch->progress, watch->terminal ? BAR_WIDTH : 0, &text);
    sl_cli_clean(&text, "  ");
    sl_cli_clean(&text, status);
    fprintf(stderr, watch->terminal ? "\r\033[K%s" : "%s\n", text.data ? text.data : "");
    watch->said_ns = now_ns;
}

static void end_line(const struct watch *watch) {
    if (watch->terminal) {
        fputc('\n', stderr);
    }
}

int sl_cli_wait(const struct sl_cli *cli, const char *id, struct sl_cli_answer *ret_answer,
                struct sl_error *err) {
    const char *term = getenv("TERM");
    struct watch watch = {.cli = cli,
                          .terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0};
    char path[160];
    snprintf(path, sizeof path, "/api/v1/batches/%.120s", id);
    int64_t heard_ns = sl_clock_mono().ns;
    for (;;) {
        struct sl_cli_answer answer = {0};
        int rc = sl_cli_get(cli, path, &answer, err);
        int64_t now_ns = sl_clock_mono().ns;
        bool away = rc == -SL_CLOSED || rc == -SL_AGAIN || rc == -SL_TIMEOUT;
        if (rc != SL_OK && (!away || now_ns - heard_ns > AWAY_MAX_MS * SL_NS_PER_MS)) {
            sl_cli_answer_fini(&answer);
            end_line(&watch);
            return rc;
        }
        if (rc == SL_OK) {
            heard_ns = now_ns;
            show(&watch, answer.json, now_ns);
        }
        if (rc == SL_OK && is_final(sl_cli_text(answer.json, "status"))) {
            end_line(&watch);
            *ret_answer = answer;
            return SL_OK;
        }
        sl_cli_answer_fini(&answer);
        pause_ms(POLL_MS);
    }
}
