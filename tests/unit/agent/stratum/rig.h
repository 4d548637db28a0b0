/* SPDX-License-Identifier: Apache-2.0
 * A client, a present time and what it did, for the tests of this folder. The rig plays the shell:
 * after each event it takes all actions into one text, a line each, that a test compares:
 *   connect HOST PORT | > LINE | close | job SERIAL ID clean|- DIFFICULTY | no_work |
 *   share SEQ OUTCOME sent|local CODE | difficulty D | misconfigured | log TEXT
 * Logs are kept apart, since most tests do not look at them. */
#ifndef SLUICE_TESTS_STRATUM_RIG_H
#define SLUICE_TESTS_STRATUM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/client.h"
#include "proto/base/text.h"
#include "tests/unit/agent/stratum/rig_texts.h"

struct rig {
    struct sl_stratum *client;
    struct sl_mono now;
    struct sl_buf did;
    struct sl_buf logs;
    struct sl_job *job;
    int shares; /* outcomes seen */
};

static inline void rig_note(struct rig *rig, const struct sl_stratum_action *a) {
    switch (a->type) {
    case SL_STRATUM_CONNECT:
        sl_buf_printf(&rig->did, "connect %s %u\n", a->host, a->port);
        return;
    case SL_STRATUM_SEND:
        assert_true(a->size > 1 && a->data[a->size - 1] == '\n');
        sl_buf_printf(&rig->did, "> %.*s", (int)a->size, a->data);
        return;
    case SL_STRATUM_CLOSE:
        sl_buf_printf(&rig->did, "close\n");
        return;
    case SL_STRATUM_JOB:
        sl_buf_printf(&rig->did, "job %d %s %s %g\n", (int)a->job->serial, a->job->id,
                      a->job->clean ? "clean" : "-",
                      sl_difficulty_to_double(a->job->terms.difficulty));
        sl_job_unref(rig->job);
        rig->job = sl_job_ref(a->job);
        return;
    case SL_STRATUM_NO_WORK:
        sl_buf_printf(&rig->did, "no_work\n");
        return;
    case SL_STRATUM_SHARE:
        rig->shares++;
        sl_buf_printf(&rig->did, "share %d %s %s %d\n", (int)a->share_seq,
                      sl_share_answer_text(a->outcome), a->sent ? "sent" : "local", a->code);
        return;
    case SL_STRATUM_DIFFICULTY:
        sl_buf_printf(&rig->did, "difficulty %g\n", sl_difficulty_to_double(a->difficulty));
        return;
    case SL_STRATUM_MISCONFIGURED:
        sl_buf_printf(&rig->did, "misconfigured\n");
        sl_buf_printf(&rig->logs, "%s\n", a->text);
        return;
    case SL_STRATUM_LOG:
        sl_buf_printf(&rig->logs, "%s\n", a->text);
        return;
    }
    fail_msg("action %d", (int)a->type);
}

static inline void rig_take(struct rig *rig) {
    struct sl_stratum_action action;
    while (sl_stratum_take(rig->client, &action)) {
        rig_note(rig, &action);
    }
}

/* What was done since the last call. */
static inline const char *rig_did(struct rig *rig) {
    static char text[65536];
    rig_take(rig);
    snprintf(text, sizeof text, "%s", rig->did.data ? rig->did.data : "");
    rig->did.len = 0;
    if (rig->did.data) {
        rig->did.data[0] = '\0';
    }
    return text;
}

static inline bool rig_logged(struct rig *rig, const char *text) {
    rig_take(rig);
    return rig->logs.data && strstr(rig->logs.data, text);
}

static inline void rig_config(struct sl_stratum_config *config) {
    sl_stratum_config_defaults(config);
    strcpy(config->url.host, "eu.miners.example");
    config->url.port = 3333;
    strcpy(config->user, "u");
    strcpy(config->agent, "t/1");
    config->extranonce_subscribe = false;
}

static inline void rig_init_with(struct rig *rig, const struct sl_stratum_config *config) {
    struct sl_error err = {0};
    *rig = (struct rig){.now = {1000 * SL_NS_PER_S}};
    if (sl_stratum_create(config, 42, &rig->client, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

static inline void rig_init(struct rig *rig) {
    struct sl_stratum_config config;
    rig_config(&config);
    rig_init_with(rig, &config);
}

static inline void rig_fini(struct rig *rig) {
    sl_stratum_destroy(rig->client);
    sl_job_unref(rig->job);
    sl_buf_fini(&rig->did);
    sl_buf_fini(&rig->logs);
}

static inline void rig_say(struct rig *rig, const char *text) {
    sl_stratum_received(rig->client, text, strlen(text), rig->now);
    rig_take(rig);
}

static inline enum sl_stratum_state rig_state(const struct rig *rig) {
    struct sl_stratum_status status;
    sl_stratum_status(rig->client, &status);
    return status.state;
}

static inline void rig_pass(struct rig *rig, int64_t ms) {
    rig->now = sl_mono_after_ms(rig->now, ms);
    sl_stratum_timer(rig->client, rig->now);
    rig_take(rig);
}

/* To the moment when the client wants to be called; returns the span in ms. */
static inline int64_t rig_pass_to_deadline(struct rig *rig) {
    struct sl_mono when;
    assert_true(sl_stratum_deadline(rig->client, &when));
    int64_t span = sl_mono_since_ns(when, rig->now);
    assert_true(span >= 0);
    rig->now = when;
    sl_stratum_timer(rig->client, rig->now);
    rig_take(rig);
    return span / SL_NS_PER_MS;
}

/* Connected, and configure and subscribe sent (ids 1 and 2). */
static inline void rig_connect(struct rig *rig) {
    sl_stratum_start(rig->client, rig->now);
    sl_stratum_connected(rig->client, rig->now);
    assert_int_equal(rig_state(rig), SL_STRATUM_SUBSCRIBING);
}

/* READY with version rolling and job 1 at difficulty 0.5 (serial 1); next request id 4. */
static inline void rig_ready(struct rig *rig) {
    rig_connect(rig);
    rig_say(rig, "{\"id\":1,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":"
                 "\"1fffe000\"},\"error\":null}\n" RIG_SUBSCRIBED("08000002"));
    rig_say(rig, "{\"id\":3,\"result\":true,\"error\":null}\n");
    rig_say(rig, "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0.5]}\n");
    rig_say(rig, RIG_JOB("j1", RIG_PREV_A, "true"));
    assert_int_equal(rig_state(rig), SL_STRATUM_READY);
    assert_non_null(rig->job);
    rig_did(rig);
}

/* Submits a share of the newest job that the rig was given; seq as named, nonce = seq. */
static inline struct sl_share rig_share(const struct rig *rig, uint64_t seq) {
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_share share;
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    assert_int_equal(sl_work_next(&cursor, rig->job, &work, NULL), SL_OK);
    sl_share_from_work(&work, (uint32_t)seq, seq, &share);
    return share;
}

static inline void rig_submit(struct rig *rig, uint64_t seq) {
    struct sl_share share = rig_share(rig, seq);
    assert_int_equal(sl_stratum_submit(rig->client, &share, rig->now, NULL), SL_OK);
    rig_take(rig);
}

#endif
