/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C (Castagnoli), as in RFC 3720 B.4: reflected polynomial 0x82F63B78. Thread: any. */
#ifndef SLUICE_AGENT_JOURNAL_CRC32C_H
#define SLUICE_AGENT_JOURNAL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue a sum with `crc` of what came before; 0 to begin. */
uint32_t sl_crc32c(uint32_t crc, const void *data, size_t size);

#endif
