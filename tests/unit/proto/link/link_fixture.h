/* SPDX-License-Identifier: Apache-2.0
 * A server, its file of allowed keys and clients on loopback, for the tests of the link. All
 * waiting is done on the links' descriptors as a loop would do it, so that a lost edge shows as a
 * time-out. */
#ifndef SLUICE_TESTS_LINK_FIXTURE_H
#define SLUICE_TESTS_LINK_FIXTURE_H

#include <stdbool.h>

#include "proto/link/link.h"

struct fixture {
    char dir[64];
    char allowed[96];
    struct sl_link_keys server_keys;
    struct sl_link_keys keys[3]; /* of clients; who is allowed is up to the test */
    struct sl_link *server;
};

/* Makes a directory, keys and an allowed file with the first `allowed` keys; no server yet. */
struct fixture *fixture_create(int allowed);
void fixture_destroy(struct fixture *f);
void fixture_allow(struct fixture *f, int first, int count);
/* endpoint NULL: a free port. */
void fixture_serve(struct fixture *f, const char *endpoint, int hwm);
void fixture_serve_unread(struct fixture *f, int unread_max);
struct sl_link *fixture_client(const struct fixture *f, int key);
/* A plain DEALER with that key, for what our client would never do; *ret_context ends with
 * raw_close. */
void *fixture_raw(const struct fixture *f, int key, void **ret_context);
void raw_close(void *socket, void *context);

/* One message within timeout_ms, copied to text (NUL-terminated). False on time-out. */
bool wait_text(struct sl_link *link, struct sl_link_peer *ret_peer, char *text, size_t size,
               int timeout_ms);
/* Tries until it goes out. */
bool send_text(struct sl_link *link, const struct sl_link_peer *peer, const char *text,
               int timeout_ms);
/* client says `text`, the server hears it and answers, the client hears that. */
void expect_talk(struct fixture *f, struct sl_link *client, const char *text,
                 struct sl_link_peer *ret_peer);

#endif
