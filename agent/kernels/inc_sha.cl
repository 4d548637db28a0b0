/* SPDX-License-Identifier: Apache-2.0
 * FLOW_SHA of sha256d.cl: SHA-256 with x86's instructions for it (Intel's manual, volume 2:
 * SHA256RNDS2, SHA256MSG1, SHA256MSG2). VW nonces stand side by side, each in registers of its own.
 *
 * A quad holds four words, the earliest in its lowest lane. The state stands in two of them, as the
 * instructions want it: feba = {f, e, b, a} and hgdc = {h, g, d, c}, lowest lane first.
 *
 * With ROTATE_PLAIN the instructions are written as text, since PoCL's packages compile for an
 * older processor than the one they run on; who may run that, the host asks (sl_hash_shape_fits).
 * With ROTATE_SHIFTS they are spelt out: the same bits on any device. */
typedef int4 quad;

/* What is too long for compilers to copy in by themselves. */
#define WHOLE __attribute__((always_inline)) static

#if ROTATE == ROTATE_PLAIN
#if !defined(__x86_64__)
#error "this device's processor has no instructions for SHA-256"
#endif
/* Two rounds with the two lowest words of wk (sums of word and constant): the new feba. The old one
 * is the new hgdc. */
static quad two_rounds(quad hgdc, quad feba, quad wk) {
    __asm__("sha256rnds2 %2, %1, %0" : "+x"(hgdc) : "x"(feba), "Yz"(wk));
    return hgdc;
}
static quad message_1(quad w0, quad w4) {
    __asm__("sha256msg1 %1, %0" : "+x"(w0) : "x"(w4));
    return w0;
}
static quad message_2(quad sum, quad w12) {
    __asm__("sha256msg2 %1, %0" : "+x"(sum) : "x"(w12));
    return sum;
}
/* These instructions have the old encoding only, and on AMD each waits for all before it while the
 * upper half of a 256-bit register is in use: eight times slower. `known` may come from one. */
static void empty_upper_halves(uint known[4]) {
    __asm__ volatile("" : "+r"(known[0]), "+r"(known[1]), "+r"(known[2]), "+r"(known[3]));
#if defined(__AVX__)
    __asm__ volatile("vzeroupper"
                     :
                     :
                     : "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8",
                       "ymm9", "ymm10", "ymm11", "ymm12", "ymm13", "ymm14", "ymm15");
#endif
}
#else
/* Calls, since a compiler takes a minute for all of it in one piece. */
#define SPELT __attribute__((noinline)) static
SPELT quad two_rounds(quad hgdc, quad feba, quad wk) {
    uint4 ab = as_uint4(feba).wzyx; /* a, b, e, f */
    uint4 cd = as_uint4(hgdc).wzyx; /* c, d, g, h */
    for (uint i = 0; i < 2; i++) {
        uint t = cd.w + BIG1(ab.z) + CH(ab.z, ab.w, cd.z) + (uint)(i ? wk.y : wk.x);
        uint a = t + BIG0(ab.x) + MAJ(ab.x, ab.y, cd.x);
        uint e = cd.y + t;
        cd = (uint4)(ab.y, cd.x, ab.w, cd.z);
        ab = (uint4)(a, ab.x, e, ab.z);
    }
    return as_int4(ab.wzyx);
}
SPELT quad message_1(quad w0, quad w4) {
    const uint4 w = (uint4)(as_uint4(w0).yzw, (uint)w4.x);
    return w0 + as_int4(SMALL0(w));
}
SPELT quad message_2(quad sum, quad w12) {
    uint4 w = as_uint4(sum);
    w.xy += SMALL1(as_uint4(w12).zw);
    w.zw += SMALL1(w.xy);
    return as_int4(w);
}
static void empty_upper_halves(uint known[4]) {
    (void)known;
}
#endif

__constant uint sha_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u,
    0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu,
    0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu,
    0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u,
    0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu,
    0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u,
    0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u,
    0xc67178f2u};
static quad sha_constants(uint i) {
    return as_int4((uint4)(sha_k[i], sha_k[i + 1], sha_k[i + 2], sha_k[i + 3]));
}

/* How many nonces take turns where there is a schedule to work out: processors do not look far
 * enough ahead to find that much to do beside one, and there are registers for two. */
#define SHA_SIDE (VW < 2 ? VW : 2)

/* Words 4 to 7 and so on of a header's second block, the nonce's in w[n][1], .., 16 to 19 in
 * w[n][0]. known: what the host knows of those. */
static void sha_words(quad w[SHA_SIDE][4], const uint nonces[SHA_SIDE], const uint known[4]) {
#pragma unroll
    for (uint n = 0; n < SHA_SIDE; n++) {
        const uint nonce = nonces[n];
        const uint small0 = rotate(nonce, 25u) ^ rotate(nonce, 14u) ^ nonce >> 3u;
        w[n][0] = as_int4((uint4)(known[0], known[1], small0 + known[2], nonce + known[3]));
        w[n][1] = as_int4((uint4)(0x80000000u, 0u, 0u, 0u));
        w[n][2] = (quad)(0);
        w[n][3] = (quad)(0, 0, 0, 640);
    }
}

/* Words 4i to 4i + 3, in w[i & 3], become those 16 later. Of words 8 to 15, message_1 is words 8 to
 * 11 in both blocks here. */
static void sha_expand(quad w[4], uint i) {
    const quad first = i == 2 ? w[2] : message_1(w[i & 3], w[(i + 1) & 3]);
    w[i & 3] = message_2(first + (quad)(w[(i + 2) & 3].yzw, w[(i + 3) & 3].x), w[(i + 3) & 3]);
}

/* Sums of word and constant of rounds 4 to 63 of a header's second block, for two rounds each. */
WHOLE void sha_tabulate(ulong pairs[SHA_SIDE][30], const uint nonces[SHA_SIDE],
                        const uint known[4]) {
    quad w[SHA_SIDE][4];
    sha_words(w, nonces, known);
#pragma unroll
    for (uint i = 1; i < 16; i++) {
#pragma unroll
        for (uint n = 0; n < SHA_SIDE; n++) {
            const ulong2 both = as_ulong2(w[n][i & 3] + sha_constants(4 * i));
            pairs[n][2 * i - 2] = both.x;
            pairs[n][2 * i - 1] = both.y;
            if (i < 12) {
                sha_expand(w[n], i);
            }
        }
    }
}

/* Rounds 4 * begin to 4 * end - 1, between them the schedule. The loop has constant bounds, since
 * compilers unroll before they know those of the caller. */
WHOLE void sha_rounds(quad feba[SHA_SIDE], quad hgdc[SHA_SIDE], quad w[SHA_SIDE][4], uint begin,
                      uint end) {
#pragma unroll
    for (uint i = 0; i < 16; i++) {
#pragma unroll
        for (uint n = 0; n < SHA_SIDE; n++) {
            if (i >= begin && i < end) {
                const quad wk = w[n][i & 3] + sha_constants(4 * i);
                hgdc[n] = two_rounds(hgdc[n], feba[n], wk);
                feba[n] = two_rounds(feba[n], hgdc[n], wk.zwzw);
                if (i < 12) {
                    sha_expand(w[n], i);
                }
            }
        }
    }
}

/* The state after round 3, and the first digest as words 0 to 3 and 4 to 7 of the second hash. mid:
 * as the host lays out a midstate. */
static void sha_begin(quad *feba, quad *hgdc, uint nonce, __global const uint4 *mid) {
    *feba = as_int4((uint4)(mid[1].yx, mid[0].yx) + (uint4)(0u, nonce, 0u, nonce));
    *hgdc = as_int4((uint4)(mid[1].wz, mid[0].wz));
}
static void sha_end(quad digest[2], quad feba, quad hgdc, __global const uint4 *mid) {
    feba += as_int4((uint4)(mid[3].yx, mid[2].yx));
    hgdc += as_int4((uint4)(mid[3].wz, mid[2].wz));
    digest[0] = (quad)(feba.wz, hgdc.wz);
    digest[1] = (quad)(feba.yx, hgdc.yx);
}

/* The first digests of one midstate, with a table of their words. */
WHOLE void sha_first(quad digests[VW][2], ulong pairs[VW][30], const uint nonces[VW],
                     __global const uint4 *mid) {
    quad feba[VW];
    quad hgdc[VW];
#pragma unroll
    for (uint n = 0; n < VW; n++) {
        sha_begin(&feba[n], &hgdc[n], nonces[n], mid);
    }
#pragma unroll
    for (uint i = 0; i < 30; i++) {
#pragma unroll
        for (uint n = 0; n < VW; n++) {
            const quad wk = as_int4((ulong2)(pairs[n][i], 0ul));
            const quad next = two_rounds(hgdc[n], feba[n], wk);
            hgdc[n] = feba[n];
            feba[n] = next;
        }
    }
#pragma unroll
    for (uint n = 0; n < VW; n++) {
        sha_end(digests[n], feba[n], hgdc[n], mid);
    }
}

/* The same where there is one midstate: a table would cost more than it saves. */
WHOLE void sha_first_alone(quad digests[SHA_SIDE][2], const uint nonces[SHA_SIDE],
                           const uint known[4], __global const uint4 *mid) {
    quad feba[SHA_SIDE];
    quad hgdc[SHA_SIDE];
    quad w[SHA_SIDE][4];
    sha_words(w, nonces, known);
#pragma unroll
    for (uint n = 0; n < SHA_SIDE; n++) {
        sha_begin(&feba[n], &hgdc[n], nonces[n], mid);
    }
    sha_rounds(feba, hgdc, w, 1, 16);
#pragma unroll
    for (uint n = 0; n < SHA_SIDE; n++) {
        sha_end(digests[n], feba[n], hgdc[n], mid);
    }
}

/* The second hash's top 32 bits, as second_hash_top has them. */
WHOLE void sha_second(uint tops[SHA_SIDE], quad digests[SHA_SIDE][2]) {
    quad feba[SHA_SIDE];
    quad hgdc[SHA_SIDE];
    quad w[SHA_SIDE][4];
#pragma unroll
    for (uint n = 0; n < SHA_SIDE; n++) {
        feba[n] = as_int4((uint4)(0x9b05688cu, 0x510e527fu, 0xbb67ae85u, 0x6a09e667u));
        hgdc[n] = as_int4((uint4)(0x5be0cd19u, 0x1f83d9abu, 0xa54ff53au, 0x3c6ef372u));
        w[n][0] = digests[n][0];
        w[n][1] = digests[n][1];
        w[n][2] = as_int4((uint4)(0x80000000u, 0u, 0u, 0u));
        w[n][3] = (quad)(0, 0, 0, 256);
    }
    sha_rounds(feba, hgdc, w, 0, 15);
    /* Round 60 gives the word that reaches the end as h; after round 61 it is called f. */
#pragma unroll
    for (uint n = 0; n < SHA_SIDE; n++) {
        const quad last = two_rounds(hgdc[n], feba[n], w[n][3] + sha_constants(60));
        const uint h = (uint)last.x + 0x5be0cd19u;
        tops[n] = (rotate(h, 8u) & 0x00ff00ffu) | (rotate(h, 24u) & 0xff00ff00u);
    }
}
