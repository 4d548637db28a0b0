/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "broker/feeds/http.h"

/* A server that gives these answers, one a connection, and keeps what it was asked. */
struct server {
    int door;
    const char *const *answers; /* NULL: no answer until the asker goes */
    size_t count;
    char asked[8][4096];
    pthread_t thread;
};

static void *server_main(void *arg) {
    struct server *s = arg;
    for (size_t i = 0; i < s->count; i++) {
        int fd = accept(s->door, NULL, NULL);
        ssize_t got = fd >= 0 ? read(fd, s->asked[i], sizeof s->asked[i] - 1) : -1;
        if (got > 0 && s->answers[i]) {
            ssize_t sent = write(fd, s->answers[i], strlen(s->answers[i]));
            (void)sent; /* the asker may have gone: that is what some tests are about */
        } else if (got > 0) {
            char unused;
            got = read(fd, &unused, 1);
        }
        close(fd);
    }
    return NULL;
}

static void serve(struct server *s, struct sl_feed_config *config) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    s->door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->door >= 0);
    assert_int_equal(bind(s->door, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->door, 8), 0);
    assert_int_equal(getsockname(s->door, (struct sockaddr *)&address, &size), 0);
    strcpy(config->id, "x");
    snprintf(config->url, sizeof config->url, "http://127.0.0.1:%d", (int)ntohs(address.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void end(struct server *s) {
    pthread_join(s->thread, NULL);
    close(s->door);
}

struct got {
    int rc;
    char text[64];
    size_t size;
    int64_t retry_ms;
    struct sl_error err;
};

static struct got get(struct sl_feed_http *http) {
    struct got got = {0};
    const char *text = "";
    got.rc = sl_feed_http_get(http, &text, &got.size, &got.retry_ms, &got.err);
    snprintf(got.text, sizeof got.text, "%s", text);
    return got;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n"

static void what_is_unchanged_is_not_sent_again(void **state) {
    (void)state;
    static const char *const answers[] = {
        OK_HEAD "ETag: \"v1\"\r\n\r\n{\"p\":1}",
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"v1\"\r\n\r\n",
        OK_HEAD "\r\n{\"p\":2}",
        OK_HEAD "ETag: \"a\x01"
                "b\"\r\n\r\n{\"p\":3}",
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
    };
    struct server s = {.answers = answers, .count = 5};
    struct sl_feed_config config = {0};
    _Atomic bool stopping = false;
    struct sl_feed_http *http = NULL;
    serve(&s, &config);
    assert_int_equal(sl_feed_http_create(&config, "/a?b=1", &stopping, &http, NULL), 0);
    assert_string_equal(get(http).text, "{\"p\":1}");
    assert_string_equal(get(http).text, "{\"p\":1}"); /* 304: the last one again */
    assert_string_equal(get(http).text, "{\"p\":2}");
    assert_string_equal(get(http).text, "{\"p\":3}");
    struct got got = get(http); /* nothing was asked about: a 304 is no answer */
    assert_true(got.rc == -SL_IO && strstr(got.err.text, "HTTP 304"));
    end(&s);
    assert_non_null(strstr(s.asked[0], "GET /a?b=1 HTTP/1.1\r\n"));
    assert_null(strstr(s.asked[0], "If-None-Match"));
    assert_non_null(strstr(s.asked[1], "If-None-Match: \"v1\"\r\n"));
    assert_non_null(strstr(s.asked[2], "If-None-Match: \"v1\"\r\n"));
    assert_null(strstr(s.asked[3], "If-None-Match"));
    assert_null(strstr(s.asked[4], "If-None-Match")); /* that ETag could not be sent back */
    sl_feed_http_destroy(http);
}

static void a_refusal_says_what_to_do(void **state) {
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 429 Too Many\r\nRetry-After: 120\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 999999999\r\nConnection: close\r\n\r\nlater",
        "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 403 No\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\nConnection: close\r\n\r\n",
        "what is this",
    };
    static const struct {
        int rc;
        int64_t retry_ms;
        const char *says;
    } wanted[] = {{-SL_IO, 120000, "HTTP 429: asked too often"},
                  {-SL_IO, 3600000, "HTTP 503: the source is in trouble"},
                  {-SL_IO, 0, "redirects are not followed"},
                  {-SL_IO, 0, "key_file"},
                  {-SL_IO, 0, "nothing at this address"},
                  {-SL_LIMIT, 0, "larger than 1 MiB"},
                  {-SL_IO, 0, "HTTP/0.9"}};
    struct server s = {.answers = answers, .count = 7};
    struct sl_feed_config config = {0};
    _Atomic bool stopping = false;
    struct sl_feed_http *http = NULL;
    serve(&s, &config);
    assert_int_equal(sl_feed_http_create(&config, "", &stopping, &http, NULL), 0);
    for (size_t i = 0; i < 7; i++) {
        struct got got = get(http);
        if (got.rc != wanted[i].rc || got.retry_ms != wanted[i].retry_ms ||
            !strstr(got.err.text, wanted[i].says)) {
            fail_msg("%d: %d, %lld ms, %s", (int)i, got.rc, (long long)got.retry_ms, got.err.text);
        }
    }
    end(&s);
    sl_feed_http_destroy(http);
}

/* Its length is not said, so that it is found out while it comes. */
static void a_large_answer_is_cut_off(void **state) {
    (void)state;
    size_t size = 10 * 1000 * 1000;
    char *large = malloc(size + 1);
    assert_non_null(large);
    memset(large, ' ', size);
    memcpy(large, OK_HEAD "\r\n", sizeof OK_HEAD "\r\n" - 1);
    large[size] = '\0';
    const char *const answers[] = {large};
    struct server s = {.answers = answers, .count = 1};
    struct sl_feed_config config = {0};
    _Atomic bool stopping = false;
    struct sl_feed_http *http = NULL;
    serve(&s, &config);
    assert_int_equal(sl_feed_http_create(&config, "", &stopping, &http, NULL), 0);
    struct got got = get(http);
    assert_true(got.rc == -SL_LIMIT && strstr(got.err.text, "larger than 1 MiB"));
    sl_feed_http_destroy(http);
    end(&s);
    free(large);
}

static void silence_ends(void **state) {
    (void)state;
    static const char *const answers[] = {NULL, NULL};
    struct server s = {.answers = answers, .count = 2};
    struct sl_feed_config config = {.timeout_ms = 150, .connect_timeout_ms = 100};
    _Atomic bool stopping = false;
    struct sl_feed_http *http = NULL;
    serve(&s, &config);
    assert_int_equal(sl_feed_http_create(&config, "", &stopping, &http, NULL), 0);
    struct got got = get(http);
    assert_true(got.rc == -SL_IO && strstr(got.err.text, "no whole answer within 150 ms"));
    stopping = true; /* a stop does not wait for a time-out */
    assert_int_equal(get(http).rc, -SL_IO);
    sl_feed_http_destroy(http);
    /* The second door may not have been knocked at. */
    shutdown(s.door, SHUT_RDWR);
    end(&s);
}

static void write_key(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_key_comes_from_a_file_and_gets_nowhere_else(void **state) {
    (void)state;
    static const char *const answers[] = {OK_HEAD "\r\n{}", OK_HEAD "\r\n{}",
                                          "HTTP/1.1 401 No\r\nConnection: close\r\n\r\n"};
    struct server s = {.answers = answers, .count = 3};
    struct sl_feed_config config = {.method = SL_FEED_POST,
                                    .body = "{\"query\":1}",
                                    .key_header = "Authorization",
                                    .key_prefix = "Bearer "};
    _Atomic bool stopping = false;
    struct sl_feed_http *http = NULL;
    char dir[] = "/tmp/sluice-key-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(config.key_file, sizeof config.key_file, "%s/key", dir);
    serve(&s, &config);
    assert_int_equal(sl_feed_http_create(&config, "", &stopping, &http, NULL), 0);
    struct got got = get(http);
    assert_true(got.rc == -SL_DENIED && strstr(got.err.text, "cannot read the key"));
    write_key(config.key_file, "s3cret\n", 0644);
    got = get(http);
    assert_true(got.rc == -SL_DENIED && strstr(got.err.text, "chmod 600"));
    static const char *const bad[] = {"\ns3cret\n", "s3 cret\n", "s3cret\x7f\n", "",
                                      "s3cret\tX-Other: 1\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_key(config.key_file, bad[i], 0600);
        got = get(http);
        assert_true(got.rc == -SL_DENIED && strstr(got.err.text, "is no key"));
        assert_null(strstr(got.err.text, "s3"));
    }
    write_key(config.key_file, "s3cret\nsecond line\n", 0600);
    assert_int_equal(get(http).rc, 0);
    write_key(config.key_file, "0ther", 0600); /* counts from the next request on */
    assert_int_equal(get(http).rc, 0);
    got = get(http);
    assert_true(got.rc == -SL_IO && strstr(got.err.text, "HTTP 401") &&
                !strstr(got.err.text, "0ther"));
    end(&s);
    assert_non_null(strstr(s.asked[0], "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(s.asked[0], "Authorization: Bearer s3cret\r\n"));
    assert_non_null(strstr(s.asked[0], "Content-Type: application/json\r\n"));
    assert_non_null(strstr(s.asked[1], "Authorization: Bearer 0ther\r\n"));
    assert_null(strstr(s.asked[0], "second line"));
    sl_feed_http_destroy(http);
    unlink(config.key_file);
    rmdir(dir);
}

static void the_next_request_is_put_off(void **state) {
    (void)state;
    static const struct {
        int64_t interval_ms;
        uint32_t failures;
        int64_t retry_ms;
        int64_t wait_ms;
    } cases[] = {
        {60000, 0, 0, 60000},       {60000, 1, 0, 60000},       {60000, 2, 0, 120000},
        {60000, 3, 0, 240000},      {60000, 5, 0, 900000},      {60000, UINT32_MAX, 0, 900000},
        {60000, 1, 120000, 120000}, {60000, 3, 120000, 240000}, {1000, 11, 0, 900000},
        {60000, 0, 90000, 90000},   {86400000, 9, 0, 86400000}, {60000, 9, 3600000, 3600000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            sl_feed_back_off_ms(cases[i].interval_ms, cases[i].failures, cases[i].retry_ms),
            cases[i].wait_ms);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unchanged_is_not_sent_again),
        cmocka_unit_test(a_refusal_says_what_to_do),
        cmocka_unit_test(a_large_answer_is_cut_off),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(a_key_comes_from_a_file_and_gets_nowhere_else),
        cmocka_unit_test(the_next_request_is_put_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
