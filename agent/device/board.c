/* SPDX-License-Identifier: Apache-2.0
 * Which board sits in a slot, by the files of the kernel, where the OpenCL driver has no UUID. A
 * board that replaces another must not take over what was found out about that one. */
#include "agent/device/board.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

/* The one word of letters and digits that stands in a file, "0x" in front left out. */
static bool read_word(const char *folder, const char *name, char *out, size_t size) {
    char path[320];
    char text[48];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    SL_AUTO_FD int fd =
        n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (got <= 0) {
        return false;
    }
    text[got] = '\0';
    const char *at = strncmp(text, "0x", 2) == 0 ? text + 2 : text;
    size_t length = 0;
    while (isalnum((unsigned char)at[length])) {
        length++;
    }
    if (length == 0 || length >= size || strspn(at + length, " \n") != strlen(at + length)) {
        return false;
    }
    memcpy(out, at, length);
    out[length] = '\0';
    return true;
}

void sl_board_read(const char *root, const struct sl_pci_place *pci,
                   char ret_uuid[SL_UUID_TEXT_MAX_HEX], char ret_model[SL_MODEL_TEXT_MAX]) {
    char folder[280];
    char place[SL_PCI_TEXT_MAX];
    static const char *const names[] = {"vendor", "device", "subsystem_vendor", "subsystem_device"};
    char ids[4][5];
    char serial[SL_UUID_TEXT_MAX_HEX];
    ret_uuid[0] = ret_model[0] = '\0';
    sl_pci_text(pci, place);
    int n = snprintf(folder, sizeof folder, "%s/bus/pci/devices/%s", root, place);
    if (!place[0] || n < 0 || (size_t)n >= sizeof folder) {
        return;
    }
    /* amdgpu, of chips since Vega; one that does not know it says 0. */
    if (read_word(folder, "unique_id", serial, sizeof serial) &&
        strspn(serial, "0") != strlen(serial) &&
        strspn(serial, "0123456789abcdef") == strlen(serial)) {
        memcpy(ret_uuid, serial, sizeof serial);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!read_word(folder, names[i], ids[i], sizeof ids[i])) {
            return;
        }
    }
    snprintf(ret_model, SL_MODEL_TEXT_MAX, "%s.%s.%s.%s", ids[0], ids[1], ids[2], ids[3]);
}
