/* SPDX-License-Identifier: Apache-2.0
 * amdgpu, i915 and xe (tests/fixtures/sysfs): trees recorded on hardware, and trees modelled on the
 * kernel's documentation, whole, with files that vanish, asleep, gone. */
#include "tests/unit/agent/telemetry/tree.h"

#include "agent/telemetry/source.h"

static struct sl_device_info at_place(const char *pci) {
    struct sl_device_info info = {.is_cpu = false};
    assert_true(sl_pci_parse(pci, &info.place.pci));
    return info;
}

static void open_device(const struct tree *t, const char *pci, enum sl_telemetry_source wanted,
                        struct sl_kernel_device *device) {
    struct sl_device_info info = at_place(pci);
    assert_int_equal(sl_kernel_find(t->root, &info, device), wanted);
}

static struct sl_msg_telemetry read_at(struct sl_kernel_device *device, int64_t s) {
    struct sl_msg_telemetry out;
    sl_kernel_read(device, (struct sl_mono){s * SL_NS_PER_S}, &out);
    return out;
}

static void expect(const struct sl_msg_telemetry *t, enum sl_figure figure, int64_t value) {
    if (!sl_telemetry_has(t, figure) || t->figures[figure] != value) {
        fail_msg("%s is %s%lld, not %lld", sl_figure_info(figure)->name,
                 sl_telemetry_has(t, figure) ? "" : "unknown ", (long long)t->figures[figure],
                 (long long)value);
    }
}

static void an_amd_card_says_all_of_it(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "amdgpu");
    open_device(t, "0000:03:00.0", SL_TELEMETRY_AMDGPU, &device);
    struct sl_msg_telemetry r = read_at(&device, 1);
    expect(&r, SL_FIG_POWER_MW, 203000); /* the average, not the moment */
    expect(&r, SL_FIG_POWER_LIMIT_MW, 272000);
    expect(&r, SL_FIG_TEMP_MC, 61000);
    expect(&r, SL_FIG_TEMP_JUNCTION_MC, 78000);
    expect(&r, SL_FIG_TEMP_MEMORY_MC, 72000);
    expect(&r, SL_FIG_FAN_RPM, 1830);
    expect(&r, SL_FIG_CLOCK_MHZ, 2250);
    expect(&r, SL_FIG_CLOCK_MEMORY_MHZ, 1000);
    expect(&r, SL_FIG_BUSY_PPT, 870);
    expect(&r, SL_FIG_MEMORY_TOTAL_MIB, 16368);
    expect(&r, SL_FIG_MEMORY_USED_MIB, 2048);
    expect(&r, SL_FIG_PCIE_REPLAYS, 3);
    expect(&r, SL_FIG_ECC_UNCORRECTED, 3);
    expect(&r, SL_FIG_ECC_CORRECTED, 11);
    expect(&r, SL_FIG_THROTTLE, SL_THROTTLE_POWER_CAP | SL_THROTTLE_THERMAL);
    expect(&r, SL_FIG_LOST, 0);
    assert_string_equal(r.note, "");
}

#define AMD "bus/pci/devices/0000:03:00.0/"

static void a_file_that_vanishes_or_lies_makes_only_its_figure_unknown(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "amdgpu");
    open_device(t, "0000:03:00.0", SL_TELEMETRY_AMDGPU, &device);
    tree_remove(t, AMD "hwmon/hwmon5/power1_average");
    struct sl_msg_telemetry r = read_at(&device, 1);
    expect(&r, SL_FIG_POWER_MW, 219000); /* newer chips have only power1_input */
    tree_remove(t, AMD "hwmon/hwmon5/power1_input");
    tree_write(t, AMD "hwmon/hwmon5/temp1_input", "\n");
    tree_write(t, AMD "ras/umc_err_count", "nonsense\n");
    tree_bytes(t, AMD "gpu_metrics", "7800");
    r = read_at(&device, 2);
    assert_false(sl_telemetry_has(&r, SL_FIG_POWER_MW));
    assert_false(sl_telemetry_has(&r, SL_FIG_TEMP_MC));
    assert_false(sl_telemetry_has(&r, SL_FIG_THROTTLE));
    /* One block more could be read before: what the rest sums up to would look like a new count. */
    assert_false(sl_telemetry_has(&r, SL_FIG_ECC_UNCORRECTED));
    assert_non_null(strstr(r.note, "power"));
    tree_write(t, AMD "ras/umc_err_count", "ue: 2\nce: 11\n");
    r = read_at(&device, 2);
    expect(&r, SL_FIG_ECC_UNCORRECTED, 3);
    expect(&r, SL_FIG_TEMP_JUNCTION_MC, 78000);
    tree_remove(t, AMD "hwmon");
    r = read_at(&device, 3);
    assert_false(sl_telemetry_has(&r, SL_FIG_FAN_RPM));
    expect(&r, SL_FIG_BUSY_PPT, 870);
    assert_non_null(strstr(r.note, "hwmon"));
}

static void metrics_of_another_version_are_not_guessed_at(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "amdgpu");
    open_device(t, "0000:03:00.0", SL_TELEMETRY_AMDGPU, &device);
    char hex[260] = "780001";
    memset(hex + 6, 'f', 234);
    memcpy(hex + 6, "02", 2);
    hex[240] = '\0';
    tree_bytes(t, AMD "gpu_metrics", hex); /* 1.2 */
    struct sl_msg_telemetry r = read_at(&device, 1);
    assert_false(sl_telemetry_has(&r, SL_FIG_THROTTLE));
    memcpy(hex + 6, "03", 2);
    tree_bytes(t, AMD "gpu_metrics", hex); /* all bits: the driver's "not known" */
    r = read_at(&device, 2);
    assert_false(sl_telemetry_has(&r, SL_FIG_THROTTLE));
}

static void a_sleeping_gpu_is_not_woken(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "amdgpu");
    open_device(t, "0000:03:00.0", SL_TELEMETRY_AMDGPU, &device);
    tree_write(t, AMD "power/runtime_status", "suspended\n");
    struct sl_msg_telemetry r = read_at(&device, 1);
    assert_int_equal(r.known, UINT64_C(1) << SL_FIG_LOST);
    expect(&r, SL_FIG_LOST, 0);
    assert_non_null(strstr(r.note, "asleep"));
    tree_write(t, AMD "power/runtime_status", "active\n");
    r = read_at(&device, 2);
    expect(&r, SL_FIG_TEMP_MC, 61000);
}

static void a_gpu_that_left_its_bus_is_lost_and_comes_back(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "amdgpu");
    open_device(t, "0000:03:00.0", SL_TELEMETRY_AMDGPU, &device);
    tree_remove(t, "bus/pci/devices/0000:03:00.0");
    struct sl_msg_telemetry r = read_at(&device, 1);
    expect(&r, SL_FIG_LOST, 1);
    assert_int_equal(r.known, UINT64_C(1) << SL_FIG_LOST);
    char path[512];
    tree_path(t, "bus/pci/devices/0000:03:00.0", path);
    assert_int_equal(symlink(path, path), 0); /* an error that does not say that it is gone */
    r = read_at(&device, 2);
    assert_int_equal(r.known, 0);
    assert_string_not_equal(r.note, "");
    assert_int_equal(unlink(path), 0);
    tree_lay(t, "amdgpu");
    r = read_at(&device, 2);
    expect(&r, SL_FIG_LOST, 0);
    expect(&r, SL_FIG_POWER_MW, 203000);
}

#define I915 "bus/pci/devices/0000:56:00.0/"

static void an_intel_card_counts_energy(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "i915");
    open_device(t, "0000:56:00.0", SL_TELEMETRY_I915, &device);
    struct sl_msg_telemetry r = read_at(&device, 1);
    assert_false(sl_telemetry_has(&r, SL_FIG_POWER_MW)); /* no span yet */
    expect(&r, SL_FIG_ENERGY_MJ, 5000000);
    expect(&r, SL_FIG_POWER_LIMIT_MW, 225000);
    expect(&r, SL_FIG_CLOCK_MHZ, 2100);
    expect(&r, SL_FIG_THROTTLE, SL_THROTTLE_POWER_CAP);
    expect(&r, SL_FIG_TEMP_MC, 55000);
    tree_write(t, I915 "hwmon/hwmon2/energy1_input", "5250000000\n");
    r = read_at(&device, 3);
    expect(&r, SL_FIG_POWER_MW, 125000); /* 250 J in 2 s */
    /* A counter that began anew says nothing about the span; then it counts again. */
    tree_write(t, I915 "hwmon/hwmon2/energy1_input", "1000000\n");
    r = read_at(&device, 4);
    assert_false(sl_telemetry_has(&r, SL_FIG_POWER_MW));
    tree_write(t, I915 "hwmon/hwmon2/energy1_input", "101000000\n");
    r = read_at(&device, 5);
    expect(&r, SL_FIG_POWER_MW, 100000);
    tree_write(t, I915 "hwmon/hwmon2/energy1_input", "-5\n");
    r = read_at(&device, 6);
    assert_false(sl_telemetry_has(&r, SL_FIG_POWER_MW));
    assert_false(sl_telemetry_has(&r, SL_FIG_ENERGY_MJ));
}

static void xe_has_its_own_places(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "xe");
    open_device(t, "0000:04:00.0", SL_TELEMETRY_XE, &device);
    struct sl_msg_telemetry r = read_at(&device, 1);
    expect(&r, SL_FIG_CLOCK_MHZ, 2850);
    expect(&r, SL_FIG_THROTTLE, SL_THROTTLE_THERMAL);
    expect(&r, SL_FIG_TEMP_MC, 58000);
    expect(&r, SL_FIG_TEMP_MEMORY_MC, 64000);
    expect(&r, SL_FIG_ENERGY_MJ, 900000);
    expect(&r, SL_FIG_POWER_LIMIT_MW, 190000); /* power1_max of 0 is no limit */
}

#define XE_THROTTLE "bus/pci/devices/0000:04:00.0/tile0/gt0/freq0/throttle/"

static void a_reason_for_slowing_that_nobody_knows_is_not_free_running(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "xe");
    open_device(t, "0000:04:00.0", SL_TELEMETRY_XE, &device);
    tree_write(t, XE_THROTTLE "reason_thermal", "0\n");
    tree_write(t, XE_THROTTLE "reason_vr_tdc", "1\n");
    struct sl_msg_telemetry r = read_at(&device, 1);
    expect(&r, SL_FIG_THROTTLE, SL_THROTTLE_HARDWARE);
    tree_write(t, XE_THROTTLE "reason_vr_tdc", "0\n");
    tree_write(t, XE_THROTTLE "reason_iccmax", "1\n"); /* of newer chips */
    r = read_at(&device, 2);
    assert_false(sl_telemetry_has(&r, SL_FIG_THROTTLE));
    tree_write(t, XE_THROTTLE "status", "0\n");
    r = read_at(&device, 3);
    expect(&r, SL_FIG_THROTTLE, 0);
}

struct recorded {
    const char *tree, *pci;
    enum sl_telemetry_source source;
    struct {
        enum sl_figure figure;
        int64_t value;
    } figures[16];
    uint64_t unknown; /* 1 << figure, which the card does not say */
};
#define NOT(figure) (UINT64_C(1) << (figure))

static const struct recorded recorded[] = {
    {"rx580",
     "0000:09:00.0",
     SL_TELEMETRY_AMDGPU,
     {{SL_FIG_POWER_MW, 41045},
      {SL_FIG_POWER_LIMIT_MW, 155000},
      {SL_FIG_TEMP_MC, 44000},
      {SL_FIG_FAN_RPM, 595},
      {SL_FIG_CLOCK_MHZ, 798},
      {SL_FIG_CLOCK_MEMORY_MHZ, 1750},
      {SL_FIG_BUSY_PPT, 110},
      {SL_FIG_MEMORY_TOTAL_MIB, 4096},
      {SL_FIG_MEMORY_USED_MIB, 512},
      {SL_FIG_PCIE_REPLAYS, 3}},
     NOT(SL_FIG_TEMP_JUNCTION_MC) | NOT(SL_FIG_TEMP_MEMORY_MC) | NOT(SL_FIG_THROTTLE) |
         NOT(SL_FIG_ECC_CORRECTED)},
    {"vega56",
     "0000:0b:00.0",
     SL_TELEMETRY_AMDGPU,
     {{SL_FIG_POWER_MW, 8000},
      {SL_FIG_POWER_LIMIT_MW, 260000},
      {SL_FIG_TEMP_JUNCTION_MC, 38000},
      {SL_FIG_TEMP_MEMORY_MC, 39000},
      {SL_FIG_FAN_RPM, 5},
      {SL_FIG_MEMORY_TOTAL_MIB, 8176}},
     NOT(SL_FIG_THROTTLE)},
    {"rx6900xt",
     "0000:0c:00.0",
     SL_TELEMETRY_AMDGPU,
     {{SL_FIG_POWER_MW, 36000},
      {SL_FIG_POWER_LIMIT_MW, 289000},
      {SL_FIG_TEMP_MC, 56000},
      {SL_FIG_TEMP_JUNCTION_MC, 59000},
      {SL_FIG_TEMP_MEMORY_MC, 54000},
      {SL_FIG_BUSY_PPT, 30},
      {SL_FIG_MEMORY_TOTAL_MIB, 16368},
      {SL_FIG_MEMORY_USED_MIB, 637}},
     NOT(SL_FIG_ECC_CORRECTED)},
    {"rx7800xt",
     "0000:03:00.0",
     SL_TELEMETRY_AMDGPU,
     {{SL_FIG_POWER_MW, 32000},
      {SL_FIG_POWER_LIMIT_MW, 236000},
      {SL_FIG_TEMP_MC, 24000},
      {SL_FIG_TEMP_JUNCTION_MC, 31000},
      {SL_FIG_CLOCK_MHZ, 2011},
      {SL_FIG_THROTTLE, 0}},
     NOT(SL_FIG_MEMORY_TOTAL_MIB)},
    {"rx9070",
     "0000:03:00.0",
     SL_TELEMETRY_AMDGPU,
     {{SL_FIG_POWER_MW, 49000},
      {SL_FIG_TEMP_MEMORY_MC, 72000},
      {SL_FIG_BUSY_PPT, 250},
      {SL_FIG_FAN_RPM, 1944},
      {SL_FIG_THROTTLE, 0}},
     0},
    {"phoenix", /* a laptop's APU: metrics 2.1, whose reasons differ by chip */
     "0000:64:00.0",
     SL_TELEMETRY_AMDGPU,
     {{SL_FIG_POWER_MW, 3103},
      {SL_FIG_TEMP_MC, 25000},
      {SL_FIG_CLOCK_MHZ, 800},
      {SL_FIG_MEMORY_TOTAL_MIB, 4096}},
     NOT(SL_FIG_THROTTLE) | NOT(SL_FIG_POWER_LIMIT_MW) | NOT(SL_FIG_FAN_RPM)},
    {"a380-i915", /* temp1 has no label */
     "0000:0b:00.0",
     SL_TELEMETRY_I915,
     {{SL_FIG_ENERGY_MJ, 25637161},
      {SL_FIG_POWER_LIMIT_MW, 55000},
      {SL_FIG_TEMP_MC, 55000},
      {SL_FIG_CLOCK_MHZ, 600},
      {SL_FIG_FAN_RPM, 0},
      {SL_FIG_THROTTLE, 0}},
     NOT(SL_FIG_POWER_MW)},
    {"a380-xe", /* the package's counter and limit only */
     "0000:08:00.0",
     SL_TELEMETRY_XE,
     {{SL_FIG_ENERGY_MJ, 59540970},
      {SL_FIG_POWER_LIMIT_MW, 55000},
      {SL_FIG_TEMP_MC, 56000},
      {SL_FIG_TEMP_MEMORY_MC, 54000},
      {SL_FIG_FAN_RPM, 945},
      {SL_FIG_THROTTLE, 0}},
     NOT(SL_FIG_POWER_MW)},
    {"b580-xe", /* the card's counter stands at 0; the fan is the second of three */
     "0000:0b:00.0",
     SL_TELEMETRY_XE,
     {{SL_FIG_ENERGY_MJ, 29523753},
      {SL_FIG_TEMP_MC, 46000},
      {SL_FIG_TEMP_MEMORY_MC, 48000},
      {SL_FIG_CLOCK_MHZ, 400},
      {SL_FIG_FAN_RPM, 418},
      {SL_FIG_THROTTLE, 0}},
     NOT(SL_FIG_POWER_LIMIT_MW)},
};

static void cards_as_they_were_recorded(void **state) {
    const struct tree *t = *state;
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        const struct recorded *card = &recorded[i];
        struct sl_kernel_device device;
        print_message("%s\n", card->tree);
        tree_lay(t, card->tree);
        open_device(t, card->pci, card->source, &device);
        struct sl_msg_telemetry r = read_at(&device, 1);
        for (size_t k = 0; k < sizeof card->figures / sizeof card->figures[0]; k++) {
            if (card->figures[k].value || card->figures[k].figure) {
                expect(&r, card->figures[k].figure, card->figures[k].value);
            }
        }
        assert_int_equal(r.known & card->unknown, 0);
        expect(&r, SL_FIG_LOST, 0);
        assert_string_equal(r.note, "");
        tree_remove(t, "bus");
    }
}

#define B580 "bus/pci/devices/0000:0b:00.0/hwmon/hwmon4/"

static void the_counter_that_counts_is_taken(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    tree_lay(t, "b580-xe");
    open_device(t, "0000:0b:00.0", SL_TELEMETRY_XE, &device);
    struct sl_msg_telemetry r = read_at(&device, 1);
    tree_write(t, B580 "energy2_input", "29603753173\n");
    r = read_at(&device, 2);
    expect(&r, SL_FIG_POWER_MW, 80000);
    /* A driver that counts the card, too, after all: no power from the difference of the two. */
    tree_write(t, B580 "energy1_input", "50000000000\n");
    r = read_at(&device, 3);
    assert_false(sl_telemetry_has(&r, SL_FIG_POWER_MW));
    tree_write(t, B580 "energy1_input", "50090000000\n");
    r = read_at(&device, 4);
    expect(&r, SL_FIG_POWER_MW, 90000);
    tree_write(t, B580 "fan2_input", "x\n");
    r = read_at(&device, 5);
    expect(&r, SL_FIG_FAN_RPM, 0);
}

static void drivers_that_are_not_ours_are_left_alone(void **state) {
    const struct tree *t = *state;
    struct sl_kernel_device device;
    struct sl_device_info info = at_place("0000:03:00.0");
    assert_int_equal(sl_kernel_find(t->root, &info, &device), SL_TELEMETRY_NONE);
    tree_lay(t, "amdgpu");
    tree_remove(t, AMD "driver");
    assert_int_equal(sl_kernel_find(t->root, &info, &device), SL_TELEMETRY_NONE);
    char path[512];
    tree_path(t, AMD "driver", path);
    assert_int_equal(symlink("../../drivers/vfio-pci", path), 0);
    assert_int_equal(sl_kernel_find(t->root, &info, &device), SL_TELEMETRY_NONE);
    info.place.pci.known = false;
    assert_int_equal(sl_kernel_find(t->root, &info, &device), SL_TELEMETRY_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TREE_TEST(an_amd_card_says_all_of_it),
        TREE_TEST(a_file_that_vanishes_or_lies_makes_only_its_figure_unknown),
        TREE_TEST(metrics_of_another_version_are_not_guessed_at),
        TREE_TEST(a_sleeping_gpu_is_not_woken),
        TREE_TEST(a_gpu_that_left_its_bus_is_lost_and_comes_back),
        TREE_TEST(an_intel_card_counts_energy),
        TREE_TEST(xe_has_its_own_places),
        TREE_TEST(a_reason_for_slowing_that_nobody_knows_is_not_free_running),
        TREE_TEST(cards_as_they_were_recorded),
        TREE_TEST(the_counter_that_counts_is_taken),
        TREE_TEST(drivers_that_are_not_ours_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
