/* SPDX-License-Identifier: Apache-2.0
 * How a service ends while it is still starting. Thread: the first one, before others run. */
#ifndef SLUICE_PROTO_BASE_ENDING_H
#define SLUICE_PROTO_BASE_ENDING_H

/* Until the event loop watches for them itself, SIGTERM and SIGINT end the process at once, with 0:
 * nothing was promised to anybody yet, and what is on disk outlives a kill. Without it a service
 * that is stopped while it loads models or looks for devices would count as failed. */
void sl_ending_at_once(void);

#endif
