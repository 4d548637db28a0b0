/* SPDX-License-Identifier: Apache-2.0
 * The few functions of binary64 that deciding needs, the same bits everywhere.
 *
 * libm's variants of exp, log and sin differ by CPU and by version, so that the same snapshot could
 * give two plans. These use + - * / and sqrt only, which IEEE 754 rounds in one way, in a fixed
 * order (built with -ffp-contract=off). Errors are relative, measured against libm in
 * tests/unit/schedulers/test_real.c. Thread: any; pure. */
#ifndef SLUICE_SCHEDULERS_REAL_H
#define SLUICE_SCHEDULERS_REAL_H

#include <stdint.h>

double sl_real_exp(double x);  /* below 1e-15; 0 below -745, the largest double above 709.7 */
double sl_real_log(double x);  /* x > 0 and normal; below 1e-15 */
double sl_real_sin(double x);  /* |x| < 1e6; absolute error below 1e-10 there, 1e-15 up to pi */
double sl_real_cbrt(double x); /* below 1e-15 */
/* F(x) = exp(-x^2) * integral of exp(t^2) over 0..x; below 1e-12. Rybicki's sum of exponentials
 * (Computers in Physics 3, 1989), a series near 0. */
double sl_real_dawson(double x);
/* To the nearest integer, halves away from zero; limits of int64 where x is beyond them; 0 for a
 * NaN. */
int64_t sl_real_round(double x);

#endif
