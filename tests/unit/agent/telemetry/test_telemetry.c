/* SPDX-License-Identifier: Apache-2.0
 * The hub: what counts, how long something holds, what is stale, and RAPL and the kernel's files
 * beside NVML. */
#include "tests/unit/agent/telemetry/sensors.h"

#include <fcntl.h>
#include <sys/fanotify.h>

#include "agent/telemetry/source.h"

static struct sl_hub *bare_hub(void) {
    struct sl_hub *hub = calloc(1, sizeof *hub + sizeof hub->slots[0]);
    pthread_mutex_init(&hub->lock, NULL);
    hub->count = 1;
    hub->slots[0].ecc_last = -1;
    return hub;
}

static void publish(struct sl_hub *hub, int64_t s, int64_t throttle, int64_t ecc) {
    struct sl_msg_telemetry reading = {.source = SL_TELEMETRY_NVML};
    if (throttle >= 0) {
        sl_telemetry_set(&reading, SL_FIG_THROTTLE, throttle);
    }
    if (ecc >= 0) {
        sl_telemetry_set(&reading, SL_FIG_ECC_UNCORRECTED, ecc);
    }
    sl_hub_publish(hub, 0, (struct sl_mono){s * SL_NS_PER_S}, &reading);
}

static void spans_last_without_a_break(void **state) {
    (void)state;
    struct sl_hub *hub = bare_hub();
    const struct sl_msg_telemetry *t = &hub->slots[0].newest;
    publish(hub, 10, SL_THROTTLE_THERMAL, -1);
    assert_int_equal(t->figures[SL_FIG_THERMAL_MS], 0);
    publish(hub, 25, SL_THROTTLE_THERMAL | SL_THROTTLE_POWER_CAP, -1);
    assert_int_equal(t->figures[SL_FIG_THERMAL_MS], 15000);
    assert_int_equal(t->figures[SL_FIG_BRAKE_MS], 0);
    publish(hub, 26, 0, -1);
    assert_int_equal(t->figures[SL_FIG_THERMAL_MS], 0);
    publish(hub, 30, SL_THROTTLE_BRAKE, -1);
    publish(hub, 31, SL_THROTTLE_HARDWARE, -1);
    assert_int_equal(t->figures[SL_FIG_BRAKE_MS], 1000);
    publish(hub, 32, -1, -1); /* not known: nothing is said of it */
    assert_false(sl_telemetry_has(t, SL_FIG_BRAKE_MS));
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void errors_count_from_the_first_reading_and_over_resets(void **state) {
    (void)state;
    struct sl_hub *hub = bare_hub();
    const struct sl_msg_telemetry *t = &hub->slots[0].newest;
    publish(hub, 1, -1, -1);
    assert_false(sl_telemetry_has(t, SL_FIG_ECC_NEW));
    publish(hub, 2, -1, 7); /* from before our time */
    assert_int_equal(t->figures[SL_FIG_ECC_NEW], 0);
    publish(hub, 3, -1, 9);
    assert_int_equal(t->figures[SL_FIG_ECC_NEW], 2);
    publish(hub, 4, -1, -1);
    assert_int_equal(t->figures[SL_FIG_ECC_NEW], 2); /* still true */
    publish(hub, 5, -1, 1); /* the driver was loaded anew, and has seen one since */
    assert_int_equal(t->figures[SL_FIG_ECC_NEW], 3);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static bool says(struct sl_hub *hub, int64_t s, uint32_t xid) {
    return sl_hub_xid(hub, 0, (struct sl_mono){s * SL_NS_PER_S}, xid);
}

/* A GPU that falls off its bus takes the work of every channel with it: 79, then many of 45. */
static void the_error_that_counts_is_not_pushed_out_by_what_follows(void **state) {
    (void)state;
    struct sl_hub *hub = bare_hub();
    const struct sl_sensor_slot *slot = &hub->slots[0];
    says(hub, 10, 79);
    uint32_t lines = 0;
    for (int i = 0; i < 10000; i++) {
        lines += says(hub, 10, i % 2 ? 45 : 43);
    }
    assert_int_equal(slot->xid_total, 10001);
    assert_int_equal(slot->xid_count, SL_MSG_XIDS_MAX);
    assert_int_equal(slot->xids[0], 79);
    assert_int_equal(slot->xids[SL_MSG_XIDS_MAX - 1], 45);
    assert_int_equal(lines, SL_MSG_XIDS_MAX - 1); /* with 79's: the log is not flooded */
    assert_true(says(hub, 11, 43));
    for (uint32_t xid = 100; xid < 105; xid++) { /* 43 and 45 are there once each by then */
        says(hub, 12, xid);
    }
    assert_int_equal(slot->xids[0], 79);
    says(hub, 12, 105); /* all different: the oldest goes */
    assert_int_not_equal(slot->xids[0], 79);
    for (int i = 0; i < SL_MSG_XIDS_MAX; i++) { /* reported long ago: they make room */
        says(hub, 100, 13);
    }
    assert_int_equal(slot->xids[0], 13);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void a_cpu_has_rapl_and_a_part_of_it_nothing(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    s.infos[0] = (struct sl_device_info){.is_cpu = true};
    s.infos[1] = (struct sl_device_info){.is_cpu = true, .place.part = true};
    tree_write(s.tree, "class/powercap/intel-rapl:0/name", "package-0\n");
    tree_write(s.tree, "class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
    tree_write(s.tree, "class/powercap/intel-rapl:0/energy_uj", "1000000\n");
    sensors_open(&s, "", 60000);
    /* The meter counts from its opening: energy must flow for watts to be above 0. */
    for (int64_t uj = 2000000; sensors_get(&s, 0), !HAS(&s, SL_FIG_POWER_MW); uj += 1000000) {
        char text[32];
        assert_true(uj < 4000 * INT64_C(1000000));
        snprintf(text, sizeof text, "%lld\n", (long long)uj);
        tree_write(s.tree, "class/powercap/intel-rapl:0/energy_uj", text);
        usleep(2500);
    }
    assert_int_equal(s.now.source, SL_TELEMETRY_RAPL);
    sensors_get(&s, 1);
    assert_int_equal(s.now.known, 0);
    assert_non_null(strstr(s.now.note, "part of a CPU"));
    sensors_close(&s);
}

static void sources_of_two_makers_stand_side_by_side(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    assert_true(sl_pci_parse("0000:03:00.0", &s.infos[1].place.pci));
    tree_lay(s.tree, "amdgpu");
    sensors_say(&s, GPU_LINE "watts_mw=111000\n");
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_POWER_MW) == 111000);
    for (int i = 0; i < 4000 && !sl_telemetry_has(sensors_get(&s, 1), SL_FIG_POWER_MW); i++) {
        usleep(2500);
    }
    assert_int_equal(VALUE(&s, SL_FIG_POWER_MW), 203000);
    assert_int_equal(s.now.source, SL_TELEMETRY_AMDGPU);
    sensors_close(&s);
}

static void switched_off_there_is_nothing(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    const struct sl_device_info *infos[1] = {&s.infos[0]};
    struct sl_telemetry_config config = {.root = s.tree->root, .nvml_library = FAKE_NVML};
    struct sl_error err = {0};
    assert_int_equal(sl_telemetry_create(&config, infos, 1, &s.telemetry, &err), 0);
    sensors_get(&s, 0);
    assert_int_equal(s.now.known, 0);
    sensors_close(&s);
    char far[SL_SOURCE_TEXT_MAX + 10];
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    config.root = far;
    assert_int_equal(sl_telemetry_create(&config, infos, 1, &s.telemetry, &err), -SL_LIMIT);
    assert_null(s.telemetry);
}

/* Whoever opens the file waits until the listener, who never answers, is closed. -1: not allowed to
 * this user, or by this kernel. */
static int hang_at(const struct tree *t, const char *path) {
    char full[512];
    tree_path(t, path, full);
    int listener = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
    if (listener >= 0 &&
        fanotify_mark(listener, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, full) != 0) {
        close(listener);
        listener = -1;
    }
    return listener;
}

#define AMD "bus/pci/devices/0000:03:00.0/hwmon/hwmon5/temp2_input"
#define OTHER "bus/pci/devices/0000:09:00.0/hwmon/hwmon4/temp1_input"

static void files_of_one_gpu_that_hang_cost_only_that_gpu(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    tree_lay(s.tree, "amdgpu");
    tree_lay(s.tree, "rx580");
    assert_true(sl_pci_parse("0000:03:00.0", &s.infos[0].place.pci));
    assert_true(sl_pci_parse("0000:09:00.0", &s.infos[1].place.pci));
    sensors_open(&s, "", 200);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_TEMP_JUNCTION_MC) == 78000);
    int listener = hang_at(s.tree, AMD);
    if (listener < 0) {
        sensors_close(&s);
        skip();
    }
    SENSORS_WAIT(&s, strstr(s.now.note, "amdgpu has not answered for"));
    assert_false(HAS(&s, SL_FIG_POWER_MW));
    for (int mc = 45000; mc <= 47000; mc += 1000) { /* the other goes on */
        char text[16];
        snprintf(text, sizeof text, "%d\n", mc);
        tree_write(s.tree, OTHER, text);
        for (int i = 0; i < 4000 && sensors_get(&s, 1)->figures[SL_FIG_TEMP_MC] != mc; i++) {
            usleep(2500);
        }
        assert_int_equal(VALUE(&s, SL_FIG_TEMP_MC), mc);
    }
    close(listener);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_TEMP_JUNCTION_MC) == 78000);
    sensors_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_last_without_a_break),
        cmocka_unit_test(errors_count_from_the_first_reading_and_over_resets),
        cmocka_unit_test(the_error_that_counts_is_not_pushed_out_by_what_follows),
        TREE_TEST(a_cpu_has_rapl_and_a_part_of_it_nothing),
        TREE_TEST(sources_of_two_makers_stand_side_by_side),
        TREE_TEST(switched_off_there_is_nothing),
        TREE_TEST(files_of_one_gpu_that_hang_cost_only_that_gpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
