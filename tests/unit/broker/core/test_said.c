/* SPDX-License-Identifier: Apache-2.0
 * What a device said last comes back whole; texts are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/said.h"
#include "broker/core/tables.h"
#include "proto/wire/codec.h"
#include "tests/unit/broker/core/world.h"

#include <cmocka.h>

static void fill(struct sl_msg_device *d, const char *key) {
    world_device(d, key);
    d->watts[SL_MODE_HASH] = (struct sl_watts){SL_SOURCE_MEASURED, 250000};
    d->switch_us[SL_MODE_HASH][SL_MODE_INFER] = 1500;
    d->busy_ms[SL_MODE_INFER] = 77;
    d->tokens_total = 123456789;
    d->stop_us_max = 9;
}

static void test_all_of_a_report_comes_back(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_price(&w, 0, WORLD_PRICE);
    world_join(&w, "a", 1);
    struct sl_msg_device said;
    struct sl_msg_device back;
    fill(&said, "a/0");
    said.epoch = said.epoch_max = world_directive(&w, "a/0")->epoch;
    world_report_as(&w, "a", &said, 1, true);
    sl_core_report_get(w.core, 0, &back);
    assert_string_equal(back.key, "a/0");
    assert_string_equal(back.name, said.name);
    assert_string_equal(back.driver, said.driver);
    assert_int_equal(back.tokens_total, said.tokens_total);
    assert_int_equal(back.busy_ms[SL_MODE_INFER], 77);
    assert_int_equal(back.stop_us_max, 9);
    assert_int_equal(back.model_count, said.model_count);
    assert_string_equal(back.models[0].id, said.models[0].id);
    assert_int_equal(sl_core_watts(w.core, 0, SL_MODE_HASH).mw, 250000);
    assert_int_equal(sl_core_watts(w.core, 0, SL_MODE_IDLE).source, SL_SOURCE_UNKNOWN);
    assert_int_equal(sl_core_watts(w.core, 0, SL_MODE_INVALID).source, SL_SOURCE_UNKNOWN);
    assert_int_equal(sl_core_watts(w.core, 0, SL_MODE_COUNT).source, SL_SOURCE_UNKNOWN);
    assert_int_equal(sl_core_switch_us(w.core, 0, SL_MODE_HASH, SL_MODE_INFER), 1500);
    assert_int_equal(sl_core_switch_us(w.core, 0, SL_MODE_INVALID, SL_MODE_INFER), 0);
    world_fini(&w);
}

/* What comes back is packed to the same bytes. */
static void comes_back(struct world *w, const struct sl_msg_device *said, bool as_it_came) {
    SL_AUTO_BUF struct sl_buf packed = {0};
    SL_AUTO_BUF struct sl_buf again = {0};
    assert_int_equal(sl_msg_device_pack(said, &packed, NULL), 0);
    struct sl_msg_bytes bytes = {(const uint8_t *)packed.data, (uint32_t)packed.len};
    sl_core_report_keep(w->core, 0, said, as_it_came ? &bytes : NULL);
    struct sl_msg_device back;
    sl_core_report_get(w->core, 0, &back);
    assert_int_equal(sl_msg_device_pack(&back, &again, NULL), 0);
    assert_int_equal(again.len, packed.len);
    assert_memory_equal(again.data, packed.data, packed.len);
}

static void test_all_that_came_comes_back(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 1);
    struct sl_msg_device said;
    fill(&said, "a/0");
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        said.switch_us[m][m] = 0; /* no switch: nobody looks at it, and it is not kept */
    }
    said.models[0].max_tokens = 256;
    said.models[0].truncate = true;
    memset(said.models[0].sha256, 0xa5, sizeof said.models[0].sha256);
    comes_back(&w, &said, true);
    const struct sl_core_report *own = &w.core->fleet.cold[0].report;
    SL_AUTO_BUF struct sl_buf packed = {0};
    assert_int_equal(sl_msg_device_pack(&said, &packed, NULL), 0);
    size_t kept = own->size + strlen("a/0") + strlen(said.name) + strlen(said.driver);
    assert_true(kept + strlen(said.models[0].id) + sizeof said.models[0].sha256 < packed.len);
    said.is_cpu = !said.is_cpu; /* another head, and an ill one ends before its health */
    snprintf(said.health, sizeof said.health, "too hot");
    comes_back(&w, &said, false);
    said.name[0] = said.driver[0] = '\0'; /* hardly any head */
    said.is_cpu = false;
    said.compute_units = 0;
    said.memory_bytes = 0;
    comes_back(&w, &said, false);
    assert_null(own->head);
    said.model_count = 3; /* some with rates by length, one without, all with other names */
    for (uint32_t i = 0; i < 3; i++) {
        said.models[i] = said.models[0];
        snprintf(said.models[i].id, sizeof said.models[i].id, "model %u", i);
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            said.models[i].length_rates_milli[k] = i == 1 ? 0 : 1000 * i + k + 1;
        }
    }
    comes_back(&w, &said, true);
    assert_int_equal(own->lengths_count, 2);
    said.models[1].length_rates_milli[1] = 5;
    said.models[2].max_tokens = 7;
    comes_back(&w, &said, true);
    said.model_count = 0;
    comes_back(&w, &said, true);
    snprintf(said.locality, sizeof said.locality, "CPUs 0-3"); /* fields of two-byte numbers */
    snprintf(said.note, sizeof said.note, "one model is missing");
    said.switch_us[SL_MODE_IDLE][SL_MODE_INFER] = 77;
    comes_back(&w, &said, true);
    world_fini(&w);
}

/* Kept once where they say the same as what lies open; whole where they do not. */
static void test_what_says_the_same_is_kept_once(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 1);
    struct sl_msg_device said;
    fill(&said, "a/0");
    for (unsigned m = SL_MODE_IDLE; m < SL_MODE_COUNT; m++) {
        said.switch_us[m][m] = 0;
    }
    said.epoch = said.epoch_max = UINT64_C(1) << 51;
    said.watts[SL_MODE_IDLE] = (struct sl_watts){SL_SOURCE_RATED, 30000};
    said.busy_ms[SL_MODE_IDLE] = UINT64_C(1) << 40;
    said.busy_ms[SL_MODE_HASH] = 0;
    const struct sl_core_report *own = &w.core->fleet.cold[0].report;
    comes_back(&w, &said, true);
    assert_true(own->epoch_is_max && own->rate_open && own->watts_open);
    uint32_t least = own->size;
    said.epoch_max++;
    comes_back(&w, &said, true);
    assert_false(own->epoch_is_max);
    assert_true(own->size > least);
    said.epoch_max = said.epoch;
    said.hash_rate_hs = (uint64_t)w.core->config.hash_rate_max_hs + 1;
    comes_back(&w, &said, true);
    assert_false(own->rate_open);
    said.hash_rate_hs = 5;
    comes_back(&w, &said, false);
    assert_int_equal(w.core->fleet.hash_rate_hs[0], 5);
    said.watts[SL_MODE_IDLE].mw = INT64_C(1) << 40; /* of a plant */
    comes_back(&w, &said, true);
    assert_false(own->watts_open);
    said.watts[SL_MODE_IDLE].mw = 1;
    comes_back(&w, &said, true);
    assert_true(own->watts_open);
    said.watts[SL_MODE_HASH].mw = -1; /* measured: not believed, so nobody is shown it */
    sl_core_report_keep(w.core, 0, &said, NULL);
    struct sl_msg_device back;
    sl_core_report_get(w.core, 0, &back);
    assert_int_equal(back.watts[SL_MODE_HASH].source, SL_SOURCE_UNKNOWN);
    assert_int_equal(back.busy_ms[SL_MODE_IDLE], said.busy_ms[SL_MODE_IDLE]);
    world_fini(&w);
}

/* Numbers that are not ours, and what a hostile agent may send: nothing is read beyond the end. */
static void test_strange_fields_are_left_as_they_are(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 1);
    struct sl_msg_device said;
    struct sl_msg_device back;
    fill(&said, "a/0");
    SL_AUTO_BUF struct sl_buf packed = {0};
    assert_int_equal(sl_msg_device_pack(&said, &packed, NULL), 0);
    static const uint8_t newer[] = {0xb8, 0x3e, 5, 0xc1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8};
    sl_buf_append(&packed, (const char *)newer, sizeof newer); /* varint and fixed64, field 999 */
    struct sl_msg_bytes bytes = {(const uint8_t *)packed.data, (uint32_t)packed.len};
    sl_core_report_keep(w.core, 0, &said, &bytes);
    sl_core_report_get(w.core, 0, &back);
    assert_int_equal(back.tokens_total, said.tokens_total);
    assert_string_equal(back.models[0].id, said.models[0].id);
    assert_int_equal(back.stop_us_max, said.stop_us_max);
    world_fini(&w);
}

static void test_texts_and_models_may_change(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 2);
    const struct sl_core_report *first = &w.core->fleet.cold[0].report;
    const struct sl_core_report *second = &w.core->fleet.cold[1].report;
    assert_ptr_equal(first->name, second->name); /* kept once */
    struct sl_msg_device said;
    fill(&said, "a/0");
    snprintf(said.name, sizeof said.name, "another kind with a much longer name than before");
    snprintf(said.health, sizeof said.health, "too hot");
    said.model_count = 2;
    snprintf(said.models[0].id, sizeof said.models[0].id, "new");
    snprintf(said.models[1].id, sizeof said.models[1].id, "mini");
    said.models[1].tokens_per_s_milli = 5;
    sl_core_report_keep(w.core, 0, &said, NULL);
    assert_string_equal(sl_core_class_name(w.core, 0), said.name);
    assert_string_not_equal(second->name, said.name);
    assert_true(first->ill);
    assert_int_equal(sl_core_model_of(first, "mini")->tokens_per_s_milli, 5);
    assert_null(sl_core_model_of(first, "none"));
    assert_ptr_equal(sl_core_models(first)[1].id, sl_core_models(second)[0].id);
    said.model_count = 0;
    sl_core_report_keep(w.core, 0, &said, NULL);
    assert_int_equal(first->model_count, 0);
    assert_int_equal(sl_core_model_of(second, "mini")->tokens_per_s_milli, WORLD_TOKENS_MILLI);
    world_fini(&w);
}

static void test_many_names_are_found(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    const char *kept[2000];
    char text[24];
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "reason %d", i);
        kept[i] = sl_core_name_take(w.core, text);
    }
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "reason %d", i);
        assert_string_equal(kept[i], text);
        assert_ptr_equal(sl_core_name_take(w.core, text), kept[i]);
        sl_core_name_drop(w.core, kept[i]);
        sl_core_name_drop(w.core, kept[i]);
    }
    world_fini(&w);
}

static void test_lengths_take_room_once_they_are_measured(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    world_join(&w, "a", 1);
    struct sl_msg_device said;
    fill(&said, "a/0");
    memset(said.models[0].length_rates_milli, 0, sizeof said.models[0].length_rates_milli);
    sl_core_report_keep(w.core, 0, &said, NULL);
    const struct sl_core_report *own = &w.core->fleet.cold[0].report;
    assert_int_equal(sl_core_models(own)->lengths, 0);
    assert_int_equal(sl_core_length_rates(sl_core_models(own))[SL_LENGTHS - 1], 0);
    said.models[0].length_rates_milli[2] = 77;
    sl_core_report_keep(w.core, 0, &said, NULL);
    assert_int_equal(sl_core_length_rates(sl_core_models(own))[2], 77);
    said.models[0].length_rates_milli[2] = 0;
    sl_core_report_keep(w.core, 0, &said, NULL);
    assert_int_equal(sl_core_length_rates(sl_core_models(own))[2], 0);
    world_fini(&w);
}

static void test_names_are_kept_while_they_are_used(void **state) {
    (void)state;
    struct sl_core_config config = world_config();
    struct world w;
    world_init(&w, &config);
    const char *one = sl_core_name_take(w.core, "one");
    char text[16] = "one";
    assert_ptr_equal(sl_core_name_take(w.core, text), one);
    assert_ptr_not_equal(one, text);
    const char *two = sl_core_name_take(w.core, "two");
    sl_core_name_drop(w.core, one);
    assert_string_equal(one, "one");
    sl_core_name_drop(w.core, one);
    sl_core_name_drop(w.core, two);
    sl_core_name_drop(w.core, NULL);
    world_fini(&w); /* LeakSanitizer sees what was not dropped */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_a_report_comes_back),
        cmocka_unit_test(test_all_that_came_comes_back),
        cmocka_unit_test(test_what_says_the_same_is_kept_once),
        cmocka_unit_test(test_strange_fields_are_left_as_they_are),
        cmocka_unit_test(test_texts_and_models_may_change),
        cmocka_unit_test(test_names_are_kept_while_they_are_used),
        cmocka_unit_test(test_many_names_are_found),
        cmocka_unit_test(test_lengths_take_room_once_they_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
