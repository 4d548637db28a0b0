/* SPDX-License-Identifier: Apache-2.0
 * Inside of the link: who may connect. Answers ZeroMQ's authentication requests (ZAP, RFC 27) from
 * a thread of its own, and makes the client's public key the User-Id of all its messages.
 *
 * libzmq keeps the pipe by which a connection asked for as long as the connection lives: two chunks
 * of 16 KiB. They are freed with the handler's socket, so it is renewed when many have asked: the
 * next one takes its place, and the old one answers whoever still asks it for a second. */
#ifndef SLUICE_PROTO_LINK_ZAP_H
#define SLUICE_PROTO_LINK_ZAP_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/link/allow.h"
#include "proto/link/link.h"

#define SL_ZAP_FRAME_MAX 256

/* A request is version, request id, domain, address, identity, mechanism, credentials. */
enum sl_zap_part {
    SL_ZAP_VERSION = 0,
    SL_ZAP_REQUEST_ID,
    SL_ZAP_DOMAIN,
    SL_ZAP_ADDRESS,
    SL_ZAP_IDENTITY,
    SL_ZAP_MECHANISM,
    SL_ZAP_KEY,
    SL_ZAP_FRAMES,
};

/* size: as sent; of a longer frame only the beginning is in data, and it matches nothing. */
struct sl_zap_frame {
    size_t size;
    char data[SL_ZAP_FRAME_MAX];
};

/* `user` is the key that was shown, known or not; the peer gets it as its User-Id only with 200. */
struct sl_zap_answer {
    const char *status;
    const char *text;
    char user[SL_LINK_KEY_MAX];
};

/* allow NULL: every key is let in but those whose secret is published (the joining socket).
 * Judges one request; `count` is the number of frames that came, of which the first SL_ZAP_FRAMES
 * are given. */
void sl_zap_judge(struct sl_allow *allow, const char *domain, const struct sl_zap_frame *frames,
                  int count, struct sl_zap_answer *ret_answer);

struct sl_zap;

/* Started before the sockets of `context` bind. allow outlives it; NULL: as above. */
int sl_zap_start(void *context, const char *domain, struct sl_allow *allow, struct sl_zap **ret_zap,
                 struct sl_error *err);
/* Ends the thread; afterwards sl_zap_refused still works. */
void sl_zap_stop(struct sl_zap *zap);
void sl_zap_destroy(struct sl_zap *zap);
uint64_t sl_zap_refused(struct sl_zap *zap);
/* Asks for a renewal now, and ends the socket before at once; how often it was renewed. Any thread,
 * for tests. */
void sl_zap_renew(struct sl_zap *zap);
uint64_t sl_zap_renewed(struct sl_zap *zap);

#endif
