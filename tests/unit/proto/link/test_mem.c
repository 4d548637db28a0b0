/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/link/link.h"

struct net {
    struct sl_mem_hub *hub;
    struct sl_link *server;
    struct sl_link *a;
    struct sl_link *b;
};

static void net_open(struct net *n, size_t depth) {
    assert_int_equal(sl_mem_hub_create(depth, &n->hub, NULL), 0);
    assert_int_equal(sl_mem_server_create(n->hub, &n->server, NULL), 0);
    assert_int_equal(sl_mem_client_create(n->hub, "key-a", &n->a, NULL), 0);
    assert_int_equal(sl_mem_client_create(n->hub, "key-b", &n->b, NULL), 0);
}

static void net_close(struct net *n) {
    sl_link_destroy(n->a);
    sl_link_destroy(n->b);
    sl_link_destroy(n->server);
    sl_mem_hub_destroy(n->hub);
}

static int say(struct sl_link *link, const struct sl_link_peer *peer, const char *text) {
    return sl_link_send(link, peer, (const uint8_t *)text, strlen(text), NULL);
}

/* Expects exactly `text` next; NULL: nothing. */
static struct sl_link_peer hear(struct sl_link *link, const char *text) {
    struct sl_link_peer peer = {"", 0};
    const uint8_t *data = NULL;
    size_t size = 0;
    int rc = sl_link_recv(link, &peer, &data, &size, NULL);
    if (!text) {
        assert_int_equal(rc, -SL_AGAIN);
        return peer;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    return peer;
}

static void messages_keep_their_order_and_sender(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 8);
    assert_int_equal(sl_link_fd(n.server), -1);
    assert_int_equal(say(n.a, NULL, "a1"), 0);
    assert_int_equal(say(n.b, NULL, "b1"), 0);
    assert_int_equal(say(n.a, NULL, "a2"), 0);
    assert_int_equal(say(n.a, NULL, ""), 0);
    struct sl_link_peer a = hear(n.server, "a1");
    struct sl_link_peer b = hear(n.server, "b1");
    assert_true(hear(n.server, "a2").conn == a.conn);
    hear(n.server, "");
    hear(n.server, NULL);
    assert_string_equal(a.key, "key-a");
    assert_string_equal(b.key, "key-b");
    assert_true(a.conn != b.conn && a.conn && b.conn);
    assert_int_equal(say(n.server, &b, "to b 1"), 0);
    assert_int_equal(say(n.server, &b, "to b 2"), 0);
    hear(n.a, NULL);
    hear(n.b, "to b 1");
    hear(n.b, "to b 2");
    hear(n.b, NULL);
    net_close(&n);
}

static void queues_are_bounded_by_client_and_direction(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 2);
    assert_int_equal(say(n.a, NULL, "1"), 0);
    assert_int_equal(say(n.a, NULL, "2"), 0);
    assert_int_equal(say(n.a, NULL, "3"), -SL_AGAIN);
    assert_int_equal(say(n.b, NULL, "b"), 0); /* its own room */
    struct sl_link_peer a = hear(n.server, "1");
    assert_int_equal(say(n.a, NULL, "3"), 0);
    assert_int_equal(say(n.server, &a, "x"), 0);
    assert_int_equal(say(n.server, &a, "y"), 0);
    assert_int_equal(say(n.server, &a, "z"), -SL_AGAIN);
    hear(n.a, "x");
    assert_int_equal(say(n.server, &a, "z"), 0);
    net_close(&n);
}

static void a_message_has_a_largest_size(void **state) {
    (void)state;
    struct net n;
    struct sl_error err = {0};
    net_open(&n, 8);
    size_t most = SL_LINK_BYTES_MAX;
    uint8_t *bytes = calloc(1, most + 1);
    assert_non_null(bytes);
    assert_int_equal(sl_link_send(n.a, NULL, bytes, most + 1, &err), -SL_LIMIT);
    assert_non_null(strstr(err.text, "4194305 bytes"));
    hear(n.server, NULL);
    assert_int_equal(sl_link_send(n.a, NULL, bytes, most, NULL), 0);
    struct sl_link_peer a = {"", 0};
    const uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(sl_link_recv(n.server, &a, &data, &size, NULL), 0);
    assert_int_equal(size, most);
    assert_int_equal(sl_link_send(n.server, &a, bytes, most + 1, NULL), -SL_LIMIT);
    hear(n.a, NULL);
    assert_int_equal(sl_link_send(n.server, &a, bytes, most, NULL), 0);
    free(bytes);
    net_close(&n);
}

static void a_cut_loses_what_is_under_way(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 8);
    assert_int_equal(say(n.a, NULL, "first"), 0);
    struct sl_link_peer a = hear(n.server, "first");
    assert_int_equal(say(n.a, NULL, "lost"), 0);
    assert_int_equal(say(n.b, NULL, "kept 1"), 0);
    assert_int_equal(say(n.a, NULL, "lost"), 0);
    assert_int_equal(say(n.b, NULL, "kept 2"), 0);
    assert_int_equal(say(n.server, &a, "lost too"), 0);
    sl_mem_hub_cut(n.hub, "key-a", 1);
    assert_int_equal(say(n.a, NULL, "x"), -SL_AGAIN);
    assert_int_equal(say(n.server, &a, "x"), -SL_CLOSED);
    hear(n.a, NULL);
    hear(n.server, "kept 1");
    hear(n.server, "kept 2");
    hear(n.server, NULL);
    sl_mem_hub_cut(n.hub, "key-a", 1); /* cutting twice is once */
    sl_mem_hub_cut(n.hub, "nobody", 1);
    sl_mem_hub_cut(n.hub, "key-a", 0);
    assert_int_equal(say(n.server, &a, "x"), -SL_CLOSED); /* that connection is over */
    assert_int_equal(say(n.a, NULL, "back"), 0);
    struct sl_link_peer again = hear(n.server, "back");
    assert_string_equal(again.key, a.key);
    assert_true(again.conn != a.conn);
    assert_int_equal(say(n.server, &again, "welcome"), 0);
    hear(n.a, "welcome");
    for (int i = 0; i < 8; i++) { /* the lost ones do not count against the room */
        assert_int_equal(say(n.a, NULL, "room"), 0);
    }
    assert_int_equal(say(n.a, NULL, "room"), -SL_AGAIN);
    net_close(&n);
}

static void what_a_client_said_last_arrives(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 8);
    assert_int_equal(say(n.a, NULL, "goodbye"), 0);
    sl_link_destroy(n.a);
    n.a = NULL;
    struct sl_link_peer a = hear(n.server, "goodbye");
    assert_int_equal(say(n.server, &a, "x"), -SL_CLOSED);
    net_close(&n);
}

static void two_connections_of_one_key(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 8);
    struct sl_link *twin = NULL;
    assert_int_equal(sl_mem_client_create(n.hub, "key-a", &twin, NULL), 0);
    assert_int_equal(say(n.a, NULL, "old"), 0);
    assert_int_equal(say(twin, NULL, "new"), 0);
    struct sl_link_peer old = hear(n.server, "old");
    struct sl_link_peer new = hear(n.server, "new");
    assert_string_equal(old.key, new.key);
    assert_true(old.conn != new.conn);
    assert_int_equal(say(n.server, &new, "for the new one"), 0);
    hear(n.a, NULL);
    hear(twin, "for the new one");
    sl_mem_hub_cut(n.hub, "key-a", 1); /* takes both */
    assert_int_equal(say(n.a, NULL, "x"), -SL_AGAIN);
    assert_int_equal(say(twin, NULL, "x"), -SL_AGAIN);
    sl_link_destroy(twin);
    net_close(&n);
}

static void a_server_may_restart(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 8);
    struct sl_link *second = NULL;
    assert_int_equal(sl_mem_server_create(n.hub, &second, NULL), -SL_EXISTS);
    assert_int_equal(say(n.a, NULL, "1"), 0);
    struct sl_link_peer a = hear(n.server, "1");
    assert_int_equal(say(n.a, NULL, "lost"), 0);
    assert_int_equal(say(n.server, &a, "lost"), 0);
    sl_link_destroy(n.server);
    assert_int_equal(say(n.a, NULL, "x"), -SL_AGAIN);
    hear(n.a, NULL);
    assert_int_equal(sl_mem_server_create(n.hub, &n.server, NULL), 0);
    hear(n.server, NULL);
    assert_int_equal(say(n.server, &a, "x"), -SL_CLOSED);
    assert_int_equal(say(n.a, NULL, "2"), 0);
    assert_true(hear(n.server, "2").conn != a.conn);
    net_close(&n);
}

static void a_key_has_forty_characters_at_most(void **state) {
    (void)state;
    struct net n;
    net_open(&n, 8);
    struct sl_link *link = NULL;
    char key[42];
    memset(key, 'k', sizeof key);
    key[41] = '\0';
    assert_int_equal(sl_mem_client_create(n.hub, key, &link, NULL), -SL_INVALID);
    key[40] = '\0';
    assert_int_equal(sl_mem_client_create(n.hub, key, &link, NULL), 0);
    sl_link_destroy(link);
    sl_link_destroy(NULL);
    net_close(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_their_order_and_sender),
        cmocka_unit_test(queues_are_bounded_by_client_and_direction),
        cmocka_unit_test(a_message_has_a_largest_size),
        cmocka_unit_test(a_cut_loses_what_is_under_way),
        cmocka_unit_test(what_a_client_said_last_arrives),
        cmocka_unit_test(two_connections_of_one_key),
        cmocka_unit_test(a_server_may_restart),
        cmocka_unit_test(a_key_has_forty_characters_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
