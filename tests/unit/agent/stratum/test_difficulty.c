/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/stratum/work.h"

static void target_text(struct sl_difficulty d, char text[65]) {
    struct sl_u256 target;
    sl_difficulty_target(d, &target);
    for (int i = 0; i < 4; i++) {
        snprintf(text + 16 * i, 17, "%016" PRIx64, target.limb[3 - i]);
    }
}

/* Expected values: exact rational arithmetic on the binary64 value, outside this program. */
static void target_and_work_are_exact(void **state) {
    (void)state;
    static const struct {
        double difficulty;
        const char *target;
        uint64_t hashes;
    } cases[] = {
        {1.0, "00000000ffff0000000000000000000000000000000000000000000000000000", 4295032833},
        {0.001, "000003e7fc17fffffffa2405dc00000008c9f735fffffff2d10d2f00000013c6", 4295032},
        {0.0001, "0000270fd8efffffff791d46e3400001d1c6e73746fff9b79d29951ed415b1f5", 429503},
        {1e-07, "009895e769800001f18acc53422006565b55c07bddecaa1651dd63e5e3739c47", 429},
        {0.0002, "00001387ec77ffffffbc8ea371a00000e8e3739ba37ffcdbce94ca8f6a0ad8fa", 859006},
        {1e-05, "0001869e795ffffff7017bde8d2000350440d92a225ec77dedbfeaa3675216b5", 42950},
        {8192, "000000000007fff8000000000000000000000000000000000000000000000000", 35184908967936},
        {1977.94, "0000000000212209701790f094e0af7b7d7fa660a561a43c0bf8c1e47b3696f0",
         8495317241704},
        {65535.0 / 281474976710656.0, /* 2^256 is one more than a target can be */
         "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 1},
        {3e-10, "c6addaa6b400005f34993c4d55d6d849d2c48f1da2815ec823e3db21ba0c422f", 1},
        {0.3, "0000000355520000000008e385555555556d09638e38e38e7819097b425ed140", 1288509849},
        {1.5, "00000000aaaa0000000000000000000000000000000000000000000000000000", 6442549249},
        {7.885780934960986, "000000002076870fe65a2b307a7ee41ec6d1913e22b4494f158b9988bbf4c39f",
         33869688029},
        {1e9, "00000000000000044b7eae86bb9b77145e86c9077061bcde6d333434e5e5cd79",
         4295032833000015259},
        {2147450000.5, "000000000000000200000dbe0e1c7aff70b091d7df11f957b5d7f7826e7017a4",
         9223368259373399184},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_difficulty d;
        char text[65];
        assert_int_equal(sl_difficulty_from_double(cases[i].difficulty, &d, NULL), SL_OK);
        target_text(d, text);
        assert_string_equal(text, cases[i].target);
        assert_true(sl_difficulty_hashes(d) == cases[i].hashes);
        assert_true(sl_difficulty_to_double(d) == cases[i].difficulty);
    }
}

static void whole_numbers_are_exact(void **state) {
    (void)state;
    static const struct {
        int64_t difficulty;
        const char *target;
        uint64_t hashes;
    } cases[] = {
        {1, "00000000ffff0000000000000000000000000000000000000000000000000000", 4295032833},
        {3, "0000000055550000000000000000000000000000000000000000000000000000", 12885098499},
        {65535, "0000000000010000000000000000000000000000000000000000000000000000",
         281474976710656},
        {1000000007, "00000000000000044b7eae059b8bea0f607b57de1018b37e3bb013a786140b21",
         4295032863065245090},
        {2147450000, "000000000000000200000dc00e1e967fa8ca5672c5851a930da9c0a7afb4308c",
         9223368257225882767},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_difficulty d;
        char text[65];
        assert_int_equal(sl_difficulty_from_int(cases[i].difficulty, &d, NULL), SL_OK);
        target_text(d, text);
        assert_string_equal(text, cases[i].target);
        assert_true(sl_difficulty_hashes(d) == cases[i].hashes);
    }
}

/* out = a * m, 6 limbs. */
static void multiply(const uint64_t a[6], uint64_t m, uint64_t out[6]) {
    unsigned __int128 carry = 0;
    for (int i = 0; i < 6; i++) {
        carry += (unsigned __int128)a[i] * m;
        out[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static int compare(const uint64_t a[6], const uint64_t b[6]) {
    for (int i = 5; i >= 0; i--) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

/* target * d <= T1 < (target + 1) * d for many d of every size. */
static void the_target_is_the_floor(void **state) {
    (void)state;
    uint64_t seed = 12345;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        double value =
            ldexp(1.0 + (double)(seed >> 11) / 9007199254740992.0, (int)(seed % 62) - 31);
        struct sl_difficulty d;
        struct sl_u256 target;
        if (sl_difficulty_from_double(value, &d, NULL) < 0) {
            assert_true(value > 2147450000.0);
            continue;
        }
        sl_difficulty_target(d, &target);
        uint64_t t1[6] = {0};
        for (int bit = 0; bit < 16; bit++) {
            int place = 208 + bit + (d.exponent < 0 ? -d.exponent : 0);
            t1[place / 64] |= UINT64_C(1) << place % 64;
        }
        uint64_t divisor = d.mantissa << (d.exponent > 0 ? d.exponent : 0);
        uint64_t low[6] = {0};
        uint64_t product[6];
        memcpy(low, target.limb, sizeof target.limb);
        multiply(low, divisor, product);
        assert_true(compare(product, t1) <= 0);
        for (int limb = 0; limb < 6 && ++low[limb] == 0; limb++) {}
        multiply(low, divisor, product);
        assert_true(compare(product, t1) > 0);
    }
}

static void what_is_no_difficulty_is_refused(void **state) {
    (void)state;
    static const struct {
        double difficulty;
        int rc;
    } cases[] = {
        {0.0, -SL_INVALID},        {-0.0, -SL_INVALID},     {-1.0, -SL_INVALID},
        {NAN, -SL_INVALID},        {INFINITY, -SL_INVALID}, {-INFINITY, -SL_INVALID},
        {DBL_MAX, -SL_LIMIT},      {1e30, -SL_LIMIT},       {2147483648.0, -SL_LIMIT},
        {2147483000.0, -SL_LIMIT}, /* 9.2235e18 hashes: just above an int64 */
        {2.3e-10, -SL_LIMIT},      {DBL_MIN, -SL_LIMIT},    {4.9e-324, -SL_LIMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_difficulty d = {7, 7};
        struct sl_error err;
        assert_int_equal(sl_difficulty_from_double(cases[i].difficulty, &d, &err), cases[i].rc);
        assert_true(d.mantissa == 7 && d.exponent == 7);
    }
    struct sl_difficulty d;
    assert_int_equal(sl_difficulty_from_int(0, &d, NULL), -SL_INVALID);
    assert_int_equal(sl_difficulty_from_int(-5, &d, NULL), -SL_INVALID);
    assert_int_equal(sl_difficulty_from_int(INT64_MIN, &d, NULL), -SL_INVALID);
    assert_int_equal(sl_difficulty_from_int(INT64_MAX, &d, NULL), -SL_LIMIT);
    assert_int_equal(sl_difficulty_from_int(2147483647, &d, NULL), -SL_LIMIT);
}

static void a_hash_equal_to_the_target_is_a_share(void **state) {
    (void)state;
    struct sl_difficulty one = {1, 0};
    struct sl_u256 target;
    uint8_t hash[32] = {0};
    sl_difficulty_target(one, &target);
    hash[26] = 0xff;
    hash[27] = 0xff; /* 0xffff * 2^208, little-endian */
    assert_true(sl_hash_meets(hash, &target));
    assert_true(sl_hash_difficulty(hash) == 1.0);
    hash[0] = 1;
    assert_false(sl_hash_meets(hash, &target));
    hash[0] = 0;
    hash[26] = 0xfe;
    hash[25] = 0xff;
    assert_true(sl_hash_meets(hash, &target));
    memset(hash, 0xff, sizeof hash);
    assert_false(sl_hash_meets(hash, &target));
    memset(hash, 0, sizeof hash);
    assert_true(sl_hash_meets(hash, &target));
    assert_true(isinf(sl_hash_difficulty(hash)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_and_work_are_exact),
        cmocka_unit_test(whole_numbers_are_exact),
        cmocka_unit_test(the_target_is_the_floor),
        cmocka_unit_test(what_is_no_difficulty_is_refused),
        cmocka_unit_test(a_hash_equal_to_the_target_is_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
