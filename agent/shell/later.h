/* SPDX-License-Identifier: Apache-2.0
 * What may wait while a burst of messages is read: journal, tokenizer and log. Several directives
 * come together where one event moves several devices. Carried out one by one, the second device
 * would go on working while the first one's epoch is queued and synced and its log line written;
 * put off, all halts come first, then all epochs, with one sync.
 *
 * Nothing that is not put off relies on one of these having begun: what needs an epoch on the disk
 * waits for the journal's word. Thread: the loop's. */
#ifndef SLUICE_AGENT_SHELL_LATER_H
#define SLUICE_AGENT_SHELL_LATER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/core.h"

#define SL_LATER_MAX 32

struct sl_later {
    bool on; /* between messages of a burst */
    uint32_t count;
    struct sl_agent_cmd cmds[SL_LATER_MAX];
};

typedef void (*sl_later_fn)(void *context, struct sl_agent_cmd *cmd);

/* True: kept, and what `cmd` owned with it. False: off, full, or a command that cannot wait. */
bool sl_later_keep(struct sl_later *later, struct sl_agent_cmd *cmd);

/* Hands out all that was kept, and frees it: what the journal gets first, with only the last one
 * urgent, if any was; then texts for the tokenizer, then log lines, each in order. */
void sl_later_do(struct sl_later *later, sl_later_fn fn, void *context);

#endif
