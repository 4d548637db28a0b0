/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link_fixture.h"
#include "proto/link/allow.h"

/* In place: same inode, often the same tick of the clock. Cut at the end only: a file that was cut
 * to nothing is flushed when it is closed, which takes a busy disk longer than a stamp takes to
 * settle.
 */
static void put_text(const struct fixture *f, const char *text) {
    FILE *file = fopen(f->allowed, "r+");
    if (!file) {
        file = fopen(f->allowed, "w");
    }
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(ftruncate(fileno(file), (off_t)strlen(text)), 0);
    assert_int_equal(fclose(file), 0);
}

static void only_listed_keys_are_allowed(void **state) {
    (void)state;
    struct fixture *f = fixture_create(2);
    SL_AUTO(sl_allow) allow = NULL;
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    for (int now = 0; now < 2; now++) {
        assert_true(sl_allow_has(allow, f->keys[0].public_key, now));
        assert_true(sl_allow_has(allow, f->keys[1].public_key, now));
        assert_false(sl_allow_has(allow, f->keys[2].public_key, now));
        assert_false(sl_allow_has(allow, f->keys[0].secret_key, now));
        assert_false(sl_allow_has(allow, "", now));
        char longer[50];
        snprintf(longer, sizeof longer, "%s0", f->keys[0].public_key);
        assert_false(sl_allow_has(allow, longer, now));
        longer[39] = '\0';
        assert_false(sl_allow_has(allow, longer, now));
    }
    fixture_destroy(f);
}

static void a_check_says_what_a_start_would(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    struct sl_error err = {0};
    assert_int_equal(sl_link_allowed_check("", &err), 0);
    assert_int_equal(sl_link_allowed_check(f->allowed, &err), 0);
    put_text(f, "no key\n");
    assert_int_equal(sl_link_allowed_check(f->allowed, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, ":1: "));
    assert_int_equal(sl_link_allowed_check("/nowhere/allowed", &err), -SL_IO);
    assert_non_null(strstr(err.text, "/nowhere/allowed"));
    fixture_destroy(f);
}

static void changes_are_seen_even_within_one_tick(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    SL_AUTO(sl_allow) allow = NULL;
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    char text[64];
    struct stat st;
    assert_int_equal(stat(f->allowed, &st), 0);
    const struct timespec tick[2] = {st.st_mtim, st.st_mtim};
    for (int i = 0; i < 200; i++) { /* same size, same inode, same time */
        int k = i % 3;
        snprintf(text, sizeof text, "%s\n", f->keys[k].public_key);
        put_text(f, text);
        assert_int_equal(utimensat(AT_FDCWD, f->allowed, tick, 0), 0);
        for (int other = 0; other < 3; other++) {
            assert_int_equal(sl_allow_has(allow, f->keys[other].public_key, true), other == k);
        }
    }
    fixture_destroy(f);
}

static void a_missing_file_lets_nobody_in(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    SL_AUTO(sl_allow) allow = NULL;
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    assert_true(sl_allow_has(allow, f->keys[0].public_key, true));
    assert_int_equal(unlink(f->allowed), 0);
    assert_false(sl_allow_has(allow, f->keys[0].public_key, true));
    assert_int_equal(mkdir(f->allowed, 0700), 0);
    assert_false(sl_allow_has(allow, f->keys[0].public_key, true));
    assert_int_equal(rmdir(f->allowed), 0);
    fixture_allow(f, 0, 1);
    assert_true(sl_allow_has(allow, f->keys[0].public_key, true));
    fixture_destroy(f);
}

static void a_later_typing_error_hits_its_own_line_only(void **state) {
    (void)state;
    struct fixture *f = fixture_create(2);
    SL_AUTO(sl_allow) allow = NULL;
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    char text[256];
    snprintf(text, sizeof text, "%.30s\n%s\n", f->keys[0].public_key, f->keys[2].public_key);
    put_text(f, text);
    assert_false(sl_allow_has(allow, f->keys[0].public_key, true));
    assert_false(sl_allow_has(allow, f->keys[1].public_key, true)); /* it was taken out */
    assert_true(sl_allow_has(allow, f->keys[2].public_key, true));
    fixture_destroy(f);
}

static void malformed_lines_are_named_at_the_start(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    const char *good = f->keys[0].public_key;
    char with_comment[200];
    char two[200];
    snprintf(with_comment, sizeof with_comment,
             "\n# agents\n   \n\t%s\t# rack 7\r\n########################################\n"
             "#---------------------------------------\n%s",
             good, good);
    snprintf(two, sizeof two, "# one\n%s %s\n", good, f->keys[1].public_key);
    const struct {
        const char *text;
        int status;
        const char *part;
        const char *why;
    } cases[] = {
        {"", SL_OK, "", "nobody yet"},
        {with_comment, SL_OK, "", "comments, blanks, rulers, CRLF, no last newline"},
        {two, SL_INVALID, ":2: one key a line", "two keys"},
        {"# a\n\nnot-a-key\n", SL_INVALID, ":3: ", "too short"},
        {"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n", SL_DENIED, ":1: ", "published"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_text(f, cases[i].text);
        SL_AUTO(sl_allow) allow = NULL;
        struct sl_error err = {0};
        int rc = sl_allow_create(f->allowed, &allow, &err);
        if (rc != -cases[i].status || !strstr(err.text, cases[i].part)) {
            fail_msg("%s: %d '%s'", cases[i].why, rc, err.text);
        }
    }
    put_text(f, with_comment);
    SL_AUTO(sl_allow) allow = NULL;
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    assert_true(sl_allow_has(allow, good, false));
    FILE *file = fopen(f->allowed, "w");
    fwrite("\0\0\n", 1, 3, file);
    fclose(file);
    struct sl_allow *none = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_allow_create(f->allowed, &none, &err), -SL_INVALID);
    assert_int_equal(sl_allow_create(f->dir, &none, &err), -SL_INVALID);
    fixture_destroy(f);
}

static void many_keys(void **state) {
    (void)state;
    struct fixture *f = fixture_create(1);
    FILE *file = fopen(f->allowed, "a");
    for (int i = 1; i < 20000; i++) { /* any 40 digits are Z85 */
        fprintf(file, "%05d%035d\n", i, i);
    }
    fclose(file);
    SL_AUTO(sl_allow) allow = NULL;
    assert_int_equal(sl_allow_create(f->allowed, &allow, NULL), 0);
    char key[48];
    for (int i = 1; i < 20001; i += 500) {
        snprintf(key, sizeof key, "%05d%035d", i, i);
        assert_int_equal(sl_allow_has(allow, key, false), i < 20000);
    }
    snprintf(key, sizeof key, "%05d%035d", 20000, 20000);
    assert_false(sl_allow_has(allow, key, false));
    assert_true(sl_allow_has(allow, f->keys[0].public_key, false));
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_listed_keys_are_allowed),
        cmocka_unit_test(a_check_says_what_a_start_would),
        cmocka_unit_test(changes_are_seen_even_within_one_tick),
        cmocka_unit_test(a_missing_file_lets_nobody_in),
        cmocka_unit_test(a_later_typing_error_hits_its_own_line_only),
        cmocka_unit_test(malformed_lines_are_named_at_the_start),
        cmocka_unit_test(many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
