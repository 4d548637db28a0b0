/* SPDX-License-Identifier: Apache-2.0
 * What the agent's journal holds: a small map, (space, key) -> value. The journal itself does not
 * look inside; agent/core/records.h knows the values. Numbers are part of the file format. */
#ifndef SLUICE_AGENT_JOURNAL_RECORD_H
#define SLUICE_AGENT_JOURNAL_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define SL_JOURNAL_KEY_MAX 128
#define SL_JOURNAL_VALUE_MAX (36 * 1024 * 1024) /* the largest line: agent/core/parts.c */

enum sl_journal_space {
    SL_JOURNAL_INVALID = 0,
    SL_JOURNAL_NODE = 1,   /* key "name", "starts", "safe": who we are and the last safe mode */
    SL_JOURNAL_EPOCH = 2,  /* device key -> highest epoch */
    SL_JOURNAL_RESULT = 3, /* result id -> finished lines that the broker has not acknowledged */
    SL_JOURNAL_SHARE = 4,  /* share id -> a share, with its outcome once there is one */
    SL_JOURNAL_SPACE_COUNT = 5,
};

#endif
