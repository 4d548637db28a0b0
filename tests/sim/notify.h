/* SPDX-License-Identifier: Apache-2.0
 * The middle of a mining.notify, from the coinbase's first part to the time: a job of the kind that
 * a pool sends, for made-up pools. Job id and previous hash stand before it, clean_jobs after it.
 */
#ifndef SLUICE_TESTS_SIM_NOTIFY_H
#define SLUICE_TESTS_SIM_NOTIFY_H

#define NOTIFY_BODY                                                                                \
    "\"01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff"         \
    "2d02e80300049795026b0405e676240c\","                                                          \
    "\"0a636b706f6f6c2d6c6872062f746573742fffffffff02205fa012000000001976a91477bff20c60e5"         \
    "22dfaa3350c39b030a5d004e839a88ac0000000000000000266a24aa21a9ede2f61c3f71d1defd3fa999"         \
    "dfa36953755c690689799962b48bebd836974e8cf900000000\",[],\"20000000\",\"1d00ffff\","           \
    "\"6b029597\""

#endif
