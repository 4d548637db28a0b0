/* SPDX-License-Identifier: Apache-2.0
 * Where a device sits, for those who look for its sensors. Plain struct. */
#ifndef SLUICE_AGENT_DEVICE_PLACE_H
#define SLUICE_AGENT_DEVICE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_PCI_TEXT_MAX 24      /* "0000:01:00.0" */
#define SL_UUID_TEXT_MAX_HEX 33 /* 16 bytes in hex */
#define SL_MODEL_TEXT_MAX 20    /* "1002.73bf.148c.2408" */
#define SL_LOCALITY_MAX 96

/* Where the device sits on the PCI buses, as far as the driver says. */
struct sl_pci_place {
    bool known;
    uint32_t domain, bus, device, function;
};

struct sl_device_place {
    bool part; /* of a device that was split: sensors speak of the whole */
    struct sl_pci_place pci;
    char uuid[SL_UUID_TEXT_MAX_HEX]; /* of the hardware, hex; empty: not known */
    char model[SL_MODEL_TEXT_MAX];   /* of a board without UUID, by its PCI ids; empty: not known */
    char locality[SL_LOCALITY_MAX];  /* CPUs close to it, for people; empty: not known */
};

/* "0000:01:00.0"; empty when not known. */
void sl_pci_text(const struct sl_pci_place *pci, char ret_text[SL_PCI_TEXT_MAX]);
/* Of the same form, domain optional. False when it is no PCI address. */
bool sl_pci_parse(const char *text, struct sl_pci_place *ret_pci);
/* A GPU's key, "pci:PLACE/UUID". Machines that are alike have their GPUs in the same slots: where
 * no UUID tells them apart, the node does: "NODE/pci:PLACE", and the model tells a board from the
 * one that sat there before: "NODE/pci:PLACE/MODEL". */
void sl_pci_key(const struct sl_device_place *place, const char *node, char *ret_key, size_t size);

#endif
