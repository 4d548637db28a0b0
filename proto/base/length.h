/* SPDX-License-Identifier: Apache-2.0
 * Classes of text length, in which devices measure their speed and the market reckons what a
 * batch would earn: short texts pay for launches, long ones for attention, so one figure for a
 * model is right for neither. Thread: any; pure. */
#ifndef SLUICE_PROTO_BASE_LENGTH_H
#define SLUICE_PROTO_BASE_LENGTH_H

#include <stdint.h>

/* By tokens of one text: up to 16, 32, 64, 128, 256, 512, 1024, and above. Part of the wire: a
 * class may be added at the end, none may be moved. */
#define SL_LENGTHS 8

/* The class of a text of so many tokens. */
uint32_t sl_length_class(uint64_t tokens);
/* The longest text of a class; 0 for the last one, which has no end. */
uint32_t sl_length_most(uint32_t class_);

#endif
