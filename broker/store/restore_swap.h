/* SPDX-License-Identifier: Apache-2.0
 * The second half of a restore: DATA_DIR/restore.ready is complete and takes the place of the data
 * there, which go aside. Each step is a rename, and which of them are done can be seen from what is
 * where, so that it goes on after a kill at any point. */
#ifndef SLUICE_BROKER_STORE_RESTORE_SWAP_H
#define SLUICE_BROKER_STORE_RESTORE_SWAP_H

#include "proto/base/error.h"

#define SL_RESTORE_READY "restore.ready"

/* Where the present data will go, written into the folder that becomes restore.ready. */
int sl_restore_note_aside(const char *fresh, const char *aside, struct sl_error *err);

#endif
