/* SPDX-License-Identifier: Apache-2.0
 * Double SHA-256 (FIPS 180-4) of 80-byte block headers that differ in their nonce only.
 *
 * A header holds its nonce little-endian and SHA-256 reads words big-endian: "nonce" here is the
 * word. VW nonces at a time in one vector (1, 2, 4, 8, 16). One work-item tries `rounds` vectors,
 * one work-group local_size * rounds * VW consecutive nonces, starting at base + group * that. What
 * no nonce changes is worked out on the host (hash_kernel.c), named here by the FIPS index: head:
 * state after rounds 0-2 and the nonce-free part of round 3 of the header's second block {a3 + T,
 * a2, a1, a0, e3 + T, e2, e1, e0}: round 3 only adds the nonce to a and e; mid:  the midstate,
 * added at the end of the first hash; sched: {W16, W17, then the nonce-free parts of W18, W19, W31
 * and W32, 0, 0}. The second hash stops as soon as the digest's last word, the number's top 32
 * bits, is known: that takes 61 of its 64 rounds, and only one in 2^32 / (top + 1) nonces goes on
 * from there.
 *
 * results[0] counts work-groups that ran and results[1] candidates; both only ever grow, so that
 * nothing needs clearing between launches. The last RING candidates follow from results[2]. */
#include "inc_stop.cl"

#if VW == 1
typedef uint lanes;
#define ANY(x) (x)
#define FROM_UINT(x) (x)
#define LANE_OFFSETS 0u
#elif VW == 2
typedef uint2 lanes;
#define STORE(x, out) vstore2(x, 0, out)
#define ANY(x) any(x)
#define FROM_UINT(x) (lanes)(x)
#define LANE_OFFSETS (lanes)(0u, 1u)
#elif VW == 4
typedef uint4 lanes;
#define STORE(x, out) vstore4(x, 0, out)
#define ANY(x) any(x)
#define FROM_UINT(x) (lanes)(x)
#define LANE_OFFSETS (lanes)(0u, 1u, 2u, 3u)
#elif VW == 8
typedef uint8 lanes;
#define STORE(x, out) vstore8(x, 0, out)
#define ANY(x) any(x)
#define FROM_UINT(x) (lanes)(x)
#define LANE_OFFSETS (lanes)(0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u)
#elif VW == 16
typedef uint16 lanes;
#define STORE(x, out) vstore16(x, 0, out)
#define ANY(x) any(x)
#define FROM_UINT(x) (lanes)(x)
#define LANE_OFFSETS (lanes)(0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 10u, 11u, 12u, 13u, 14u, 15u)
#endif

#define ROTR(x, n) rotate(x, FROM_UINT(32u - n))
#define BIG0(x) (ROTR(x, 2u) ^ ROTR(x, 13u) ^ ROTR(x, 22u))
#define BIG1(x) (ROTR(x, 6u) ^ ROTR(x, 11u) ^ ROTR(x, 25u))
#define SMALL0(x) (ROTR(x, 7u) ^ ROTR(x, 18u) ^ ((x) >> 3u))
#define SMALL1(x) (ROTR(x, 17u) ^ ROTR(x, 19u) ^ ((x) >> 10u))
/* AVX-512 has any function of three words as one instruction. Compilers find it for sums of three,
 * but not for CH and MAJ: one operation in 25. */
#if VW == 16 && defined(__AVX512F__) && __has_builtin(__builtin_ia32_pternlogd512_mask)
#define TERNARY(x, y, z, table)                                                                    \
    as_uint16(__builtin_ia32_pternlogd512_mask(as_int16(x), as_int16(y), as_int16(z), table,       \
                                               (ushort)-1))
#define CH(x, y, z) TERNARY(x, y, z, 0xca)
#define MAJ(x, y, z) TERNARY(x, y, z, 0xe8)
#else
#define CH(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MAJ(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#endif

#define ROUND(a, b, c, d, e, f, g, h, w, k)                                                        \
    t = h + BIG1(e) + CH(e, f, g) + (w) + (k);                                                     \
    d += t;                                                                                        \
    h = t + BIG0(a) + MAJ(a, b, c)

/* w[i] becomes W(i + 16). */
#define EXPAND(i)                                                                                  \
    w[(i)&15] += SMALL1(w[((i) + 14) & 15]) + w[((i) + 9) & 15] + SMALL0(w[((i) + 1) & 15])

#define ROUNDS_0_TO_3(k0, k1, k2, k3)                                                              \
    ROUND(a, b, c, d, e, f, g, h, w[0], k0);                                                       \
    ROUND(h, a, b, c, d, e, f, g, w[1], k1);                                                       \
    ROUND(g, h, a, b, c, d, e, f, w[2], k2);                                                       \
    ROUND(f, g, h, a, b, c, d, e, w[3], k3)
#define ROUNDS_4_TO_7(k4, k5, k6, k7)                                                              \
    ROUND(e, f, g, h, a, b, c, d, w[4], k4);                                                       \
    ROUND(d, e, f, g, h, a, b, c, w[5], k5);                                                       \
    ROUND(c, d, e, f, g, h, a, b, w[6], k6);                                                       \
    ROUND(b, c, d, e, f, g, h, a, w[7], k7)
#define ROUNDS_8_TO_11(k8, k9, k10, k11)                                                           \
    ROUND(a, b, c, d, e, f, g, h, w[8], k8);                                                       \
    ROUND(h, a, b, c, d, e, f, g, w[9], k9);                                                       \
    ROUND(g, h, a, b, c, d, e, f, w[10], k10);                                                     \
    ROUND(f, g, h, a, b, c, d, e, w[11], k11)
#define ROUNDS_12_TO_15(k12, k13, k14, k15)                                                        \
    ROUND(e, f, g, h, a, b, c, d, w[12], k12);                                                     \
    ROUND(d, e, f, g, h, a, b, c, w[13], k13);                                                     \
    ROUND(c, d, e, f, g, h, a, b, w[14], k14);                                                     \
    ROUND(b, c, d, e, f, g, h, a, w[15], k15)

#define EXPAND_4(from)                                                                             \
    EXPAND(from);                                                                                  \
    EXPAND(from + 1);                                                                              \
    EXPAND(from + 2);                                                                              \
    EXPAND(from + 3)

/* Rounds 16 to 31 of either hash, with W16 to W31 in w. */
#define ROUNDS_16_TO_31                                                                            \
    ROUNDS_0_TO_3(0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu);                             \
    ROUNDS_4_TO_7(0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau);                             \
    ROUNDS_8_TO_11(0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u);                            \
    ROUNDS_12_TO_15(0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u)
#define ROUNDS_32_TO_47                                                                            \
    ROUNDS_0_TO_3(0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u);                             \
    ROUNDS_4_TO_7(0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u);                             \
    ROUNDS_8_TO_11(0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u);                            \
    ROUNDS_12_TO_15(0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u)
#define ROUNDS_48_TO_59                                                                            \
    ROUNDS_0_TO_3(0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u);                             \
    ROUNDS_4_TO_7(0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u);                             \
    ROUNDS_8_TO_11(0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u)

/* State after the header's second block, before the midstate is added. */
static void first_hash(lanes nonce, uint8 head, uint8 sched, lanes out[8]) {
    lanes w[16];
    lanes t;
    /* The names of the state rotate by one with every round, so at round 4 the FIPS a is called e.
     */
    lanes e = nonce + head.s0;
    lanes f = FROM_UINT(head.s1);
    lanes g = FROM_UINT(head.s2);
    lanes h = FROM_UINT(head.s3);
    lanes a = nonce + head.s4;
    lanes b = FROM_UINT(head.s5);
    lanes c = FROM_UINT(head.s6);
    lanes d = FROM_UINT(head.s7);
    w[4] = FROM_UINT(0x80000000u);
    w[5] = w[6] = w[7] = w[8] = w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = FROM_UINT(0u);
    w[15] = FROM_UINT(640u);
    ROUNDS_4_TO_7(0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u);
    ROUNDS_8_TO_11(0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u);
    ROUNDS_12_TO_15(0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u);

    /* W16 to W32, of which the host knows parts. */
    w[0] = FROM_UINT(sched.s0);
    w[1] = FROM_UINT(sched.s1);
    w[2] = SMALL0(nonce) + sched.s2;
    w[3] = nonce + sched.s3;
    EXPAND_4(4);
    EXPAND_4(8);
    EXPAND(12);
    EXPAND(13);
    EXPAND(14);
    w[15] = SMALL1(w[13]) + w[8] + sched.s4;
    ROUNDS_16_TO_31;
    w[0] = SMALL1(w[14]) + w[9] + sched.s5;
    EXPAND(1);
    EXPAND(2);
    EXPAND(3);
    EXPAND_4(4);
    EXPAND_4(8);
    EXPAND_4(12);
    ROUNDS_32_TO_47;
    EXPAND_4(0);
    EXPAND_4(4);
    EXPAND_4(8);
    EXPAND_4(12);
    ROUNDS_48_TO_59;
    ROUNDS_12_TO_15(0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u);
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
    out[4] = e;
    out[5] = f;
    out[6] = g;
    out[7] = h;
}

/* Top 32 bits of the second hash, read as a little-endian number. w: the first digest's 8 words. */
static lanes second_hash_top(lanes w[16]) {
    lanes t;
    lanes a = FROM_UINT(0x6a09e667u);
    lanes b = FROM_UINT(0xbb67ae85u);
    lanes c = FROM_UINT(0x3c6ef372u);
    lanes d = FROM_UINT(0xa54ff53au);
    lanes e = FROM_UINT(0x510e527fu);
    lanes f = FROM_UINT(0x9b05688cu);
    lanes g = FROM_UINT(0x1f83d9abu);
    lanes h = FROM_UINT(0x5be0cd19u);
    w[8] = FROM_UINT(0x80000000u);
    w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = FROM_UINT(0u);
    w[15] = FROM_UINT(256u);
    ROUNDS_0_TO_3(0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u);
    ROUNDS_4_TO_7(0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u);
    ROUNDS_8_TO_11(0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u);
    ROUNDS_12_TO_15(0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u);
    EXPAND_4(0);
    EXPAND_4(4);
    EXPAND_4(8);
    EXPAND_4(12);
    ROUNDS_16_TO_31;
    EXPAND_4(0);
    EXPAND_4(4);
    EXPAND_4(8);
    EXPAND_4(12);
    ROUNDS_32_TO_47;
    EXPAND_4(0);
    EXPAND_4(4);
    EXPAND_4(8);
    EXPAND(12);
    ROUNDS_48_TO_59;
    /* Round 60 gives the word that reaches the end as h, to which the initial h is added. */
    h = d + h + BIG1(a) + CH(a, b, c) + w[12] + 0x90befffau + 0x5be0cd19u;
    return (rotate(h, FROM_UINT(8u)) & 0x00ff00ffu) | (rotate(h, FROM_UINT(24u)) & 0xff00ff00u);
}

__kernel void sha256d(STOP_ARGS, __global uint *results, uint8 head, uint8 mid, uint8 sched,
                      uint base, uint top, uint rounds) {
    STOP_BEGIN
    const uint span = (uint)get_local_size(0) * VW;
    uint first = base + (uint)get_group_id(0) * span * rounds + (uint)get_local_id(0) * VW;
    for (uint round = 0; round < rounds; round++, first += span) {
        const lanes nonce = FROM_UINT(first) + LANE_OFFSETS;
        lanes w[16];
        first_hash(nonce, head, sched, w);
        w[0] += mid.s0;
        w[1] += mid.s1;
        w[2] += mid.s2;
        w[3] += mid.s3;
        w[4] += mid.s4;
        w[5] += mid.s5;
        w[6] += mid.s6;
        w[7] += mid.s7;
        const lanes got = second_hash_top(w);
        if (ANY(got <= FROM_UINT(top))) {
#if VW == 1
            results[2 + (atomic_inc(&results[1]) & (RING - 1))] = nonce;
#else
            uint tops[VW];
            uint nonces[VW];
            STORE(got, tops);
            STORE(nonce, nonces);
            for (uint lane = 0; lane < VW; lane++) {
                if (tops[lane] <= top) {
                    results[2 + (atomic_inc(&results[1]) & (RING - 1))] = nonces[lane];
                }
            }
#endif
        }
    }
    STOP_END
}
