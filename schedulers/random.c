/* SPDX-License-Identifier: Apache-2.0 */
#include "schedulers/random.h"

#include <math.h>

#include "schedulers/real.h"

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void sl_random_init(struct sl_random *random, uint64_t seed, uint64_t stream) {
    uint64_t mixed = seed;
    uint64_t start = splitmix(&mixed) ^ stream;
    for (int i = 0; i < 4; i++) {
        random->state[i] = splitmix(&start);
    }
    random->has_spare = 0;
}

static uint64_t turn_left(uint64_t x, int by) {
    return (x << by) | (x >> (64 - by));
}

uint64_t sl_random_next(struct sl_random *random) {
    uint64_t *s = random->state;
    uint64_t value = turn_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = turn_left(s[3], 45);
    return value;
}

double sl_random_uniform(struct sl_random *random) {
    return ((double)(sl_random_next(random) >> 11) + 0.5) * (1.0 / 9007199254740992.0);
}

double sl_random_normal(struct sl_random *random) {
    if (random->has_spare) {
        random->has_spare = 0;
        return random->spare;
    }
    double u, v, s;
    do {
        u = 2.0 * sl_random_uniform(random) - 1.0;
        v = 2.0 * sl_random_uniform(random) - 1.0;
        s = u * u + v * v;
    } while (s >= 1.0 || s == 0.0);
    double scale = sqrt(-2.0 * sl_real_log(s) / s);
    random->spare = v * scale;
    random->has_spare = 1;
    return u * scale;
}
