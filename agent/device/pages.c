/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define LARGE_BYTES ((size_t)2 * 1024 * 1024)

void sl_pages_large(void *at, size_t bytes) {
    uintptr_t begin = ((uintptr_t)at + LARGE_BYTES - 1) & ~(uintptr_t)(LARGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)at + bytes) & ~(uintptr_t)(LARGE_BYTES - 1);
    if (end > begin) {
        (void)madvise((char *)at + (begin - (uintptr_t)at), end - begin, MADV_HUGEPAGE);
    }
}
