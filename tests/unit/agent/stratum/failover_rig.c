/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/stratum/failover_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent/stratum/rig_texts.h"

void rig_say(struct rig *rig, uint32_t link, const char *text) {
    sl_failover_received(rig->pool, link, text, strlen(text), rig->now);
}

void rig_give_job(struct rig *rig, uint32_t link, bool clean) {
    char line[1024];
    snprintf(line, sizeof line,
             "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"p%u-%d\",\"" RIG_PREV_A
             "\",\"" RIG_COINB1 "\",\"" RIG_COINB2
             "\",[],\"20000000\",\"1d00ffff\",\"6b029597\",%s]}\n",
             link, ++rig->players[link].number, clean ? "true" : "false");
    rig_say(rig, link, line);
}

static void answer(struct rig *rig, uint32_t link, const char *request) {
    struct player *player = &rig->players[link];
    char line[300];
    long id = strtol(strstr(request, "\"id\":") + 5, NULL, 10);
    const char *result = "true";
    char subscribed[128];
    if (!player->open || player->mood == DUMB) {
        return;
    }
    if (strstr(request, "mining.subscribe")) {
        snprintf(subscribed, sizeof subscribed, "[[[\"mining.notify\",\"s%u\"]],\"0%u00000%u\",4]",
                 link, link, link);
        result = subscribed;
    } else if (strstr(request, "mining.submit")) {
        player->submits++;
        if (player->silent_on_shares) {
            return;
        }
        if (player->verdict) {
            snprintf(line, sizeof line, "{\"id\":%ld,\"result\":null,\"error\":%s}\n", id,
                     player->verdict);
            rig_say(rig, link, line);
            return;
        }
    } else if (strstr(request, "mining.authorize") && player->mood == STRICT) {
        result = "false";
    }
    snprintf(line, sizeof line, "{\"id\":%ld,\"result\":%s,\"error\":null}\n", id, result);
    rig_say(rig, link, line);
    if (strstr(request, "mining.authorize") && player->mood == UP) {
        rig_give_job(rig, link, true);
    }
}

static void act(struct rig *rig, const struct sl_failover_action *next) {
    const struct sl_stratum_action *action = &next->action;
    struct player *player = &rig->players[next->link];
    switch (action->type) {
    case SL_STRATUM_CONNECT:
        assert_int_equal(action->port, 3333 + next->link);
        assert_int_equal(action->tls, next->link == 1);
        player->connects++;
        player->open = player->mood != DOWN && player->mood != HANGS;
        if (player->open) {
            sl_failover_connected(rig->pool, next->link, rig->now);
        } else if (player->mood == DOWN) {
            sl_failover_disconnected(rig->pool, next->link, "connection refused", rig->now);
        }
        return;
    case SL_STRATUM_SEND: {
        char *text = strndup(action->data, action->size);
        answer(rig, next->link, text);
        free(text);
        return;
    }
    case SL_STRATUM_CLOSE:
        player->open = false;
        player->closes++;
        return;
    case SL_STRATUM_JOB:
        rig->jobs++;
        sl_job_unref(rig->job);
        rig->job = sl_job_ref(action->job);
        return;
    case SL_STRATUM_NO_WORK:
        rig->no_work++;
        sl_job_unref(rig->job);
        rig->job = NULL;
        return;
    case SL_STRATUM_SHARE:
        rig->outcomes[action->outcome]++;
        return;
    case SL_STRATUM_MISCONFIGURED:
        rig->misconfigured++;
        sl_buf_printf(&rig->logs, "%s\n", action->text);
        return;
    case SL_STRATUM_LOG:
        sl_buf_printf(&rig->logs, "%s\n", action->text);
        return;
    case SL_STRATUM_DIFFICULTY:
        return;
    }
}

void rig_pump(struct rig *rig) {
    struct sl_failover_action action;
    while (sl_failover_take(rig->pool, &action)) {
        act(rig, &action);
    }
}

void rig_set_up(struct rig *rig, uint32_t count) {
    struct sl_failover_config config;
    *rig = (struct rig){.now = {1000 * SL_NS_PER_S}};
    sl_failover_config_defaults(&config);
    config.url_count = count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(config.urls[i].host, sizeof config.urls[i].host, "p%u.test", i);
        config.urls[i].port = (uint16_t)(3333 + i);
        config.urls[i].tls = i == 1;
    }
    strcpy(config.client.user, "u");
    config.client.version_mask = 0;
    config.client.extranonce_subscribe = false;
    assert_int_equal(sl_failover_create(&config, 42, &rig->pool, NULL), SL_OK);
}

void rig_begin(struct rig *rig) {
    sl_failover_start(rig->pool, rig->now);
    rig_pump(rig);
}

void rig_tear_down(struct rig *rig) {
    sl_failover_destroy(rig->pool);
    sl_job_unref(rig->job);
    sl_buf_fini(&rig->logs);
}

/* Time goes on to `ms` from now, with every deadline kept. New jobs keep an address alive. */
void rig_pass(struct rig *rig, int64_t ms) {
    struct sl_mono end = sl_mono_after_ms(rig->now, ms);
    struct sl_mono feed = sl_mono_after_ms(rig->now, 60000);
    for (int i = 0;; i++) {
        struct sl_mono when;
        assert_true(i < 100000); /* a busy loop */
        if (!sl_failover_deadline(rig->pool, &when) || when.ns > end.ns) {
            when = end;
        }
        if (feed.ns < when.ns) {
            when = feed;
        }
        rig->now = when.ns > rig->now.ns ? when : rig->now;
        if (rig->now.ns >= feed.ns) {
            feed = sl_mono_after_ms(rig->now, 60000);
            for (uint32_t k = 0; k < LINKS; k++) {
                if (rig->players[k].open && rig->players[k].mood == UP) {
                    rig_give_job(rig, k, false);
                    rig_pump(rig);
                }
            }
        }
        sl_failover_timer(rig->pool, rig->now);
        rig_pump(rig);
        if (rig->now.ns >= end.ns) {
            return;
        }
    }
}

uint64_t rig_changes(const struct rig *rig) {
    struct sl_failover_status status;
    sl_failover_status(rig->pool, &status);
    return status.changes;
}

int rig_serving(const struct rig *rig) {
    struct sl_failover_status status;
    sl_failover_status(rig->pool, &status);
    return status.serving;
}

struct sl_share rig_share_of(const struct rig *rig, uint64_t seq) {
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_share share;
    assert_non_null(rig->job);
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    assert_int_equal(sl_work_next(&cursor, rig->job, &work, NULL), SL_OK);
    sl_share_from_work(&work, (uint32_t)seq, seq, &share);
    return share;
}

void rig_submit(struct rig *rig, uint64_t seq) {
    struct sl_share share = rig_share_of(rig, seq);
    assert_int_equal(sl_failover_submit(rig->pool, &share, rig->now, NULL), SL_OK);
    rig_pump(rig);
}

void rig_cut(struct rig *rig, uint32_t link) {
    rig->players[link].open = false;
    sl_failover_disconnected(rig->pool, link, "reset", rig->now);
    rig_pump(rig);
}
