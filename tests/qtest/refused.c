/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that QEMU refuses to start with: backing files that are damaged,
 * foreign, of another version or geometry, too small or read-only, and
 * properties that cannot be. Each is told by one error that names what is
 * wrong, and a file that was there stays as it was.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "device.h"

#define ROWS 64
#define COLS 16

#define FILE_BYTES (4u << 20)
#define OPTIONS ",tiles=64,matrices=64"

/* Of the header, see qemu-device/model/image.h. */
#define HEADER_BYTES 112
#define HEADER_VERSION 8
#define HEADER_COUNTERS 4096
#define HEADER_DIRECTORY 8192

typedef struct Fixture {
    char *folder;
    char *file;
    char *contents; /* as the device left it */
} Fixture;

static char *backend(const char *file, uint64_t bytes, const char *more)
{
    return g_strdup_printf("memory-backend-file,size=%" PRIu64
                           ",mem-path=%s,share=on%s",
                           bytes, file, more);
}

/* A file with a device that has a committed matrix. */
static void setup(Fixture *fixture)
{
    g_autofree char *memory = NULL;
    int8_t weights[ROWS * COLS];
    Device *device;
    gsize bytes;

    fixture->folder = test_folder();
    fixture->file = g_build_filename(fixture->folder, "cells", NULL);
    memory = backend(fixture->file, FILE_BYTES, "");
    device = device_start(memory, OPTIONS);
    fill_weights(weights, sizeof(weights), 81);
    matrix_new(device, ROWS, COLS, weights);
    device_stop(device);
    g_assert_true(
        g_file_get_contents(fixture->file, &fixture->contents, &bytes, NULL));
    g_assert_cmpuint(bytes, ==, FILE_BYTES);
}

static void teardown(Fixture *fixture)
{
    g_unlink(fixture->file);
    g_rmdir(fixture->folder);
    g_free(fixture->file);
    g_free(fixture->folder);
    g_free(fixture->contents);
}

/*
 * What QEMU says before it ends; a device behind the one that is tested makes it
 * end even when that one is taken.
 */
static char *last_words(const char *memory, const char *options)
{
    g_autofree char *device = g_strdup_printf("lf-accel,id=" TEST_ID
                                              ",memdev=cells%s",
                                              options);
    g_autofree char *object = g_strdup_printf("%s,id=cells", memory);
    const char *arguments[] = {
        g_getenv("QTEST_QEMU_BINARY"),
        "-machine",
        "q35",
        "-accel",
        "qtest",
        "-nodefaults",
        "-display",
        "none",
        "-m",
        "64M",
        "-object",
        object,
        "-device",
        device,
        "-device",
        "no-such-device",
        NULL,
    };
    char *words;
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)arguments, NULL,
                               G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                               &words, &status, NULL));
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    return words;
}

/* One line of error, and each of @parts in it. */
static void expect_words(const char *memory, const char *options,
                         const char *part, const char *second)
{
    g_autofree char *words = last_words(memory, options);
    const char *end = strchr(words, '\n');

    if (!strstr(words, part) || !strstr(words, second) || !end || end[1] ||
        strstr(words, "no-such-device")) {
        g_test_message("'%s' and '%s' expected of '%s', got: %s", part, second,
                       options, words);
        g_test_fail();
    }
}

static void write_contents(const char *file, const void *contents,
                           uint64_t bytes)
{
    g_assert_true(g_file_set_contents(file, contents, bytes, NULL));
}

static void expect_unchanged(const char *file, const void *contents,
                             uint64_t bytes)
{
    g_autofree char *found = NULL;
    gsize found_bytes;

    g_assert_true(g_file_get_contents(file, &found, &found_bytes, NULL));
    g_assert_cmpuint(found_bytes, ==, bytes);
    g_assert_true(memcmp(found, contents, bytes) == 0);
}

/* @contents are refused with a word about @part, and still there. */
static void expect_refused(Fixture *fixture, const void *contents,
                           const char *part)
{
    g_autofree char *memory = backend(fixture->file, FILE_BYTES, "");
    g_autofree char *name = g_strdup_printf("memdev cells (%s)", fixture->file);

    write_contents(fixture->file, contents, FILE_BYTES);
    expect_words(memory, OPTIONS, name, part);
    expect_unchanged(fixture->file, contents, FILE_BYTES);
}

static void expect_works(Fixture *fixture, const void *contents)
{
    g_autofree char *memory = backend(fixture->file, FILE_BYTES, "");
    Device *device;

    write_contents(fixture->file, contents, FILE_BYTES);
    device = device_start(memory, OPTIONS);
    g_assert_cmpuint(device_telemetry(device).tiles_used, >, 0);
    device_stop(device);
}

/* A bit of each word of the header, the places of the bits differ. */
static void test_header(void)
{
    Fixture fixture;
    g_autofree char *damaged = NULL;

    setup(&fixture);
    damaged = g_memdup2(fixture.contents, FILE_BYTES);
    for (uint32_t word = 0; word < HEADER_BYTES / 4; word++) {
        uint32_t bit = 32 * word + word * 7 % 32;

        damaged[bit / 8] ^= 1 << bit % 8;
        expect_refused(&fixture, damaged,
                       word < 2                     ? "not a device's"
                       : word == HEADER_VERSION / 4 ? "format version"
                                                    : "header is damaged");
        damaged[bit / 8] ^= 1 << bit % 8;
    }
    expect_works(&fixture, damaged);
    teardown(&fixture);
}

static void test_version(void)
{
    Fixture fixture;
    g_autofree char *other = NULL;
    uint32_t own;

    setup(&fixture);
    other = g_memdup2(fixture.contents, FILE_BYTES);
    own = ldl_le_p(other + HEADER_VERSION);
    for (int step = -1; step <= 1; step += 2) {
        g_autofree char *text = g_strdup_printf("version %u, this model knows "
                                                "%u",
                                                own + step, own);

        stl_le_p(other + HEADER_VERSION, own + step);
        expect_refused(&fixture, other, text);
    }
    stl_le_p(other + HEADER_VERSION, ~0u);
    expect_refused(&fixture, other, "version 4294967295");
    teardown(&fixture);
}

static void test_foreign(void)
{
    Fixture fixture;
    g_autofree char *foreign = g_malloc0(FILE_BYTES);

    setup(&fixture);
    strcpy(foreign, "\x7f"
                    "ELF is not the magic number");
    expect_refused(&fixture, foreign, "not a device's");
    /* Zeros at first, and then something. */
    memset(foreign, 0, FILE_BYTES);
    foreign[FILE_BYTES / 64] = 1;
    expect_refused(&fixture, foreign, "neither a device's nor empty");
    /* Longer than the device needs, and something behind that. */
    foreign[FILE_BYTES / 64] = 0;
    foreign[FILE_BYTES - 1] = 1;
    expect_refused(&fixture, foreign, "neither a device's nor empty");
    teardown(&fixture);
}

/* The first entry of the directory, and the totals. */
static void test_records(void)
{
    Fixture fixture;
    g_autofree char *damaged = NULL;

    setup(&fixture);
    damaged = g_memdup2(fixture.contents, FILE_BYTES);
    for (uint32_t byte = 0; byte < 8; byte += 7) {
        damaged[HEADER_DIRECTORY + byte] ^= 0x10;
        expect_refused(&fixture, damaged, "directory");
        damaged[HEADER_DIRECTORY + byte] ^= 0x10;
    }
    damaged[HEADER_COUNTERS + 7] ^= 1;
    expect_refused(&fixture, damaged, "counters");
    teardown(&fixture);
}

/* The last byte that is not zero is a cell's: one bit of a weight is another. */
static void test_cells(void)
{
    Fixture fixture;
    g_autofree char *damaged = NULL;
    uint32_t byte = FILE_BYTES - 1;

    setup(&fixture);
    damaged = g_memdup2(fixture.contents, FILE_BYTES);
    while (!damaged[byte]) {
        byte--;
    }
    damaged[byte] ^= 0x04;
    expect_refused(&fixture, damaged, "cells of matrix 1: wrong checksum");
    damaged[byte] ^= 0x04;
    expect_works(&fixture, damaged);
    teardown(&fixture);
}

static void test_geometry(void)
{
    static const struct {
        const char *options;
        const char *part;
    } others[] = {
        { ",tiles=32,matrices=64", "tiles: 32 here" },
        { ",tiles=64,matrices=32", "matrices: 32 here" },
        { ",tiles=64,matrices=64,tile_rows=64", "tile_rows: 64 here" },
        { ",tiles=64,matrices=64,cell_bits=1", "cell_bits: 1 here" },
        { ",tiles=64,matrices=64,accounts=128", "accounts: 128 here" },
        { ",tiles=64,matrices=64,seed=1", "seed: 1 here" },
    };
    Fixture fixture;
    g_autofree char *memory = NULL;

    setup(&fixture);
    memory = backend(fixture.file, FILE_BYTES, "");
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        expect_words(memory, others[i].options, others[i].part, fixture.file);
        expect_unchanged(fixture.file, fixture.contents, FILE_BYTES);
    }
    teardown(&fixture);
}

static void test_size(void)
{
    Fixture fixture;
    g_autofree char *memory = NULL;
    g_autofree char *tiny = NULL;

    setup(&fixture);
    /* Cut by a page: QEMU itself does not map what is not there. */
    write_contents(fixture.file, fixture.contents, FILE_BYTES - LF_PAGE_BYTES);
    memory = backend(fixture.file, FILE_BYTES, "");
    expect_words(memory, OPTIONS, "backing store size", "does not match");
    expect_unchanged(fixture.file, fixture.contents,
                     FILE_BYTES - LF_PAGE_BYTES);

    /* Told its true size, the device says what it needs. */
    write_contents(fixture.file, fixture.contents, LF_PAGE_BYTES);
    tiny = backend(fixture.file, LF_PAGE_BYTES, "");
    expect_words(tiny, OPTIONS, "has 4096 bytes, the device needs",
                 fixture.file);
    expect_unchanged(fixture.file, fixture.contents, LF_PAGE_BYTES);
    teardown(&fixture);
}

static void test_read_only(void)
{
    Fixture fixture;
    g_autofree char *memory = NULL;
    g_autofree char *zeros = g_malloc0(FILE_BYTES);

    setup(&fixture);
    memory = backend(fixture.file, FILE_BYTES, ",readonly=on");
    expect_words(memory, OPTIONS, "is read-only", fixture.file);
    expect_unchanged(fixture.file, fixture.contents, FILE_BYTES);
    write_contents(fixture.file, zeros, FILE_BYTES);
    expect_words(memory, OPTIONS, "is read-only", fixture.file);
    expect_unchanged(fixture.file, zeros, FILE_BYTES);
    teardown(&fixture);
}

static void test_properties(void)
{
    static const struct {
        const char *options;
        const char *part;
        const char *second;
    } cases[] = {
        { ",preset=nothing", "preset 'nothing' is not known",
          "isaac, wan2022" },
        { ",preset=", "preset '' is not known", "" },
        { ",pacing=fast", "pacing must be off, on or a factor", "1000000" },
        { ",pacing=0", "pacing must be", "" },
        { ",pacing=1000001", "pacing must be", "" },
        { ",pacing=1x", "pacing must be", "" },
        { ",queues=1", "queues must be 2 to 16", "" },
        { ",queues=17", "queues must be 2 to 16", "" },
        { ",workers=0", "workers must be 1 to 64", "" },
        { ",adc_bits=0", "adc_bits=0", "" },
        { ",adc_bits=many", "adc_bits=many", "" },
        { ",fault-hang-job=on", "fault-hang-job", "a device that exists" },
        { ",temperature=25000", "temperature", "temperature_mc" },
        { ",no-such-parameter=1", "no-such-parameter", "not found" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        expect_words("memory-backend-ram,size=64M", cases[i].options,
                     cases[i].part, cases[i].second);
    }
}

/* @text in a file, or one that is not there, and what is said of it. */
static void expect_preset(const char *text, const char *more, const char *part)
{
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "preset", NULL);
    g_autofree char *options = g_strdup_printf(",preset-file=%s,tiles=64%s",
                                               file, more);

    if (text) {
        write_contents(file, text, strlen(text));
    }
    expect_words("memory-backend-ram,size=64M", options, "preset-file", part);
    g_unlink(file);
    g_rmdir(folder);
}

static void test_preset_file(void)
{
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "preset", NULL);
    g_autofree char *options = g_strdup_printf(",preset-file=%s,tiles=64,"
                                               "tile_rows=64",
                                               file);
    static const char text[] = "preset = isaac\n# a smaller converter\n"
                               "adc_bits = 5\ntile_rows = 32\nname = mine\n";
    Device *device;

    /* What is given beside the file changes what the file says. */
    write_contents(file, text, strlen(text));
    device = device_start("memory-backend-ram,size=64M", options);
    g_assert_cmpuint(device_read(device, LF_REG_ADC_BITS), ==, 5);
    g_assert_cmpuint(device_read(device, LF_REG_TILE_ROWS), ==, 64);
    g_assert_cmpuint(device_read(device, LF_REG_CELL_BITS), ==, 2);
    g_assert_cmphex(device_read(device, LF_REG_PRESET), ==,
                    'm' | 'i' << 8 | 'n' << 16 | 'e' << 24);
    queue_expect_works(device, 1);
    device_stop(device);
    g_unlink(file);

    expect_words("memory-backend-ram,size=64M", options, "preset-file", file);
    g_mkdir(file, 0700);
    expect_words("memory-backend-ram,size=64M", options, "not a file", file);
    g_rmdir(file);
    g_rmdir(folder);
    expect_preset(text, ",preset=isaac", "exclude each other");
    expect_preset("", "", "preset");
    expect_preset("preset = nothing\n", "", "nothing");
    expect_preset("adc_bits = 5\n", "", "line 1");
    expect_preset("preset = isaac\nadc_bits = 5\nno_such = 1\n", "", "line 3");
    expect_preset("preset = isaac\nadc_bits = 99\n", "", "line 2");
    expect_preset("preset = isaac\nadc_bits = 5\nadc_bits = 5\n", "", "line 3");
    expect_preset("preset = isaac\nadc_bits\n", "", "line 2");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/refused/header", test_header);
    qtest_add_func("/lf-accel/refused/version", test_version);
    qtest_add_func("/lf-accel/refused/cells", test_cells);
    qtest_add_func("/lf-accel/refused/foreign", test_foreign);
    qtest_add_func("/lf-accel/refused/records", test_records);
    qtest_add_func("/lf-accel/refused/geometry", test_geometry);
    qtest_add_func("/lf-accel/refused/size", test_size);
    qtest_add_func("/lf-accel/refused/read-only", test_read_only);
    qtest_add_func("/lf-accel/refused/properties", test_properties);
    qtest_add_func("/lf-accel/refused/preset-file", test_preset_file);
    return g_test_run();
}
