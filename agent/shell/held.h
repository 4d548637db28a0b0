/* SPDX-License-Identifier: Apache-2.0
 * Commands that a device's mailbox had no room for, in order. Jobs take one place however many
 * come: a device that is busy and a pool that sends a job with every byte must not fill the memory.
 *
 * Thread: the loop's. */
#ifndef SLUICE_AGENT_SHELL_HELD_H
#define SLUICE_AGENT_SHELL_HELD_H

#include <stdbool.h>

#include "agent/device/device.h"

struct sl_held_post {
    struct sl_held_post *next;
    struct sl_device_cmd cmd;
};

/* Zeroed: none. */
struct sl_held_posts {
    struct sl_held_post *first, **last;
};

/* Takes the command over. A job takes the place of one that waits. True: one more waits now. */
bool sl_held_keep(struct sl_held_posts *held, struct sl_device_cmd *cmd);
/* Forgets the first one, with what it still has. */
void sl_held_drop_first(struct sl_held_posts *held);

#endif
