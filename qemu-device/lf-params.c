/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each parameter of the model as a property of the device. The model describes
 * them; what is given is kept as text and judged by the model when the device
 * is realized, after the preset it changes.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "lf-accel.h"

#define LF_PRESET_DEFAULT "ideal"

static void lf_parameter_free(gpointer data)
{
    LFParameter *parameter = data;

    g_free(parameter->key);
    g_free(parameter->value);
    g_free(parameter);
}

static LFParameter *lf_parameter_find(LFAccel *s, const char *key)
{
    for (guint i = 0; i < s->parameters->len; i++) {
        LFParameter *parameter = g_ptr_array_index(s->parameters, i);

        if (g_str_equal(parameter->key, key)) {
            return parameter;
        }
    }
    return NULL;
}

/* A parameter that was not given reads as "": its value is the preset's. */
static void lf_parameter_get(Object *object, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    LFParameter *parameter = lf_parameter_find(opaque, name);
    char *value = parameter ? parameter->value : (char *)"";

    visit_type_str(v, name, &value, errp);
}

static void lf_parameter_set(Object *object, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    LFAccel *s = opaque;
    LFParameter *parameter;
    char *value;

    if (DEVICE(object)->realized) {
        error_setg(errp, "%s cannot be changed once the device exists", name);
        return;
    }
    if (!visit_type_str(v, name, &value, errp)) {
        return;
    }
    parameter = lf_parameter_find(s, name);
    if (!parameter) {
        parameter = g_new0(LFParameter, 1);
        parameter->key = g_strdup(name);
        g_ptr_array_add(s->parameters, parameter);
    }
    g_free(parameter->value);
    parameter->value = value;
}

/**
 * lf_params_add_properties() - give @owner a property for each parameter
 * @s: the device
 * @owner: the object that has it
 */
void lf_params_add_properties(LFAccel *s, Object *owner)
{
    const char *key;
    const char *unit;
    const char *help;

    s->parameters = g_ptr_array_new_with_free_func(lf_parameter_free);
    for (uint32_t i = 0; !xbar_params_describe(i, &key, &unit, &help); i++) {
        g_autofree char *text = *unit ? g_strdup_printf("[%s] %s", unit, help)
                                      : g_strdup(help);

        object_property_add(owner, key, "str", lf_parameter_get,
                            lf_parameter_set, NULL, s);
        object_property_set_description(owner, key, text);
    }
}

/* A preset file is read whole; one that is as long is something else. */
#define LF_PRESET_FILE_BYTES_MAX (1 << 20)

static struct xbar_params *lf_params_read(const char *path, Error **errp)
{
    char message[XBAR_MESSAGE_BYTES] = "";
    struct xbar_params *params = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    GStatBuf info;
    gsize bytes;
    int ret;

    if (g_stat(path, &info) == 0 &&
        (!S_ISREG(info.st_mode) || info.st_size > LF_PRESET_FILE_BYTES_MAX)) {
        error_setg(errp, "preset-file %s: not a file of at most %d bytes", path,
                   LF_PRESET_FILE_BYTES_MAX);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &bytes, &error)) {
        error_setg(errp, "preset-file: %s", error->message);
        return NULL;
    }
    ret = xbar_params_parse(text, bytes, message, &params);
    if (ret < 0) {
        error_setg(errp, "preset-file %s: %s", path,
                   message[0] ? message : strerror(-ret));
        return NULL;
    }
    return params;
}

static void lf_params_unknown(const char *preset, Error **errp)
{
    g_autoptr(GString) names = g_string_new(NULL);
    const char *name;

    for (uint32_t i = 0; (name = xbar_params_preset(i)); i++) {
        g_string_append_printf(names, "%s%s", i ? ", " : "", name);
    }
    error_setg(errp, "preset '%s' is not known; there are: %s", preset,
               names->str);
}

/* What the parameters that were given change. */
static struct xbar_params *lf_params_base(LFAccel *s, Error **errp)
{
    const char *preset = s->preset ? s->preset : LF_PRESET_DEFAULT;
    struct xbar_params *params = NULL;
    int ret;

    if (s->preset_file) {
        if (s->preset) {
            error_setg(errp, "preset and preset-file exclude each other: the "
                             "file names the preset that it changes");
            return NULL;
        }
        return lf_params_read(s->preset_file, errp);
    }
    ret = xbar_params_create(preset, &params);
    if (ret == -ENOENT) {
        lf_params_unknown(preset, errp);
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "preset '%s'", preset);
    }
    return params;
}

/**
 * lf_params_build() - the preset or the preset file with what was given changed
 * @s: the device
 * @errp: names the property that is wrong
 *
 * Return: parameters, free with xbar_params_free(); or NULL.
 */
struct xbar_params *lf_params_build(LFAccel *s, Error **errp)
{
    char message[XBAR_MESSAGE_BYTES] = "";
    struct xbar_params *params = lf_params_base(s, errp);
    int ret;

    if (!params) {
        return NULL;
    }
    for (guint i = 0; i < s->parameters->len; i++) {
        LFParameter *parameter = g_ptr_array_index(s->parameters, i);

        ret = xbar_params_set(params, parameter->key, parameter->value,
                              message);
        if (ret < 0) {
            error_setg(errp, "%s=%s: %s", parameter->key, parameter->value,
                       message[0] ? message : strerror(-ret));
            goto fail;
        }
    }
    ret = xbar_params_check(params, message);
    if (ret < 0) {
        error_setg(errp, "%s", message[0] ? message : strerror(-ret));
        goto fail;
    }
    return params;

fail:
    xbar_params_free(params);
    return NULL;
}
