/* SPDX-License-Identifier: Apache-2.0
 * The broker's HTTP side with its real handlers, store and core views, driven by one thread over a
 * pair of sockets. The core itself is played: the first argument of site_talk says how it answers
 * what would change something. After some changes the site begins anew. */
#ifndef SLUICE_TESTS_FUZZ_SITE_H
#define SLUICE_TESTS_FUZZ_SITE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/text.h"

/* Valid until the site begins anew. */
const char *site_tenant_key(void);
const char *site_operator_key(void);

/* Sends the request in pieces of `piece` bytes (0: as one), then no more; *answer gets all that
 * came back before the connection ended or fell silent. core: index of its answer. */
void site_talk(uint8_t core, const char *request, size_t size, size_t piece, struct sl_buf *answer);

/* HTTP status of an answer; 0: none came. Breaks a rule when the answer is malformed, or says that
 * the trouble was ours. */
int site_check(const struct sl_buf *answer);

/* Unfinished uploads that lie in the data folder. */
int site_leftovers(void);

#endif
