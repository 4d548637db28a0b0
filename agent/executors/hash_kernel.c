/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/hash_kernel.h"

#include <stdio.h>
#include <string.h>

#include "agent/kernels/kernels.h"

#define READ_BYTES ((2 + 2 * SL_HASH_RING) * sizeof(cl_uint))
#define OPTIONS_MAX 128
#define NAME_MAX_TEXT 48

enum argument {
    ARG_STOP,
    ARG_RAN,
    ARG_RESULTS,
    ARG_SCHED,
    ARG_BASE,
    ARG_TOP,
    ARG_ROUNDS,
    ARG_MIDS,     /* as many as the shape has, or their buffer and: */
    ARG_MID_COUNT /* how many are in it */
};

static uint32_t rotr(uint32_t x, unsigned n) {
    return (x >> n) | (x << (32 - n));
}
static uint32_t big0(uint32_t x) {
    return rotr(x, 2) ^ rotr(x, 13) ^ rotr(x, 22);
}
static uint32_t big1(uint32_t x) {
    return rotr(x, 6) ^ rotr(x, 11) ^ rotr(x, 25);
}
static uint32_t small0(uint32_t x) {
    return rotr(x, 7) ^ rotr(x, 18) ^ (x >> 3);
}
static uint32_t small1(uint32_t x) {
    return rotr(x, 17) ^ rotr(x, 19) ^ (x >> 10);
}
static uint32_t choose(uint32_t x, uint32_t y, uint32_t z) {
    return (x & y) ^ (~x & z);
}
static uint32_t majority(uint32_t x, uint32_t y, uint32_t z) {
    return (x & y) ^ (x & z) ^ (y & z);
}

static uint32_t read_be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void sl_hash_input_add(struct sl_hash_input *input, const uint32_t midstate[8]) {
    static const uint32_t k[4] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5};
    uint32_t s[8];
    sl_assert(input->mid_count < SL_HASH_MIDS_MAX);
    memcpy(s, midstate, sizeof s);
    /* Rounds 0 to 2, and round 3 as if its word were 0: the nonce is added to a and e alone. */
    for (int i = 0; i < 4; i++) {
        uint32_t w = i < 3 ? input->tail[i] : 0;
        uint32_t t1 = s[7] + big1(s[4]) + choose(s[4], s[5], s[6]) + k[i] + w;
        uint32_t t2 = big0(s[0]) + majority(s[0], s[1], s[2]);
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    cl_uint16 *mid = &input->mids[input->mid_count++];
    memcpy(mid->s, s, sizeof s);
    memcpy(mid->s + 8, midstate, sizeof s);
}

void sl_hash_input_make(const uint32_t midstate[8], const uint8_t tail[12],
                        const struct sl_u256 *target, struct sl_hash_input *ret_input) {
    struct sl_hash_input in;
    memset(&in, 0, sizeof in);
    for (int i = 0; i < 3; i++) {
        in.tail[i] = read_be32(tail + 4 * (size_t)i);
    }
    const uint32_t *w = in.tail;
    /* W15 is 640, the length in bits; W4 the padding's first bit; W5 to W14 are 0. */
    uint32_t w16 = small0(w[1]) + w[0];
    uint32_t w17 = small1(640) + small0(w[2]) + w[1];
    in.sched.s[0] = w16;
    in.sched.s[1] = w17;
    in.sched.s[2] = small1(w16) + w[2];
    in.sched.s[3] = small1(w17) + small0(0x80000000);
    in.sched.s[4] = 640 + small0(w16);
    in.sched.s[5] = w16 + small0(w17);
    in.top = (cl_uint)(target->limb[3] >> 32);
    sl_hash_input_add(&in, midstate);
    *ret_input = in;
}

static bool is_power_of_two(uint32_t n) {
    return n > 0 && (n & (n - 1)) == 0;
}

/* The instructions, or spelt out with shifts. */
static bool sha_fits(const struct sl_cl *cl, const struct sl_hash_shape *shape) {
    return shape->width <= SL_HASH_SHA_WIDTH_MAX && shape->logic == SL_HASH_LOGIC_PLAIN &&
           (shape->rotate == SL_HASH_ROTATE_SHIFTS ||
            (shape->rotate == SL_HASH_ROTATE_PLAIN && cl->has_sha));
}

bool sl_hash_shape_fits(const struct sl_cl *cl, const struct sl_hash_shape *shape) {
    uint32_t mids_max =
        shape->flow == SL_HASH_FLOW_TOGETHER ? SL_HASH_TOGETHER_MAX : SL_HASH_MIDS_MAX;
    return is_power_of_two(shape->width) && shape->width <= 16 && is_power_of_two(shape->local) &&
           shape->local <= cl->work_group_max && is_power_of_two(shape->rounds) &&
           is_power_of_two(shape->mids) && shape->mids <= mids_max &&
           shape->logic <= SL_HASH_LOGIC_TABLE && shape->rotate <= SL_HASH_ROTATE_SHIFTS &&
           shape->flow <= SL_HASH_FLOW_SHA &&
           (shape->flow != SL_HASH_FLOW_SHA || sha_fits(cl, shape)) &&
           (uint64_t)shape->local * shape->width * shape->rounds * shape->mids <= SL_HASH_RING;
}

static bool is_nvidia(const struct sl_cl *cl) {
    char extensions[4096];
    sl_cl_device_text(cl->device, CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    return strstr(extensions, "cl_nv_") != NULL;
}

static void format_options(const struct sl_hash_kernel *kernel, char *text, size_t size) {
    const struct sl_hash_shape *s = &kernel->shape;
    bool ptx = s->logic == SL_HASH_LOGIC_TABLE && is_nvidia(kernel->cl);
    snprintf(text, size, "-DVW=%u -DRING=%uu -DMIDS=%u -DLOGIC=%d -DROTATE=%d -DFLOW=%d%s",
             s->width, (unsigned)SL_HASH_RING, s->mids, (int)s->logic, (int)s->rotate, (int)s->flow,
             ptx ? " -DSLUICE_PTX" : "");
}

static void format_name(const struct sl_hash_kernel *kernel, char *text, size_t size) {
    const struct sl_hash_shape *s = &kernel->shape;
    snprintf(text, size, "sha256d-%u-%u-%d%d%d", s->width, s->mids, (int)s->logic, (int)s->rotate,
             (int)s->flow);
}

static int set_constant_args(struct sl_hash_kernel *k, struct sl_error *err) {
    int status = sl_cl_set_stop_arg(k->cl, k->kernel, err);
    if (status != SL_OK) {
        return status;
    }
    cl_uint rounds = k->shape.rounds;
    cl_int rc = clSetKernelArg(k->kernel, ARG_RAN, sizeof(cl_mem), &k->results);
    if (rc == CL_SUCCESS) {
        rc = clSetKernelArg(k->kernel, ARG_RESULTS, sizeof(cl_mem), &k->results);
    }
    if (rc == CL_SUCCESS) {
        rc = clSetKernelArg(k->kernel, ARG_ROUNDS, sizeof rounds, &rounds);
    }
    if (rc == CL_SUCCESS && k->mids) {
        rc = clSetKernelArg(k->kernel, ARG_MIDS, sizeof(cl_mem), &k->mids);
    }
    return rc == CL_SUCCESS ? SL_OK : sl_cl_fail(err, rc, "cannot set up the hash kernel");
}

static int map_read_back(struct sl_hash_kernel *k, struct sl_error *err) {
    int status = sl_cl_buffer(k->cl, SL_HASH_SLOTS * READ_BYTES,
                              CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, &k->pinned, err);
    if (status != SL_OK) {
        return status;
    }
    cl_int rc = CL_SUCCESS;
    k->read_back = clEnqueueMapBuffer(k->cl->queue, k->pinned, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                      0, SL_HASH_SLOTS * READ_BYTES, 0, NULL, NULL, &rc);
    if (rc != CL_SUCCESS) {
        k->read_back = NULL;
        return sl_cl_fail(err, rc, "cannot map memory for the hash kernel's results");
    }
    return SL_OK;
}

int sl_hash_kernel_open(struct sl_cl *cl, const struct sl_hash_shape *shape,
                        struct sl_hash_kernel *ret_kernel, struct sl_error *err) {
    struct sl_hash_kernel k = {.cl = cl, .shape = *shape};
    char options[OPTIONS_MAX];
    char name[NAME_MAX_TEXT];
    cl_int code = CL_SUCCESS;
    format_options(&k, options, sizeof options);
    format_name(&k, name, sizeof name);
    int rc = sl_cl_program(cl, name, sl_kernel_sha256d, options, &k.program, err);
    if (rc == SL_OK) {
        k.kernel = clCreateKernel(k.program, "sha256d", &code);
        rc = code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, code, "cannot make the hash kernel");
    }
    rc = rc == SL_OK ? sl_cl_buffer(cl, READ_BYTES, CL_MEM_READ_WRITE, &k.results, err) : rc;
    if (rc == SL_OK && sl_hash_shape_takes_fewer(shape)) {
        rc = sl_cl_buffer(cl, sizeof k.mids_sent[0], CL_MEM_READ_ONLY, &k.mids, err);
    }
    rc = rc == SL_OK ? map_read_back(&k, err) : rc;
    rc = rc == SL_OK ? set_constant_args(&k, err) : rc;
    if (rc != SL_OK) {
        sl_hash_kernel_close(&k);
        return rc;
    }
    *ret_kernel = k;
    return SL_OK;
}

void sl_hash_kernel_close(struct sl_hash_kernel *kernel) {
    if (kernel->read_back) {
        clEnqueueUnmapMemObject(kernel->cl->queue, kernel->pinned, kernel->read_back, 0, NULL,
                                NULL);
        clFinish(kernel->cl->queue);
    }
    if (kernel->pinned) {
        clReleaseMemObject(kernel->pinned);
    }
    if (kernel->mids) {
        clReleaseMemObject(kernel->mids);
    }
    if (kernel->results) {
        clReleaseMemObject(kernel->results);
    }
    if (kernel->kernel) {
        clReleaseKernel(kernel->kernel);
    }
    if (kernel->program) {
        clReleaseProgram(kernel->program);
    }
    memset(kernel, 0, sizeof *kernel);
}

void sl_hash_kernel_save(struct sl_hash_kernel *kernel) {
    char options[OPTIONS_MAX];
    char name[NAME_MAX_TEXT];
    format_options(kernel, options, sizeof options);
    format_name(kernel, name, sizeof name);
    sl_cl_program_save(kernel->cl, name, sl_kernel_sha256d, options, kernel->program);
}

/* As arguments, or, if the kernel has not the same already, through the queue: launches before this
 * one keep theirs. */
static cl_int set_mids(struct sl_hash_kernel *k, const struct sl_hash_input *input) {
    const size_t size = input->mid_count * sizeof input->mids[0];
    cl_uint count = input->mid_count;
    cl_int rc = CL_SUCCESS;
    if (!k->mids) {
        for (uint32_t m = 0; m < input->mid_count; m++) {
            rc |= clSetKernelArg(k->kernel, ARG_MIDS + m, sizeof input->mids[m], &input->mids[m]);
        }
        return rc;
    }
    rc = clSetKernelArg(k->kernel, ARG_MID_COUNT, sizeof count, &count);
    if (rc != CL_SUCCESS) {
        return rc;
    }
    if (k->mids_there >= count && memcmp(k->mids_sent[k->mids_at], input->mids, size) == 0) {
        return CL_SUCCESS;
    }
    k->mids_at = (k->mids_at + 1) % SL_HASH_SLOTS;
    memcpy(k->mids_sent[k->mids_at], input->mids, size);
    rc = clEnqueueWriteBuffer(k->cl->queue, k->mids, CL_FALSE, 0, size, k->mids_sent[k->mids_at], 0,
                              NULL, NULL);
    k->mids_there = rc == CL_SUCCESS ? count : 0;
    return rc;
}

int sl_hash_kernel_enqueue(struct sl_hash_kernel *k, const struct sl_hash_input *input,
                           uint32_t base, uint32_t groups, struct sl_hash_launch *ret_launch,
                           struct sl_error *err) {
    const size_t local = k->shape.local;
    const size_t global = (size_t)groups * local;
    cl_uint first = base;
    cl_event kernel = NULL;
    cl_event read = NULL;
    sl_assert(input->mid_count == k->shape.mids || (k->mids && input->mid_count < k->shape.mids));
    cl_int rc = clSetKernelArg(k->kernel, ARG_SCHED, sizeof input->sched, &input->sched);
    rc |= set_mids(k, input);
    rc |= clSetKernelArg(k->kernel, ARG_BASE, sizeof first, &first);
    rc |= clSetKernelArg(k->kernel, ARG_TOP, sizeof input->top, &input->top);
    if (rc != CL_SUCCESS) {
        return sl_cl_fail(err, CL_INVALID_KERNEL_ARGS, "cannot set up the hash kernel");
    }
    rc =
        clEnqueueNDRangeKernel(k->cl->queue, k->kernel, 1, NULL, &global, &local, 0, NULL, &kernel);
    if (rc != CL_SUCCESS) {
        return sl_cl_fail(err, rc, "cannot start the hash kernel");
    }
    /* In order behind the kernel, so the next launch cannot write into what is being read. */
    rc = clEnqueueReadBuffer(k->cl->queue, k->results, CL_FALSE, 0, READ_BYTES,
                             k->read_back + k->next_slot * (READ_BYTES / sizeof(cl_uint)), 0, NULL,
                             &read);
    if (rc != CL_SUCCESS) {
        clReleaseEvent(kernel);
        return sl_cl_fail(err, rc, "cannot read the hash kernel's results");
    }
    *ret_launch = (struct sl_hash_launch){kernel, read, k->next_slot, base, groups};
    k->next_slot = (k->next_slot + 1) % SL_HASH_SLOTS;
    return SL_OK;
}

int sl_hash_kernel_collect(struct sl_hash_kernel *k, struct sl_hash_launch *launch,
                           struct sl_hash_found *ret_found, struct sl_error *err) {
    cl_int rc = clWaitForEvents(1, &launch->read);
    clReleaseEvent(launch->read);
    clReleaseEvent(launch->kernel);
    launch->read = NULL;
    launch->kernel = NULL;
    if (rc != CL_SUCCESS) {
        return sl_cl_fail(err, rc, "a hash launch failed");
    }
    const cl_uint *back = k->read_back + launch->slot * (READ_BYTES / sizeof(cl_uint));
    struct sl_hash_found found = {
        .groups_ran = back[0] - k->groups_seen,
        .count = back[1] - k->found_seen,
        .ring = back + 2,
        .first = k->found_seen % SL_HASH_RING,
    };
    if (found.count > SL_HASH_RING) {
        found.lost = found.count - SL_HASH_RING;
        found.count = SL_HASH_RING;
        found.first = back[1] % SL_HASH_RING;
    }
    k->groups_seen = back[0];
    k->found_seen = back[1];
    if (found.groups_ran > launch->groups) {
        return sl_fail(err, SL_DEVICE,
                       "the device counted %u work-groups of a launch of %u: its memory or driver "
                       "is faulty",
                       found.groups_ran, launch->groups);
    }
    *ret_found = found;
    return SL_OK;
}
