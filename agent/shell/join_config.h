/* SPDX-License-Identifier: Apache-2.0
 * The broker section of agent.yaml, put in or replaced in place: whatever else stands in the file,
 * comments included, stays as it is. Thread: any. */
#ifndef SLUICE_AGENT_SHELL_JOIN_CONFIG_H
#define SLUICE_AGENT_SHELL_JOIN_CONFIG_H

#include <stddef.h>

#include "proto/base/error.h"
#include "proto/base/text.h"

/* What the file says now; empty: nothing. */
struct sl_join_facts {
    char node[64];
    char data_dir[256];
    char server_key[64];
    char key_file[256];
};

/* Reads text[n] as far as it is needed here. The file need not be complete. */
void sl_join_facts_read(const char *text, struct sl_join_facts *ret_facts);
/* text with `section` (lines, the first being "broker:") in the place of its broker section, or
 * behind it where there is none, and with "node: NAME" before it where it names no node. */
void sl_join_config_edit(const char *text, const char *node, const char *section,
                         struct sl_buf *out);

/* The whole file; -SL_NOTFOUND: there is none. */
int sl_join_config_load(const char *path, struct sl_buf *out, struct sl_error *err);
/* Writes it edited, if the result is a configuration that sluice-agent takes: else nothing is
 * changed and the error says what is wrong. Keeps the file's mode. */
int sl_join_config_save(const char *path, const char *node, const char *section,
                        struct sl_error *err);
/* Would it be written? Changes nothing. */
int sl_join_config_check(const char *path, const char *node, const char *section,
                         struct sl_error *err);

#endif
