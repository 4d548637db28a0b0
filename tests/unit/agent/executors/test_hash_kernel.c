/* SPDX-License-Identifier: Apache-2.0
 * The sha256d kernel against real block headers and against the host's own hashing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/executors/hash_internal.h"
#include "agent/executors/hash_kernel.h"
#include "agent/stratum/sha256.h"
#include "proto/base/cleanup.h"
#include "proto/base/text.h"
#include "tests/unit/agent/device/machine.h"

#define GROUPS 8

struct machine {
    struct sl_discovery *found;
    struct sl_cl cl;
};

static int open_machine(void **state) {
    static struct machine m;
    struct sl_error err = {0};
    m.found = machine_find(0);
    if (!m.found) {
        return -1;
    }
    struct sl_cl_spec spec = machine_spec(m.found, 0);
    if (sl_cl_open(&m.cl, &spec, &err) != SL_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    *state = &m;
    return 0;
}

static int close_machine(void **state) {
    struct machine *m = *state;
    sl_cl_close(&m->cl);
    sl_discovery_destroy(m->found);
    return 0;
}

static void open_shape(struct sl_cl *cl, const struct sl_hash_shape *shape,
                       struct sl_hash_kernel *kernel) {
    struct sl_error err = {0};
    assert_true(sl_hash_shape_fits(cl, shape));
    if (sl_hash_kernel_open(cl, shape, kernel, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

static void open_kernel(struct sl_cl *cl, uint32_t width, uint32_t local, uint32_t rounds,
                        struct sl_hash_kernel *kernel) {
    const struct sl_hash_shape shape = {
        .width = width, .local = local, .rounds = rounds, .mids = 1};
    open_shape(cl, &shape, kernel);
}

/* Not wider than the device: compilers take half a minute for such a kernel, and none is chosen. */
static uint32_t widest(const struct sl_cl *cl) {
    return cl->vector_width_int < 16 ? cl->vector_width_int : 16;
}

static void input_of(const uint8_t header[80], const struct sl_u256 *target,
                     struct sl_hash_input *input) {
    uint32_t midstate[8];
    sl_sha256_initial(midstate);
    sl_sha256_compress(midstate, header);
    sl_hash_input_make(midstate, header + 64, target, input);
}

/* The header under `count` versions; at `own` it is as it stands. */
static void rolled_input_of(uint32_t count, const uint8_t header[80], uint32_t own,
                            const struct sl_u256 *target, struct sl_hash_input *input) {
    for (uint32_t mid = 0; mid < count; mid++) {
        uint32_t midstate[8];
        uint8_t rolled[80];
        memcpy(rolled, header, sizeof rolled);
        rolled[2] ^= (uint8_t)((mid ^ own) << 4);
        sl_sha256_initial(midstate);
        sl_sha256_compress(midstate, rolled);
        if (mid == 0) {
            sl_hash_input_make(midstate, header + 64, target, input);
        } else {
            sl_hash_input_add(input, midstate);
        }
    }
}

/* The target that a header's compact bits stand for: 3 bytes of mantissa, 1 of exponent. */
static struct sl_u256 target_of_bits(const uint8_t header[80]) {
    struct sl_u256 target = {{0}};
    uint32_t exponent = header[75];
    assert_in_range(exponent, 4, 32);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t byte = exponent - 3 + i; /* of 32, from the least */
        target.limb[byte / 8] |= (uint64_t)header[72 + i] << (byte % 8 * 8);
    }
    return target;
}

static void run(struct sl_hash_kernel *kernel, const struct sl_hash_input *input, uint32_t base,
                uint32_t groups, struct sl_hash_found *found) {
    struct sl_error err = {0};
    int64_t ns = 0;
    if (sl_hash_run(kernel, input, base, groups, found, &ns, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

/* Exactly the header's nonce, in a window around it, for the header's real target. */
static void check_header(struct sl_hash_kernel *kernel, const uint8_t header[80], uint32_t shift) {
    struct sl_hash_input input;
    struct sl_hash_found found;
    struct sl_u256 target = target_of_bits(header);
    uint32_t nonce = 0;
    uint32_t good = 0;
    memcpy(&nonce, header + 76, sizeof nonce);
    uint32_t span = GROUPS * sl_hash_nonces_per_group(kernel);
    uint32_t own = shift % kernel->shape.mids;
    rolled_input_of(kernel->shape.mids, header, own, &target, &input);
    run(kernel, &input, sl_hash_nonce_of_word(nonce) - shift % span, GROUPS, &found);
    assert_int_equal(found.groups_ran, GROUPS);
    assert_int_equal(found.lost, 0);
    for (uint32_t i = 0; i < found.count; i++) {
        uint8_t copy[80];
        uint8_t digest[32];
        uint32_t candidate = sl_hash_found_nonce(&found, i);
        uint32_t mid = sl_hash_found_mid(&found, i);
        assert_in_range(mid, 0, kernel->shape.mids - 1);
        memcpy(copy, header, sizeof copy);
        copy[2] ^= (uint8_t)((mid ^ own) << 4);
        memcpy(copy + 76, &candidate, sizeof candidate);
        sl_sha256d(copy, sizeof copy, digest);
        if (sl_hash_meets(digest, &target)) {
            assert_int_equal(candidate, nonce);
            assert_int_equal(mid, own);
            good++;
        }
    }
    assert_int_equal(good, 1);
}

/* Every step-th header of the list; returns how many. */
static uint32_t check_headers(struct sl_hash_kernel *kernel, uint32_t step) {
    char line[512];
    uint32_t count = 0;
    SL_AUTO_FILE FILE *file = fopen(SLUICE_FIXTURES "/btc_headers.csv", "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (uint32_t row = 0; fgets(line, sizeof line, file); row++) {
        uint8_t header[80];
        char *hex = strchr(line, ',');
        assert_non_null(hex);
        hex = strchr(hex + 1, ',');
        assert_non_null(hex);
        hex++;
        hex[160] = '\0';
        if (row % step != 0) {
            continue;
        }
        assert_int_equal(sl_hex_decode(hex, header, sizeof header), SL_OK);
        check_header(kernel, header, row * 1237);
        count++;
    }
    return count;
}

static void every_mainnet_nonce_is_found(void **state) {
    struct machine *m = *state;
    const struct sl_hash_shape shape = {
        .width = widest(&m->cl), .local = 64, .rounds = 1, .mids = 4};
    struct sl_hash_kernel kernel;
    open_shape(&m->cl, &shape, &kernel);
    uint32_t count = check_headers(&kernel, 1);
    print_message("%u headers\n", count);
    assert_true(count > 2400);
    sl_hash_kernel_save(&kernel);
    sl_hash_kernel_close(&kernel);
}

/* Every nonce of the span: found when and only when the host finds it. Returns how many. */
static uint32_t check_span(const struct sl_hash_found *found, uint8_t header[80], uint32_t mid,
                           uint32_t base, uint32_t span, const struct sl_u256 *target) {
    uint32_t expected = 0;
    for (uint32_t i = 0; i < span; i++) {
        uint8_t digest[32];
        uint32_t nonce = sl_hash_nonce_of_word(base + i);
        memcpy(header + 76, &nonce, sizeof nonce);
        sl_sha256d(header, 80, digest);
        uint32_t top = (uint32_t)digest[31] << 24 | (uint32_t)digest[30] << 16 |
                       (uint32_t)digest[29] << 8 | digest[28];
        bool wanted = top <= (uint32_t)(target->limb[3] >> 32);
        bool reported = false;
        for (uint32_t k = 0; wanted && k < found->count; k++) {
            reported = reported || (sl_hash_found_nonce(found, k) == nonce &&
                                    sl_hash_found_mid(found, k) == mid);
        }
        assert_int_equal(wanted, reported);
        expected += wanted;
    }
    return expected;
}

/* Difficulty below 1: the target's top word is not zero. Against the host, nonce by nonce. */
static void check_low_targets(struct sl_hash_kernel *kernel, uint32_t headers) {
    static const struct {
        uint64_t top_limb;
        const char *why;
    } rows[] = {
        {UINT64_C(0x000fffff00000000), "some 20 candidates"},
        {UINT64_C(0x0000ffff00000000), "difficulty 1/65536"},
        {UINT64_C(0x0100000000000000), "the compare must be of words, byte order turned"},
    };
    static const char hex[] =
        "0100000000000000000000000000000000000000000000000000000000000000000000"
        "003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29"
        "ab5f49ffff001d1dac2b7c";
    uint8_t header[80];
    assert_int_equal(sl_hex_decode(hex, header, sizeof header), SL_OK);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const struct sl_u256 target = {{0, 0, 0, rows[row].top_limb}};
        struct sl_hash_input input;
        struct sl_hash_found found;
        uint32_t expected = 0;
        const uint32_t base = 0xffffe000; /* the words wrap round inside */
        rolled_input_of(headers, header, 0, &target, &input);
        uint32_t groups = 16384 / sl_hash_hashes_per_group(kernel) + 1;
        run(kernel, &input, base, groups, &found);
        for (uint32_t mid = 0; mid < headers; mid++) {
            uint8_t rolled[80];
            memcpy(rolled, header, sizeof rolled);
            rolled[2] ^= (uint8_t)(mid << 4);
            expected += check_span(&found, rolled, mid, base,
                                   groups * sl_hash_nonces_per_group(kernel), &target);
        }
        assert_int_equal(found.count, expected);
        assert_int_equal(found.lost, 0);
    }
}

/* Against the host, and every step-th header of the list. */
static void check_shape(struct sl_cl *cl, const struct sl_hash_shape *shape, uint32_t step) {
    struct sl_hash_kernel kernel;
    open_shape(cl, shape, &kernel);
    check_low_targets(&kernel, shape->mids);
    assert_true(check_headers(&kernel, step) > 2400 / step);
    sl_hash_kernel_save(&kernel);
    sl_hash_kernel_close(&kernel);
}

static void every_vector_width_gives_the_same(void **state) {
    struct machine *m = *state;
    static const uint32_t widths[] = {1, 2, 4, 8, 16};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (widths[i] > 4 && widths[i] > m->cl.vector_width_int) {
            break; /* as below */
        }
        const struct sl_hash_shape shape = {
            .width = widths[i], .local = 64, .rounds = widths[i] < 4 ? 8 : 2, .mids = 1};
        check_shape(&m->cl, &shape, 24);
    }
}

/* The same nonces under several versions at once, with a vector and without: whose share it is must
 * be told apart. */
static void several_headers_at_once_give_the_same(void **state) {
    struct machine *m = *state;
    const uint32_t most = widest(&m->cl);
    const struct sl_hash_shape shapes[] = {
        {.width = 1, .local = 64, .rounds = 2, .mids = 4},
        {.width = most, .local = 16, .rounds = 2, .mids = 4},
        {.width = most, .local = 16, .rounds = 1, .mids = 16, .flow = SL_HASH_FLOW_IN_TURN},
        {.width = 1, .local = 64, .rounds = 2, .mids = 8, .flow = SL_HASH_FLOW_IN_TURN},
        {.width = 4, .local = 32, .rounds = 2, .mids = 2, .flow = SL_HASH_FLOW_IN_TURN},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check_shape(&m->cl, &shapes[i], 48);
    }
}

/* x86's instructions for SHA-256 where there are any, and spelt out everywhere. */
static void the_sha_instructions_give_the_same(void **state) {
    struct machine *m = *state;
    static const uint32_t widths[] = {4, 2, 1};
    static const uint32_t mids[] = {16, 1, 2};
    static const enum sl_hash_rotate ways[] = {SL_HASH_ROTATE_PLAIN, SL_HASH_ROTATE_SHIFTS};
    for (size_t i = 0; i < 6; i++) {
        const struct sl_hash_shape shape = {.width = widths[i / 2],
                                            .local = 32,
                                            .rounds = 2,
                                            .mids = mids[i / 2],
                                            .rotate = ways[i % 2],
                                            .flow = SL_HASH_FLOW_SHA};
        if (shape.rotate == SL_HASH_ROTATE_PLAIN && !m->cl.has_sha) {
            assert_false(sl_hash_shape_fits(&m->cl, &shape));
            continue;
        }
        check_shape(&m->cl, &shape, 48);
    }
}

/* A pool leaves so few version bits as it likes. In turns, since the device has some of those that
 * come next already, and some of others. */
static void fewer_headers_than_it_takes_give_the_same(void **state) {
    struct machine *m = *state;
    static const struct sl_hash_shape shapes[] = {
        {.width = 4, .local = 16, .rounds = 1, .mids = 16, .flow = SL_HASH_FLOW_IN_TURN},
        {.width = 4,
         .local = 16,
         .rounds = 1,
         .mids = 16,
         .rotate = SL_HASH_ROTATE_SHIFTS,
         .flow = SL_HASH_FLOW_SHA},
    };
    static const uint32_t headers[] = {16, 2, 8, 16, 4, 1, 3, 16};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct sl_hash_kernel kernel;
        open_shape(&m->cl, &shapes[i], &kernel);
        for (size_t k = 0; k < sizeof headers / sizeof headers[0]; k++) {
            check_low_targets(&kernel, headers[k]);
        }
        sl_hash_kernel_save(&kernel);
        sl_hash_kernel_close(&kernel);
    }
}

/* Midstates go to the device when they change, while earlier launches wait that need the others. */
static void queued_launches_keep_their_midstates(void **state) {
    struct machine *m = *state;
    static const char hex[] =
        "0100000000000000000000000000000000000000000000000000000000000000000000"
        "003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29"
        "ab5f49ffff001d1dac2b7c";
    static const struct sl_hash_shape shape = {
        .width = 4, .local = 32, .rounds = 1, .mids = 2, .flow = SL_HASH_FLOW_IN_TURN};
    struct sl_hash_kernel kernel;
    struct sl_hash_launch launches[SL_HASH_SLOTS];
    uint8_t header[80];
    uint32_t nonce = 0;
    assert_int_equal(sl_hex_decode(hex, header, sizeof header), SL_OK);
    memcpy(&nonce, header + 76, sizeof nonce);
    struct sl_u256 target = target_of_bits(header);
    open_shape(&m->cl, &shape, &kernel);
    for (uint32_t turn = 0; turn < 64; turn++) {
        for (uint32_t i = 0; i < SL_HASH_SLOTS; i++) {
            struct sl_hash_input input;
            rolled_input_of(2, header, (turn + i) / 2 % 2, &target, &input);
            assert_int_equal(sl_hash_kernel_enqueue(&kernel, &input,
                                                    sl_hash_nonce_of_word(nonce) - 100, GROUPS,
                                                    &launches[i], NULL),
                             SL_OK);
        }
        for (uint32_t i = 0; i < SL_HASH_SLOTS; i++) {
            struct sl_hash_found found;
            assert_int_equal(sl_hash_kernel_collect(&kernel, &launches[i], &found, NULL), SL_OK);
            assert_int_equal(found.count, 1);
            assert_int_equal(sl_hash_found_nonce(&found, 0), nonce);
            assert_int_equal(sl_hash_found_mid(&found, 0), (turn + i) / 2 % 2);
        }
    }
    sl_hash_kernel_save(&kernel);
    sl_hash_kernel_close(&kernel);
}

/* As written for bitfield insert, for LOP3's truth tables, for funnel shifts and without rotation.
 * The instructions themselves are the vendors'; their meaning is what runs here. */
static void every_way_to_write_it_gives_the_same(void **state) {
    struct machine *m = *state;
    static const struct sl_hash_shape shapes[] = {
        {.width = 1,
         .local = 64,
         .rounds = 2,
         .mids = 1,
         .logic = SL_HASH_LOGIC_SELECT,
         .rotate = SL_HASH_ROTATE_ALIGN},
        {.width = 4,
         .local = 64,
         .rounds = 2,
         .mids = 1,
         .logic = SL_HASH_LOGIC_TABLE,
         .rotate = SL_HASH_ROTATE_SHIFTS},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check_shape(&m->cl, &shapes[i], 100);
    }
}

static void shapes_that_cannot_be_are_refused(void **state) {
    struct machine *m = *state;
    static const struct sl_hash_shape good = {.width = 4, .local = 64, .rounds = 1, .mids = 2};
    static const struct sl_hash_shape bad[] = {
        {.width = 0, .local = 64, .rounds = 1, .mids = 1},
        {.width = 3, .local = 64, .rounds = 1, .mids = 1},
        {.width = 32, .local = 64, .rounds = 1, .mids = 1},
        {.width = 1, .local = 1 << 20, .rounds = 1, .mids = 1},
        {.width = 1, .local = 48, .rounds = 1, .mids = 1},
        {.width = 1, .local = 64, .rounds = 0, .mids = 1},
        {.width = 1, .local = 64, .rounds = 1, .mids = 8}, /* too many together */
        {.width = 1, .local = 64, .rounds = 1, .mids = 32, .flow = SL_HASH_FLOW_IN_TURN},
        {.width = 16, .local = 64, .rounds = 2, .mids = 4}, /* more than the ring */
        {.width = 1, .local = 64, .rounds = 1, .mids = 1, .logic = (enum sl_hash_logic)7},
        {.width = 1, .local = 64, .rounds = 1, .mids = 1, .rotate = (enum sl_hash_rotate)3},
        {.width = 1, .local = 64, .rounds = 1, .mids = 1, .flow = (enum sl_hash_flow)3},
        {.width = 8,
         .local = 64,
         .rounds = 1,
         .mids = 1,
         .rotate = SL_HASH_ROTATE_SHIFTS,
         .flow = SL_HASH_FLOW_SHA},
    };
    static const struct sl_hash_shape sha = {
        .width = 4, .local = 64, .rounds = 1, .mids = 16, .flow = SL_HASH_FLOW_SHA};
    const bool has_sha = m->cl.has_sha;
    assert_true(sl_hash_shape_fits(&m->cl, &good));
    m->cl.has_sha = false; /* such instructions would end the process */
    assert_false(sl_hash_shape_fits(&m->cl, &sha));
    m->cl.has_sha = true;
    assert_true(sl_hash_shape_fits(&m->cl, &sha));
    m->cl.has_sha = has_sha;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(sl_hash_shape_fits(&m->cl, &bad[i]));
    }
}

/* As on a GPU: groups of 256, one nonce a work-item, several rounds. */
static void the_gpu_shape_gives_the_same(void **state) {
    struct machine *m = *state;
    struct sl_hash_kernel kernel;
    open_kernel(&m->cl, 1, m->cl.work_group_max < 256 ? 64 : 256, 4, &kernel);
    check_low_targets(&kernel, kernel.shape.mids);
    assert_true(check_headers(&kernel, 100) > 20);
    sl_hash_kernel_close(&kernel);
}

static void a_sub_device_gives_the_same(void **state) {
    struct machine *m = *state;
    struct sl_error err = {0};
    struct sl_cl cl;
    struct sl_hash_kernel kernel;
    if (!m->found->devices[0].info.is_cpu || m->found->devices[0].info.compute_units < 2) {
        print_message("no CPU device with two cores to split\n");
        skip();
    }
    struct sl_discovery *parts = machine_find(2);
    assert_non_null(parts);
    assert_int_equal(sl_discovery_count(parts), 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct sl_cl_spec spec = machine_spec(parts, i);
        if (sl_cl_open(&cl, &spec, &err) != SL_OK) {
            fail_msg("%s", err.text);
        }
        open_kernel(&cl, widest(&cl), 64, 1, &kernel);
        check_low_targets(&kernel, kernel.shape.mids);
        assert_true(check_headers(&kernel, 12) > 200);
        sl_hash_kernel_save(&kernel);
        sl_hash_kernel_close(&kernel);
        sl_cl_close(&cl);
    }
    sl_discovery_destroy(parts);
}

/* Cut at a random moment: what is counted is what ran, so shares and hashes must agree. */
static void a_launch_cut_short_counts_what_ran(void **state) {
    struct machine *m = *state;
    struct sl_hash_kernel kernel;
    struct sl_hash_input input;
    uint8_t header[80] = {1};
    /* One nonce in 4096 on average, so that a count which is off by a few groups shows. */
    const struct sl_u256 target = {{0, 0, 0, UINT64_C(0x000fffff00000000)}};
    uint64_t nonces = 0;
    uint64_t candidates = 0;
    uint32_t cut = 0;
    if (m->cl.stop_method == SL_STOP_NONE) {
        print_message("running kernels of this device see no stop word\n");
        skip();
    }
    open_kernel(&m->cl, widest(&m->cl), 64, 1, &kernel);
    input_of(header, &target, &input);
    uint32_t per_group = sl_hash_nonces_per_group(&kernel);
    const uint32_t groups = (2U << 20) / per_group; /* some 512 candidates: within the ring */
    struct sl_hash_found found;
    int64_t whole_ns = 0;
    assert_int_equal(sl_hash_run(&kernel, &input, 0, groups, &found, &whole_ns, NULL), SL_OK);
    assert_int_equal(sl_hash_run(&kernel, &input, 0, groups, &found, &whole_ns, NULL), SL_OK);
    whole_ns = whole_ns > 500 * SL_NS_PER_MS ? 500 * SL_NS_PER_MS : whole_ns;
    for (int i = 0; i < 40; i++) {
        struct sl_hash_launch launches[2];
        struct sl_error err = {0};
        for (int k = 0; k < 2; k++) {
            assert_int_equal(sl_hash_kernel_enqueue(&kernel, &input,
                                                    (uint32_t)(2 * i + k) * groups * per_group,
                                                    groups, &launches[k], &err),
                             SL_OK);
        }
        clFlush(m->cl.queue);
        /* From a tenth of the first launch to a good way into the second. */
        const struct timespec nap = {0, whole_ns / 10 * (1 + i % 16)};
        nanosleep(&nap, NULL);
        sl_cl_stop_set(&m->cl, true);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(sl_hash_kernel_collect(&kernel, &launches[k], &found, &err), SL_OK);
            assert_int_equal(found.lost, 0);
            nonces += (uint64_t)found.groups_ran * per_group;
            candidates += found.count;
            cut += found.groups_ran < groups;
        }
        sl_cl_stop_set(&m->cl, false);
    }
    double expected = (double)nonces / 4096.0;
    double sigma = __builtin_sqrt(expected);
    print_message("%u launches cut, %.0f candidates expected, %llu found\n", cut, expected,
                  (unsigned long long)candidates);
    assert_true(cut >= 3); /* how many depends on what else the machine does */
    assert_true(expected > 1000.0);
    assert_true((double)candidates > expected - 5.0 * sigma);
    assert_true((double)candidates < expected + 5.0 * sigma);
    sl_hash_kernel_close(&kernel);
}

/* Exactly: with the word set from the start nothing runs, nothing is found; what comes after it is
 * cleared is complete again. */
static void a_set_word_runs_nothing(void **state) {
    struct machine *m = *state;
    struct sl_hash_kernel kernel;
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint8_t header[80] = {2};
    const struct sl_u256 target = {{0, 0, 0, UINT64_C(0x00ffffff00000000)}};
    if (m->cl.stop_method == SL_STOP_NONE) {
        print_message("running kernels of this device see no stop word\n");
        skip();
    }
    open_kernel(&m->cl, widest(&m->cl), 64, 1, &kernel);
    input_of(header, &target, &input);
    const uint32_t groups = 65536 / sl_hash_nonces_per_group(&kernel);
    sl_cl_stop_set(&m->cl, true);
    if (m->cl.stop_method == SL_STOP_QUEUE) {
        const struct timespec nap = {0, 100000000};
        nanosleep(&nap, NULL);
    }
    run(&kernel, &input, 0, groups, &found);
    assert_int_equal(found.groups_ran, 0);
    assert_int_equal(found.count, 0);
    sl_cl_stop_set(&m->cl, false);
    run(&kernel, &input, 0, groups, &found);
    assert_int_equal(found.groups_ran, groups);
    assert_in_range(found.count, 150, 370); /* 256 expected */
    sl_hash_kernel_close(&kernel);
}

/* More candidates than the ring holds: counted as lost, never silently. */
static void an_overflow_is_counted(void **state) {
    struct machine *m = *state;
    struct sl_hash_kernel kernel;
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint8_t header[80] = {3};
    const struct sl_u256 target = {{0, 0, 0, UINT64_MAX}};
    open_kernel(&m->cl, widest(&m->cl), 64, 1, &kernel);
    input_of(header, &target, &input);
    const uint32_t full = SL_HASH_RING / sl_hash_nonces_per_group(&kernel);
    run(&kernel, &input, 0, 2 * full, &found); /* every nonce is one */
    assert_int_equal(found.count + found.lost, 2 * SL_HASH_RING);
    assert_int_equal(found.count, SL_HASH_RING);
    run(&kernel, &input, 0, full, &found); /* exactly full */
    assert_int_equal(found.count, SL_HASH_RING);
    assert_int_equal(found.lost, 0);
    sl_hash_kernel_close(&kernel);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mainnet_nonce_is_found),
        cmocka_unit_test(every_vector_width_gives_the_same),
        cmocka_unit_test(several_headers_at_once_give_the_same),
        cmocka_unit_test(the_sha_instructions_give_the_same),
        cmocka_unit_test(fewer_headers_than_it_takes_give_the_same),
        cmocka_unit_test(queued_launches_keep_their_midstates),
        cmocka_unit_test(every_way_to_write_it_gives_the_same),
        cmocka_unit_test(shapes_that_cannot_be_are_refused),
        cmocka_unit_test(the_gpu_shape_gives_the_same),
        cmocka_unit_test(a_sub_device_gives_the_same),
        cmocka_unit_test(a_launch_cut_short_counts_what_ran),
        cmocka_unit_test(a_set_word_runs_nothing),
        cmocka_unit_test(an_overflow_is_counted),
    };
    return cmocka_run_group_tests(tests, open_machine, close_machine);
}
