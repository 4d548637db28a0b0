/* SPDX-License-Identifier: Apache-2.0
 * Whether the shares that a device claims can be luck.
 *
 * A search finds shares as a Poisson process: hashes spent / hashes that a share stands for are
 * expected. Where shares of several difficulties are added up, the chance that their work comes to
 * `work` or more is at most exp(-(k ln(k / l) - k + l)), with k = work / most, l = spent / most and
 * `most` the work of the greatest share (Chernoff's bound for a sum of Poisson counts whose sizes
 * are at most `most`; Boucheron, Lugosi, Massart, Concentration Inequalities, 2013, 2.2 and 2.7).
 * So it needs no count of shares, and a pool may choose any difficulty. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_CLAIMS_H
#define SLUICE_SCHEDULERS_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/money.h"

/* A claim whose chance is below e^-30, 1 in 10^13, is none: 100,000 devices that are judged at each
 * of a million shares are all honest with a chance of 99 %. */
#define SL_CLAIMS_CHANCE_LN 30

/* work: of accepted shares; most: of the greatest of them, 0: there is none; spent: hashes. All in
 * hashes. */
bool sl_claims_plausible(sl_i128 work, uint64_t most, sl_i128 spent);

#endif
