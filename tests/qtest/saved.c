/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that are saved, and go on in another process; see device.h.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qapi/qmp/qdict.h"
#include "device.h"

char *test_folder(void)
{
    char *folder = g_dir_make_tmp("lf-accel-XXXXXX", NULL);

    g_assert_nonnull(folder);
    return folder;
}

void device_save(Device *from, const char *file, const char *end)
{
    g_autofree char *uri = g_strdup_printf("exec:cat > %s", file);
    bool done = false;

    qtest_qmp_assert_success(from->qts,
                             "{'execute': 'migrate', 'arguments': {'uri': %s}}",
                             uri);
    while (!done) {
        QDict *reply = qtest_qmp(from->qts, "{'execute': 'query-migrate'}");
        const char *status = qdict_get_str(qdict_get_qdict(reply, "return"),
                                           "status");

        done = g_str_equal(status, "completed") ||
               g_str_equal(status, "failed");
        if (done) {
            g_assert_cmpstr(status, ==, end);
        }
        qobject_unref(reply);
        g_usleep(10000);
    }
}

Device *device_load(Device *from, const char *memory, const char *options,
                    const char *file)
{
    g_autofree char *source = g_strdup_printf("exec:cat %s", file);
    Device *to = device_start_bare(memory, options, "-incoming defer");

    qtest_qmp_assert_success(
        to->qts, "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}",
        source);
    qtest_qmp_eventwait(to->qts, "RESUME");
    to->registers = from->registers;
    to->next_page = from->next_page;
    memcpy(to->queues, from->queues, sizeof(to->queues));
    device_stop(from);
    return to;
}

Device *device_move(Device *from, const char *memory, const char *options)
{
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "state", NULL);
    Device *to;

    device_save(from, file, "completed");
    to = device_load(from, memory, options, file);
    g_unlink(file);
    g_rmdir(folder);
    return to;
}
