/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/stop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl_open.h"
#include "agent/device/stop_internal.h"
#include "proto/base/thread.h"

static int open_svm(struct sl_cl *cl, struct sl_stop *stop, struct sl_error *err) {
    cl_device_svm_capabilities caps = 0;
    char version[16];
    /* On a 1.2 platform the loader has no SVM entry points to call. */
    sl_cl_device_text(cl->device, CL_DEVICE_VERSION, version, sizeof version);
    if (strncmp(version, "OpenCL ", 7) != 0 || version[7] < '2' ||
        clGetDeviceInfo(cl->device, CL_DEVICE_SVM_CAPABILITIES, sizeof caps, &caps, NULL) !=
            CL_SUCCESS ||
        !(caps & CL_DEVICE_SVM_FINE_GRAIN_BUFFER)) {
        return sl_fail(err, SL_UNSUPPORTED, "the device has no fine-grained shared memory");
    }
    cl_svm_mem_flags flags = CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER;
    if (caps & CL_DEVICE_SVM_ATOMICS) {
        flags |= CL_MEM_SVM_ATOMICS;
    }
    stop->svm = clSVMAlloc(cl->context, flags, 64, 64);
    if (!stop->svm) {
        return sl_fail(err, SL_UNSUPPORTED, "the device gives no shared memory");
    }
    cl->stop_host = stop->svm;
    cl->stop_is_svm = true;
    *cl->stop_host = 0;
    return SL_OK;
}

static int open_mapped(struct sl_cl *cl, struct sl_stop *stop, bool own_memory,
                       struct sl_error *err) {
    const size_t page = 4096;
    cl_int rc = CL_SUCCESS;
    cl_mem_flags flags = CL_MEM_READ_WRITE;
    if (own_memory) {
        stop->memory = aligned_alloc(page, page);
        if (!stop->memory) {
            return sl_fail(err, SL_NOMEM, "no memory for the stop word");
        }
        memset(stop->memory, 0, page);
        flags |= CL_MEM_USE_HOST_PTR;
    } else {
        flags |= CL_MEM_ALLOC_HOST_PTR;
    }
    cl->stop_mem = clCreateBuffer(cl->context, flags, page, stop->memory, &rc);
    if (rc != CL_SUCCESS) {
        cl->stop_mem = NULL;
        return sl_cl_fail(err, rc, "no host memory for the stop word");
    }
    stop->mapped = clEnqueueMapBuffer(cl->queue, cl->stop_mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                      0, page, 0, NULL, NULL, &rc);
    if (rc != CL_SUCCESS) {
        stop->mapped = NULL;
        return sl_cl_fail(err, rc, "cannot map the stop word");
    }
    memset(stop->mapped, 0, page);
    cl->stop_host = stop->mapped;
    return SL_OK;
}

static int write_word(struct sl_stop *stop, cl_mem mem, uint32_t value) {
    cl_int rc =
        clEnqueueWriteBuffer(stop->queue, mem, CL_TRUE, 0, sizeof value, &value, 0, NULL, NULL);
    return rc == CL_SUCCESS ? SL_OK : -SL_DEVICE;
}

static void *writer_main(void *arg) {
    struct sl_cl *cl = arg;
    struct sl_stop *stop = cl->stop;
    sl_thread_name("stop word");
    pthread_mutex_lock(&stop->lock);
    while (!stop->quit) {
        if (stop->wanted == stop->written) {
            pthread_cond_wait(&stop->changed, &stop->lock);
            continue;
        }
        uint32_t value = stop->wanted;
        stop->writing = true;
        pthread_mutex_unlock(&stop->lock);
        /* A failed write shows as a slow halt, and at the next launch as a lost device. */
        (void)write_word(stop, cl->stop_mem, value);
        pthread_mutex_lock(&stop->lock);
        stop->written = value;
        stop->writing = false;
        pthread_cond_broadcast(&stop->changed);
    }
    pthread_mutex_unlock(&stop->lock);
    return NULL;
}

static int open_queue(struct sl_cl *cl, struct sl_stop *stop, struct sl_error *err) {
    cl_int rc = CL_SUCCESS;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    stop->queue = clCreateCommandQueue(cl->context, cl->device, 0, &rc);
#pragma GCC diagnostic pop
    if (rc != CL_SUCCESS) {
        stop->queue = NULL;
        return sl_cl_fail(err, rc, "cannot open a queue for the stop word");
    }
    int status = sl_cl_buffer(cl, 64, CL_MEM_READ_WRITE, &cl->stop_mem, err);
    if (status != SL_OK) {
        return status;
    }
    if (pthread_create(&stop->writer, NULL, writer_main, cl) != 0) {
        return sl_fail(err, SL_NOMEM, "cannot start the stop word's helper thread");
    }
    stop->writer_runs = true;
    return SL_OK;
}

static void close_word(struct sl_cl *cl) {
    struct sl_stop *stop = cl->stop;
    if (stop->writer_runs) {
        pthread_mutex_lock(&stop->lock);
        stop->quit = true;
        pthread_cond_broadcast(&stop->changed);
        pthread_mutex_unlock(&stop->lock);
        pthread_join(stop->writer, NULL);
    }
    if (stop->mapped) {
        clEnqueueUnmapMemObject(cl->queue, cl->stop_mem, stop->mapped, 0, NULL, NULL);
        clFinish(cl->queue);
    }
    if (cl->stop_mem) {
        clReleaseMemObject(cl->stop_mem);
    }
    if (stop->queue) {
        clReleaseCommandQueue(stop->queue);
    }
    if (stop->svm) {
        clSVMFree(cl->context, stop->svm);
    }
    free(stop->memory);
    pthread_cond_destroy(&stop->changed);
    pthread_mutex_destroy(&stop->lock);
    free(stop);
    cl->stop = NULL;
    cl->stop_mem = NULL;
    cl->stop_host = NULL;
    cl->stop_is_svm = false;
    cl->stop_method = SL_STOP_UNKNOWN;
}

int sl_stop_open_word(struct sl_cl *cl, enum sl_stop_way way, struct sl_error *err) {
    struct sl_stop *stop = calloc(1, sizeof *stop);
    if (!stop) {
        return sl_fail(err, SL_NOMEM, "no memory for the stop word");
    }
    pthread_mutex_init(&stop->lock, NULL);
    pthread_cond_init(&stop->changed, NULL);
    cl->stop = stop;
    cl->stop_us_p50 = 0;
    cl->stop_us_max = 0;
    int rc = SL_OK;
    switch (way) {
    case SL_STOP_WAY_SVM:
        rc = open_svm(cl, stop, err);
        cl->stop_method = SL_STOP_SVM;
        break;
    case SL_STOP_WAY_ALLOC:
    case SL_STOP_WAY_USE:
        rc = open_mapped(cl, stop, way == SL_STOP_WAY_USE, err);
        cl->stop_method = SL_STOP_MAPPED;
        break;
    case SL_STOP_WAY_QUEUE:
        rc = open_queue(cl, stop, err);
        cl->stop_method = SL_STOP_QUEUE;
        break;
    case SL_STOP_WAY_NONE:
        rc = sl_cl_buffer(cl, 64, CL_MEM_READ_WRITE, &cl->stop_mem, err);
        cl->stop_method = SL_STOP_NONE;
        break;
    }
    if (rc != SL_OK) {
        close_word(cl);
    }
    return rc;
}

void sl_stop_close(struct sl_cl *cl) {
    if (cl->stop) {
        close_word(cl);
    }
}

int sl_cl_set_stop_arg(struct sl_cl *cl, cl_kernel kernel, struct sl_error *err) {
    cl_int rc = cl->stop_is_svm ? clSetKernelArgSVMPointer(kernel, 0, cl->stop->svm)
                                : clSetKernelArg(kernel, 0, sizeof(cl_mem), &cl->stop_mem);
    return rc == CL_SUCCESS ? SL_OK : sl_cl_fail(err, rc, "cannot hand the stop word to a kernel");
}

void sl_cl_stop_set(struct sl_cl *cl, bool stop) {
    if (cl->stop_host) {
        __atomic_store_n(cl->stop_host, stop ? 1u : 0u, __ATOMIC_SEQ_CST);
    } else if (cl->stop_method == SL_STOP_QUEUE) {
        struct sl_stop *word = cl->stop;
        pthread_mutex_lock(&word->lock);
        word->wanted = stop ? 1 : 0;
        pthread_cond_broadcast(&word->changed);
        /* Work enqueued after clearing must not meet an old write. */
        while (!stop && (word->written != 0 || word->writing)) {
            pthread_cond_wait(&word->changed, &word->lock);
        }
        pthread_mutex_unlock(&word->lock);
    }
}

const char *sl_stop_method_name(enum sl_stop_method method) {
    switch (method) {
    case SL_STOP_SVM:
        return "svm";
    case SL_STOP_MAPPED:
        return "mapped";
    case SL_STOP_QUEUE:
        return "queue";
    case SL_STOP_NONE:
        return "none";
    case SL_STOP_UNKNOWN:
        break;
    }
    return "unknown";
}
