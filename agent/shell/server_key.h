/* SPDX-License-Identifier: Apache-2.0
 * Which public key the broker has, and which one it is to have next. agent.yaml names the first;
 * what the broker said since stands in a file of data_dir, for as long as agent.yaml says the same
 * as then: what an operator writes there outranks it. Thread: the loop's. */
#ifndef SLUICE_AGENT_SHELL_SERVER_KEY_H
#define SLUICE_AGENT_SHELL_SERVER_KEY_H

#include "proto/base/error.h"
#include "proto/link/link.h"

struct sl_server_keys {
    char configured[SL_LINK_KEY_MAX]; /* in agent.yaml */
    char now[SL_LINK_KEY_MAX];
    char next[SL_LINK_KEY_MAX]; /* empty: none is to come */
};

/* Without a file, or with one of another configured key, that is the one that counts. -SL_INVALID:
 * the file is damaged; *ret_keys is as without it. */
int sl_server_keys_read(const char *path, const char *configured, struct sl_server_keys *ret_keys,
                        struct sl_error *err);
/* In one step, durably. */
int sl_server_keys_write(const char *path, const struct sl_server_keys *keys, struct sl_error *err);
/* A welcome came by a connection to `used`, and names the key to come (empty: none). True: *keys
 * has changed. Once the next key was met, the one before is not believed any more. */
bool sl_server_keys_said(struct sl_server_keys *keys, const char *used, const char *said);

#endif
