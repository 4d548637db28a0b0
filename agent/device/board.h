/* SPDX-License-Identifier: Apache-2.0
 * Which board sits in a PCI slot, as the kernel says. Thread: any. */
#ifndef SLUICE_AGENT_DEVICE_BOARD_H
#define SLUICE_AGENT_DEVICE_BOARD_H

#include "agent/device/place.h"

/* Below ROOT ("/sys" in life). uuid: the board's own number; model: vendor, device and who made the
 * board. Each is empty where it is not known. */
void sl_board_read(const char *root, const struct sl_pci_place *pci,
                   char ret_uuid[SL_UUID_TEXT_MAX_HEX], char ret_model[SL_MODEL_TEXT_MAX]);

#endif
