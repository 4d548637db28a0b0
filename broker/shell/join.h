/* SPDX-License-Identifier: Apache-2.0
 * The second socket: requests to the core's events, its answers back. Thread: the loop's. */
#ifndef SLUICE_BROKER_SHELL_JOIN_H
#define SLUICE_BROKER_SHELL_JOIN_H

#include "broker/shell/broker.h"

/* Opens it, unless it is switched off; what tokens name is noted for the HTTP side. */
int sl_broker_open_join(struct sl_broker *broker, struct sl_error *err);
/* What has arrived becomes events. */
void sl_broker_read_joins(struct sl_broker *broker);
/* What the socket refused by itself becomes an event, where it has grown. */
void sl_broker_count_refusals(struct sl_broker *broker);
void sl_broker_join_reply(struct sl_broker *broker, const struct sl_core_command *command);
/* Who may connect is what the core says now. */
int sl_broker_admit(struct sl_broker *broker, struct sl_error *err);

/* "tcp://HOST:PORT" with the port of `said`, the address that libzmq says it is
 * bound to, and the host of `advertise` where one is given; empty
 * where that leads nowhere (bound to every address). */
void sl_broker_advertised(const char *said, const char *advertise, char *out, size_t size);

#endif
