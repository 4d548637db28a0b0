/* SPDX-License-Identifier: Apache-2.0
 * Large blocks in large pages. A product walks over megabytes in strides; with pages of 4 KiB a CPU
 * has to look up more of them than it remembers. Thread: any. */
#ifndef SLUICE_AGENT_DEVICE_PAGES_H
#define SLUICE_AGENT_DEVICE_PAGES_H

#include <stddef.h>

/* Asks Linux for large pages (transparent_hugepage: madvise) for what lies within, best before it
 * is touched. Only advice: blocks too small for one, and kernels without, stay as they are. */
void sl_pages_large(void *at, size_t bytes);

#endif
