/* SPDX-License-Identifier: Apache-2.0
 * Inside of the link: the file of allowed public keys.
 *
 * One key a line, optionally followed by a blank and a '#' comment; lines that start with '#' and
 * empty ones are skipped. The file is read again when its time, size or inode changed. A key is let
 * in only while it stands there: when a changed file has a malformed line, that line is logged and
 * the others hold; when the file cannot be read, nobody is let in. Thread: any. */
#ifndef SLUICE_PROTO_LINK_ALLOW_H
#define SLUICE_PROTO_LINK_ALLOW_H

#include <stdbool.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"

struct sl_allow;

struct sl_link_admission;

/* path NULL or empty: no file. Strict: a malformed line is an error that names its number. An empty
 * file is possible: then nobody is let in until a key is added. */
int sl_allow_create(const char *path, struct sl_allow **ret_allow, struct sl_error *err);
void sl_allow_destroy(struct sl_allow *allow);
SL_DEFINE_AUTO(sl_allow, sl_allow_destroy)

/* Besides the file, in place of what was said before; copied. */
int sl_allow_admit(struct sl_allow *allow, const struct sl_link_admission *admission,
                   struct sl_error *err);

/* now: looks at the file first; otherwise at most every 200 ms, for the path of each message. */
bool sl_allow_has(struct sl_allow *allow, const char *key, bool now);

#endif
