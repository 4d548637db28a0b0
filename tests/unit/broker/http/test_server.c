/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/internal.h"
#include "tests/unit/broker/http/support.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static void test_addresses_and_methods(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *why;
        const char *method;
        const char *target;
        int status;
        const char *code;
    } cases[] = {
        {"nothing there", "GET", "/v1/nothing", 404, "unknown_url"},
        {"the root", "GET", "/", 404, "unknown_url"},
        {"one segment too many", "GET", "/v1/batches/a/b/c", 404, "unknown_url"},
        {"an empty id", "GET", "/v1/files//content", 404, "unknown_url"},
        {"a NUL in an id", "GET", "/v1/files/a%00b", 404, "unknown_url"},
        {"a broken escape", "GET", "/v1/files/a%zz", 404, "unknown_url"},
        {"a file cannot be changed", "PUT", "/v1/files/a", 405, "method_not_allowed"},
        {"status cannot be posted", "POST", "/api/v1/status", 405, "method_not_allowed"},
        {"a path out of the folder is an id like any other", "GET",
         "/v1/files/..%2F..%2Foperator.key/content", 404, "not_found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_code(g, cases[i].method, cases[i].target, g->acme, NULL, cases[i].status,
                    cases[i].code);
    }
    struct answer answer;
    char value[256];
    expect(g, "PUT", "/v1/files/a", g->acme, NULL, 405, &answer);
    assert_string_equal(answer_header(&answer, "Allow", value), "GET, DELETE");
    assert_string_equal(answer_header(&answer, "Content-Type", value), "application/json");
    assert_memory_equal(answer_header(&answer, "x-request-id", value), "req_", 4);
    answer_fini(&answer);
    expect(g, "GET", "/v1/models/", g->acme, NULL, 200, &answer); /* a slash too many is no sin */
    answer_fini(&answer);
    expect(g, "HEAD", "/v1/models", g->acme, NULL, 200, &answer);
    assert_int_equal(answer.body.len, 0);
    answer_fini(&answer);
}

/* OpenAI's clients ask there first, with a key or without. */
static void test_interactive_addresses_say_what_there_is(void **state) {
    struct ground *g = *state;
    static const char *const targets[] = {"/v1/embeddings", "/v1/embeddings/?x=1",
                                          "/v1/chat/completions", "/v1/completions",
                                          "/v1/responses"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct answer answer;
        expect(g, "POST", targets[i], i % 2 ? NULL : g->acme, "{\"model\":\"m\",\"input\":\"x\"}",
               404, &answer);
        json_t *body = answer_json(&answer);
        json_t *error = json_object_get(body, "error");
        const char *message = json_string_value(json_object_get(error, "message"));
        assert_non_null(message);
        assert_true(strstr(message, "POST /v1/files") && strstr(message, "POST /v1/batches"));
        assert_string_equal(json_string_value(json_object_get(error, "code")), "unknown_url");
        assert_string_equal(json_string_value(json_object_get(error, "type")),
                            "invalid_request_error");
        assert_true(json_is_null(json_object_get(error, "param")));
        json_decref(body);
        answer_fini(&answer);
    }
    struct answer answer;
    expect(g, "POST", "/v1/embedding", g->acme, "{}", 404, &answer);
    assert_null(strstr(answer.body.data, "batches"));
    answer_fini(&answer);
}

static void test_who_may(void **state) {
    struct ground *g = *state;
    expect_code(g, "GET", "/v1/files", NULL, NULL, 401, "missing_api_key");
    expect_code(g, "GET", "/v1/files", "sk-sluice-0", NULL, 401, "invalid_api_key");
    expect_code(g, "GET", "/v1/files", g->operator_key, NULL, 403, "tenant_key_required");
    expect_code(g, "GET", "/api/v1/status", g->acme, NULL, 403, "operator_key_required");
    expect_code(g, "POST", "/api/v1/stop", g->acme, "{}", 403, "operator_key_required");
    struct answer answer;
    char value[256];
    expect(g, "GET", "/v1/files", NULL, NULL, 401, &answer);
    assert_string_equal(answer_header(&answer, "WWW-Authenticate", value), "Bearer");
    answer_fini(&answer);
    expect(g, "GET", "/v1/models", g->operator_key, NULL, 200, &answer);
    answer_fini(&answer);
    expect(g, "GET", "/metrics", NULL, NULL, 200, &answer);
    assert_non_null(strstr(answer.body.data, "sluice_store_commit_seconds"));
    assert_memory_equal(answer_header(&answer, "Content-Type", value), "text/plain; version=0.0.4",
                        25);
    answer_fini(&answer);
}

static void test_host_and_origin(void **state) {
    struct ground *g = *state;
    static const struct {
        const char *why;
        const char *headers;
        int status;
    } cases[] = {
        {"a name that was made to point here", "Host: evil.example\r\n", 403},
        {"loopback by name", "Host: localhost:7680\r\n", 200},
        {"loopback, version 6", "Host: [::1]:7680\r\n", 200},
        {"a configured name", "Host: sluice.example\r\n", 200},
        {"our own page", "Host: localhost:1\r\nOrigin: http://localhost:1\r\n", 200},
        {"another port is another origin", "Host: localhost:1\r\nOrigin: http://localhost:2\r\n",
         403},
        {"another site's page", "Host: localhost:1\r\nOrigin: https://evil.example\r\n", 403},
        {"a page from nowhere", "Host: localhost:1\r\nOrigin: null\r\n", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[512];
        struct answer answer;
        int n = snprintf(request, sizeof request,
                         "GET /api/v1/status HTTP/1.1\r\nConnection: close\r\n%sAuthorization: "
                         "Bearer %s\r\n\r\n",
                         cases[i].headers, g->operator_key);
        int fd = client_connect(port_of(g));
        assert_int_equal(send(fd, request, (size_t)n, 0), n);
        char reply[64] = "";
        assert_true(recv(fd, reply, sizeof reply - 1, MSG_WAITALL) > 12);
        close(fd);
        int status = atoi(reply + 9);
        if (status != cases[i].status) {
            fail_msg("%s: %d instead of %d", cases[i].why, status, cases[i].status);
        }
        (void)answer;
    }
}

static void test_bodies_that_lie(void **state) {
    struct ground *g = *state;
    char request[512];
    struct answer answer;
    /* Less than was said: the client goes away, nothing is created, the server lives. */
    int n = snprintf(request, sizeof request,
                     "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                     "Content-Length: 5000\r\n\r\n{\"a\":",
                     g->acme);
    int before = atomic_load(&g->site.events);
    client_raw(port_of(g), request, (size_t)n, &answer);
    assert_int_not_equal(answer.status, 200);
    answer_fini(&answer);
    assert_int_equal(atomic_load(&g->site.events), before);
    /* More than was said: the rest is a second request, which is none. */
    n = snprintf(request, sizeof request,
                 "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                 "Content-Length: 2\r\n\r\n{}{\"endpoint\":1}\r\n\r\n",
                 g->acme);
    client_raw(port_of(g), request, (size_t)n, &answer);
    assert_int_equal(answer.status, 400);
    answer_fini(&answer);
    /* Compressed: not "a part is missing", and not "no JSON". */
    static const char *const targets[] = {"/v1/batches", "/v1/files"};
    for (int i = 0; i < 2; i++) {
        n = snprintf(request, sizeof request,
                     "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                     "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\b!",
                     targets[i], g->acme);
        client_raw(port_of(g), request, (size_t)n, &answer);
        assert_int_equal(answer.status, 415);
        answer_fini(&answer);
    }
    /* A coding that the parser does not know: answered at once, not when the client has gone. */
    static const char *const codings[] = {"gzip, chunked", "identity", "deflate"};
    for (int i = 0; i < 6; i++) {
        n = snprintf(request, sizeof request,
                     "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                     "Transfer-Encoding: %s\r\nContent-Length: 2\r\n\r\n{}",
                     targets[i % 2], g->acme, codings[i / 2]);
        client_raw(port_of(g), request, (size_t)n, &answer);
        assert_int_equal(answer.status, 415);
        assert_non_null(strstr(answer.body.data, "Transfer-Encoding"));
        answer_fini(&answer);
    }
    /* A JSON body has no business being so large. */
    char *large = malloc(600 * 1024);
    memset(large, ' ', 600 * 1024);
    client_call(port_of(g), "POST", "/v1/batches", g->acme, NULL, large, 600 * 1024, &answer);
    assert_int_equal(answer.status, 413);
    answer_fini(&answer);
    free(large);
    expect_code(g, "POST", "/v1/batches", g->acme, "{\"a\":1,", 400, "invalid_json");
    expect_code(g, "POST", "/v1/batches", g->acme, "[]", 400, "invalid_json");
    expect_code(g, "POST", "/v1/batches", g->acme, "{\"endpoint\":1,\"endpoint\":2}", 400,
                "invalid_json");
    expect_code(g, "POST", "/v1/batches", g->acme, "{\"colour\":1}", 400, "unknown_parameter");
    char target[3000];
    memset(target, 'a', sizeof target - 1);
    target[0] = '/';
    target[sizeof target - 1] = '\0';
    expect_code(g, "GET", target, g->acme, NULL, 414, "uri_too_long");
}

static void test_views_pass_through(void **state) {
    struct ground *g = *state;
    char text[64];
    static const char *const targets[] = {"/api/v1/status",
                                          "/api/v1/nodes",
                                          "/api/v1/devices",
                                          "/api/v1/market",
                                          "/api/v1/pools",
                                          "/api/v1/switches",
                                          "/api/v1/devices/node%2Fpocl:0%2F1",
                                          "/api/v1/devices/node/pocl%3A0/1",
                                          "/api/v1/devices?device=node%2Fpocl%3A0%2F1"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        expect_text(g, "GET", targets[i], g->operator_key, NULL, "from", text, sizeof text);
        assert_string_equal(text, "loop");
    }
    expect_code(g, "GET", "/api/v1/devices/other", g->operator_key, NULL, 404, "not_found");
    expect_text(g, "GET", "/readyz", NULL, NULL, "status", text, sizeof text);
    assert_string_equal(text, "ready");
}

static void test_a_loop_that_hangs_is_reported(void **state) {
    struct ground *g = *state;
    struct answer answer;
    char value[256];
    atomic_store(&g->site.silent, true);
    struct sl_mono start = sl_clock_mono();
    expect(g, "GET", "/healthz", NULL, NULL, 503, &answer);
    assert_true(sl_mono_since_ns(sl_clock_mono(), start) < 6 * SL_NS_PER_S);
    assert_string_equal(answer_header(&answer, "Retry-After", value), "1");
    answer_fini(&answer);
    atomic_store(&g->site.silent, false);
    expect(g, "GET", "/healthz", NULL, NULL, 200, &answer);
    answer_fini(&answer);
}

/* Headers, and a body that does not come: the request is under way until it does. */
static int begin_request(struct ground *g, const char *key) {
    char request[512];
    int n = snprintf(request, sizeof request,
                     "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                     "Content-Length: 90\r\n\r\n{",
                     key);
    int fd = client_connect(port_of(g));
    assert_int_equal(send(fd, request, (size_t)n, 0), n);
    return fd;
}

static int status_of(struct ground *g, const char *target, const char *key) {
    struct answer answer;
    client_call(port_of(g), "GET", target, key, NULL, NULL, 0, &answer);
    int status = answer.status;
    answer_fini(&answer);
    return status;
}

/* Whether it ends the connection by itself. */
static bool is_ended(struct ground *g, const char *target, const char *key) {
    char text[1024] = "";
    int fd = client_connect(port_of(g));
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                     target, key);
    assert_int_equal(send(fd, text, (size_t)n, 0), n);
    text[0] = '\0';
    ssize_t got = 0;
    for (ssize_t more = 1; more > 0 && !strstr(text, "\r\n\r\n"); got += more) {
        more = recv(fd, text + got, sizeof text - 1 - (size_t)got, 0);
        assert_true(more > 0);
        text[got + more] = '\0';
    }
    close(fd);
    assert_non_null(strstr(text, " 200 "));
    return strstr(text, "Connection: close") != NULL;
}

static void test_one_tenant_does_not_hold_all_places(void **state) {
    struct ground *g = *state;
    int held[SL_HTTP_CONNECTIONS_MAX / 4 * 3];
    const int most = SL_HTTP_CONNECTIONS_MAX / 4;
    const int all = most * 3;
    for (int i = 0; i < most; i++) {
        held[i] = begin_request(g, g->acme);
    }
    int status = 200;
    for (int i = 0; i < 500 && status != 503; i++) { /* until the last of them was read */
        status = status_of(g, "/v1/files", g->acme);
    }
    assert_int_equal(status, 503);
    expect_code(g, "GET", "/v1/files", g->acme, NULL, 503, "overloaded");
    assert_int_equal(status_of(g, "/v1/files", g->globex), 200);
    assert_int_equal(status_of(g, "/api/v1/status", g->operator_key), 200);
    assert_false(is_ended(g, "/v1/models", g->globex));
    for (int i = most; i < all; i++) { /* those who only hold on are too many now */
        held[i] = client_connect(port_of(g));
    }
    bool ended = false;
    for (int i = 0; i < 500 && !ended; i++) {
        ended = is_ended(g, "/v1/models", g->globex);
    }
    assert_true(ended);
    assert_false(is_ended(g, "/api/v1/status", g->operator_key));
    for (int i = 0; i < all; i++) {
        close(held[i]);
    }
    for (int i = 0; i < 500 && status != 200; i++) {
        status = status_of(g, "/v1/files", g->acme);
    }
    assert_int_equal(status, 200);
}

static void *ask_status(void *arg) {
    struct ground *g = arg;
    struct answer answer;
    client_call(port_of(g), "GET", "/api/v1/status", g->operator_key, NULL, NULL, 0, &answer);
    intptr_t status = answer.status;
    answer_fini(&answer);
    return (void *)status;
}

/* Those who wait when the broker stops get an answer, and the port is free again. */
static void test_stop_while_somebody_waits(void **state) {
    struct ground *g = *state;
    pthread_t threads[4];
    atomic_store(&g->site.silent, true);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_status, g), 0);
    }
    usleep(300000);
    site_restart(&g->site);
    atomic_store(&g->site.silent, false);
    for (int i = 0; i < 4; i++) {
        void *status = NULL;
        pthread_join(threads[i], &status);
        assert_int_equal((intptr_t)status, 503);
    }
    struct answer answer;
    expect(g, "GET", "/v1/models", g->acme, NULL, 200, &answer); /* keys outlive a restart */
    answer_fini(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_and_methods),
        cmocka_unit_test(test_interactive_addresses_say_what_there_is),
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_host_and_origin),
        cmocka_unit_test(test_bodies_that_lie),
        cmocka_unit_test(test_one_tenant_does_not_hold_all_places),
        cmocka_unit_test(test_views_pass_through),
        cmocka_unit_test(test_a_loop_that_hangs_is_reported),
        cmocka_unit_test(test_stop_while_somebody_waits),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
