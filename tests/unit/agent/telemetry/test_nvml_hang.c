/* SPDX-License-Identifier: Apache-2.0
 * Six GPUs, some of which hang in a call: the others are read all the same. */
#include "tests/unit/agent/telemetry/sensors.h"

#define GPUS 6
#define STALE_MS 200

struct node {
    struct tree *tree;
    struct sl_telemetry *telemetry;
    struct sl_device_info infos[GPUS];
    struct sl_msg_telemetry now;
    int temp; /* that all have; another one each time */
};

/* All GPUs at another temperature; those of `hung` (a bit each) hang. */
static void say(struct node *node, unsigned hung) {
    char text[1200];
    char path[512];
    size_t at = 0;
    node->temp = node->temp >= 80 ? 20 : node->temp + 1;
    for (int i = 0; i < GPUS; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "gpu pci=0000:0%d:00.0 temp=%d\n",
                               i + 1, node->temp);
    }
    for (int i = 0; i < GPUS; i++) {
        if (hung & 1U << i) {
            at += (size_t)snprintf(text + at, sizeof text - at, "hangs pci=0000:0%d:00.0\n", i + 1);
        }
    }
    tree_write(node->tree, "nvml.txt", text);
    tree_path(node->tree, "nvml.txt", path);
    setenv("SLUICE_FAKE_NVML", path, 1);
}

static void node_open(struct node *node, void **state, unsigned hung) {
    const struct sl_device_info *infos[GPUS];
    memset(node, 0, sizeof *node);
    node->tree = *state;
    node->temp = 40;
    for (int i = 0; i < GPUS; i++) {
        char pci[16];
        snprintf(node->infos[i].key, sizeof node->infos[i].key, "gpu%d", i);
        snprintf(pci, sizeof pci, "0000:0%d:00.0", i + 1);
        assert_true(sl_pci_parse(pci, &node->infos[i].place.pci));
        infos[i] = &node->infos[i];
    }
    say(node, hung);
    struct sl_telemetry_config config = {.root = node->tree->root,
                                         .nvml_library = FAKE_NVML,
                                         .interval_ms = 5,
                                         .stale_ms = STALE_MS};
    assert_int_equal(sl_telemetry_create(&config, infos, GPUS, &node->telemetry, NULL), SL_OK);
}

static bool reads(struct node *node, uint32_t gpu) {
    sl_telemetry_get(node->telemetry, gpu, &node->now);
    return sl_telemetry_has(&node->now, SL_FIG_TEMP_MC);
}

/* Until GPU i is read at the present temperature, or is unknown, by the bits. */
static void expect(struct node *node, unsigned hung) {
    for (int tries = 0;; tries++) {
        unsigned good = 0;
        for (uint32_t i = 0; i < GPUS; i++) {
            bool is_read = reads(node, i);
            bool right = hung & 1U << i ? !is_read
                                        : is_read && node->now.figures[SL_FIG_TEMP_MC] ==
                                                         node->temp * INT64_C(1000);
            good += right;
        }
        if (good == GPUS) {
            return;
        }
        if (tries == 4000) {
            fail_msg("%u of %d are as they should be with %x hung", good, GPUS, hung);
        }
        usleep(2500);
    }
}

static void expect_note(struct node *node, uint32_t gpu, const char *text, bool there) {
    for (int tries = 0; reads(node, gpu), (strstr(node->now.note, text) != NULL) != there;
         tries++) {
        if (tries == 4000) {
            fail_msg("'%s' in '%s': not %d", text, node->now.note, there);
        }
        usleep(2500);
    }
}

static void node_close(struct node *node) {
    say(node, 0);
    sl_telemetry_destroy(node->telemetry);
}

static void those_that_hang_are_unknown_and_the_others_are_read(void **state) {
    static const unsigned hung[] = {3, 0x20, 0x0f};
    struct node node;
    node_open(&node, state, 0);
    for (size_t i = 0; i < sizeof hung / sizeof hung[0]; i++) {
        say(&node, hung[i]);
        expect(&node, hung[i]);
        if (hung[i] & 1) {
            expect_note(&node, 0, "has not answered", true);
            expect_note(&node, 0, "no GPU can be read", false);
        }
    }
    node_close(&node);
}

static void with_five_that_hang_nobody_is_read_and_the_note_says_so(void **state) {
    struct node node;
    node_open(&node, state, 0);
    expect(&node, 0);
    say(&node, 0x1f);
    expect(&node, 0x3f); /* the sixth too: a thread for each is too much */
    expect_note(&node, 0, "no GPU can be read", true);
    expect_note(&node, 5, "no GPU can be read", true);
    say(&node, 0x1e); /* one comes back: so does the last */
    expect(&node, 0x1e);
    expect_note(&node, 1, "no GPU can be read", false);
    say(&node, 0);
    expect(&node, 0);
    node_close(&node);
}

static void one_that_hangs_from_the_start_keeps_none_from_starting(void **state) {
    struct node node;
    node_open(&node, state, 1);
    expect(&node, 1);
    say(&node, 0);
    expect(&node, 0);
    node_close(&node);
}

static void an_end_while_some_hang_waits_for_nobody(void **state) {
    struct node node;
    node_open(&node, state, 0);
    expect(&node, 0);
    say(&node, 6);
    expect(&node, 6);
    sl_telemetry_destroy(node.telemetry);
    say(&node, 0);
    usleep(50000); /* nothing to see: what they touch is theirs, and goes with the last of them */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TREE_TEST(those_that_hang_are_unknown_and_the_others_are_read),
        TREE_TEST(with_five_that_hang_nobody_is_read_and_the_note_says_so),
        TREE_TEST(one_that_hangs_from_the_start_keeps_none_from_starting),
        TREE_TEST(an_end_while_some_hang_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
