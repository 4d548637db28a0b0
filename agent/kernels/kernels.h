/* SPDX-License-Identifier: Apache-2.0
 * Kernel sources, embedded at build time from agent/kernels/NAME.cl (see embed.cmake). */
#ifndef SLUICE_AGENT_KERNELS_KERNELS_H
#define SLUICE_AGENT_KERNELS_KERNELS_H

extern const char sl_kernel_sha256d[]; /* double SHA-256 of 80-byte headers */
extern const char sl_kernel_probe[];   /* does a running kernel see the stop word? */

extern const char sl_kernel_gemm_f32_cpu[]; /* matrix product with fused epilogues */
extern const char sl_kernel_gemm_f32_gpu[];
extern const char sl_kernel_bert_rows_f32_cpu[]; /* embedding, layer norm, pooling */
extern const char sl_kernel_bert_rows_f32_gpu[];
extern const char sl_kernel_bert_attention_f32_cpu[];
extern const char sl_kernel_bert_attention_f32_gpu[];

#endif
