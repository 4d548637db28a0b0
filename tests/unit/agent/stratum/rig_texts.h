/* SPDX-License-Identifier: Apache-2.0
 * What a pool says, as texts for the tests of this folder: a job of a 2012 protocol document with a
 * chosen id, prevhash and clean_jobs, and the answer to mining.subscribe when its id is 2. */
#ifndef SLUICE_TESTS_STRATUM_RIG_TEXTS_H
#define SLUICE_TESTS_STRATUM_RIG_TEXTS_H

#define RIG_PREV_A "4d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000"
#define RIG_PREV_B "5d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000"
#define RIG_COINB1                                                                                 \
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2002086206" \
    "2f503253482f04b8864e5008"
#define RIG_COINB2                                                                                 \
    "072f736c7573682f000000000100f2052a010000001976a914d23fcdf86f7e756a64a7a9688ef9903327048ed9"   \
    "88ac00000000"
#define RIG_JOB(id, prevhash, clean)                                                               \
    "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"" id "\",\"" prevhash                 \
    "\",\"" RIG_COINB1 "\",\"" RIG_COINB2 "\",[],\"20000000\",\"1c2ac4af\",\"504e86b9\"," clean    \
    "]}\n"
#define RIG_SUBSCRIBED(extranonce1)                                                                \
    "{\"id\":2,\"result\":[[[\"mining.set_difficulty\",\"d1\"],[\"mining.notify\",\"s1\"]],"       \
    "\"" extranonce1 "\",4],\"error\":null}\n"

#endif
