/* SPDX-License-Identifier: Apache-2.0
 * Vectors of VW floats, and the two transcendental functions of an encoder.
 *
 * VW is 16, 8 or 4 on CPU devices (the native width) and 1 on GPUs, where a work-item is one lane.
 * Both functions are plain polynomials, so a lane gives the same bits whatever its neighbours hold,
 * and they cost a tenth of what a driver's library call does on a CPU. No fast-math flag may be
 * used with this file: the rounding trick in exp_neg would be optimised away. */
#ifndef VW
#define VW 1
#endif
#define VEC_JOIN_(a, b) a##b
#define VEC_JOIN(a, b) VEC_JOIN_(a, b)
#if VW == 1
typedef float floatv;
typedef int intv;
#define LOADV(p) (*(p))
#define STOREV(v, p) (*(p) = (v))
#else
typedef VEC_JOIN(float, VW) floatv;
typedef VEC_JOIN(int, VW) intv;
#define LOADV(p) VEC_JOIN(vload, VW)(0, p)
#define STOREV(v, p) VEC_JOIN(vstore, VW)(v, 0, p)
#endif
#define AS_INTV(x) VEC_JOIN(as_int, VEC_SUFFIX)(x)
#define AS_FLOATV(x) VEC_JOIN(as_float, VEC_SUFFIX)(x)
#if VW == 1
#define VEC_SUFFIX
#else
#define VEC_SUFFIX VW
#endif

/* e^x for x <= 0, relative error below 2e-7; what is under -87 gives about 1e-38 instead of a
 * denormal. 12582912 = 1.5 * 2^23 rounds to an integer in the low mantissa bits. */
floatv exp_neg(floatv x) {
    const floatv magic = (floatv)(12582912.0f);
    x = fmax(x, (floatv)(-87.0f));
    floatv shifted = fma(x, (floatv)(1.44269504f), magic);
    intv power = AS_INTV(shifted) - AS_INTV(magic);
    floatv whole = shifted - magic;
    floatv r = fma(whole, (floatv)(-0.693359375f), x); /* ln 2 in two parts */
    r = fma(whole, (floatv)(2.12194440e-4f), r);
    floatv q = fma(r, (floatv)(0.0013950725551694632f), (floatv)(0.008369024842977524f));
    q = fma(q, r, (floatv)(0.04166620224714279f));
    q = fma(q, r, (floatv)(0.166665181517601f));
    q = fma(q, r, (floatv)(0.5f));
    q = fma(q * r, r, r) + 1.0f;
    return AS_FLOATV(AS_INTV(q) + (power << 23));
}

/* x times the normal distribution function of x: GELU in its erf form. On [-5.6, 5.6] the function
 * is 1/2 + x p(x^2) with p fitted (minimax) in t = 2 x^2 / 5.6^2 - 1; outside it is 0 or 1 to
 * float precision. Absolute error below 1e-6 for |x| <= 5.6. */
floatv gelu_erf(floatv x) {
    const floatv edge = (floatv)(5.6f);
    floatv in = clamp(x, -edge, edge);
    floatv t = fma(in * in, (floatv)(0.06377551020408163f), (floatv)(-1.0f));
    floatv p = fma(t, (floatv)(-0.0003081726317759603f), (floatv)(0.000845950678922236f));
    p = fma(p, t, (floatv)(-0.0007072786684148014f));
    p = fma(p, t, (floatv)(0.0007913797744549811f));
    p = fma(p, t, (floatv)(-0.002755202353000641f));
    p = fma(p, t, (floatv)(0.005349847953766584f));
    p = fma(p, t, (floatv)(-0.007618307135999203f));
    p = fma(p, t, (floatv)(0.010969921946525574f));
    p = fma(p, t, (floatv)(-0.01572560705244541f));
    p = fma(p, t, (floatv)(0.020947398617863655f));
    p = fma(p, t, (floatv)(-0.026317324489355087f));
    p = fma(p, t, (floatv)(0.03196893632411957f));
    p = fma(p, t, (floatv)(-0.03834506496787071f));
    p = fma(p, t, (floatv)(0.04698093980550766f));
    p = fma(p, t, (floatv)(-0.06305129826068878f));
    p = fma(p, t, (floatv)(0.12625959515571594f));
    floatv share = fma(in, p, (floatv)(0.5f));
    share = fmax(share, (floatv)(0.0f));
    floatv y = x * share;
    y = x > edge ? x : y;
    return x < -edge ? (floatv)(0.0f) : y;
}

/* Sum over the lanes, always in the same order. */
float sum_lanes(floatv v) {
#if VW == 16
    float8 h = v.lo + v.hi;
    float4 q = h.lo + h.hi;
#elif VW == 8
    float4 q = v.lo + v.hi;
#elif VW == 4
    float4 q = v;
#endif
#if VW == 1
    return v;
#else
    float2 d = q.lo + q.hi;
    return d.x + d.y;
#endif
}
