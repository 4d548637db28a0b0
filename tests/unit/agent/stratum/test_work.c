/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stratum/message.h"
#include "agent/stratum/sha256.h"
#include "agent/stratum/work.h"

/* A job and share recorded from a pool, and one with four more transactions (ids sha256d(01) to
 * sha256d(04)) and rolled version bits. */
#define COINB1                                                                                     \
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2d02e80300" \
    "049795026b0405e676240c"
#define COINB2                                                                                     \
    "0a636b706f6f6c2d6c6872062f746573742fffffffff02205fa012000000001976a91477bff20c60e522dfaa3350" \
    "c39b030a5d004e839a88ac0000000000000000266a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689" \
    "799962b48bebd836974e8cf900000000"
#define PREVHASH "deadbeef00000000000000000000000000000000000000000000000000000000"
#define BRANCH                                                                                     \
    "\"9c12cfdc04c74584d787ac3d23772132c18524bc7ab28dec4219b8fc5b425f70\","                        \
    "\"5469b9f8688bf3332b52548d8c9b1e3f055d44919e817b139c0c1223e821c8e1\","                        \
    "\"1d4a332a2169f979bff323bb634d4cc71cadb94a41f0554b1c9db3ab8d02d47f\""
#define NOTIFY(branch)                                                                             \
    "[\"6b02959700000000\",\"" PREVHASH "\",\"" COINB1 "\",\"" COINB2 "\",[" branch                \
    "],\"20000000\",\"207fffff\",\"6b029597\",true]"

static struct sl_job *job_from(const json_t *params, const char *extranonce1, uint8_t size2,
                               uint32_t mask) {
    struct sl_notify_store store = {0};
    struct sl_job draft = {.serial = 1, .session = 1};
    struct sl_job *job = NULL;
    draft.terms.extranonce1_size = (uint8_t)(strlen(extranonce1) / 2);
    sl_hex_decode(extranonce1, draft.terms.extranonce1, draft.terms.extranonce1_size);
    draft.terms.extranonce2_size = size2;
    draft.terms.version_mask = mask;
    draft.terms.version_rolling = mask != 0;
    assert_int_equal(sl_difficulty_from_double(0.001, &draft.terms.difficulty, NULL), SL_OK);
    assert_int_equal(sl_message_read_notify(params, &store, &draft, NULL), SL_OK);
    assert_int_equal(sl_job_create(&draft, &job, NULL), SL_OK);
    sl_notify_store_fini(&store);
    return job;
}

static struct sl_job *job_from_text(const char *text, uint32_t mask) {
    json_t *params = json_loads(text, 0, NULL);
    struct sl_job *job = job_from(params, "9895026b", 8, mask);
    json_decref(params);
    return job;
}

/* Builds the header of one share and gives its hash as it is displayed. */
static void share_of(const struct sl_job *job, const char *extranonce2, uint32_t ntime,
                     uint32_t nonce, uint32_t bits, char root[65], char header[161], char hash[65],
                     double *ret_difficulty) {
    uint8_t e2[SL_EXTRANONCE2_MAX];
    uint8_t bytes[32];
    uint8_t raw[80];
    uint8_t shown[32];
    assert_int_equal(sl_hex_decode(extranonce2, e2, job->terms.extranonce2_size), SL_OK);
    sl_job_merkle_root(job, e2, bytes);
    sl_hex_encode(bytes, 32, root);
    sl_header_write(sl_job_version(job, bits), job, bytes, ntime, nonce, raw);
    sl_hex_encode(raw, 80, header);
    sl_sha256d(raw, 80, bytes);
    *ret_difficulty = sl_hash_difficulty(bytes);
    for (int i = 0; i < 32; i++) {
        shown[i] = bytes[31 - i];
    }
    sl_hex_encode(shown, 32, hash);
}

static void a_recorded_share_is_rebuilt(void **state) {
    (void)state;
    struct sl_job *job = job_from_text(NOTIFY(""), 0);
    char root[65], header[161], hash[65];
    double difficulty;
    share_of(job, "0000000000000000", 0x6b029597, 0xdb661900, 0, root, header, hash, &difficulty);
    assert_string_equal(
        header, "00000020efbeadde0000000000000000000000000000000000000000000000000000000002cd76db5c"
                "d7f12b31bfdc12a9a65eef42751625dbfec7c0995238fb76696fd19795026bffff7f20001966db");
    assert_string_equal(hash, "0000003079b51e8ed94c771b290be22a299ee58b1161c8abf7b458ed0471203d");
    assert_true(fabs(difficulty - 0.0206286968) < 1e-10);

    struct sl_work work;
    struct sl_work_cursor cursor;
    uint8_t bytes[32];
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    assert_int_equal(sl_work_next(&cursor, job, &work, NULL), SL_OK);
    sl_work_hash(&work, 0xdb661900, bytes);
    assert_true(sl_hash_meets(bytes, &work.target));
    assert_int_equal(work.hashes_per_share, 4295032);
    sl_work_hash(&work, 0xdb661901, bytes);
    assert_false(sl_hash_meets(bytes, &work.target));
    sl_job_unref(job);
}

static void branches_and_rolled_versions_are_applied(void **state) {
    (void)state;
    struct sl_job *job = job_from_text(NOTIFY(BRANCH), 0x1fffe000);
    char root[65], header[161], hash[65];
    double difficulty;
    share_of(job, "0000000000000000", 0x6b029597, 0xdb661900, 0x00c02000, root, header, hash,
             &difficulty);
    assert_string_equal(root, "ddf7aa74d15488e3fd38184a3b6539edb3f2632b9c9892d6be2f96745da6267a");
    assert_string_equal(
        header, "0020c020efbeadde00000000000000000000000000000000000000000000000000000000ddf7aa74d1"
                "5488e3fd38184a3b6539edb3f2632b9c9892d6be2f96745da6267a9795026bffff7f20001966db");
    assert_string_equal(hash, "b3aea9d7e3188ad5da497eec6c29ce94ab8e3681078409245cd8a0ed6ad1803b");
    assert_true(difficulty < 1e-9);
    assert_int_equal(sl_job_version(job, 0xffffffff), 0x3fffe000);
    sl_job_unref(job);
}

static const json_t *find_notify(const json_t *messages) {
    size_t i;
    json_t *entry;
    json_array_foreach(messages, i, entry) {
        const json_t *message = json_object_get(entry, "msg");
        const char *method = json_string_value(json_object_get(message, "method"));
        if (method && strcmp(method, "mining.notify") == 0) {
            return json_object_get(message, "params");
        }
    }
    return NULL;
}

static uint32_t hex32(const json_t *value) {
    return value ? (uint32_t)strtoul(json_string_value(value), NULL, 16) : 0;
}

static void recorded_sessions_are_rebuilt(void **state) {
    (void)state;
    json_t *all = json_load_file(SLUICE_FIXTURES "/stratum/stratum_v1_sessions.json", 0, NULL);
    assert_int_equal(json_array_size(all), 5);
    size_t i, k, shares = 0;
    json_t *session, *share;
    json_array_foreach(all, i, session) {
        struct sl_job *job =
            job_from(find_notify(json_object_get(session, "messages")),
                     json_string_value(json_object_get(session, "extranonce1")),
                     (uint8_t)json_integer_value(json_object_get(session, "extranonce2_size")),
                     hex32(json_object_get(session, "version_rolling_mask")));
        json_array_foreach(json_object_get(session, "shares"), k, share) {
            char root[65], header[161], hash[65];
            double difficulty;
            share_of(job, json_string_value(json_object_get(share, "extranonce2")),
                     hex32(json_object_get(share, "ntime")), hex32(json_object_get(share, "nonce")),
                     hex32(json_object_get(share, "version_bits")), root, header, hash,
                     &difficulty);
            assert_string_equal(header, json_string_value(json_object_get(share, "header_hex")));
            assert_string_equal(hash, json_string_value(json_object_get(share, "block_hash")));
            double expected = json_number_value(json_object_get(share, "share_difficulty"));
            assert_true(fabs(difficulty / expected - 1) < 1e-12);
            shares++;
        }
        sl_job_unref(job);
    }
    assert_int_equal(shares, 6);
    json_decref(all);
}

/* The coinbase of a real block, cut in two around eight bytes that play the extranonces. */
static void merkle_roots_of_real_blocks(void **state) {
    (void)state;
    json_t *all = json_load_file(SLUICE_FIXTURES "/stratum/btc_coinbase_merkle.json", 0, NULL);
    assert_int_equal(json_array_size(all), 20);
    size_t i, k;
    json_t *block, *node;
    json_array_foreach(all, i, block) {
        const char *hex = json_string_value(json_object_get(block, "coinbase_tx_nowitness_hex"));
        size_t size = strlen(hex) / 2;
        uint8_t *raw = malloc(size);
        uint8_t branches[SL_JOB_BRANCHES_MAX][32];
        struct sl_job draft = {.serial = 1, .id = "x", .branches = (const uint8_t(*)[32])branches};
        struct sl_job *job;
        assert_int_equal(sl_hex_decode(hex, raw, size), SL_OK);
        json_array_foreach(json_object_get(block, "merkle_branch"), k, node) {
            assert_int_equal(sl_hex_decode(json_string_value(node), branches[k], 32), SL_OK);
            draft.branch_count++;
        }
        draft.terms.difficulty = (struct sl_difficulty){1, 0};
        draft.terms.extranonce1_size = 4;
        draft.terms.extranonce2_size = 4;
        memcpy(draft.terms.extranonce1, raw + 42, 4);
        draft.coinb1 = raw;
        draft.coinb1_size = 42;
        draft.coinb2 = raw + 50;
        draft.coinb2_size = (uint32_t)size - 50;
        assert_int_equal(sl_job_create(&draft, &job, NULL), SL_OK);
        uint8_t root[32], header[80];
        sl_job_merkle_root(job, raw + 46, root);
        assert_int_equal(
            sl_hex_decode(json_string_value(json_object_get(block, "header_hex")), header, 80),
            SL_OK);
        assert_memory_equal(root, header + 36, 32);
        sl_job_unref(job);
        free(raw);
    }
    json_decref(all);
}

static void every_hundredth_real_header_meets_its_own_target(void **state) {
    (void)state;
    FILE *file = fopen(SLUICE_FIXTURES "/btc_headers.csv", "r");
    char line[512];
    int row = 0, checked = 0;
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        if (row++ % 100 != 0) {
            continue;
        }
        char shown[65], hex[161];
        uint8_t header[80], hash[32], expected[32];
        assert_int_equal(sscanf(line, "%*d,%64[0-9a-f],%160[0-9a-f]", shown, hex), 2);
        assert_int_equal(sl_hex_decode(hex, header, 80), SL_OK);
        assert_int_equal(sl_hex_decode(shown, expected, 32), SL_OK);
        sl_sha256d(header, 80, hash);
        for (int i = 0; i < 32; i++) {
            assert_int_equal(hash[i], expected[31 - i]);
        }
        uint32_t nbits = (uint32_t)header[72] | (uint32_t)header[73] << 8 |
                         (uint32_t)header[74] << 16 | (uint32_t)header[75] << 24;
        struct sl_u256 target = {{0}};
        for (unsigned i = 0; i < 3; i++) {
            unsigned place = 8 * ((nbits >> 24) - 3 + i);
            target.limb[place / 64] |= (uint64_t)(nbits >> 8 * i & 0xff) << place % 64;
        }
        assert_true(sl_hash_meets(hash, &target));
        assert_true(sl_hash_difficulty(hash) >= 1.0);
        checked++;
    }
    fclose(file);
    assert_int_equal(row, 2467);
    assert_int_equal(checked, 25);
}

static struct sl_job *small_job(uint64_t serial, uint8_t size2, uint32_t mask) {
    static const uint8_t bytes[64] = {1};
    struct sl_job draft = {.serial = serial, .id = "j", .coinb1 = bytes, .coinb1_size = 64};
    struct sl_job *job;
    draft.terms.difficulty = (struct sl_difficulty){1, 0};
    draft.terms.extranonce2_size = size2;
    draft.terms.version_rolling = mask != 0;
    draft.terms.version_mask = mask;
    assert_int_equal(sl_job_create(&draft, &job, NULL), SL_OK);
    return job;
}

/* A job that differs from others of this `kind` in its serial, id, difficulty and time only. */
static struct sl_job *job_of_kind(uint64_t serial, uint8_t kind, uint8_t size2, uint32_t ntime) {
    uint8_t bytes[64] = {kind};
    struct sl_job draft = {.serial = serial, .coinb1 = bytes, .coinb1_size = 64, .ntime = ntime};
    struct sl_job *job;
    snprintf(draft.id, sizeof draft.id, "%llu", (unsigned long long)serial);
    draft.terms.difficulty = (struct sl_difficulty){1 + 2 * (serial % 100), 0};
    draft.terms.extranonce2_size = size2;
    assert_int_equal(sl_job_create(&draft, &job, NULL), SL_OK);
    return job;
}

/* Every (extranonce2, version bits) exactly once over all devices, and the whole space used. */
static void small_spaces_are_split_without_overlap(void **state) {
    (void)state;
    static const struct {
        uint8_t size;
        uint32_t mask, slots;
        const char *why;
    } cases[] = {
        {1, 0, 1, "one device has all 256"},
        {1, 0, 3, "256 is not a multiple of 3"},
        {1, 0x2000, 256, "each device has one extranonce2"},
        {1, 0, 300, "44 devices get none, and are told so"},
        {1, 0x80002001, 7, "mask bits that are far apart"},
        {2, 0, 5, "two bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_job *job = small_job(1, cases[i].size, cases[i].mask);
        size_t rolls = (size_t)1 << __builtin_popcount(cases[i].mask);
        size_t values = (size_t)1 << 8 * cases[i].size;
        uint8_t *seen = calloc(values, rolls);
        size_t count = 0;
        for (uint32_t device = 0; device < cases[i].slots; device++) {
            struct sl_work_cursor cursor;
            struct sl_work work;
            struct sl_error err;
            int rc;
            assert_int_equal(sl_work_cursor_init(&cursor, device, cases[i].slots, NULL), SL_OK);
            while ((rc = sl_work_next(&cursor, job, &work, &err)) == SL_OK &&
                   work.ntime == job->ntime) {
                assert_int_equal(sl_work_same_root(&cursor), cursor.roll != 0);
                size_t value = 0, roll = 0, place = 0;
                for (int b = 0; b < cases[i].size; b++) {
                    value = value << 8 | work.extranonce2[b];
                }
                assert_int_equal(work.version_bits & ~cases[i].mask, 0);
                for (int b = 0; b < 32; b++) {
                    if (cases[i].mask >> b & 1) {
                        roll |= (size_t)(work.version_bits >> b & 1) << place++;
                    }
                }
                assert_int_equal(seen[value * rolls + roll]++, 0);
                count++;
            }
            /* What follows is the same a second later, where there was anything. */
            assert_int_equal(rc, cursor.room ? SL_OK : -SL_LIMIT);
            assert_int_equal(cursor.ntime - job->ntime, cursor.room ? 1 : 0);
        }
        assert_int_equal(count, values * rolls);
        free(seen);
        sl_job_unref(job);
    }
    struct sl_work_cursor cursor;
    assert_int_equal(sl_work_cursor_init(&cursor, 3, 3, NULL), -SL_INVALID);
}

/* One device, one byte of extranonce2, two versions: 512 headers a second of ntime, none twice, up
 * to the limit. */
static void ntime_goes_on_where_all_else_is_used_up(void **state) {
    (void)state;
    struct sl_job *job = small_job(1, 1, 0x2000);
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_error err;
    const size_t seconds = 5; /* the first two, and the last three of those that there are */
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    for (size_t i = 0; i < 512 * seconds; i++) {
        if (i == 1024) {
            cursor.ntime = job->ntime + SL_WORK_NTIME_AHEAD_MAX - 3;
        }
        size_t ahead = i < 1024 ? i / 512 : SL_WORK_NTIME_AHEAD_MAX + 1 - seconds + i / 512;
        assert_int_equal(sl_work_next(&cursor, job, &work, &err), SL_OK);
        assert_int_equal(work.ntime, job->ntime + ahead);
        assert_int_equal(work.version_bits, i % 2 ? 0x2000 : 0);
        assert_int_equal(work.extranonce2[0], i / 2 % 256);
        uint32_t ntime = work.header[68] | (uint32_t)work.header[69] << 8 |
                         (uint32_t)work.header[70] << 16 | (uint32_t)work.header[71] << 24;
        assert_int_equal(ntime, work.ntime);
        assert_int_equal(sl_work_same_root(&cursor), i % 2 == 0);
    }
    assert_int_equal(sl_work_next(&cursor, job, &work, &err), -SL_LIMIT);
    sl_job_unref(job);
    /* Sent again, it is as used up. The next one begins at its own time. */
    job = small_job(2, 1, 0x2000);
    assert_int_equal(sl_work_next(&cursor, job, &work, &err), -SL_LIMIT);
    sl_job_unref(job);
    job = job_of_kind(3, 'n', 1, 7);
    assert_int_equal(sl_work_next(&cursor, job, &work, &err), SL_OK);
    assert_int_equal(work.ntime, job->ntime);
    sl_job_unref(job);
}

/* The pool sends the same job again after a resumed session: its beginning is not hashed twice. */
static void the_counter_runs_on_from_job_to_job(void **state) {
    (void)state;
    struct sl_job *first = small_job(1, 4, 0);
    struct sl_job *again = small_job(2, 4, 0);
    struct sl_work_cursor cursor;
    struct sl_work a, b;
    assert_int_equal(sl_work_cursor_init(&cursor, 1, 4, NULL), SL_OK);
    assert_int_equal(sl_work_next(&cursor, first, &a, NULL), SL_OK);
    assert_int_equal(sl_work_next(&cursor, again, &b, NULL), SL_OK);
    assert_int_equal(a.job_serial, 1);
    assert_int_equal(b.job_serial, 2);
    assert_true(memcmp(a.header, b.header, 80) != 0);
    assert_memory_equal(a.extranonce2, "\0\0\0\1", 4);
    assert_memory_equal(b.extranonce2, "\0\0\0\5", 4);
    sl_job_unref(first);
    sl_job_unref(again);
}

/* A device that is lent to another pool and comes back within one job, and a pool that sends its
 * job again and again: with an extranonce2 of one byte the values are soon used up, and the counter
 * of another job says nothing. `visits` names the kinds and how many headers each visit takes. */
static void a_job_that_comes_back_goes_on_where_it_was(void **state) {
    (void)state;
    static const struct {
        uint32_t ntime, headers;
        uint8_t kind, size2;
    } visits[] = {
        {1000, 100, 'a', 1}, {1000, 700, 'b', 4}, {1000, 100, 'a', 1}, {1000, 300, 'c', 2},
        {1000, 300, 'a', 1}, {1000, 1, 'b', 4},   {1001, 10, 'a', 1},  {1000, 500, 'a', 1},
        {1030, 90, 'a', 1},  {1000, 90, 'a', 1},  {1030, 90, 'c', 2},  {1020, 400, 'a', 1},
    };
    static uint8_t seen[4000][80];
    struct sl_work_cursor cursor;
    struct sl_work work;
    size_t count = 0;
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    for (size_t i = 0; i < sizeof visits / sizeof visits[0]; i++) {
        struct sl_job *job = job_of_kind(i + 1, visits[i].kind, visits[i].size2, visits[i].ntime);
        for (uint32_t n = 0; n < visits[i].headers; n++) {
            assert_int_equal(sl_work_next(&cursor, job, &work, NULL), SL_OK);
            assert_int_equal(work.job_serial, i + 1);
            assert_in_range(work.ntime, job->ntime, job->ntime + SL_WORK_NTIME_AHEAD_MAX);
            for (size_t k = 0; k < count; k++) {
                if (memcmp(seen[k], work.header, 80) == 0) {
                    fail_msg("visit %zu searches header %zu again", i, k);
                }
            }
            memcpy(seen[count++], work.header, 80);
        }
        sl_job_unref(job);
    }
    /* 1,190 headers of 'a' at 256 a second: no more time was taken than they need. */
    assert_in_range(work.ntime, 1030, 1034);
}

/* However many jobs another pool has in the meantime. */
static void another_pool_makes_nothing_forgotten(void **state) {
    (void)state;
    struct sl_work_cursor cursor;
    struct sl_work work;
    struct sl_job *job = job_of_kind(1, 'a', 1, 1000);
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    for (uint32_t visit = 0; visit < 10; visit++) {
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(sl_work_next(&cursor, job, &work, NULL), SL_OK);
            assert_int_equal(work.ntime, 1000 + (visit * 100 + i) / 256);
            assert_int_equal(work.extranonce2[0], (visit * 100 + i) % 256);
        }
        for (uint8_t i = 0; i < 100; i++) {
            uint64_t serial = UINT64_C(7) << SL_JOB_SOURCE_SHIFT | (visit * 100 + i + 1);
            struct sl_job *other = job_of_kind(serial, i, 4, 1000);
            assert_int_equal(sl_work_next(&cursor, other, &work, NULL), SL_OK);
            assert_int_equal(work.ntime, 1000);
            sl_job_unref(other);
        }
    }
    sl_job_unref(job);
}

/* A pool's older ones are not remembered: then it begins at another counter. */
static void a_job_that_is_forgotten_begins_elsewhere(void **state) {
    (void)state;
    struct sl_work_cursor cursor;
    struct sl_work first, again;
    assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
    for (uint8_t kind = 0; kind <= SL_WORK_PLACES; kind++) {
        struct sl_job *job = job_of_kind(kind + 1, kind, 4, 1000);
        assert_int_equal(sl_work_next(&cursor, job, kind == 0 ? &first : &again, NULL), SL_OK);
        sl_job_unref(job);
    }
    struct sl_job *job = job_of_kind(99, 0, 4, 1000);
    assert_int_equal(sl_work_next(&cursor, job, &again, NULL), SL_OK);
    assert_true(memcmp(first.header, again.header, 80) != 0);
    sl_job_unref(job);
}

static void wide_extranonces_have_room_for_all(void **state) {
    (void)state;
    for (uint8_t size = 8; size <= SL_EXTRANONCE2_MAX; size += 8) {
        struct sl_job *job = small_job(1, size, 0x1fffe000);
        struct sl_work_cursor cursor;
        struct sl_work a, b;
        assert_int_equal(sl_work_cursor_init(&cursor, 0, 1, NULL), SL_OK);
        cursor.counter = UINT64_MAX - 1;
        assert_int_equal(sl_work_next(&cursor, job, &a, NULL), SL_OK);
        assert_int_equal(sl_work_next(&cursor, job, &b, NULL), SL_OK);
        assert_memory_equal(a.extranonce2, b.extranonce2, size);
        assert_int_equal(a.version_bits, 0);
        assert_int_equal(b.version_bits, 0x2000);
        assert_memory_equal(a.extranonce2 + size - 8, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
        uint32_t midstate[8];
        sl_sha256_initial(midstate);
        sl_sha256_compress(midstate, b.header);
        assert_memory_equal(midstate, b.midstate, sizeof midstate);
        sl_job_unref(job);
    }
}

static void drafts_beyond_the_limits_are_refused(void **state) {
    (void)state;
    static const uint8_t bytes[64] = {1};
    const struct sl_job good = {.serial = 1,
                                .id = "j",
                                .coinb1 = bytes,
                                .coinb1_size = 64,
                                .terms = {.difficulty = {1, 0}, .extranonce2_size = 4}};
    struct sl_job *job = NULL;
    struct sl_job draft = good;
    draft.serial = 0;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_INVALID);
    draft = good;
    draft.id[0] = '\0';
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_INVALID);
    draft = good;
    memset(draft.id, 'a', sizeof draft.id);
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_INVALID);
    draft = good;
    draft.terms.difficulty.mantissa = 0;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_INVALID);
    draft = good;
    draft.terms.extranonce2_size = 0;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_LIMIT);
    draft.terms.extranonce2_size = SL_EXTRANONCE2_MAX + 1;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_LIMIT);
    draft = good;
    draft.branch_count = SL_JOB_BRANCHES_MAX + 1;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_LIMIT);
    draft = good;
    draft.coinb1_size = 10;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_LIMIT);
    draft.coinb1_size = UINT32_MAX;
    assert_int_equal(sl_job_create(&draft, &job, NULL), -SL_LIMIT);
    assert_null(job);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_share_is_rebuilt),
        cmocka_unit_test(branches_and_rolled_versions_are_applied),
        cmocka_unit_test(recorded_sessions_are_rebuilt),
        cmocka_unit_test(merkle_roots_of_real_blocks),
        cmocka_unit_test(every_hundredth_real_header_meets_its_own_target),
        cmocka_unit_test(small_spaces_are_split_without_overlap),
        cmocka_unit_test(ntime_goes_on_where_all_else_is_used_up),
        cmocka_unit_test(the_counter_runs_on_from_job_to_job),
        cmocka_unit_test(a_job_that_comes_back_goes_on_where_it_was),
        cmocka_unit_test(another_pool_makes_nothing_forgotten),
        cmocka_unit_test(a_job_that_is_forgotten_begins_elsewhere),
        cmocka_unit_test(wide_extranonces_have_room_for_all),
        cmocka_unit_test(drafts_beyond_the_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
