/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fault.h. */
#include "qemu/osdep.h"
#include "qapi/qmp/qstring.h"
#include "fault.h"

void fault_add_tests(const char *name, void (*test)(const void *data))
{
    g_autofree char *by_register = g_strdup_printf("/lf-accel/faults/%s/"
                                                   "register",
                                                   name);
    g_autofree char *by_property = g_strdup_printf("/lf-accel/faults/%s/"
                                                   "property",
                                                   name);

    qtest_add_data_func(by_register, GUINT_TO_POINTER(BY_REGISTER), test);
    qtest_add_data_func(by_property, GUINT_TO_POINTER(BY_PROPERTY), test);
}

Device *fault_start(void)
{
    return device_start_default(",debug=on");
}

void fault_raise(Device *device, Way way, uint32_t code, const char *property,
                 int queue, uint32_t argument)
{
    g_autoptr(GString) text = g_string_new("on");

    if (way == BY_REGISTER) {
        device_write(device, LF_REG_INJECT,
                     LF_INJECT(code, (uint32_t)(queue + 1), argument));
        return;
    }
    if (queue >= 0) {
        g_string_append_printf(text, ",queue=%d", queue);
    }
    if (argument) {
        g_string_append_printf(text, ",argument=%u", argument);
    }
    expect_no_error(device_set_text(device, property, text->str));
}

bool fault_is_armed(Device *device, uint32_t code)
{
    return device_read(device, LF_REG_INJECT) & 1u << code;
}

void expect_no_error(char *error)
{
    g_assert_cmpstr(error, ==, NULL);
    g_free(error);
}

void expect_error(char *error, const char *part)
{
    g_assert_nonnull(error);
    if (!strstr(error, part)) {
        g_test_message("'%s' does not say '%s'", error, part);
        g_assert_not_reached();
    }
    g_free(error);
}

void expect_text(Device *device, const char *property, const char *text)
{
    QObject *value = device_get(device, property);

    g_assert_cmpstr(qstring_get_str(qobject_to(QString, value)), ==, text);
    qobject_unref(value);
}

void submit_nothing(Device *device, uint32_t queue)
{
    Job job = job_nothing();

    job_place(device, queue, &job);
    job_ring(device, queue);
}

struct lf_completion run_nothing(Device *device, uint32_t queue)
{
    submit_nothing(device, queue);
    return queue_take(device, queue);
}

uint32_t fault_matrix(Device *device)
{
    int8_t weights[FAULT_ROWS * FAULT_COLS];

    fill_weights(weights, sizeof(weights), 52);
    return matrix_new(device, FAULT_ROWS, FAULT_COLS, weights);
}

uint16_t multiply(Device *device, uint32_t matrix, float *result)
{
    Buffer *in = buffer_new(device, FAULT_ROWS * sizeof(float));
    Buffer *out = buffer_new(device, FAULT_COLS * sizeof(float));
    float vector[FAULT_ROWS];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);
    uint16_t status;

    fill_vector(vector, FAULT_ROWS, 51);
    buffer_write(device, in, 0, vector, sizeof(vector));
    command->matrix = matrix;
    command->count = 1;
    command->input = job_buffer(&job, in, 0, sizeof(vector));
    command->output = job_buffer(&job, out, 0, FAULT_COLS * sizeof(float));
    status = job_run(device, 1, &job).status;
    buffer_read(device, out, 0, result, FAULT_COLS * sizeof(float));
    buffer_free(in);
    buffer_free(out);
    return status;
}

uint32_t take_interrupts(Device *device)
{
    uint32_t status = device_read(device, LF_REG_IRQ_STATUS);

    device_write(device, LF_REG_IRQ_STATUS, status);
    return status;
}
