/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/place.h"

#include <stdio.h>

void sl_pci_text(const struct sl_pci_place *pci, char ret_text[SL_PCI_TEXT_MAX]) {
    ret_text[0] = '\0';
    if (pci->known) {
        snprintf(ret_text, SL_PCI_TEXT_MAX, "%04x:%02x:%02x.%u", pci->domain, pci->bus, pci->device,
                 pci->function);
    }
}

void sl_pci_key(const struct sl_device_place *place, const char *node, char *ret_key, size_t size) {
    char pci[SL_PCI_TEXT_MAX];
    sl_pci_text(&place->pci, pci);
    if (place->uuid[0]) {
        snprintf(ret_key, size, "pci:%s/%s", pci, place->uuid);
    } else if (place->model[0]) {
        snprintf(ret_key, size, "%.50s/pci:%s/%s", node, pci, place->model);
    } else {
        snprintf(ret_key, size, "%.60s/pci:%s", node, pci);
    }
}

/* Hex digits up to `end`, at least one and at most eight. */
static bool part(const char **text, char end, uint32_t most, uint32_t *ret_value) {
    uint32_t value = 0;
    int digits = 0;
    for (; **text && **text != end; (*text)++, digits++) {
        char c = (char)(**text | 0x20);
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0 || digits == 8) {
            return false;
        }
        value = value * 16 + (uint32_t)digit;
    }
    if (digits == 0 || **text != end || value > most) {
        return false;
    }
    *text += end != '\0';
    *ret_value = value;
    return true;
}

bool sl_pci_parse(const char *text, struct sl_pci_place *ret_pci) {
    struct sl_pci_place pci = {.known = true};
    const char *at = text;
    int colons = 0;
    for (const char *c = text; *c; c++) {
        colons += *c == ':';
    }
    if (colons < 1 || colons > 2 || (colons == 2 && !part(&at, ':', UINT32_MAX, &pci.domain)) ||
        !part(&at, ':', 255, &pci.bus) || !part(&at, '.', 31, &pci.device) ||
        !part(&at, '\0', 7, &pci.function)) {
        return false;
    }
    *ret_pci = pci;
    return true;
}
