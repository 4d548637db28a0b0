/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "agent/stratum/work.h"
#include "proto/base/text.h"
#include "tests/pool/chain.h"

/* The recorded share of test_work.c, here through the pool's own way. */
static void a_recorded_share_is_rebuilt(void **state) {
    (void)state;
    struct sl_tp_job job = {
        .prevhash = "deadbeef00000000000000000000000000000000000000000000000000000000",
        .coinb1 =
            "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff"
            "2d02e80300049795026b0405e676240c",
        .coinb2 = "0a636b706f6f6c2d6c6872062f746573742fffffffff02205fa012000000001976a91477bff20c60"
                  "e522dfaa3350c39b030a5d004e839a88ac0000000000000000266a24aa21a9ede2f61c3f71d1defd"
                  "3fa999dfa36953755c690689799962b48bebd836974e8cf900000000",
        .version = "20000000",
        .nbits = "207fffff",
        .ntime = "6b029597"};
    struct sl_tp_submit submit = {.extranonce1 = "9895026b",
                                  .extranonce2 = "0000000000000000",
                                  .ntime = "6b029597",
                                  .nonce = "db661900"};
    char header[161];
    sl_tp_header_hex(&job, &submit, header);
    assert_string_equal(
        header, "00000020efbeadde0000000000000000000000000000000000000000000000000000000002cd76db5c"
                "d7f12b31bfdc12a9a65eef42751625dbfec7c0995238fb76696fd19795026bffff7f20001966db");
    strcpy(job.branches[0], "9c12cfdc04c74584d787ac3d23772132c18524bc7ab28dec4219b8fc5b425f70");
    strcpy(job.branches[1], "5469b9f8688bf3332b52548d8c9b1e3f055d44919e817b139c0c1223e821c8e1");
    strcpy(job.branches[2], "1d4a332a2169f979bff323bb634d4cc71cadb94a41f0554b1c9db3ab8d02d47f");
    job.branch_count = 3;
    submit.rolled = true;
    submit.version_mask = 0x1fffe000;
    submit.version_bits = 0x00c02000;
    sl_tp_header_hex(&job, &submit, header);
    assert_string_equal(
        header, "0020c020efbeadde00000000000000000000000000000000000000000000000000000000ddf7aa74d1"
                "5488e3fd38184a3b6539edb3f2632b9c9892d6be2f96745da6267a9795026bffff7f20001966db");
}

/* The pool multiplies decimals, the client divides binary fractions: around the limit of several
 * difficulties both must say the same. */
static void both_sides_draw_the_line_at_the_same_hash(void **state) {
    (void)state;
    static const struct {
        int64_t units;
        double value;
    } cases[] = {{SL_TP_DIFFICULTY_ONE, 1.0},
                 {SL_TP_DIFFICULTY_ONE / 2, 0.5},
                 {SL_TP_DIFFICULTY_ONE * 8192, 8192.0},
                 {SL_TP_DIFFICULTY_ONE / 4096, 1.0 / 4096},
                 {SL_TP_DIFFICULTY_ONE * 3, 3.0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_difficulty d;
        struct sl_u256 target;
        uint8_t hash[32];
        assert_int_equal(sl_difficulty_from_double(cases[i].value, &d, NULL), SL_OK);
        sl_difficulty_target(d, &target);
        for (int b = 0; b < 32; b++) {
            hash[b] = (uint8_t)(target.limb[b / 8] >> 8 * (b % 8));
        }
        assert_true(sl_hash_meets(hash, &target));
        assert_true(sl_tp_hash_meets(hash, cases[i].units));
        for (int b = 0; b < 32 && ++hash[b] == 0; b++) {}
        assert_false(sl_hash_meets(hash, &target));
        assert_false(sl_tp_hash_meets(hash, cases[i].units));
    }
    uint8_t most[32];
    memset(most, 0xff, sizeof most);
    assert_false(sl_tp_hash_meets(most, SL_TP_DIFFICULTY_ONE / 1000000000));
    assert_false(sl_tp_hash_meets(most, SL_TP_DIFFICULTY_ONE * 1000000));
}

static void jobs_are_made_by_the_seed_and_retired_by_a_clean_one(void **state) {
    (void)state;
    struct sl_tp_options options = {.extranonce2_size = 4, .branches = -1, .seed = 5};
    struct sl_tp_chain *a, *b;
    struct sl_wall now = {1700000000000};
    assert_int_equal(sl_tp_chain_create(&options, 1, &a, NULL), SL_OK);
    assert_int_equal(sl_tp_chain_create(&options, 2, &b, NULL), SL_OK);
    bool counts[SL_TP_BRANCHES_MAX + 1] = {false};
    char id[48] = "";
    char prevhash[65] = "";
    for (int i = 0; i < 300; i++) {
        const struct sl_tp_job *x = sl_tp_chain_advance(a, i % 4 == 0, now);
        const struct sl_tp_job *y = sl_tp_chain_advance(b, i % 4 == 0, now);
        assert_string_equal(x->prevhash, y->prevhash);
        assert_string_equal(x->coinb1, y->coinb1);
        assert_int_equal(x->branch_count, y->branch_count);
        assert_memory_equal(x->branches, y->branches, sizeof x->branches);
        assert_string_not_equal(x->id, y->id); /* another run of the pool */
        assert_int_equal(x->clean, i % 4 == 0);
        assert_int_equal(x->clean, strcmp(x->prevhash, prevhash) != 0);
        assert_string_equal(x->prevhash + 56, "00000000");
        if (id[0]) {
            assert_int_equal(sl_tp_chain_find(a, id)->retired, x->clean);
        }
        counts[x->branch_count] = true;
        strcpy(id, x->id);
        strcpy(prevhash, x->prevhash);
    }
    for (int i = 0; i <= SL_TP_BRANCHES_MAX; i++) {
        assert_true(counts[i]);
    }
    assert_null(sl_tp_chain_find(a, "1-1"));
    assert_null(sl_tp_chain_find(a, ""));
    assert_ptr_equal(sl_tp_chain_find(a, id), sl_tp_chain_newest(a));
    sl_tp_chain_destroy(a);
    sl_tp_chain_destroy(b);
}

static void the_coinbase_parses(void **state) {
    (void)state;
    struct sl_tp_options options = {.extranonce2_size = 6, .branches = 0, .seed = 5};
    struct sl_tp_chain *chain;
    uint8_t raw[512];
    assert_int_equal(sl_tp_chain_create(&options, 1, &chain, NULL), SL_OK);
    const struct sl_tp_job *job = sl_tp_chain_advance(chain, true, (struct sl_wall){1700000000000});
    size_t n1 = strlen(job->coinb1) / 2, n2 = strlen(job->coinb2) / 2;
    assert_int_equal(sl_hex_decode(job->coinb1, raw, n1), SL_OK);
    assert_int_equal(sl_hex_decode(job->coinb2, raw + n1 + 10, n2), SL_OK);
    size_t total = n1 + 10 + n2;
    size_t script = raw[41];
    assert_true(script >= 2 && script <= 100);
    assert_memory_equal(raw + 42, "\x03\xa1\xbb\x0d", 4); /* 900001 */
    assert_int_equal(raw[51], 10);                        /* a push of both extranonces */
    assert_int_equal(n1, 52);
    const uint8_t *rest = raw + 42 + script;
    assert_memory_equal(rest, "\xff\xff\xff\xff\x02", 5);
    assert_int_equal(rest[13], 25);
    assert_int_equal(rest[14 + 25 + 8], 38);
    assert_int_equal((size_t)(rest - raw) + 5 + 8 + 1 + 25 + 8 + 1 + 38 + 4, total);
    sl_tp_chain_destroy(chain);
}

static void a_share_counts_once_until_the_next_block(void **state) {
    (void)state;
    struct sl_tp_options options = {.extranonce2_size = 4, .branches = 2, .seed = 5};
    struct sl_tp_chain *chain;
    struct sl_wall now = {1700000000000};
    char nonce[9];
    int good = 0;
    assert_int_equal(sl_tp_chain_create(&options, 1, &chain, NULL), SL_OK);
    const struct sl_tp_job *job = sl_tp_chain_advance(chain, true, now);
    struct sl_tp_submit submit = {
        .extranonce1 = "00000001", .extranonce2 = "00000000", .ntime = job->ntime, .nonce = nonce};
    int64_t easy = SL_TP_DIFFICULTY_ONE / 1000000000; /* one hash in 4.3 */
    for (uint32_t n = 0; n < 20000; n++) {            /* enough to grow the table several times */
        uint8_t bytes[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
        sl_hex_encode(bytes, 4, nonce);
        enum sl_tp_verdict first = sl_tp_chain_check(chain, job, &submit, easy);
        assert_true(first == SL_TP_GOOD || first == SL_TP_LOW);
        assert_int_equal(sl_tp_chain_check(chain, job, &submit, easy),
                         first == SL_TP_GOOD ? SL_TP_DUPLICATE : SL_TP_LOW);
        good += first == SL_TP_GOOD;
    }
    assert_true(good > 4400 && good < 4900); /* 20000 / 4.295 = 4657 */
    sl_tp_chain_destroy(chain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_share_is_rebuilt),
        cmocka_unit_test(both_sides_draw_the_line_at_the_same_hash),
        cmocka_unit_test(jobs_are_made_by_the_seed_and_retired_by_a_clean_one),
        cmocka_unit_test(the_coinbase_parses),
        cmocka_unit_test(a_share_counts_once_until_the_next_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
