/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/link/link.h"

#define PUBLIC_C "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET_C "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define PUBLIC_S "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define SECRET_S "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

struct place {
    char dir[64];
    char path[96];
};

static int make_place(void **state) {
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/sluice-keys-XXXXXX");
    if (!mkdtemp(p->dir)) {
        return -1;
    }
    snprintf(p->path, sizeof p->path, "%s/key", p->dir);
    *state = p;
    return 0;
}

static int drop_place(void **state) {
    struct place *p = *state;
    unlink(p->path);
    int rc = rmdir(p->dir);
    free(p);
    return rc;
}

static void put_file(const struct place *p, const char *text, mode_t mode) {
    unlink(p->path);
    FILE *file = fopen(p->path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(p->path, mode), 0);
}

static void keys_are_written_and_read_back(void **state) {
    struct place *p = *state;
    struct sl_link_keys keys;
    struct sl_link_keys back;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(sl_link_keys_generate(&keys, NULL), 0);
        assert_int_equal(sl_link_key_check(keys.public_key, NULL), 0);
    }
    mode_t mask = umask(0); /* the mode does not depend on it */
    assert_int_equal(sl_link_keys_write(p->path, &keys, NULL), 0);
    umask(mask);
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct sl_error err = {0};
    if (sl_link_keys_read(p->path, &back, &err)) {
        fail_msg("%s", err.text);
    }
    assert_memory_equal(&back, &keys, sizeof keys);
}

static void an_existing_file_is_never_overwritten(void **state) {
    struct place *p = *state;
    struct sl_link_keys keys;
    struct sl_error err = {0};
    put_file(p, "precious", 0600);
    assert_int_equal(sl_link_keys_generate(&keys, NULL), 0);
    assert_int_equal(sl_link_keys_write(p->path, &keys, &err), -SL_EXISTS);
    assert_non_null(strstr(err.text, p->path));
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, 8);
    assert_int_equal(sl_link_keys_write("/nonexistent/key", &keys, &err), -SL_IO);
    assert_non_null(strstr(err.text, "/nonexistent/key"));
}

static void bad_files_are_refused(void **state) {
    struct place *p = *state;
    struct sl_link_keys good;
    struct sl_link_keys other;
    assert_int_equal(sl_link_keys_generate(&good, NULL), 0);
    assert_int_equal(sl_link_keys_generate(&other, NULL), 0);
    char pair[200];
    char mixed[200];
    char cut[200];
    char twice[300];
    char dos[200];
    snprintf(pair, sizeof pair, "public %s\nsecret %s\n", good.public_key, good.secret_key);
    snprintf(mixed, sizeof mixed, "public %s\nsecret %s\n", good.public_key, other.secret_key);
    snprintf(cut, sizeof cut, "# c\npublic %s\nsecret %.30s\n", good.public_key, good.secret_key);
    snprintf(twice, sizeof twice, "%spublic %s\n", pair, good.public_key);
    snprintf(dos, sizeof dos, "public %s\r\nsecret %s\r\n", good.public_key, good.secret_key);
    char lone[100];
    snprintf(lone, sizeof lone, "secret %s\n", good.secret_key);
    const struct {
        const char *text;
        mode_t mode;
        int status;
        const char *part;
        const char *why;
    } cases[] = {
        {pair, 0640, SL_DENIED, "chmod 600", "the group may read it"},
        {pair, 0604, SL_DENIED, "chmod 600", "others may read it"},
        {pair, 0620, SL_DENIED, "chmod 600", "the group may write it"},
        {mixed, 0600, SL_INVALID, "no pair", "keys of two pairs"},
        {cut, 0600, SL_INVALID, ":3: ", "a key cut short, by line"},
        {twice, 0600, SL_INVALID, ":3: a second public key", "which one would hold?"},
        {dos, 0600, SL_INVALID, ":1: ", "a carriage return is part of no key"},
        {lone, 0600, SL_INVALID, "lacks its `public KEY`", "half a pair"},
        {"", 0600, SL_INVALID, "lacks its", "empty"},
        {"privat x\n", 0600, SL_INVALID, ":1: ", "an unknown word"},
        {"public " PUBLIC_C "\nsecret " SECRET_C "\n", 0600, SL_DENIED, ":1: ", "example client"},
        {"public " PUBLIC_S "\nsecret " SECRET_S "\n", 0600, SL_DENIED, ":1: ", "example server"},
        {"secret " SECRET_S "\n", 0600, SL_DENIED, ":1: ", "example secret alone"},
    };
    struct sl_link_keys keys = {"untouched", ""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_file(p, cases[i].text, cases[i].mode);
        struct sl_error err = {0};
        int rc = sl_link_keys_read(p->path, &keys, &err);
        if (rc != -cases[i].status || !strstr(err.text, cases[i].part)) {
            fail_msg("%s: %d '%s'", cases[i].why, rc, err.text);
        }
        assert_null(strstr(err.text, good.secret_key)); /* secrets do not get into logs */
        assert_string_equal(keys.public_key, "untouched");
    }
    put_file(p, pair, 0400); /* read-only is fine */
    assert_int_equal(sl_link_keys_read(p->path, &keys, NULL), 0);
    assert_string_equal(keys.secret_key, good.secret_key);
}

static void files_that_are_none(void **state) {
    struct place *p = *state;
    struct sl_link_keys keys;
    struct sl_error err = {0};
    assert_int_equal(sl_link_keys_read("/nonexistent/key", &keys, &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, "keygen"));
    assert_int_equal(sl_link_keys_read(p->dir, &keys, &err), -SL_INVALID);
    char big[5000];
    memset(big, '#', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    put_file(p, big, 0600);
    assert_int_equal(sl_link_keys_read(p->path, &keys, &err), -SL_INVALID);
    FILE *file = fopen(p->path, "w");
    fwrite("public \0x\n", 1, 10, file);
    fclose(file);
    assert_int_equal(sl_link_keys_read(p->path, &keys, &err), -SL_INVALID);
    /* A FIFO must not hold up the start. */
    unlink(p->path);
    assert_int_equal(mkfifo(p->path, 0600), 0);
    assert_int_equal(sl_link_keys_read(p->path, &keys, &err), -SL_INVALID);
}

static void the_form_of_a_key(void **state) {
    (void)state;
    static const struct {
        const char *key;
        int status;
    } cases[] = {
        {PUBLIC_C, SL_DENIED},
        {SECRET_C, SL_DENIED},
        {PUBLIC_S, SL_DENIED},
        {SECRET_S, SL_DENIED},
        {"0000000000000000000000000000000000000000", SL_DENIED}, /* 32 zero bytes */
        {"", SL_INVALID},
        {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI", SL_INVALID},   /* 39 */
        {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIDD", SL_INVALID}, /* 41 */
        {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI ", SL_INVALID},  /* a blank */
        {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h\xC3\xA9", SL_INVALID},
        {"########################################", SL_INVALID}, /* a group over 2^32 */
        {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIE", SL_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = sl_link_key_check(cases[i].key, NULL);
        if (rc != -cases[i].status) {
            fail_msg("'%s': %d", cases[i].key, rc);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_written_and_read_back, make_place, drop_place),
        cmocka_unit_test_setup_teardown(an_existing_file_is_never_overwritten, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(bad_files_are_refused, make_place, drop_place),
        cmocka_unit_test_setup_teardown(files_that_are_none, make_place, drop_place),
        cmocka_unit_test(the_form_of_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
