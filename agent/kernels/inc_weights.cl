/* SPDX-License-Identifier: Apache-2.0
 * Panels of packed weights (infer_gemm.h), read as vectors of VW floats. WEIGHTS is enum
 * sl_weight_type. All conversions are exact: a quant times its scale has at most 19 significant
 * bits.
 *
 *   WEIGHT_BEGIN(b, panel, k, lane)          where the panel's column `lane` starts
 *   for (i = 0; i < k; i += WEIGHT_BLOCK) {
 *       WEIGHT_SCALES
 *       for (step = 0; step < WEIGHT_BLOCK; step++) { ... WEIGHT_LEFT, WEIGHT_RIGHT; WEIGHT_NEXT }
 *   } */
#define PANEL 32u

#if WEIGHTS == 1
#define WEIGHT float
#define WEIGHT_BLOCK 1u
#define WEIGHT_BEGIN(b, panel, k, lane)                                                            \
    __global const float *w_at = (b) + (size_t)(panel) * (k)*PANEL + (lane);
#define WEIGHT_SCALES
#define WEIGHT_LEFT LOADV(w_at)
#define WEIGHT_RIGHT LOADV(w_at + VW)
#define WEIGHT_NEXT w_at += PANEL;
#endif

/* Half to float by hand on CPU devices, where a driver's vload_half may go lane by lane: the
 * exponent is moved and its bias corrected by a product, which is exact. No weight is infinite or
 * NaN. GPUs have an instruction, and may take a denormal float for zero. */
#if WEIGHTS != 1
#if VW == 1
#define LOAD_HALF(p) vload_half(0, (__global const half *)(p))
#define LOAD_CHAR(p) (float)(*(p))
#else
#define LOAD_HALF(p) half_to_float(VEC_JOIN(convert_int, VW)(VEC_JOIN(vload, VW)(0, p)))
#define LOAD_CHAR(p) VEC_JOIN(convert_float, VW)(VEC_JOIN(vload, VW)(0, p))
floatv half_to_float(intv h) {
    floatv magnitude = AS_FLOATV((h & 0x7fff) << 13) * (floatv)(5.192296858534828e33f); /* 2^112 */
    return AS_FLOATV(AS_INTV(magnitude) | ((h & 0x8000) << 16));
}
#endif
#endif

#if WEIGHTS == 2
#define WEIGHT ushort
#define WEIGHT_BLOCK 1u
#define WEIGHT_BEGIN(b, panel, k, lane)                                                            \
    __global const ushort *w_at = (b) + (size_t)(panel) * (k)*PANEL + (lane);
#define WEIGHT_SCALES
#define WEIGHT_LEFT LOAD_HALF(w_at)
#define WEIGHT_RIGHT LOAD_HALF(w_at + VW)
#define WEIGHT_NEXT w_at += PANEL;
#endif

#if WEIGHTS == 3
#define WEIGHT char
#define WEIGHT_BLOCK 32u
#define WEIGHT_BEGIN(b, panel, k, lane)                                                            \
    uint w_lane = (lane);                                                                          \
    __global const char *w_at = (b) + (size_t)(panel) * ((k) / 32u * 34u) * PANEL;
#define WEIGHT_SCALES                                                                              \
    floatv w_left = LOAD_HALF((__global const ushort *)w_at + w_lane);                             \
    floatv w_right = LOAD_HALF((__global const ushort *)w_at + (w_lane + VW) % PANEL);             \
    w_at += 2u * PANEL;
#define WEIGHT_LEFT (w_left * LOAD_CHAR(w_at + w_lane))
#define WEIGHT_RIGHT (w_right * LOAD_CHAR(w_at + (w_lane + VW) % PANEL))
#define WEIGHT_NEXT w_at += PANEL;
#endif
