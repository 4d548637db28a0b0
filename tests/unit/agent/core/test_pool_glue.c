/* SPDX-License-Identifier: Apache-2.0
 * What pools send at will, and what comes of it for the devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/stratum/work.h"
#include "proto/base/text.h"
#include "tests/sim/notify.h"
#include "tests/unit/agent/core/rig.h"

#define PREVHASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct seen {
    uint32_t commands, jobs, no_work;
    char id[SL_JOB_ID_MAX + 1]; /* of the last job */
    bool clean;
};

static void notify(struct sl_buf *out, int number, bool clean) {
    sl_buf_printf(out,
                  "{\"method\":\"mining.notify\",\"params\":[\"n%d\",\"" PREVHASH "\",%s,%s]}\n",
                  number, NOTIFY_BODY, clean ? "true" : "false");
}

/* All in one read; what the core commands is looked at, and not done. */
static struct seen say(struct rig *rig, struct sl_buf *text) {
    struct sl_agent_cmd cmd;
    struct seen seen = {0};
    sl_agent_pool_received(rig->core, rig->now, 0, text->data, text->len);
    while (sl_agent_take(rig->core, &cmd)) {
        seen.commands++;
        if (cmd.kind == SL_AGENT_POST && cmd.post.kind == SL_DEVCMD_JOB) {
            seen.jobs += cmd.post.job != NULL;
            seen.no_work += cmd.post.job == NULL;
        }
        if (cmd.post.job) {
            strcpy(seen.id, cmd.post.job->id);
            seen.clean = cmd.post.job->clean;
        }
        sl_agent_cmd_fini(&cmd);
    }
    text->len = 0;
    return seen;
}

/* Else each would be a command and a copy for every device, and the outbox has its end. */
static void of_many_jobs_devices_get_the_newest(void **state) {
    (void)state;
    static struct rig rig;
    struct sl_buf text = {0};
    rig_start(&rig, &(struct rig_options){.devices = RIG_DEVICES});
    rig_up(&rig);
    for (int i = 1; i <= 100; i++) {
        notify(&text, i, false);
    }
    struct seen seen = say(&rig, &text);
    assert_int_equal(seen.jobs, RIG_DEVICES);
    assert_in_range(seen.commands, RIG_DEVICES, RIG_DEVICES + 4);
    assert_string_equal(seen.id, "n100");
    assert_false(seen.clean);
    for (int i = 101; i <= 200; i++) {
        notify(&text, i, i == 120);
    }
    seen = say(&rig, &text);
    assert_int_equal(seen.jobs, RIG_DEVICES);
    assert_string_equal(seen.id, "n200");
    assert_true(seen.clean); /* one that was skipped ended all older work */
    rig_stop(&rig);
    sl_buf_fini(&text);
}

static void a_job_of_a_connection_that_ends_reaches_nobody(void **state) {
    (void)state;
    static struct rig rig;
    struct sl_buf text = {0};
    rig_start(&rig, &(struct rig_options){.devices = RIG_DEVICES});
    rig_up(&rig);
    notify(&text, 1, false);
    sl_buf_printf(&text, "no JSON\n");
    struct seen seen = say(&rig, &text);
    assert_int_equal(seen.jobs, 0);
    assert_int_equal(seen.no_work, RIG_DEVICES);
    rig_stop(&rig);
    sl_buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_jobs_devices_get_the_newest),
        cmocka_unit_test(a_job_of_a_connection_that_ends_reaches_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
