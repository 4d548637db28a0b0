/* SPDX-License-Identifier: Apache-2.0
 * Double SHA-256 (FIPS 180-4) of 80-byte block headers that differ in their nonce and, with MIDS
 * above 1, in what stands before their last 16 bytes: their version, which pools let miners roll
 * (BIP 320).
 *
 * A header holds its nonce little-endian and SHA-256 reads words big-endian: "nonce" here is the
 * word. VW nonces at a time in one vector (1, 2, 4, 8, 16), each with MIDS midstates (1 to 16):
 * the message schedule of a header's second block depends on its last 16 bytes alone, so it is
 * worked out once for all of them, which saves up to 15 % of all operations. One work-item
 * tries `rounds` vectors, one work-group local_size * rounds * VW consecutive nonces, starting at
 * base + group * that.
 *
 * What no nonce changes is worked out on the host (hash_kernel.c), named here by the FIPS index.
 * Of each midstate, in mids: state after rounds 0-2 and the nonce-free part of round 3 of the
 * header's second block {a3 + T, a2, a1, a0, e3 + T, e2, e1, e0} (round 3 only adds the nonce to a
 * and e), then the midstate itself, added at the end of the first hash. Of all, in sched: {W16,
 * W17, then the nonce-free parts of W18, W19, W31 and W32, 0, 0}. The second hash stops as soon as
 * the digest's last word, the number's top 32 bits, is known: that takes 61 of its 64 rounds, and
 * only one in 2^32 / (top + 1) nonces goes on from there.
 *
 * FLOW chooses how midstates share the schedule, LOGIC and ROTATE among equal ways to write the
 * functions: what suits a device is asked or timed (hash_tune.c). Each runs on any device; where an
 * instruction is missing it is spelt out.
 *
 * results[0] counts work-groups that ran and results[1] candidates; both only ever grow, so that
 * nothing needs clearing between launches. The last RING candidates follow from results[2], two
 * words each: the nonce and which midstate. */
#include "inc_stop.cl"

#ifndef MIDS
#define MIDS 1
#endif
/* In which order several midstates are worked off. */
#define FLOW_TOGETHER 0 /* each round with all of them in turns; at most 4 */
#define FLOW_IN_TURN 1  /* the schedule into a table, then one after the other; MIDS or fewer */
#define FLOW_SHA 2      /* likewise, with x86's instructions for SHA-256; VW is 4 at most */
#ifndef FLOW
#define FLOW FLOW_TOGETHER
#endif
/* How a function of three words is written. */
#define LOGIC_PLAIN 0  /* and, or, xor: compilers find what their device has */
#define LOGIC_SELECT 1 /* bitselect: one instruction where there is a bitfield insert */
#define LOGIC_TABLE 2  /* by truth table: NVIDIA's LOP3 */
#ifndef LOGIC
#define LOGIC LOGIC_PLAIN
#endif
#define ROTATE_PLAIN 0  /* rotate() */
#define ROTATE_ALIGN 1  /* a word out of two, as amd_bitalign gives it */
#define ROTATE_SHIFTS 2 /* two shifts */
#ifndef ROTATE
#define ROTATE ROTATE_PLAIN
#endif

#if VW == 1
typedef uint lanes;
#define LOAD(in) (in)[0]
#define ANY(x) (x)
#define FROM_UINT(x) (x)
#define LANE_OFFSETS 0u
#elif VW == 2
typedef uint2 lanes;
#define STORE(x, out) vstore2(x, 0, out)
#define LOAD(in) vload2(0, in)
#define ANY(x) any(x)
#define FROM_UINT(x) (lanes)(x)
#define LANE_OFFSETS (lanes)(0u, 1u)
#elif VW == 4
typedef uint4 lanes;
#define STORE(x, out) vstore4(x, 0, out)
#define LOAD(in) vload4(0, in)
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

#if ROTATE == ROTATE_ALIGN
#if defined(cl_amd_media_ops)
#pragma OPENCL EXTENSION cl_amd_media_ops : enable
#define ROTR(x, n) amd_bitalign(x, x, FROM_UINT(n))
#elif VW == 1
#define ROTR(x, n) ((uint)(((ulong)(x) << 32 | (x)) >> (n)))
#else
#define ROTR(x, n) rotate(x, FROM_UINT(32u - (n)))
#endif
#elif ROTATE == ROTATE_SHIFTS
#define ROTR(x, n) ((x) >> (n) | (x) << (32u - (n)))
#else
#define ROTR(x, n) rotate(x, FROM_UINT(32u - (n)))
#endif

/* AVX-512 has any function of three words as one instruction. Compilers find it for sums of three,
 * but not for CH and MAJ: one operation in 25. */
#if LOGIC == LOGIC_TABLE
#if VW == 1 && defined(SLUICE_PTX)
static uint lop3_ca(uint x, uint y, uint z) {
    uint r;
    __asm__("lop3.b32 %0, %1, %2, %3, 0xca;" : "=r"(r) : "r"(x), "r"(y), "r"(z));
    return r;
}
static uint lop3_e8(uint x, uint y, uint z) {
    uint r;
    __asm__("lop3.b32 %0, %1, %2, %3, 0xe8;" : "=r"(r) : "r"(x), "r"(y), "r"(z));
    return r;
}
static uint lop3_96(uint x, uint y, uint z) {
    uint r;
    __asm__("lop3.b32 %0, %1, %2, %3, 0x96;" : "=r"(r) : "r"(x), "r"(y), "r"(z));
    return r;
}
#define CH(x, y, z) lop3_ca(x, y, z)
#define MAJ(x, y, z) lop3_e8(x, y, z)
#define XOR3(x, y, z) lop3_96(x, y, z)
#else
/* Bit 4x + 2y + z of the table is the function's value. */
#define TERM(bit, x, y, z) ((table & (bit)) ? (x) & (y) & (z) : FROM_UINT(0u))
static lanes by_table(uint table, lanes x, lanes y, lanes z) {
    return TERM(1u, ~x, ~y, ~z) | TERM(2u, ~x, ~y, z) | TERM(4u, ~x, y, ~z) | TERM(8u, ~x, y, z) |
           TERM(16u, x, ~y, ~z) | TERM(32u, x, ~y, z) | TERM(64u, x, y, ~z) | TERM(128u, x, y, z);
}
#define CH(x, y, z) by_table(0xcau, x, y, z)
#define MAJ(x, y, z) by_table(0xe8u, x, y, z)
#define XOR3(x, y, z) by_table(0x96u, x, y, z)
#endif
#elif LOGIC == LOGIC_SELECT
#define CH(x, y, z) bitselect(z, y, x)
#define MAJ(x, y, z) bitselect(x, y, (x) ^ (z))
#elif VW == 16 && defined(__AVX512F__) && __has_builtin(__builtin_ia32_pternlogd512_mask)
#define TERNARY(x, y, z, table)                                                                    \
    as_uint16(__builtin_ia32_pternlogd512_mask(as_int16(x), as_int16(y), as_int16(z), table,       \
                                               (ushort)-1))
#define CH(x, y, z) TERNARY(x, y, z, 0xca)
#define MAJ(x, y, z) TERNARY(x, y, z, 0xe8)
#else
#define CH(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MAJ(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#endif
#ifndef XOR3
#define XOR3(x, y, z) ((x) ^ (y) ^ (z))
#endif
#define BIG0(x) XOR3(ROTR(x, 2u), ROTR(x, 13u), ROTR(x, 22u))
#define BIG1(x) XOR3(ROTR(x, 6u), ROTR(x, 11u), ROTR(x, 25u))
#define SMALL0(x) XOR3(ROTR(x, 7u), ROTR(x, 18u), (x) >> 3u)
#define SMALL1(x) XOR3(ROTR(x, 17u), ROTR(x, 19u), (x) >> 10u)

#if FLOW == FLOW_SHA
#include "inc_sha.cl"
#endif

#define ROUND_PLAIN(a, b, c, d, e, f, g, h, wk)                                                    \
    t = h + BIG1(e) + CH(e, f, g) + (wk);                                                          \
    d += t;                                                                                        \
    h = t + BIG0(a) + MAJ(a, b, c);

/* w[i] becomes W(i + 16). */
#define EXPAND_PLAIN(i)                                                                            \
    w[(i)&15] += SMALL1(w[((i) + 14) & 15]) + w[((i) + 9) & 15] + SMALL0(w[((i) + 1) & 15]);

#if FLOW == FLOW_IN_TURN
/* Compilers put sums into an order of their own: x is worked out as written. */
#if VW == 16 && defined(__AVX512F__)
#define HOLD(x) __asm__("" : "+v"(x));
#else
#define HOLD(x)
#endif
/* What the next round waits for comes last. With one midstate there is just enough to do beside it:
 * in the compiler's order seven operations stand between one e and the next, three of them
 * rotations, for which Intel has one 512-bit unit, and everything took 4 % longer. */
#define ROUND(a, b, c, d, e, f, g, h, wk)                                                          \
    t = h + (wk);                                                                                  \
    HOLD(t)                                                                                        \
    t += CH(e, f, g);                                                                              \
    HOLD(t)                                                                                        \
    t += BIG1(e);                                                                                  \
    HOLD(t)                                                                                        \
    d += t;                                                                                        \
    HOLD(d)                                                                                        \
    h = BIG0(a) + MAJ(a, b, c);                                                                    \
    HOLD(h)                                                                                        \
    h += t;
#define EXPAND(i)                                                                                  \
    w[(i)&15] += w[((i) + 9) & 15];                                                                \
    HOLD(w[(i)&15])                                                                                \
    w[(i)&15] += SMALL0(w[((i) + 1) & 15]);                                                        \
    HOLD(w[(i)&15])                                                                                \
    w[(i)&15] += SMALL1(w[((i) + 14) & 15]);
#else
#define ROUND ROUND_PLAIN
#define EXPAND EXPAND_PLAIN
#endif
#define NOTHING(i)
#define NOTHING_TO_31(i)
#define NOTHING_FROM_32(i)

/* Rounds: R(a, b, c, d, e, f, g, h, i, k) works one off with w[i], X(i) then renews w[i] for the
 * round 16 later. One beside the other, since a round waits for the one before it and processors
 * look only some hundred operations ahead: sixteen of each in turns were a tenth slower. The
 * names of the state move on by one with every round. */
/* clang-format off */
#define FOUR_A(R, X, i, k0, k1, k2, k3)                                                            \
    R(a, b, c, d, e, f, g, h, (i) + 0, k0) X((i) + 0)                                              \
    R(h, a, b, c, d, e, f, g, (i) + 1, k1) X((i) + 1)                                              \
    R(g, h, a, b, c, d, e, f, (i) + 2, k2) X((i) + 2)                                              \
    R(f, g, h, a, b, c, d, e, (i) + 3, k3) X((i) + 3)
#define FOUR_B(R, X, i, k0, k1, k2, k3)                                                            \
    R(e, f, g, h, a, b, c, d, (i) + 0, k0) X((i) + 0)                                              \
    R(d, e, f, g, h, a, b, c, (i) + 1, k1) X((i) + 1)                                              \
    R(c, d, e, f, g, h, a, b, (i) + 2, k2) X((i) + 2)                                              \
    R(b, c, d, e, f, g, h, a, (i) + 3, k3) X((i) + 3)
/* clang-format on */
#define ROUNDS_32_TO_47(R, X)                                                                      \
    FOUR_A(R, X, 0, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u)                            \
    FOUR_B(R, X, 4, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u)                            \
    FOUR_A(R, X, 8, 0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u)                            \
    FOUR_B(R, X, 12, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u)

/* The first hash's rounds that the host leaves. */
#define ROUNDS_4_TO_63(R, X)                                                                       \
    FOUR_B(R, X, 4, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u)                            \
    FOUR_A(R, X, 8, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u)                            \
    FOUR_B(R, X##_TO_31, 12, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u)                   \
    FOUR_A(R, X##_FROM_32, 0, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu)                  \
    FOUR_B(R, X, 4, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau)                            \
    FOUR_A(R, X, 8, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u)                            \
    FOUR_B(R, X, 12, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u)                           \
    ROUNDS_32_TO_47(R, X)                                                                          \
    FOUR_A(R, NOTHING, 0, 0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u)                      \
    FOUR_B(R, NOTHING, 4, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u)                      \
    FOUR_A(R, NOTHING, 8, 0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u)                      \
    FOUR_B(R, NOTHING, 12, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u)

/* Each of them with each midstate in turns: FLOW_TOGETHER. */
#define EACH_1(m, a, b, c, d, e, f, g, h) ROUND(a##m, b##m, c##m, d##m, e##m, f##m, g##m, h##m, wk)
#if MIDS == 1
#define EACH(a, b, c, d, e, f, g, h) EACH_1(0, a, b, c, d, e, f, g, h)
#elif MIDS == 2
#define EACH(a, b, c, d, e, f, g, h)                                                               \
    EACH_1(0, a, b, c, d, e, f, g, h) EACH_1(1, a, b, c, d, e, f, g, h)
#elif MIDS == 4
#define EACH(a, b, c, d, e, f, g, h)                                                               \
    EACH_1(0, a, b, c, d, e, f, g, h)                                                              \
    EACH_1(1, a, b, c, d, e, f, g, h)                                                              \
    EACH_1(2, a, b, c, d, e, f, g, h)                                                              \
    EACH_1(3, a, b, c, d, e, f, g, h)
#endif
#define FIRST(a, b, c, d, e, f, g, h, i, k)                                                        \
    wk = w[i] + (k);                                                                               \
    EACH(a, b, c, d, e, f, g, h)
/* FLOW_IN_TURN: words of the schedule, and what is made of them. */
#define TABULATE(a, b, c, d, e, f, g, h, i, k) table[at++] = w[i] + (k);
#define FROM_TABLE(a, b, c, d, e, f, g, h, i, k) ROUND(a, b, c, d, e, f, g, h, table[at++])
#define SECOND(a, b, c, d, e, f, g, h, i, k) ROUND(a, b, c, d, e, f, g, h, w[i] + (k))
#define SECOND_PLAIN(a, b, c, d, e, f, g, h, i, k) ROUND_PLAIN(a, b, c, d, e, f, g, h, w[i] + (k))

/* W31 and W32 of the first hash, of which the host knows parts. */
#define EXPAND_TO_31(i)                                                                            \
    if ((i) == 15) {                                                                               \
        w[15] = SMALL1(w[13]) + w[8] + sched.s4;                                                   \
    } else {                                                                                       \
        EXPAND(i)                                                                                  \
    }
#define EXPAND_FROM_32(i)                                                                          \
    if ((i) == 0) {                                                                                \
        w[0] = SMALL1(w[14]) + w[9] + sched.s5;                                                    \
    } else {                                                                                       \
        EXPAND(i)                                                                                  \
    }

/* At round 4 the FIPS a is called e: see FOUR_B. */
#define BEGIN_FIRST(m, mid)                                                                        \
    lanes e##m = nonce + mid.s0;                                                                   \
    lanes f##m = FROM_UINT(mid.s1);                                                                \
    lanes g##m = FROM_UINT(mid.s2);                                                                \
    lanes h##m = FROM_UINT(mid.s3);                                                                \
    lanes a##m = nonce + mid.s4;                                                                   \
    lanes b##m = FROM_UINT(mid.s5);                                                                \
    lanes c##m = FROM_UINT(mid.s6);                                                                \
    lanes d##m = FROM_UINT(mid.s7);
#define END_FIRST(m, mid, number)                                                                  \
    w[0] = a##m + mid.s8;                                                                          \
    w[1] = b##m + mid.s9;                                                                          \
    w[2] = c##m + mid.sa;                                                                          \
    w[3] = d##m + mid.sb;                                                                          \
    w[4] = e##m + mid.sc;                                                                          \
    w[5] = f##m + mid.sd;                                                                          \
    w[6] = g##m + mid.se;                                                                          \
    w[7] = h##m + mid.sf;                                                                          \
    report(results, second_hash_top(w), nonce, top, number);

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
    /* Much of these is constant, if the compiler may put it together. */
    FOUR_A(SECOND_PLAIN, EXPAND_PLAIN, 0, 0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u)
    FOUR_B(SECOND, EXPAND, 4, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u)
    FOUR_A(SECOND, EXPAND, 8, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u)
    FOUR_B(SECOND, EXPAND, 12, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u)
    FOUR_A(SECOND, EXPAND, 0, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu)
    FOUR_B(SECOND, EXPAND, 4, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau)
    FOUR_A(SECOND, EXPAND, 8, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u)
    FOUR_B(SECOND, EXPAND, 12, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u)
    ROUNDS_32_TO_47(SECOND, EXPAND)
    FOUR_A(SECOND, NOTHING, 0, 0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u)
    FOUR_B(SECOND, NOTHING, 4, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u)
    FOUR_A(SECOND, NOTHING, 8, 0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u)
    /* Round 60 gives the word that reaches the end as h, to which the initial h is added. */
    h = d + h + BIG1(a) + CH(a, b, c) + w[12] + 0x90befffau + 0x5be0cd19u;
    return (rotate(h, FROM_UINT(8u)) & 0x00ff00ffu) | (rotate(h, FROM_UINT(24u)) & 0xff00ff00u);
}

static void report(__global uint *results, lanes got, lanes nonce, uint top, uint mid) {
    if (ANY(got <= FROM_UINT(top))) {
#if VW == 1
        __global uint *to = results + 2 + 2 * (atomic_inc(&results[1]) & (RING - 1));
        to[0] = nonce;
        to[1] = mid;
#else
        uint tops[VW];
        uint nonces[VW];
        STORE(got, tops);
        STORE(nonce, nonces);
        for (uint lane = 0; lane < VW; lane++) {
            if (tops[lane] <= top) {
                __global uint *to = results + 2 + 2 * (atomic_inc(&results[1]) & (RING - 1));
                to[0] = nonces[lane];
                to[1] = mid;
            }
        }
#endif
    }
}

#if FLOW == FLOW_SHA
/* All midstates with the nonces first to first + VW - 1. */
static void sha_vector(__global uint *results, uint known[4], uint first, uint top,
                       __global const uint16 *mids, uint mid_count) {
    uint nonces[VW];
#pragma unroll
    for (uint n = 0; n < VW; n++) {
        nonces[n] = first + n;
    }
#if MIDS > 1
    ulong pairs[VW][30];
#pragma unroll
    for (uint n = 0; n < VW; n += SHA_SIDE) {
        sha_tabulate(pairs + n, nonces + n, known);
    }
#endif
#pragma unroll 1
    for (uint m = 0; m < mid_count; m++) {
        quad digests[VW][2];
        uint tops[VW];
        __global const uint4 *mid = (__global const uint4 *)(mids + m);
#if MIDS > 1
        sha_first(digests, pairs, nonces, mid);
#endif
#pragma unroll
        for (uint n = 0; n < VW; n += SHA_SIDE) {
#if MIDS == 1
            sha_first_alone(digests + n, nonces + n, known, mid);
#endif
            sha_second(tops + n, digests + n);
        }
        report(results, LOAD(tops), FROM_UINT(first) + LANE_OFFSETS, top, m);
    }
}
#endif

__kernel void sha256d(STOP_ARGS, __global uint *results, uint8 sched, uint base, uint top,
                      uint rounds,
#if FLOW != FLOW_TOGETHER
                      __global const uint16 *mids, uint mid_count
#else
                      uint16 mid0
#if MIDS > 1
                      ,
                      uint16 mid1
#endif
#if MIDS > 2
                      ,
                      uint16 mid2, uint16 mid3
#endif
#endif
) {
    STOP_BEGIN
    const uint span = (uint)get_local_size(0) * VW;
    uint first = base + (uint)get_group_id(0) * span * rounds + (uint)get_local_id(0) * VW;
#if FLOW == FLOW_SHA
    uint known[4] = {sched.s0, sched.s1, sched.s2, sched.s3};
    empty_upper_halves(known);
    for (uint round = 0; round < rounds; round++, first += span) {
        sha_vector(results, known, first, top, mids, mid_count);
    }
#else
    for (uint round = 0; round < rounds; round++, first += span) {
        const lanes nonce = FROM_UINT(first) + LANE_OFFSETS;
        lanes w[16];
        w[4] = FROM_UINT(0x80000000u);
        w[5] = w[6] = w[7] = w[8] = w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = FROM_UINT(0u);
        w[15] = FROM_UINT(640u);
        /* W16 to W19, of which the host knows parts. */
        w[0] = FROM_UINT(sched.s0);
        w[1] = FROM_UINT(sched.s1);
        w[2] = SMALL0(nonce) + sched.s2;
        w[3] = nonce + sched.s3;
#if FLOW == FLOW_IN_TURN
        lanes table[60];
        uint at = 0;
        ROUNDS_4_TO_63(TABULATE, EXPAND)
        /* Not unrolled: a processor keeps so much code decoded, but not more. */
#pragma unroll 1
        for (uint m = 0; m < mid_count; m++) {
            const uint16 mid = mids[m];
            lanes t;
            BEGIN_FIRST(, mid)
            at = 0;
            ROUNDS_4_TO_63(FROM_TABLE, NOTHING)
            END_FIRST(, mid, m)
        }
#else
        lanes t;
        lanes wk;
        BEGIN_FIRST(0, mid0)
#if MIDS > 1
        BEGIN_FIRST(1, mid1)
#endif
#if MIDS > 2
        BEGIN_FIRST(2, mid2)
        BEGIN_FIRST(3, mid3)
#endif
        ROUNDS_4_TO_63(FIRST, EXPAND)
        END_FIRST(0, mid0, 0)
#if MIDS > 1
        END_FIRST(1, mid1, 1)
#endif
#if MIDS > 2
        END_FIRST(2, mid2, 2)
        END_FIRST(3, mid3, 3)
#endif
#endif
    }
#endif
    STOP_END
}
