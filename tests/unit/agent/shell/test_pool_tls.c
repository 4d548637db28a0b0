/* SPDX-License-Identifier: Apache-2.0
 * TLS without a socket, against the test pool's side of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/shell/pool_tls.h"
#include "tests/pool/tls.h"

struct pair {
    struct sl_tp_identity *identity;
    struct sl_pool_trust *trust;
    struct sl_pool_tls *client;
    struct sl_tp_tls *server;
    char heard[256]; /* by the server */
    size_t heard_size;
    size_t piece; /* bytes at once */
};

static const struct sl_pool_pins no_pins;

static struct sl_pool_trust *trust_ca(const char *pem, struct sl_error *err) {
    char path[] = "/tmp/sluice-tls-XXXXXX";
    struct sl_pool_trust *trust = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem));
    close(fd);
    (void)sl_pool_trust_create(&no_pins, path, &trust, err);
    unlink(path);
    return trust;
}

static void set_up(struct pair *pair, enum sl_tp_tls_kind kind, const char *name,
                   const struct sl_pool_pins *pins) {
    struct sl_error err = {0};
    *pair = (struct pair){.piece = 1000000};
    assert_int_equal(sl_tp_identity_create(kind, "pool.test", &pair->identity, &err), SL_OK);
    if (pins) {
        assert_int_equal(sl_pool_trust_create(pins, "", &pair->trust, &err), SL_OK);
    } else {
        pair->trust = trust_ca(sl_tp_identity_ca(pair->identity), &err);
    }
    assert_non_null(pair->trust);
    assert_int_equal(sl_pool_tls_create(pair->trust, name, &pair->client, &err), SL_OK);
    assert_int_equal(sl_tp_tls_create(pair->identity, &pair->server, &err), SL_OK);
}

static void tear_down(struct pair *pair) {
    sl_pool_tls_destroy(pair->client);
    sl_tp_tls_destroy(pair->server);
    sl_pool_trust_destroy(pair->trust);
    sl_tp_identity_destroy(pair->identity);
}

static bool hear(void *context, const char *data, size_t size) {
    struct pair *pair = context;
    assert_true(pair->heard_size + size < sizeof pair->heard);
    memcpy(pair->heard + pair->heard_size, data, size);
    pair->heard_size += size;
    return true;
}

/* Bytes in both directions until nobody has any. */
static void carry(struct pair *pair) {
    struct sl_buf *out = sl_pool_tls_output(pair->client);
    struct sl_buf *in = sl_tp_tls_output(pair->server);
    while (out->len > 0) {
        size_t n = out->len < pair->piece ? out->len : pair->piece;
        (void)sl_tp_tls_input(pair->server, out->data, n, hear, pair);
        sl_buf_consume(out, n);
    }
    while (in->len > 0) {
        size_t n = in->len < pair->piece ? in->len : pair->piece;
        sl_pool_tls_feed(pair->client, in->data, n);
        sl_buf_consume(in, n);
    }
}

static int shake(struct pair *pair, struct sl_error *err) {
    for (int i = 0; i < 10; i++) {
        int rc = sl_pool_tls_shake(pair->client, err);
        carry(pair);
        if (rc != -SL_AGAIN) {
            return rc;
        }
    }
    return -SL_AGAIN;
}

static void there_and_back(struct pair *pair) {
    struct sl_error err = {0};
    char data[64];
    size_t size = 0;
    if (shake(pair, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(sl_pool_tls_write(pair->client, "hello", 5, &err), SL_OK);
    carry(pair);
    assert_int_equal(pair->heard_size, 5);
    assert_memory_equal(pair->heard, "hello", 5);
    assert_true(sl_tp_tls_write(pair->server, "world", 5));
    carry(pair);
    assert_int_equal(sl_pool_tls_read(pair->client, data, sizeof data, &size, &err), SL_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(data, "world", 5);
    assert_int_equal(sl_pool_tls_read(pair->client, data, sizeof data, &size, &err), SL_OK);
    assert_int_equal(size, 0);
}

static void a_good_certificate_is_taken(void **state) {
    (void)state;
    struct pair pair;
    set_up(&pair, SL_TP_TLS_VALID, "pool.test", NULL);
    there_and_back(&pair);
    tear_down(&pair);
}

static void bytes_may_come_one_by_one(void **state) {
    (void)state;
    struct pair pair;
    set_up(&pair, SL_TP_TLS_VALID, "pool.test", NULL);
    pair.piece = 1;
    there_and_back(&pair);
    tear_down(&pair);
}

/* With TLS 1.3 a server sends tickets of its own accord; they and its first answer are one read. */
static void an_answer_behind_tickets_is_not_left_lying(void **state) {
    (void)state;
    struct pair pair;
    struct sl_error err = {0};
    char data[64];
    size_t size = 0;
    set_up(&pair, SL_TP_TLS_VALID, "pool.test", NULL);
    while (sl_pool_tls_shake(pair.client, &err) == -SL_AGAIN) {
        carry(&pair);
    }
    struct sl_buf *out = sl_pool_tls_output(pair.client);
    assert_true(sl_tp_tls_input(pair.server, out->data, out->len, hear, &pair));
    sl_buf_consume(out, out->len);
    assert_true(sl_tp_tls_is_open(pair.server));
    assert_true(sl_tp_tls_write(pair.server, "world", 5));
    carry(&pair);
    assert_int_equal(sl_pool_tls_read(pair.client, data, sizeof data, &size, &err), SL_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(data, "world", 5);
    tear_down(&pair);
}

/* Not that of the pool's own certificate, which is good for days. */
static void who_has_expired_gives_the_date(void **state) {
    (void)state;
    struct pair pair;
    struct sl_error err = {0};
    char today[16];
    time_t now = time(NULL); /* tidy: allow clock (a certificate's dates are those of the world) */
    assert_true(strftime(today, sizeof today, "%Y-%m-%d", gmtime(&now)) > 0);
    set_up(&pair, SL_TP_TLS_EXPIRED_MIDDLE, "pool.test", NULL);
    assert_int_equal(shake(&pair, &err), -SL_DENIED);
    const char *at = strstr(err.text, "has expired (");
    assert_non_null(at);
    assert_true(strncmp(at + strlen("has expired ("), today, 10) < 0);
    tear_down(&pair);
}

static void each_bad_certificate_says_why_and_gets_nothing(void **state) {
    (void)state;
    static const struct {
        enum sl_tp_tls_kind kind;
        const char *name, *wanted;
    } cases[] = {
        {SL_TP_TLS_EXPIRED, "pool.test", "has expired (2"},
        {SL_TP_TLS_FUTURE, "pool.test", "not valid before 2"},
        {SL_TP_TLS_OTHER_NAME, "pool.test", "another name than pool.test"},
        {SL_TP_TLS_OTHER_USE, "pool.test", "not one for servers"},
        {SL_TP_TLS_EXPIRED_MIDDLE, "pool.test", "or its issuer's, has expired (2"},
        {SL_TP_TLS_WEAK_KEY, "pool.test", "too weak (RSA under 2048 bits"},
        {SL_TP_TLS_WEAK_SIGNATURE, "pool.test", "too weak (RSA under 2048 bits, or SHA-1)"},
        {SL_TP_TLS_VALID, "other.test", "another name than other.test"},
        {SL_TP_TLS_VALID, "127.0.0.1", "another name than 127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        struct sl_error err = {0};
        set_up(&pair, cases[i].kind, cases[i].name, NULL);
        assert_int_equal(shake(&pair, &err), -SL_DENIED);
        if (!strstr(err.text, cases[i].wanted) || strlen(err.text) > 150) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_false(sl_tp_tls_is_open(pair.server)); /* nobody could have sent it anything */
        tear_down(&pair);
    }
}

static void an_unknown_authority_is_refused(void **state) {
    (void)state;
    struct pair pair;
    struct sl_tp_identity *other = NULL;
    struct sl_error err = {0};
    set_up(&pair, SL_TP_TLS_VALID, "pool.test", NULL);
    assert_int_equal(sl_tp_identity_create(SL_TP_TLS_VALID, "pool.test", &other, &err), SL_OK);
    struct sl_pool_trust *trust = trust_ca(sl_tp_identity_ca(other), &err);
    sl_pool_tls_destroy(pair.client);
    assert_int_equal(sl_pool_tls_create(trust, "pool.test", &pair.client, &err), SL_OK);
    assert_int_equal(shake(&pair, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "no known authority"));
    uint8_t shown[32], key[32];
    assert_true(sl_pool_tls_peer_key(pair.client, shown)); /* for pool-pin */
    sl_tp_identity_key(pair.identity, key);
    assert_memory_equal(shown, key, 32);
    tear_down(&pair);
    sl_pool_trust_destroy(trust);
    sl_tp_identity_destroy(other);
}

static void a_pin_stands_for(enum sl_tp_tls_kind kind) {
    struct pair pair;
    struct sl_error err = {0};
    struct sl_pool_pins pins = {.count = 2}; /* the second is that of before */
    memset(pins.keys[0], 7, sizeof pins.keys[0]);
    memset(pins.keys[1], 8, sizeof pins.keys[1]);
    set_up(&pair, kind, "pool.test", &pins);
    assert_int_equal(shake(&pair, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "none of tls_pins"));
    assert_non_null(strstr(err.text, "sha256//"));
    assert_true(strlen(err.text) <= 150);
    assert_false(sl_tp_tls_is_open(pair.server));
    /* Now with the key that it has. */
    sl_tp_identity_key(pair.identity, pins.keys[1]);
    sl_pool_trust_destroy(pair.trust);
    assert_int_equal(sl_pool_trust_create(&pins, "", &pair.trust, &err), SL_OK);
    sl_pool_tls_destroy(pair.client);
    assert_int_equal(sl_pool_tls_create(pair.trust, "whatever.test", &pair.client, &err), SL_OK);
    sl_tp_tls_destroy(pair.server);
    assert_int_equal(sl_tp_tls_create(pair.identity, &pair.server, &err), SL_OK);
    there_and_back(&pair);
    tear_down(&pair);
}

static void a_pin_stands_for_authority_name_date_and_strength(void **state) {
    (void)state;
    a_pin_stands_for(SL_TP_TLS_EXPIRED);
    a_pin_stands_for(SL_TP_TLS_WEAK_KEY);
    a_pin_stands_for(SL_TP_TLS_WEAK_SIGNATURE);
}

static void what_is_no_tls_is_said(void **state) {
    (void)state;
    static const char *const answers[] = {
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[]}\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\x15\x03\x01\x00\x02\x02\x46", /* TLS 1.0's protocol_version alert */
    };
    static const char *const wanted[] = {"speak TLS", "speak TLS", "refuses TLS"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct pair pair;
        struct sl_error err = {0};
        set_up(&pair, SL_TP_TLS_VALID, "pool.test", NULL);
        assert_int_equal(sl_pool_tls_shake(pair.client, &err), -SL_AGAIN);
        sl_pool_tls_feed(pair.client, answers[i], i == 2 ? 7 : strlen(answers[i]));
        int rc = sl_pool_tls_shake(pair.client, &err);
        if (rc != -SL_IO || !strstr(err.text, wanted[i])) {
            fail_msg("case %zu: %d %s", i, rc, err.text);
        }
        tear_down(&pair);
    }
}

/* With TLS 1.3 the client has shaken hands when a server says what it missed. */
static void an_alert_after_the_handshake_is_named(void **state) {
    (void)state;
    struct pair pair;
    struct sl_error err = {0};
    char data[64];
    size_t size = 0;
    set_up(&pair, SL_TP_TLS_VALID, "pool.test", NULL);
    there_and_back(&pair);
    sl_tp_tls_want_certificate(pair.server);
    carry(&pair);
    assert_int_equal(sl_pool_tls_read(pair.client, data, sizeof data, &size, &err), -SL_IO);
    assert_non_null(strstr(err.text, "refuses TLS (Certificate is required)"));
    tear_down(&pair);
}

static void an_authority_file_must_hold_one(void **state) {
    (void)state;
    struct sl_pool_trust *trust = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_pool_trust_create(&no_pins, "/nowhere/ca.pem", &trust, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    assert_non_null(strstr(err.text, "No such file"));
    char path[] = "/tmp/sluice-tls-XXXXXX";
    assert_non_null(mkdtemp(path));
    for (int fifo = 0; fifo < 2; fifo++) { /* nobody writes into it: must not wait */
        assert_true(!fifo || mkfifo(path, 0600) == 0);
        assert_int_equal(sl_pool_trust_create(&no_pins, path, &trust, &err), -SL_INVALID);
        assert_non_null(strstr(err.text, "is not a file"));
        assert_int_equal(remove(path), 0);
    }
    assert_null(trust_ca("not a certificate\n", &err));
    assert_non_null(strstr(err.text, "tls_ca_file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_taken),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(an_answer_behind_tickets_is_not_left_lying),
        cmocka_unit_test(who_has_expired_gives_the_date),
        cmocka_unit_test(each_bad_certificate_says_why_and_gets_nothing),
        cmocka_unit_test(an_unknown_authority_is_refused),
        cmocka_unit_test(a_pin_stands_for_authority_name_date_and_strength),
        cmocka_unit_test(what_is_no_tls_is_said),
        cmocka_unit_test(an_alert_after_the_handshake_is_named),
        cmocka_unit_test(an_authority_file_must_hold_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
