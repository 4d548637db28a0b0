/* SPDX-License-Identifier: Apache-2.0
 * What `sluice top` shows, without a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/top.h"

#include <cmocka.h>

static const char STATUS[] =
    "{\"now\":\"2026-11-28T10:00:00Z\",\"sessions_live\":2,\"devices_total\":3,"
    "\"devices_by_mode\":{\"idle\":1,\"hash\":1,\"infer\":1},\"hashrate_hs\":61200000,"
    "\"shares\":{\"accepted\":7,\"stale\":1,\"rejected\":0},\"batches_open\":2,\"lines_waiting\":"
    "30,"
    "\"lines_issued\":4,\"lines_done\":66,\"revenue_usd\":{\"hash\":\"0.5\",\"lease\":\"1.25\","
    "\"power\":\"0.1\"},\"power\":{\"drawn_w\":180,\"price_usd_per_kwh\":\"0.07\"}}";
static const char DEVICES[] =
    "{\"devices\":[{\"key\":\"node-b/pocl/"
    "0\",\"state\":\"ok\",\"mode\":\"infer\",\"rule\":\"band\","
    "\"since_ms\":4000,\"hashrate_hs\":0,\"models\":[{\"tokens_per_s\":4200.5}],"
    "\"watts\":{\"infer\":{\"watts\":60,\"source\":\"measured\"}},"
    "\"offers\":{\"infer\":{\"known\":true,\"net_usd_per_hour\":\"0.36\"}}},"
    "{\"key\":\"node-a/pocl/0\",\"state\":\"ok\",\"mode\":\"hash\",\"rule\":\"stay\",\"models\":[],"
    "\"offers\":{\"hash\":{\"net_usd_per_hour\":\"0.5\"}}},"
    "{\"key\":\"node-c/\\u001b[31m\",\"state\":\"lost\",\"mode\":null,\"trouble\":\"gone\"}]}";

struct scene {
    struct sl_top_data data;
    struct sl_top_view view;
    struct sl_top_screen *screen;
};

static void begin(struct scene *s) {
    memset(s, 0, sizeof *s);
    s->data.status = json_loads(STATUS, 0, NULL);
    s->data.devices = json_loads(DEVICES, 0, NULL);
    assert_non_null(s->data.status);
    assert_non_null(s->data.devices);
    s->view = (struct sl_top_view){.width = 140, .height = 24};
    s->screen = calloc(1, sizeof *s->screen);
}

static void end(struct scene *s) {
    sl_top_screen_fini(s->screen);
    free(s->screen);
    json_decref(s->data.status);
    json_decref(s->data.devices);
    json_decref(s->data.events);
    json_decref(s->data.prices);
}

static void draw(struct scene *s) {
    sl_top_screen_fini(s->screen);
    sl_top_draw(&s->data, &s->view, s->screen);
}

/* The line that contains it, else -1. */
static int line_with(const struct scene *s, const char *text) {
    for (uint32_t i = 0; i < s->screen->count; i++) {
        if (strstr(s->screen->lines[i].text, text)) {
            return (int)i;
        }
    }
    return -1;
}

static void test_head_and_devices(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    draw(&s);
    assert_int_equal(s.screen->count, 24);
    assert_true(line_with(&s, "agents 2   devices 3: 1 hash, 1 infer, 1 idle   drawn 180 W") > 0);
    assert_int_equal(line_with(&s, "unknown draw"), -1);
    assert_int_equal(line_with(&s, "not complete"), -1);
    json_t *power = json_object_get(s.data.status, "power");
    json_object_set_new(power, "devices_unknown", json_integer(2)); /* no watts are not 0 W */
    json_object_set_new(s.data.status, "power_complete", json_false());
    draw(&s);
    assert_true(line_with(&s, "drawn 180 W and what 2 unknown draw") > 0);
    assert_true(line_with(&s, "power -0.10 (not complete)") > 0);
    assert_true(line_with(&s, "61.2 MH/s") > 0);
    assert_true(line_with(&s, "30 waiting, 4 at work, 66 done") > 0);
    int a = line_with(&s, "node-a"), b = line_with(&s, "node-b"), c = line_with(&s, "node-c");
    assert_true(a > 0 && b == a + 1 && c == b + 1);
    assert_non_null(strstr(s.screen->lines[b].text, "4200"));
    assert_non_null(strstr(s.screen->lines[b].text, "60 W"));
    assert_non_null(strstr(s.screen->lines[b].text, "0.36"));
    assert_int_equal(s.screen->lines[b].tone, SL_TOP_GOOD);
    assert_int_equal(s.screen->lines[c].tone, SL_TOP_BAD);
    assert_non_null(strstr(s.screen->lines[c].text, "gone"));
    end(&s);
}

static void test_nothing_steers_the_terminal_and_all_fits(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    strcpy(s.data.trouble, "no broker \033[2J answers");
    for (uint32_t width = 0; width < 160; width += 7) {
        for (uint32_t height = 0; height < 30; height += 3) {
            s.view.width = width;
            s.view.height = height;
            draw(&s);
            for (uint32_t i = 0; i < s.screen->count; i++) {
                assert_true(strlen(s.screen->lines[i].text) <= width);
                for (const char *c = s.screen->lines[i].text; *c; c++) {
                    assert_true((unsigned char)*c >= ' ' && *c != 127);
                }
            }
        }
    }
    end(&s);
}

static void test_sorted_found_and_scrolled(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    assert_true(sl_top_press(&s.view, 's'));
    draw(&s);
    assert_true(line_with(&s, "node-a") < line_with(&s, "node-b")); /* 0.5 before 0.36 */
    sl_top_press(&s.view, '/');
    for (const char *c = "NODE-Bq"; *c; c++) {
        assert_true(sl_top_press(&s.view, *c)); /* q is a letter here */
    }
    sl_top_press(&s.view, SL_TOP_KEY_BACK);
    sl_top_press(&s.view, SL_TOP_KEY_ENTER);
    draw(&s);
    assert_true(line_with(&s, "node-b/") > 0);
    assert_int_equal(line_with(&s, "node-a/"), -1);
    sl_top_press(&s.view, SL_TOP_KEY_ESCAPE);
    for (int i = 0; i < 50; i++) {
        sl_top_press(&s.view, SL_TOP_KEY_DOWN);
    }
    draw(&s);
    assert_true(line_with(&s, "node-a/") > 0); /* all three have room: there is nothing to scroll */
    assert_int_equal(s.view.first, 0);
    s.view.height = 9; /* head, tabs, titles, one row, help */
    for (int i = 0; i < 50; i++) {
        sl_top_press(&s.view, SL_TOP_KEY_DOWN);
    }
    draw(&s);
    assert_int_equal(s.view.first, 2);
    end(&s);
}

static void test_lists_and_the_end(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    s.data.events = json_loads("{\"events\":[{\"id\":1,\"kind\":\"session.live\",\"severity\":"
                               "\"info\",\"node\":\"n1\",\"text\":\"came\"},{\"id\":2,\"kind\":"
                               "\"session.lost\",\"severity\":\"alert\",\"node\":\"n1\",\"text\":"
                               "\"went\"}]}",
                               0, NULL);
    sl_top_press(&s.view, '4');
    draw(&s);
    int lost = line_with(&s, "session.lost");
    assert_true(lost > 0 && lost + 1 == line_with(&s, "session.live")); /* the newest first */
    assert_int_equal(s.screen->lines[lost].tone, SL_TOP_BAD);
    sl_top_press(&s.view, SL_TOP_KEY_TAB); /* around to devices */
    assert_int_equal(s.view.tab, SL_TOP_DEVICES);
    sl_top_press(&s.view, '3');
    draw(&s);
    assert_true(line_with(&s, "none") > 0);
    assert_false(sl_top_press(&s.view, 'q'));
    /* Before the first answer, and without a broker. */
    struct sl_top_data nothing = {.trouble = "no broker answers"};
    sl_top_screen_fini(s.screen);
    sl_top_draw(&nothing, &s.view, s.screen);
    assert_true(line_with(&s, "no broker answers") > 0);
    end(&s);
}

/* A source may be out, or speak of another algorithm: what is shown is what decides. */
static void test_the_price_that_decides(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    s.data.prices = json_loads(
        "{\"prices\":[{\"role\":\"hashprice\",\"algorithm\":\"kawpow\",\"decides\":false,"
        "\"state\":\"trusted\",\"value\":\"0.77\"},{\"role\":\"hashprice\",\"algorithm\":"
        "\"sha256d\",\"decides\":true,\"state\":\"trusted\",\"value\":\"45\"}],\"feeds\":[{"
        "\"role\":\"hashprice\",\"value_usd\":\"4.5\"}]}",
        0, NULL);
    assert_non_null(s.data.prices);
    draw(&s);
    assert_true(line_with(&s, "hashprice 45.00 USD/PH/day") > 0);
    assert_int_equal(line_with(&s, "HELD"), -1);
    json_t *price = json_array_get(json_object_get(s.data.prices, "prices"), 1);
    json_object_set_new(price, "state", json_string("held"));
    draw(&s);
    assert_true(line_with(&s, "45.00 USD/PH/day (HELD: it moves nothing)") > 0);
    end(&s);
}

static void test_a_device_that_is_not_trusted_says_why(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    json_t *device = json_array_get(json_object_get(s.data.devices, "devices"), 1);
    json_object_set_new(device, "health", json_string("quarantine"));
    json_object_set_new(device, "health_reason", json_string("driver error (Xid) 79"));
    json_object_set_new(device, "mode", json_string("idle"));
    json_object_set_new(device, "telemetry", /* no sensor of the core, as an MI300X */
                        json_pack("{s:n,s:i,s:i}", "temperature_mc", "temperature_junction_mc",
                                  78000, "temperature_memory_mc", 61000));
    draw(&s);
    int line = line_with(&s, "node-a/");
    assert_true(line > 0);
    assert_non_null(strstr(s.screen->lines[line].text, "quarantine: driver error (Xid) 79"));
    assert_non_null(strstr(s.screen->lines[line].text, " 78 C "));
    assert_int_equal(s.screen->lines[line].tone, SL_TOP_BAD);
    assert_non_null(strstr(s.screen->lines[line + 1].text, " unknown "));
    json_object_set_new(device, "health", json_string("warn"));
    sl_top_screen_fini(s.screen);
    json_object_del(device, "top_usd"); /* as a fresh answer */
    draw(&s);
    line = line_with(&s, "warn: driver error");
    assert_true(line > 0);
    assert_int_equal(s.screen->lines[line].tone, SL_TOP_WARN);
    end(&s);
}

static void test_what_80_columns_have_room_for(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    s.view.width = 80;
    draw(&s);
    int title = line_with(&s, "hash rate");
    assert_true(title > 0);
    assert_non_null(strstr(s.screen->lines[title].text, "USD/h"));
    assert_non_null(strstr(s.screen->lines[title].text, "temp"));
    assert_null(strstr(s.screen->lines[title].text, "since"));
    assert_non_null(strstr(s.screen->lines[line_with(&s, "node-b/")].text, "0.36"));
    s.view.width = 140;
    draw(&s);
    assert_true(line_with(&s, "since") > 0 && line_with(&s, "tokens/s") > 0);
    end(&s);
}

static void test_devices_of_a_node_with_a_long_name_are_told_apart(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    json_t *list = json_object_get(s.data.devices, "devices");
    json_array_clear(list);
    json_array_append_new(list, json_pack("{s:s}", "key", "node-with-a-name-of-31-letters/pocl/0"));
    json_array_append_new(list, json_pack("{s:s}", "key", "node-with-a-name-of-31-letters/pocl/1"));
    s.view.width = 80;
    draw(&s);
    assert_true(line_with(&s, "node-with-a~tters/pocl/0") > 0);
    assert_true(line_with(&s, "node-with-a~tters/pocl/1") > 0);
    strcpy(s.view.find, "31-LETTERS/pocl/1"); /* of what was cut, too */
    draw(&s);
    assert_int_equal(line_with(&s, "pocl/0"), -1);
    assert_true(line_with(&s, "pocl/1") > 0);
    s.view.width = 160;
    draw(&s);
    assert_true(line_with(&s, "node-with-a-name-of-31-letters/pocl/1 ") >= 0);
    end(&s);
}

/* One picture for a file: nothing that was asked for is left out. */
static void test_a_thousand_devices_in_one_picture(void **state) {
    (void)state;
    struct scene s;
    begin(&s);
    json_t *list = json_object_get(s.data.devices, "devices");
    json_array_clear(list);
    for (int i = 0; i < 1000; i++) {
        json_array_append_new(list, json_pack("{s:s+}", "key", "n/", i == 999 ? "last" : "x"));
    }
    s.view.height = 0;
    draw(&s);
    assert_true(line_with(&s, "n/last") > 0);
    assert_true(s.screen->count > 1000);
    assert_int_equal(line_with(&s, "the first"), -1);
    json_object_set_new(s.data.devices, "total", json_integer(100000));
    draw(&s);
    assert_true(line_with(&s, "the first 1000 of 100000") > 0);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_and_devices),
        cmocka_unit_test(test_nothing_steers_the_terminal_and_all_fits),
        cmocka_unit_test(test_sorted_found_and_scrolled),
        cmocka_unit_test(test_lists_and_the_end),
        cmocka_unit_test(test_the_price_that_decides),
        cmocka_unit_test(test_a_device_that_is_not_trusted_says_why),
        cmocka_unit_test(test_what_80_columns_have_room_for),
        cmocka_unit_test(test_devices_of_a_node_with_a_long_name_are_told_apart),
        cmocka_unit_test(test_a_thousand_devices_in_one_picture),
    };
    return cmocka_run_group_tests_name("top_screen", tests, NULL, NULL);
}
