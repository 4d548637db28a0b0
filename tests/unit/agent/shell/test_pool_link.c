/* SPDX-License-Identifier: Apache-2.0
 * The pool's TCP connection against a real socket on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/shell/pool_link.h"
#include "agent/shell/pool_tls.h"
#include "tests/pool/tls.h"

struct fixture {
    uv_loop_t loop;
    uv_timer_t limit;
    struct sl_pool_link link;
    int listener;
    uint16_t port;
    int connected, disconnected;
    char reason[128];
    char got[256];
    size_t got_size;
};

static void on_connected(void *context) {
    ((struct fixture *)context)->connected++;
}

static void on_received(void *context, const void *data, size_t size) {
    struct fixture *f = context;
    assert_true(f->got_size + size < sizeof f->got);
    memcpy(f->got + f->got_size, data, size);
    f->got_size += size;
}

static void on_disconnected(void *context, const char *reason) {
    struct fixture *f = context;
    f->disconnected++;
    strncpy(f->reason, reason, sizeof f->reason - 1);
}

static const struct sl_pool_link_ops ops = {on_connected, on_received, on_disconnected};

static void on_limit(uv_timer_t *timer) {
    (void)timer;
    fail_msg("nothing happened for 10 s");
}

static void set_up(struct fixture *f) {
    memset(f, 0, sizeof *f);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->limit);
    uv_timer_start(&f->limit, on_limit, 10000, 0);
    sl_pool_link_init(&f->link, &f->loop, &ops, f);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    assert_int_equal(bind(f->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &size), 0);
    f->port = ntohs(at.sin_port);
}

static void tear_down(struct fixture *f) {
    sl_pool_link_close(&f->link);
    uv_close((uv_handle_t *)&f->limit, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* nothing is left open */
    if (f->listener >= 0) {
        close(f->listener);
    }
}

static void run_until(struct fixture *f, const int *counter, int wanted) {
    while (*counter < wanted) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void there_and_back_and_the_end(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f);
    sl_pool_link_connect(&f.link, "127.0.0.1", f.port, false);
    run_until(&f, &f.connected, 1);
    int peer = accept(f.listener, NULL, NULL);
    assert_true(peer >= 0);
    sl_pool_link_send(&f.link, "hello\n", 6);
    char text[16] = {0};
    assert_int_equal(recv(peer, text, sizeof text, 0), 6);
    assert_string_equal(text, "hello\n");
    assert_int_equal(send(peer, "world\n", 6, 0), 6);
    while (f.got_size < 6) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_memory_equal(f.got, "world\n", 6);
    close(peer);
    run_until(&f, &f.disconnected, 1);
    assert_non_null(strstr(f.reason, "closed"));
    tear_down(&f);
}

static void refused_and_unknown_names(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f);
    close(f.listener);
    f.listener = -1;
    sl_pool_link_connect(&f.link, "127.0.0.1", f.port, false);
    run_until(&f, &f.disconnected, 1);
    assert_non_null(strstr(f.reason, "refused"));
    sl_pool_link_connect(&f.link, "no.such.host.invalid", 1, false);
    run_until(&f, &f.disconnected, 2);
    assert_non_null(strstr(f.reason, "resolved"));
    assert_int_equal(f.connected, 0);
    tear_down(&f);
}

static void every_address_of_a_name_is_tried(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f);
    /* localhost is ::1 and 127.0.0.1 on most machines; we listen on the latter only. */
    sl_pool_link_connect(&f.link, "localhost", f.port, false);
    run_until(&f, &f.connected, 1);
    assert_int_equal(f.disconnected, 0);
    tear_down(&f);
}

/* A name with two addresses, as /etc/hosts has none for a test; all others are the library's. */
static struct addrinfo *one_address(uint32_t address, struct addrinfo *next) {
    struct addrinfo *one = calloc(1, sizeof *one + sizeof(struct sockaddr_in));
    struct sockaddr_in *at = (struct sockaddr_in *)(one + 1);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    *one = (struct addrinfo){.ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_addrlen = sizeof *at,
                             .ai_addr = (struct sockaddr *)at,
                             .ai_next = next};
    return one;
}

#define HOLE 0x7f000042 /* 127.0.0.66 */

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (strcmp(name, "two.test") == 0) {
        if (hints->ai_flags & AI_NUMERICHOST) {
            return EAI_NONAME;
        }
        *found = one_address(HOLE, one_address(INADDR_LOOPBACK, NULL));
        return 0;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    return next(name, service, hints, found);
}

/* A host that answers nothing: a listener whose queue is full drops what comes. */
static void a_silent_address_of_a_name_is_passed_over(void **state) {
    (void)state;
    struct fixture f;
    int queue[3];
    set_up(&f);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(HOLE), .sin_port = htons(f.port)};
    int hole = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(hole, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(hole, 0), 0);
    for (int i = 0; i < 3; i++) {
        queue[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(queue[i], (struct sockaddr *)&at, sizeof at);
    }
    sl_pool_link_connect(&f.link, "two.test", f.port, false);
    run_until(&f, &f.connected, 1);
    assert_int_equal(f.disconnected, 0);
    int peer = accept(f.listener, NULL, NULL);
    assert_true(peer >= 0);
    close(peer);
    for (int i = 0; i < 3; i++) {
        close(queue[i]);
    }
    close(hole);
    tear_down(&f);
}

static void hang(uv_work_t *work) {
    uv_sem_wait(work->data);
}

/* The threads that resolve names are all busy, as with a resolver that does not answer. */
static void an_address_waits_for_no_resolver(void **state) {
    (void)state;
    struct fixture f;
    uv_sem_t go;
    uv_work_t busy[4]; /* as many as libuv has where nobody says otherwise */
    set_up(&f);
    assert_int_equal(uv_sem_init(&go, 0), 0);
    for (int i = 0; i < 4; i++) {
        busy[i].data = &go;
        assert_int_equal(uv_queue_work(&f.loop, &busy[i], hang, NULL), 0);
    }
    sl_pool_link_connect(&f.link, "127.0.0.1", f.port, false);
    assert_int_equal(f.connected, 0); /* later, never at once */
    run_until(&f, &f.connected, 1);
    for (int i = 0; i < 4; i++) {
        uv_sem_post(&go);
    }
    tear_down(&f);
    uv_sem_destroy(&go);
}

static void abandoned_at_any_moment_nothing_is_heard(void **state) {
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        struct fixture f;
        set_up(&f);
        sl_pool_link_connect(&f.link, "127.0.0.1", f.port, false);
        for (int i = 0; i < turns; i++) {
            uv_run(&f.loop, UV_RUN_NOWAIT);
        }
        int connected = f.connected;
        sl_pool_link_close(&f.link);
        for (int i = 0; i < 20; i++) {
            uv_run(&f.loop, UV_RUN_NOWAIT);
            usleep(1000);
        }
        assert_int_equal(f.connected, connected);
        assert_int_equal(f.disconnected, 0);
        tear_down(&f);
    }
}

static void a_peer_that_reads_nothing_is_given_up(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f);
    sl_pool_link_connect(&f.link, "127.0.0.1", f.port, false);
    run_until(&f, &f.connected, 1);
    static char block[65536];
    for (int i = 0; i < 1000 && f.disconnected == 0; i++) {
        sl_pool_link_send(&f.link, block, sizeof block);
    }
    assert_int_equal(f.disconnected, 1);
    assert_non_null(strstr(f.reason, "takes nothing"));
    tear_down(&f);
}

/* The peer side of one exchange; blocking, since the other side has sent already. */
static void expect_bytes(struct fixture *f, int peer, const char *bytes, size_t size) {
    char got[64];
    size_t done = 0;
    assert_true(size <= sizeof got);
    while (done < size) {
        ssize_t n = recv(peer, got + done, size - done, MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
        } else {
            uv_run(&f->loop, UV_RUN_NOWAIT);
        }
    }
    assert_memory_equal(got, bytes, size);
}

static int accept_now(struct fixture *f) {
    int peer;
    assert_int_equal(fcntl(f->listener, F_SETFL, O_NONBLOCK), 0);
    while ((peer = accept(f->listener, NULL, NULL)) < 0) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    return peer;
}

static void a_proxy_comes_first(void **state) {
    (void)state;
    struct fixture f;
    struct sl_pool_link_options options = {.proxy_user = "me", .proxy_password = "secret"};
    set_up(&f);
    strcpy(options.proxy.host, "127.0.0.1");
    options.proxy.port = f.port;
    f.link.options = &options;
    sl_pool_link_connect(&f.link, "pool.test", 3333, false);
    int peer = accept_now(&f);
    expect_bytes(&f, peer, "\x05\x02\x00\x02", 4);
    sl_pool_link_send(&f.link, "too early\n", 10); /* goes nowhere */
    assert_int_equal(send(peer, "\x05\x02", 2, 0), 2);
    expect_bytes(&f, peer, "\x01\x02me\x06secret", 11);
    assert_int_equal(send(peer, "\x01\x00", 2, 0), 2);
    expect_bytes(&f, peer, "\x05\x01\x00\x03\x09pool.test\x0d\x05", 16);
    assert_int_equal(f.connected, 0);
    /* The first bytes of the pool in the same segment as the proxy's last. */
    assert_int_equal(send(peer, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00hello\n", 16, 0), 16);
    while (f.got_size < 6) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_int_equal(f.connected, 1);
    assert_memory_equal(f.got, "hello\n", 6);
    close(peer);
    tear_down(&f);
}

static void a_proxy_that_refuses_is_quoted(void **state) {
    (void)state;
    struct fixture f;
    struct sl_pool_link_options options = {0};
    set_up(&f);
    strcpy(options.proxy.host, "127.0.0.1");
    options.proxy.port = f.port;
    f.link.options = &options;
    sl_pool_link_connect(&f.link, "pool.test", 3333, false);
    int peer = accept_now(&f);
    expect_bytes(&f, peer, "\x05\x01\x00", 3);
    assert_int_equal(send(peer, "\x05\xff", 2, 0), 2);
    run_until(&f, &f.disconnected, 1);
    assert_non_null(strstr(f.reason, "proxy_user"));
    assert_int_equal(f.connected, 0);
    close(peer);
    tear_down(&f);
}

/* The peer's side of TLS, on the same loop's time. */
struct tls_peer {
    struct fixture *f;
    int fd;
    struct sl_tp_tls *tls;
    char heard[64];
    size_t heard_size;
};

static bool on_heard(void *context, const char *data, size_t size) {
    struct tls_peer *peer = context;
    assert_true(peer->heard_size + size < sizeof peer->heard);
    memcpy(peer->heard + peer->heard_size, data, size);
    peer->heard_size += size;
    return true;
}

static void serve_tls(struct tls_peer *peer) {
    char data[4096];
    uv_run(&peer->f->loop, UV_RUN_NOWAIT);
    ssize_t n = recv(peer->fd, data, sizeof data, MSG_DONTWAIT);
    if (n > 0) {
        (void)sl_tp_tls_input(peer->tls, data, (size_t)n, on_heard, peer);
    }
    struct sl_buf *out = sl_tp_tls_output(peer->tls);
    if (out->len > 0) {
        assert_int_equal(send(peer->fd, out->data, out->len, MSG_NOSIGNAL), out->len);
        sl_buf_consume(out, out->len);
    }
}

static void tls_opens_for_the_pinned_key_alone(void **state) {
    (void)state;
    for (int good = 0; good < 2; good++) {
        struct fixture f;
        struct tls_peer peer = {.f = &f};
        struct sl_tp_identity *identity = NULL;
        struct sl_pool_trust *trust = NULL;
        struct sl_pool_pins pins = {.count = 1};
        set_up(&f);
        assert_int_equal(sl_tp_identity_create(SL_TP_TLS_VALID, "x", &identity, NULL), SL_OK);
        sl_tp_identity_key(identity, pins.keys[0]);
        pins.keys[0][0] ^= good ? 0 : 1;
        assert_int_equal(sl_pool_trust_create(&pins, "", &trust, NULL), SL_OK);
        assert_int_equal(sl_tp_tls_create(identity, &peer.tls, NULL), SL_OK);
        f.link.trust = trust;
        sl_pool_link_connect(&f.link, "127.0.0.1", f.port, true);
        peer.fd = accept_now(&f);
        while (f.connected + f.disconnected == 0) {
            serve_tls(&peer);
        }
        assert_int_equal(f.connected, good);
        sl_pool_link_send(&f.link, "user and password", 17);
        for (int i = 0; i < 200 && peer.heard_size < 17; i++) {
            serve_tls(&peer);
        }
        assert_int_equal(peer.heard_size, good ? 17 : 0);
        assert_true(good || strstr(f.reason, "none of tls_pins"));
        close(peer.fd);
        tear_down(&f);
        sl_tp_tls_destroy(peer.tls);
        sl_pool_trust_destroy(trust);
        sl_tp_identity_destroy(identity);
    }
}

static void tls_never_becomes_plain_text(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f);
    sl_pool_link_connect(&f.link, "127.0.0.1", f.port, true); /* no trust was made */
    run_until(&f, &f.disconnected, 1);
    assert_non_null(strstr(f.reason, "TLS"));
    int peer = accept_now(&f);
    char data[8];
    assert_int_equal(recv(peer, data, sizeof data, MSG_DONTWAIT), 0); /* nothing, and the end */
    close(peer);
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back_and_the_end),
        cmocka_unit_test(refused_and_unknown_names),
        cmocka_unit_test(every_address_of_a_name_is_tried),
        cmocka_unit_test(a_silent_address_of_a_name_is_passed_over),
        cmocka_unit_test(an_address_waits_for_no_resolver),
        cmocka_unit_test(abandoned_at_any_moment_nothing_is_heard),
        cmocka_unit_test(a_peer_that_reads_nothing_is_given_up),
        cmocka_unit_test(a_proxy_comes_first),
        cmocka_unit_test(a_proxy_that_refuses_is_quoted),
        cmocka_unit_test(tls_opens_for_the_pinned_key_alone),
        cmocka_unit_test(tls_never_becomes_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
