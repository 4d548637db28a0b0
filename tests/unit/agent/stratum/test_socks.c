/* SPDX-License-Identifier: Apache-2.0
 * The SOCKS5 client, against bytes as RFC 1928 and RFC 1929 write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/stratum/socks.h"

static void expect(const struct sl_socks *socks, const char *bytes, size_t size) {
    assert_int_equal(socks->output_size, size);
    assert_memory_equal(socks->output, bytes, size);
}
#define EXPECT(socks, literal) expect(socks, literal, sizeof(literal) - 1)

/* Feeds a literal, all of which must be used. */
static int feed(struct sl_socks *socks, const char *bytes, size_t size, struct sl_error *err) {
    size_t used = 0;
    int rc = sl_socks_input(socks, bytes, size, &used, err);
    assert_int_equal(used, size);
    return rc;
}
#define FEED(socks, literal, err) feed(socks, literal, sizeof(literal) - 1, err)

static void a_name_goes_to_the_proxy_as_it_is(void **state) {
    (void)state;
    struct sl_socks socks;
    struct sl_error err = {0};
    assert_int_equal(sl_socks_start(&socks, "pool.test", 3333, "", "", &err), SL_OK);
    EXPECT(&socks, "\x05\x01\x00");
    assert_int_equal(FEED(&socks, "\x05\x00", &err), -SL_AGAIN);
    EXPECT(&socks, "\x05\x01\x00\x03\x09pool.test\x0d\x05");
    /* What comes behind the last byte is the pool's. */
    size_t used = 0;
    static const char reply[] = "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34{\"id\"";
    assert_int_equal(sl_socks_input(&socks, reply, sizeof reply - 1, &used, &err), SL_OK);
    assert_int_equal(used, 10);
    assert_int_equal(socks.output_size, 0);
}

static void byte_by_byte_it_is_the_same(void **state) {
    (void)state;
    struct sl_socks socks;
    struct sl_error err = {0};
    assert_int_equal(sl_socks_start(&socks, "2001:db8::1", 443, "user", "secret", &err), SL_OK);
    EXPECT(&socks, "\x05\x02\x00\x02");
    assert_int_equal(FEED(&socks, "\x05", &err), -SL_AGAIN);
    assert_int_equal(socks.output_size, 0);
    assert_int_equal(FEED(&socks, "\x02", &err), -SL_AGAIN);
    EXPECT(&socks, "\x01\x04user\x06secret");
    assert_int_equal(FEED(&socks, "\x01", &err), -SL_AGAIN);
    assert_int_equal(FEED(&socks, "\x00", &err), -SL_AGAIN);
    EXPECT(&socks,
           "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
           "\x01\xbb");
    static const char reply[] = "\x05\x00\x00\x03\x03xyz\x00\x01";
    for (size_t i = 0; i + 1 < sizeof reply - 1; i++) {
        assert_int_equal(feed(&socks, reply + i, 1, &err), -SL_AGAIN);
    }
    assert_int_equal(feed(&socks, reply + sizeof reply - 2, 1, &err), SL_OK);
}

static void each_refusal_says_what_to_do(void **state) {
    (void)state;
    static const struct {
        const char *user, *method, *then;
        size_t then_size;
        const char *wanted;
    } cases[] = {
        {"", "\x05\xff", "", 0, "proxy_user"},
        {"", "\x05\x02", "", 0, "proxy_user"},
        {"u", "\x05\xff", "", 0, "neither"},
        {"u", "\x05\x02", "\x01\x01", 2, "proxy_password_file"},
        {"", "HT", "", 0, "no SOCKS5"},
        {"u", "\x05\x02", "\x05\x07", 2, "proxy_password_file"},
        {"u", "\x05\x02", "\x04\x00", 2, "no SOCKS5"},
        {"", "\x05\x00", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", 10,
         "pool.test:3333: the pool"},
        {"", "\x05\x00", "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", 10, "rules"},
        {"", "\x05\x00", "\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", 10, "unknown"},
        {"", "\x05\x00", "\x05\xee\x00\x01\x00\x00\x00\x00\x00\x00", 10, "why"},
        /* Cut short, or with no kind of address. */
        {"", "\x05\x00", "\x05\x05", 2, "pool.test:3333: the pool refuses the connection"},
        {"", "\x05\x00", "\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00", 10, "failed"},
        {"", "\x05\x00", "\x05\x00\x00\x09\x00\x00\x00\x00\x00\x00", 10, "no SOCKS5"},
        {"", "\x05\x00", "\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10, "no SOCKS5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_socks socks;
        struct sl_error err = {0};
        size_t used = 0;
        assert_int_equal(sl_socks_start(&socks, "pool.test", 3333, cases[i].user, "p", &err),
                         SL_OK);
        int rc = sl_socks_input(&socks, cases[i].method, 2, &used, &err);
        if (rc == -SL_AGAIN) {
            rc = sl_socks_input(&socks, cases[i].then, cases[i].then_size, &used, &err);
        }
        if (rc == SL_OK || rc == -SL_AGAIN || !strstr(err.text, cases[i].wanted)) {
            fail_msg("case %zu: %d %s", i, rc, err.text);
        }
    }
}

static void an_answer_to_the_password_may_have_either_version(void **state) {
    (void)state;
    struct sl_socks socks;
    struct sl_error err = {0};
    assert_int_equal(sl_socks_start(&socks, "h", 1, "u", "p", &err), SL_OK);
    assert_int_equal(FEED(&socks, "\x05\x02", &err), -SL_AGAIN);
    assert_int_equal(FEED(&socks, "\x05\x00", &err), -SL_AGAIN);
    EXPECT(&socks, "\x05\x01\x00\x03\x01h\x00\x01");
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct sl_socks socks;
    struct sl_error err = {0};
    char lang[300];
    memset(lang, 'a', sizeof lang);
    lang[256] = '\0';
    assert_int_equal(sl_socks_start(&socks, "", 1, NULL, NULL, &err), -SL_INVALID);
    assert_int_equal(sl_socks_start(&socks, lang, 1, NULL, NULL, &err), -SL_INVALID);
    assert_int_equal(sl_socks_start(&socks, "h", 1, lang, "p", &err), -SL_INVALID);
    assert_int_equal(sl_socks_start(&socks, "h", 1, "u", lang, &err), -SL_INVALID);
    assert_int_equal(sl_socks_start(&socks, "h", 1, "u", "", &err), -SL_INVALID);
    lang[255] = '\0';
    assert_int_equal(sl_socks_start(&socks, lang, 1, lang, lang, &err), SL_OK);
    assert_int_equal(FEED(&socks, "\x05\x02", &err), -SL_AGAIN);
    assert_int_equal(socks.output_size, 513); /* the longest that there is */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_goes_to_the_proxy_as_it_is),
        cmocka_unit_test(byte_by_byte_it_is_the_same),
        cmocka_unit_test(each_refusal_says_what_to_do),
        cmocka_unit_test(an_answer_to_the_password_may_have_either_version),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
