/* SPDX-License-Identifier: Apache-2.0
 * What the quotes of a class of devices have taught: a Kalman filter of the gross hashprice, the
 * variances of the net spreads between modes, the mean gaps and lengths of leases.
 *
 * One per class, whatever the number of its devices: a device's own rates only scale it
 * (switching.h). It is given every step at the same span, also where nothing moves. The caller owns
 * the memory. Thread: one per state; pure. */
#ifndef SLUICE_SCHEDULERS_CLASS_H
#define SLUICE_SCHEDULERS_CLASS_H

#include "schedulers/switching.h"

struct sl_switching_class;

size_t sl_switching_class_bytes(const struct sl_switching_params *params);
/* memory: zeroed, aligned for int64_t. */
struct sl_switching_class *sl_switching_class_init(void *memory,
                                                   const struct sl_switching_modes *modes,
                                                   const struct sl_switching_params *params);
/* One step of a typical device of the class: gross, known, rate, span, lease_on are read. */
void sl_switching_class_observe(struct sl_switching_class *class,
                                const struct sl_switching_step *step);
/* As of the last step; good until the next. */
const struct sl_switching_view *sl_switching_class_view(const struct sl_switching_class *class);

#endif
