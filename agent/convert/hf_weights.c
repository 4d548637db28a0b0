/* SPDX-License-Identifier: Apache-2.0
 * One safetensors file, or several by an index. */
#include "agent/convert/hf_weights.h"

#include <stdlib.h>
#include <string.h>

#include "agent/convert/json_file.h"

#define ONE_FILE "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define FILE_NAME_MAX 255

struct weights_file {
    char *name; /* in the folder */
    struct sl_safetensors *tensors;
};

struct sl_hf_weights {
    const char *name;
    struct weights_file files[SL_HF_FILES_MAX];
    size_t count;
};

/* *ret_there: false, with SL_OK, when there is no such file. */
static int open_file(struct sl_hf_weights *w, const char *folder, const char *name, bool *ret_there,
                     struct sl_error *err) {
    SL_AUTO_FREE char *path = NULL;
    struct weights_file *file = &w->files[w->count];
    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return sl_fail(err, SL_NOMEM, "a path");
    }
    int rc = sl_safetensors_open(path, &file->tensors, err);
    *ret_there = rc == SL_OK;
    if (rc) {
        return rc == -SL_NOTFOUND ? SL_OK : rc;
    }
    w->count++;
    file->name = strdup(name);
    return file->name ? SL_OK : sl_fail(err, SL_NOMEM, "a file's name");
}

static bool printable(const char *text, size_t max) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f) {
            return false;
        }
    }
    return n > 0 && n <= max;
}

/* A file of the folder itself, whatever else a path can say. */
static int check_entry(const char *tensor, const char *name, struct sl_error *err) {
    if (!printable(tensor, SL_SAFETENSORS_MAX_NAME_BYTES)) {
        return sl_fail(err, SL_INVALID,
                       INDEX ": the name of a tensor is empty, too long, or holds "
                             "blanks or control characters");
    }
    bool sound = name && printable(name, FILE_NAME_MAX) && name[0] != '.' && !strchr(name, '/');
    return sound ? SL_OK
                 : sl_fail(err, SL_INVALID,
                           INDEX ": tensor %s is in no file of this folder; plain names of files "
                                 "in it are read",
                           tensor);
}

static const struct weights_file *file_of(const struct sl_hf_weights *w, const char *name) {
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->files[i].name, name) == 0) {
            return &w->files[i];
        }
    }
    return NULL;
}

/* Each file that the map names, once. */
static int open_files(struct sl_hf_weights *w, const char *folder, json_t *map,
                      struct sl_error *err) {
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value) {
        const char *name = json_string_value(value);
        int rc = check_entry(tensor, name, err);
        if (rc) {
            return rc;
        }
        if (file_of(w, name)) {
            continue;
        }
        if (w->count == SL_HF_FILES_MAX) {
            return sl_fail(err, SL_LIMIT, INDEX " names more than %d files", SL_HF_FILES_MAX);
        }
        bool there = false;
        rc = open_file(w, folder, name, &there, err);
        if (rc) {
            return rc;
        }
        if (!there) {
            return sl_fail(err, SL_NOTFOUND,
                           "%s has no %s, in which tensor %s is by its " INDEX
                           ": fetch the missing file",
                           folder, name, tensor);
        }
    }
    return SL_OK;
}

/* Each tensor of each file is one that the map has there: then as many as the map has are all. */
static int check_map(const struct sl_hf_weights *w, json_t *map, struct sl_error *err) {
    for (size_t i = 0; i < w->count; i++) {
        const struct sl_safetensors *tensors = w->files[i].tensors;
        for (size_t k = 0; k < sl_safetensors_count(tensors); k++) {
            const char *name = sl_safetensors_at(tensors, k)->name;
            const char *place = json_string_value(json_object_get(map, name));
            if (!place || strcmp(place, w->files[i].name) != 0) {
                return sl_fail(err, SL_CORRUPT,
                               "%s holds tensor %s, which by " INDEX
                               " is %s%s: fetch all files of one version",
                               w->files[i].name, name, place ? "in " : "in no file",
                               place ? place : "");
            }
        }
    }
    if (sl_hf_weights_count(w) == json_object_size(map)) {
        return SL_OK;
    }
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value) {
        const struct weights_file *file = file_of(w, json_string_value(value));
        if (!sl_safetensors_find(file->tensors, tensor)) {
            return sl_fail(err, SL_CORRUPT,
                           "%s has no tensor %s, which is there by " INDEX
                           ": fetch all files of one version",
                           file->name, tensor);
        }
    }
    return sl_fail(err, SL_CORRUPT, INDEX " does not fit its files");
}

static int open_index(struct sl_hf_weights *w, const char *folder, struct sl_error *err) {
    JSON_FILE_AUTO file = {0};
    int rc = json_file_open(folder, INDEX, &file, err);
    if (rc) {
        return rc;
    }
    if (!file.root) {
        return sl_fail(err, SL_NOTFOUND,
                       "%s has no " ONE_FILE " and no " INDEX " (weights in pickle files are not "
                       "converted: save the model again as safetensors)",
                       folder);
    }
    json_t *map = json_object_get(file.root, "weight_map");
    size_t count = json_object_size(map);
    if (count == 0 || count > SL_SAFETENSORS_MAX_TENSORS) {
        return sl_fail(err, count ? SL_LIMIT : SL_CORRUPT,
                       INDEX ": weight_map must be an object of 1 to %d tensors and their files",
                       SL_SAFETENSORS_MAX_TENSORS);
    }
    w->name = INDEX;
    rc = open_files(w, folder, map, err);
    return rc ? rc : check_map(w, map, err);
}

int sl_hf_weights_open(const char *folder, struct sl_hf_weights **ret_weights,
                       struct sl_error *err) {
    SL_AUTO(sl_hf_weights) w = calloc(1, sizeof *w);
    bool there = false;
    if (!w) {
        return sl_fail(err, SL_NOMEM, "the weights of a folder");
    }
    w->name = ONE_FILE;
    int rc = open_file(w, folder, ONE_FILE, &there, err);
    rc = rc || there ? rc : open_index(w, folder, err);
    if (rc == SL_OK) {
        *ret_weights = sl_take(&w);
    }
    return rc;
}

void sl_hf_weights_close(struct sl_hf_weights *weights) {
    if (!weights) {
        return;
    }
    for (size_t i = 0; i < weights->count; i++) {
        free(weights->files[i].name);
        sl_safetensors_close(weights->files[i].tensors);
    }
    free(weights);
}

const char *sl_hf_weights_name(const struct sl_hf_weights *weights) {
    return weights->name;
}

size_t sl_hf_weights_count(const struct sl_hf_weights *weights) {
    size_t count = 0;
    for (size_t i = 0; i < weights->count; i++) {
        count += sl_safetensors_count(weights->files[i].tensors);
    }
    return count;
}

const struct sl_safetensors_tensor *sl_hf_weights_at(const struct sl_hf_weights *weights,
                                                     size_t index) {
    size_t file = 0;
    while (index >= sl_safetensors_count(weights->files[file].tensors)) {
        index -= sl_safetensors_count(weights->files[file++].tensors);
        sl_assert(file < weights->count);
    }
    return sl_safetensors_at(weights->files[file].tensors, index);
}

const struct sl_safetensors_tensor *sl_hf_weights_find(const struct sl_hf_weights *weights,
                                                       const char *name) {
    const struct sl_safetensors_tensor *found = NULL;
    for (size_t i = 0; i < weights->count && !found; i++) {
        found = sl_safetensors_find(weights->files[i].tensors, name);
    }
    return found;
}
