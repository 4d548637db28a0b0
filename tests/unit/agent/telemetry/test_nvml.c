/* SPDX-License-Identifier: Apache-2.0
 * NVML, by a library of our own that speaks its binary interface: whole, old, failing in each way,
 * hanging, losing a GPU, and reading nonsense. */
#include "tests/unit/agent/telemetry/sensors.h"

#define FIGURES                                                                                    \
    "watts_mw=250000 limit_mw=300000 energy_mj=123456789 temp=64 temp_memory=82 clock=1980 "       \
    "memory_clock=2619 busy=97 total_mib=81559 used_mib=4096 fan=40 reasons=36 ecc=2 "             \
    "ecc_corrected=9 pending=1 failed=0 replays=4\n"

static void a_gpu_says_all_of_it(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_XIDS)); /* another thread finds out that it is told of them */
    static const struct {
        enum sl_figure figure;
        int64_t value;
    } wanted[] = {
        {SL_FIG_POWER_MW, 250000},
        {SL_FIG_POWER_LIMIT_MW, 300000},
        {SL_FIG_ENERGY_MJ, 123456789},
        {SL_FIG_TEMP_MC, 64000},
        {SL_FIG_TEMP_MEMORY_MC, 82000},
        {SL_FIG_CLOCK_MHZ, 1980},
        {SL_FIG_BUSY_PPT, 970},
        {SL_FIG_MEMORY_TOTAL_MIB, 81559},
        {SL_FIG_FAN_PPT, 400},
        {SL_FIG_ECC_UNCORRECTED, 2},
        {SL_FIG_ECC_CORRECTED, 9},
        {SL_FIG_REMAP_PENDING, 1},
        {SL_FIG_REMAP_FAILED, 0},
        {SL_FIG_PCIE_REPLAYS, 4},
        {SL_FIG_LOST, 0},
        {SL_FIG_RESET_NEEDED, 0},
        {SL_FIG_XIDS, 0},
        {SL_FIG_ECC_NEW, 0},
        {SL_FIG_MEMORY_USED_MIB, 4096},
        {SL_FIG_CLOCK_MEMORY_MHZ, 2619},
        {SL_FIG_THROTTLE, SL_THROTTLE_POWER_CAP | SL_THROTTLE_THERMAL},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!HAS(&s, wanted[i].figure) || VALUE(&s, wanted[i].figure) != wanted[i].value) {
            fail_msg("%s is %lld", sl_figure_info(wanted[i].figure)->name,
                     (long long)VALUE(&s, wanted[i].figure));
        }
    }
    assert_int_equal(s.now.source, SL_TELEMETRY_NVML);
    /* The other GPU of this machine is not NVIDIA's: never the figures of the first by index. */
    sensors_get(&s, 1);
    assert_int_equal(s.now.known, 0);
    assert_string_not_equal(s.now.note, "");
    sensors_close(&s);
}

static void an_old_library_lacks_what_it_lacks(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML_OLD, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    assert_int_equal(VALUE(&s, SL_FIG_POWER_MW), 250000);
    assert_int_equal(VALUE(&s, SL_FIG_TEMP_MC), 64000);          /* by the old function */
    assert_int_equal(VALUE(&s, SL_FIG_MEMORY_TOTAL_MIB), 81559); /* likewise */
    assert_int_equal(VALUE(&s, SL_FIG_THROTTLE), 3);             /* by its old name */
    assert_false(HAS(&s, SL_FIG_ENERGY_MJ) || HAS(&s, SL_FIG_ECC_CORRECTED) ||
                 HAS(&s, SL_FIG_REMAP_PENDING) || HAS(&s, SL_FIG_POWER_LIMIT_MW) ||
                 HAS(&s, SL_FIG_XIDS)); /* no events, so nobody knows whether there were errors */
    sensors_close(&s);
}

static void a_newer_function_that_fails_gives_way_to_the_older(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(
        &s, "rc nvmlDeviceGetTemperatureV 3\nrc nvmlDeviceGetMemoryInfo_v2 25\n" GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    assert_int_equal(VALUE(&s, SL_FIG_TEMP_MC), 64000);
    assert_int_equal(VALUE(&s, SL_FIG_MEMORY_TOTAL_MIB), 81559);
    sensors_close(&s);
}

static void each_error_costs_its_own_figure_only(void **state) {
    static const int errors[] = {1, 2, 3, 4, 7, 10, 17, 19, 999};
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 60000);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char text[700];
        snprintf(text, sizeof text, "rc nvmlDeviceGetPowerUsage %d\n" GPU_LINE FIGURES, errors[i]);
        sensors_say(&s, text);
        SENSORS_WAIT(&s, HAS(&s, SL_FIG_TEMP_MC) && !HAS(&s, SL_FIG_POWER_MW));
        assert_int_equal(VALUE(&s, SL_FIG_LOST), 0);
        assert_string_not_equal(s.now.note, ""); /* never without a word */
        sensors_say(&s, GPU_LINE FIGURES);
        SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
        assert_string_equal(s.now.note, "");
    }
    sensors_close(&s);
}

static void absurd_watts_are_refused_and_counted(void **state) {
    static const char *const watts[] = {"watts_mw=0", "watts_mw=-1", "watts_mw=-1000",
                                        "watts_mw=1000000000", "watts_mw=450001"};
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE "temp=50\n");
    sensors_open(&s, FAKE_NVML, 60000);
    for (size_t i = 0; i < sizeof watts / sizeof watts[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, GPU_LINE "limit_mw=300000 temp=%zu %s\n", 50 + i, watts[i]);
        sensors_say(&s, text);
        int64_t mc = (50 + (int64_t)i) * 1000;
        SENSORS_WAIT(&s, VALUE(&s, SL_FIG_TEMP_MC) == mc && HAS(&s, SL_FIG_POWER_LIMIT_MW));
        assert_false(HAS(&s, SL_FIG_POWER_MW));
        assert_true(VALUE(&s, SL_FIG_REFUSED) > 0);
        assert_non_null(strstr(s.now.note, "cannot be true"));
    }
    sensors_close(&s);
}

static void a_library_that_hangs_makes_unknown_and_stops_nobody(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 100);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    sensors_say(&s, "hang 1\n" GPU_LINE FIGURES);
    SENSORS_WAIT(&s, !HAS(&s, SL_FIG_POWER_MW));
    assert_false(HAS(&s, SL_FIG_LOST)); /* nobody knows */
    assert_non_null(strstr(s.now.note, "not answered"));
    sensors_say(&s, GPU_LINE FIGURES);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    assert_string_equal(s.now.note, "");
    /* Ending while it hangs leaves the threads behind; they go when the library comes back. */
    sensors_say(&s, "hang 1\n" GPU_LINE FIGURES);
    SENSORS_WAIT(&s, !HAS(&s, SL_FIG_POWER_MW));
    sensors_close(&s);
    sensors_say(&s, GPU_LINE FIGURES);
    usleep(100000); /* nothing to see: they are nobody's any more */
}

static void a_library_that_hangs_at_its_start_is_unknown(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, "hang 1\n");
    sensors_open(&s, FAKE_NVML, 100);
    sensors_get(&s, 0);
    assert_int_equal(s.now.known, 0);
    sensors_say(&s, GPU_LINE FIGURES);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    sensors_close(&s);
}

static void a_gpu_that_falls_off_its_bus_is_lost_until_it_is_back(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    sensors_say(&s, GPU_LINE "rc=15\n");
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_LOST) == 1);
    assert_false(HAS(&s, SL_FIG_POWER_MW));
    assert_non_null(strstr(s.now.note, "fallen off"));
    /* Back on another bus: it is found by its UUID, and is not the device that we had. */
    sensors_say(&s, GPU_LINE "rc=15\ngpu pci=0000:81:00.0 uuid=" UUID_GPU " " FIGURES);
    SENSORS_WAIT(&s, strstr(s.now.note, "0000:81:00.0"));
    assert_int_equal(VALUE(&s, SL_FIG_LOST), 1);
    assert_false(HAS(&s, SL_FIG_POWER_MW));
    /* Back in its place. */
    sensors_say(&s, GPU_LINE FIGURES);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    assert_int_equal(VALUE(&s, SL_FIG_LOST), 0);
    sensors_close(&s);
}

static void another_gpu_in_the_same_slot_is_not_ours(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, "gpu pci=0000:01:00.0 uuid=GPU-ffffffff-89ab-cdef-0123-456789abcdef " FIGURES
                    "gpu pci=0000:41:00.0 uuid=GPU-eeeeeeee-89ab-cdef-0123-456789abcdef temp=33\n");
    sensors_open(&s, FAKE_NVML, 60000);
    for (int i = 0; i < 4000 && !sl_telemetry_has(sensors_get(&s, 1), SL_FIG_TEMP_MC); i++) {
        usleep(2500); /* the second has no UUID that we know: its slot is enough */
    }
    assert_int_equal(VALUE(&s, SL_FIG_TEMP_MC), 33000);
    sensors_get(&s, 0);
    assert_int_equal(s.now.known, 0);
    sensors_close(&s);
}

static void without_a_pci_place_the_uuid_finds_it(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    s.infos[0].place.pci.known = false;
    sensors_say(&s, "gpu pci=0000:07:00.0 uuid=GPU-ffffffff-89ab-cdef-0123-456789abcdef temp=1\n"
                    "gpu pci=0000:08:00.0 uuid=" UUID_GPU " temp=71\n");
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_TEMP_MC) == 71000);
    sensors_close(&s);
}

static void critical_errors_come_as_events_and_are_counted(void **state) {
    struct sensors s;
    char text[1500];
    size_t n;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_XIDS));
    n = (size_t)snprintf(text, sizeof text, GPU_LINE FIGURES "event 1 0 8 13\nevent 2 0 2 0\n");
    sensors_say(&s, text);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_XIDS) == 2);
    assert_int_equal(s.now.xid_count, 2);
    assert_int_equal(s.now.xids[0], 13);
    assert_int_equal(s.now.xids[1], 48); /* an uncorrectable memory error, by its number */
    for (int i = 3; i < 12; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "event %d 0 8 %d\n", i, 60 + i);
    }
    sensors_say(&s, text);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_XIDS) == 11);
    assert_int_equal(s.now.xid_count, SL_MSG_XIDS_MAX);
    assert_int_equal(s.now.xids[SL_MSG_XIDS_MAX - 1], 71);
    assert_int_equal(s.now.xids[0], 64);
    sensors_close(&s);
}

static void errors_that_a_driver_does_not_tell_of_are_unknown_not_none(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE FIGURES "rc nvmlDeviceRegisterEvents 3\n");
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_POWER_MW));
    usleep(300000); /* the events' thread begins after the first round */
    sensors_get(&s, 0);
    assert_false(HAS(&s, SL_FIG_XIDS));
    sensors_close(&s);
}

static void a_gpu_that_is_lost_does_not_hide_the_errors_of_another(void **state) {
    struct sensors s;
    sensors_init(&s, state);
#define SECOND "gpu pci=0000:41:00.0 uuid=GPU-eeeeeeee-89ab-cdef-0123-456789abcdef temp=33\n"
    sensors_say(&s, GPU_LINE FIGURES SECOND);
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_XIDS));
    sensors_say(&s, GPU_LINE "rc=15\n" SECOND);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_LOST) == 1);
    sensors_say(&s, GPU_LINE "rc=15\n" SECOND "event 101 1 8 74\n");
    for (int i = 0; i < 1200 && sensors_get(&s, 1)->figures[SL_FIG_XIDS] == 0; i++) {
        usleep(2500);
    }
    assert_int_equal(VALUE(&s, SL_FIG_XIDS), 1);
    /* Back in its place, it is heard again. */
    sensors_say(&s, GPU_LINE FIGURES SECOND);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_LOST) == 0);
    sensors_say(&s, GPU_LINE FIGURES SECOND "event 102 0 8 13\n");
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_XIDS) == 1);
    sensors_close(&s);
}

static void a_reset_that_is_due_and_a_replaced_driver_are_told(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, "rc nvmlDeviceGetPowerUsage 16\n" GPU_LINE FIGURES);
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_RESET_NEEDED) == 1);
    assert_non_null(strstr(s.now.note, "reset")); /* not that its power is missing */
    sensors_say(&s, GPU_LINE "rc=18\n");
    SENSORS_WAIT(&s, strstr(s.now.note, "replaced"));
    assert_false(HAS(&s, SL_FIG_LOST) || HAS(&s, SL_FIG_POWER_MW));
    sensors_close(&s);
}

static void what_the_driver_asks_for_is_told(void **state) {
    static const struct {
        const char *line, *note;
    } rows[] = {
        {"recovery=1\n", "GPU reset"},         {"recovery=2\n", "node rebooted"},
        {"recovery=3\n", "drain P2P"},         {"recovery=4\n", "drained and reset"},
        {"recovery=9\n", "recovery action 9"},
    };
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE "watts_mw=1000 recovery=0\n");
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_RESET_NEEDED));
    assert_int_equal(VALUE(&s, SL_FIG_RESET_NEEDED), 0);
    assert_string_equal(s.now.note, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, GPU_LINE "watts_mw=1000 %s", rows[i].line);
        sensors_say(&s, text);
        SENSORS_WAIT(&s, strstr(s.now.note, rows[i].note));
        assert_int_equal(VALUE(&s, SL_FIG_RESET_NEEDED), 1);
    }
    sensors_say(&s, GPU_LINE "watts_mw=1000\n"); /* a driver that knows no such field */
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_RESET_NEEDED) == 0);
    assert_string_equal(s.now.note, "");
    sensors_close(&s);
}

static void pages_wait_where_rows_cannot_be_replaced(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, GPU_LINE "watts_mw=1000 pages_pending=1\n");
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, HAS(&s, SL_FIG_REMAP_PENDING));
    assert_int_equal(VALUE(&s, SL_FIG_REMAP_PENDING), 1);
    assert_false(HAS(&s, SL_FIG_REMAP_FAILED));
    sensors_say(&s, GPU_LINE "watts_mw=1000 pages_pending=1 pending=0 failed=0\n");
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_REMAP_PENDING) == 0);
    sensors_close(&s);
}

static void without_a_library_or_a_driver_it_says_why(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, "");
    sensors_open(&s, "/nonexistent/libnvidia-ml.so.1", 60000);
    SENSORS_WAIT(&s, strstr(s.now.note, "not installed"));
    sensors_close(&s);
    sensors_open(&s, "libm.so.6", 60000);
    SENSORS_WAIT(&s, strstr(s.now.note, "no NVML"));
    sensors_close(&s);
    static const struct {
        const char *say, *note;
    } rows[] = {{"init 9\n", "not loaded"},
                {"init 4\n", "may not"},
                {"init 18\n", "replaced"},
                {"init 999\n", "does not start"},
                {"hang 1\n", "not answered yet"},
                {"rc nvmlDeviceGetHandleByPciBusId_v2 17\n" GPU_LINE "\n", "may not"},
                {"rc nvmlDeviceGetHandleByPciBusId_v2 999\n" GPU_LINE "\n", "error 999"},
                {"rc nvmlDeviceGetHandleByPciBusId_v2 6\n" GPU_LINE "\n", "know this device"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sensors_say(&s, rows[i].say);
        sensors_open(&s, FAKE_NVML, 60000);
        SENSORS_WAIT(&s, strstr(s.now.note, rows[i].note));
        assert_int_equal(s.now.known, 0);
        sensors_say(&s, "");
        sensors_close(&s);
    }
}

static void a_gpu_that_was_lost_before_the_start_is_lost(void **state) {
    struct sensors s;
    sensors_init(&s, state);
    sensors_say(&s, "rc nvmlDeviceGetHandleByPciBusId_v2 15\n" GPU_LINE "\n");
    sensors_open(&s, FAKE_NVML, 60000);
    SENSORS_WAIT(&s, VALUE(&s, SL_FIG_LOST) == 1);
    assert_non_null(strstr(s.now.note, "fallen off"));
    sensors_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TREE_TEST(a_gpu_says_all_of_it),
        TREE_TEST(an_old_library_lacks_what_it_lacks),
        TREE_TEST(a_newer_function_that_fails_gives_way_to_the_older),
        TREE_TEST(each_error_costs_its_own_figure_only),
        TREE_TEST(absurd_watts_are_refused_and_counted),
        TREE_TEST(a_library_that_hangs_makes_unknown_and_stops_nobody),
        TREE_TEST(a_library_that_hangs_at_its_start_is_unknown),
        TREE_TEST(a_gpu_that_falls_off_its_bus_is_lost_until_it_is_back),
        TREE_TEST(another_gpu_in_the_same_slot_is_not_ours),
        TREE_TEST(without_a_pci_place_the_uuid_finds_it),
        TREE_TEST(critical_errors_come_as_events_and_are_counted),
        TREE_TEST(errors_that_a_driver_does_not_tell_of_are_unknown_not_none),
        TREE_TEST(a_gpu_that_is_lost_does_not_hide_the_errors_of_another),
        TREE_TEST(a_reset_that_is_due_and_a_replaced_driver_are_told),
        TREE_TEST(what_the_driver_asks_for_is_told),
        TREE_TEST(pages_wait_where_rows_cannot_be_replaced),
        TREE_TEST(without_a_library_or_a_driver_it_says_why),
        TREE_TEST(a_gpu_that_was_lost_before_the_start_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
