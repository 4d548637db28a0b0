/* SPDX-License-Identifier: Apache-2.0
 * The tables of a tick: what was known of a device (core->input), what was planned for it
 * (core->plan, core->decided) and the lease on offer, a row each. A site has 100,000 devices and a
 * calm one moves few of them, so a tick may keep the rows that something is done with and drop the
 * others. Private to broker/core; the core's thread. */
#ifndef SLUICE_BROKER_CORE_TICK_ROWS_H
#define SLUICE_BROKER_CORE_TICK_ROWS_H

#include "broker/core/core_internal.h"

#define SL_CORE_ROWS_MIN 128 /* room that is never given back */

/* Room for `rows`; the first input.count ones stay. Rows beyond them hold anything. */
void sl_core_rows_reserve(struct sl_broker_core *core, uint32_t rows);
/* Row `from` stands at `to` from now on, and its device is found there. */
void sl_core_rows_move(struct sl_broker_core *core, uint32_t from, uint32_t to);
/* Whether people ask later why the device stays where it is, by the figures of its row. */
bool sl_core_row_is_asked_for(const struct sl_broker_core *core, uint32_t dev, enum sl_rule rule);
/* After the tick: drops what nobody asks for, and gives much unused room back. */
void sl_core_rows_drop(struct sl_broker_core *core);
void sl_core_rows_fini(struct sl_broker_core *core);

#endif
