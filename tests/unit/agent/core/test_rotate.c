/* SPDX-License-Identifier: Apache-2.0
 * A new key, asked for by the broker: made, sent, used; each may be asked twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/agent/core/rig.h"

#include <cmocka.h>

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static uint32_t asked(const struct rig *rig, enum sl_agent_cmd_kind kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->trace_count; i++) {
        count += rig->trace[i].kind == kind;
    }
    return count;
}

static void rotate(struct rig *rig, const char *key) {
    struct sl_msg msg = {.kind = SL_MSG_ROTATE};
    msg.rotate.rotation = 5;
    msg.rotate.overlap_ms = 60000;
    strcpy(msg.rotate.public_key, key);
    rig_send(rig, &msg);
}

static void a_key_is_made_and_used_when_it_is_admitted(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rotate(&rig, "");
    assert_int_equal(asked(&rig, SL_AGENT_MAKE_KEY), 1);
    assert_int_equal(asked(&rig, SL_AGENT_USE_KEY), 0);
    rig_forget(&rig);
    sl_agent_key_made(rig.core, rig.now, 5, KEY);
    rig_pump(&rig);
    assert_int_equal(rig_count(&rig, SL_MSG_ROTATE_KEY), 1);
    rotate(&rig, KEY);
    assert_int_equal(asked(&rig, SL_AGENT_USE_KEY), 1);
    /* The link is another one: hello, and the devices go on. */
    rig_forget(&rig);
    sl_agent_link_renewed(rig.core, rig.now);
    rig_pump(&rig);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 1);
    rig_welcome(&rig);
    struct sl_agent_view view;
    sl_agent_get(rig.core, &view);
    assert_true(view.live);
    rig_stop(&rig);
}

static void a_stranger_cannot_ask(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig.session += 17;
    rotate(&rig, "");
    assert_int_equal(asked(&rig, SL_AGENT_MAKE_KEY), 0);
    rig.session -= 17;
    /* A key that comes when the session is over is not sent: it is asked for again. */
    struct sl_msg bye = {.kind = SL_MSG_GOODBYE};
    strcpy(bye.goodbye.reason, "later");
    rig_send(&rig, &bye);
    rig_forget(&rig);
    sl_agent_key_made(rig.core, rig.now, 5, KEY);
    rig_pump(&rig);
    assert_int_equal(rig_count(&rig, SL_MSG_ROTATE_KEY), 0);
    rig_stop(&rig);
}

/* What the shell keeps of the broker's key to come is said in a hello of its own. */
static void a_kept_key_of_the_broker_is_said(void **state) {
    (void)state;
    static struct rig rig;
    rig_start(&rig, &(struct rig_options){0});
    rig_up(&rig);
    rig_forget(&rig);
    sl_agent_server_key_kept(rig.core, rig.now, "");
    rig_pump(&rig);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 0);
    sl_agent_server_key_kept(rig.core, rig.now, KEY);
    rig_pump(&rig);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 1);
    struct sl_msg hello;
    assert_true(rig_message(&rig, SL_MSG_HELLO, -1, &hello));
    assert_string_equal(hello.hello.next_server_key, KEY);
    rig_welcome(&rig);
    rig_forget(&rig);
    sl_agent_server_key_kept(rig.core, rig.now, KEY); /* the same again */
    rig_pump(&rig);
    assert_int_equal(rig_count(&rig, SL_MSG_HELLO), 0);
    struct sl_agent_view view;
    sl_agent_get(rig.core, &view);
    assert_true(view.live);
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_made_and_used_when_it_is_admitted),
        cmocka_unit_test(a_stranger_cannot_ask),
        cmocka_unit_test(a_kept_key_of_the_broker_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
