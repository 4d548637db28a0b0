/* SPDX-License-Identifier: Apache-2.0
 * Inside of the link: who may connect. Answers ZeroMQ's authentication requests (ZAP, RFC 27) from
 * a thread of its own, and makes the client's public key the User-Id of all its messages. */
#ifndef SLUICE_PROTO_LINK_ZAP_H
#define SLUICE_PROTO_LINK_ZAP_H

#include <stdint.h>

#include "proto/base/error.h"
#include "proto/link/allow.h"

struct sl_zap;

/* Started before the sockets of `context` bind. allow outlives it. */
int sl_zap_start(void *context, const char *domain, struct sl_allow *allow, struct sl_zap **ret_zap,
                 struct sl_error *err);
/* Ends the thread; afterwards sl_zap_refused still works. */
void sl_zap_stop(struct sl_zap *zap);
void sl_zap_destroy(struct sl_zap *zap);
uint64_t sl_zap_refused(struct sl_zap *zap);

#endif
