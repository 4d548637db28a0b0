/* SPDX-License-Identifier: Apache-2.0
 * How much better another mode must look before a switch is worth its cost: hysteresis from the
 * volatility of the spread between two modes (real options: Dixit, "Investment and Hysteresis",
 * Journal of Economic Perspectives 6(1), 1992; both bands follow from V(b) = D, V'(b) = 0 of the
 * value V of being in the better mode). Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_BAND_H
#define SLUICE_SCHEDULERS_BAND_H

#include "schedulers/switching.h"

/* One more observation of differences; weight is that of the newest, clip bounds its square by so
 * many of the present mean (0: not yet). */
void sl_band_observe(struct sl_band_variances *v, const double diff[3], double weight, double clip);

/* q and nu2 of the walk and its noise; never negative. */
void sl_band_split(const struct sl_band_variances *v, int64_t k, double *ret_q, double *ret_nu2);
/* Steady gain of the Kalman filter of such a walk: 1 without noise, 0 without a walk. */
double sl_band_gain(double q, double nu2);

/* The band of a random walk: cbrt(3/2 D sigma^2). sigma2 per hour; D in nano-USD; result in
 * nano-USD per hour. */
double sl_band_walk(double switch_nusd, double sigma2_h);
/* The band of a mean-reverting spread with rate kappa per hour: b - sigma/sqrt(kappa) *
 * F(b sqrt(kappa)/sigma) = kappa D, F Dawson's integral. Never below sl_band_walk. */
double sl_band_reverting(double switch_nusd, double sigma2_h, double kappa_h);
/* kappa and sigma2, per hour, of a spread from its three variances; kappa 0: none is seen. */
void sl_band_fit(const struct sl_band_variances *v, int64_t k, double step_h, double *ret_sigma2_h,
                 double *ret_kappa_h);

#endif
