/* SPDX-License-Identifier: Apache-2.0
 * Reading what happened, and which devices are not trusted. Rows are appended with SL_OP_EVENT and
 * SL_OP_HEALTH. Thread: the reader's. Errors: negative, with a text that says what to do. */
#ifndef SLUICE_BROKER_STORE_EVENTS_H
#define SLUICE_BROKER_STORE_EVENTS_H

#include "broker/store/store.h"

#define SL_STORE_EVENTS_KEPT 200000

/* struct sl_event_row above `after`, oldest first, at most `limit`. */
int sl_reader_events(struct sl_reader *r, uint64_t after, uint32_t limit, sl_row_cb cb, void *arg,
                     struct sl_error *err);
/* The newest `limit`, newest first; device NULL: all. */
int sl_reader_events_newest(struct sl_reader *r, const char *device, uint32_t limit, sl_row_cb cb,
                            void *arg, struct sl_error *err);
/* What people did since then, newest first. */
int sl_reader_audit(struct sl_reader *r, struct sl_wall since, uint32_t limit, sl_row_cb cb,
                    void *arg, struct sl_error *err);
/* Behind an id, oldest first. */
int sl_reader_audit_after(struct sl_reader *r, uint64_t after, uint32_t limit, sl_row_cb cb,
                          void *arg, struct sl_error *err);
/* The id of the newest; 0: there is none. */
int sl_reader_audit_high(struct sl_reader *r, uint64_t *ret_id, struct sl_error *err);
/* The id of the newest; 0: there is none. */
int sl_reader_event_high(struct sl_reader *r, uint64_t *ret_id, struct sl_error *err);
/* struct sl_health_row of every device that has one. */
int sl_reader_health(struct sl_reader *r, sl_row_cb cb, void *arg, struct sl_error *err);

#endif
