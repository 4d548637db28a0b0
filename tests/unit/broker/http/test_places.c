/* SPDX-License-Identifier: Apache-2.0
 * Connections that only hold a place: of strangers, and of those who have shown a key. */
#include "broker/http/internal.h"
#include "tests/unit/broker/http/support.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A request over a connection that stays, and the head of its answer. */
static void ask_on(int fd, const char *key) {
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "\r\n",
                     key);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    text[0] = '\0';
    for (size_t got = 0; !strstr(text, "\r\n\r\n");) {
        ssize_t more = recv(fd, text + got, sizeof text - 1 - got, 0);
        assert_true(more > 0);
        got += (size_t)more;
        text[got] = '\0';
    }
    assert_non_null(strstr(text, " 200 "));
}

/* Reads on until the server closes; false: it did not for a long time. */
static bool is_closed_by_server(int fd) {
    char text[2048];
    struct pollfd look = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (poll(&look, 1, 20000) <= 0) {
            return false;
        }
        if (recv(fd, text, sizeof text, 0) <= 0) {
            return true;
        }
    }
}

static void test_strangers_do_not_keep_their_places(void **state) {
    struct ground *g = *state;
    static const char half[] = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthori";
    static const char whole[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    g->site.stranger_idle_s = 1;
    site_restart(&g->site);
    int known = client_connect(port_of(g)); /* idle for longer than the others, and stays */
    ask_on(known, g->acme);
    int strangers[3];
    for (int i = 0; i < 3; i++) {
        strangers[i] = client_connect(port_of(g));
    }
    assert_int_equal(send(strangers[1], half, sizeof half - 1, 0), sizeof half - 1);
    assert_int_equal(send(strangers[2], whole, sizeof whole - 1, 0), sizeof whole - 1);
    for (int i = 0; i < 3; i++) {
        assert_true(is_closed_by_server(strangers[i]));
        close(strangers[i]);
    }
    ask_on(known, g->acme);
    close(known);
    g->site.stranger_idle_s = 0;
    site_restart(&g->site);
}

/* As many as there are places, each as silent as it can be, and whoever comes is served at once. */
static void test_strangers_make_room(void **state) {
    struct ground *g = *state;
    int known = client_connect(port_of(g)); /* longer here than any of them */
    int strangers[SL_HTTP_CONNECTIONS_MAX + 44];
    const int all = (int)(sizeof strangers / sizeof strangers[0]);
    ask_on(known, g->acme);
    for (int i = 0; i < all; i++) {
        strangers[i] = client_connect(port_of(g));
    }
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 8; i++) {
        struct answer answer;
        expect(g, "GET", "/api/v1/status", g->operator_key, NULL, 200, &answer);
        answer_fini(&answer);
        expect(g, "GET", "/v1/models", g->acme, NULL, 200, &answer);
        answer_fini(&answer);
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 5); /* strangers may be silent for 10 s */
    assert_true(is_closed_by_server(strangers[0]));
    ask_on(known, g->acme);
    close(known);
    for (int i = 0; i < all; i++) {
        close(strangers[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strangers_do_not_keep_their_places),
        cmocka_unit_test(test_strangers_make_room),
    };
    return cmocka_run_group_tests(tests, ground_setup, ground_teardown);
}
