/* judge_test.c - both sides of every threshold, as docs/doctor.md has them. */
#include "base/calendar.h"
#include "doctor/doctor_int.h"
#include "test/lib/test.h"

enum { MIB = 1 << 20 };
static const uint64_t GIB = 1 << 30;
#define OK AF_DOCTOR_OK
#define WARN AF_DOCTOR_WARNING
#define FAIL AF_DOCTOR_FAILED

AF_TEST(memory_thresholds)
{
    AF_CHECK_INT(doctor_judge_memory(64 * MIB - 1), FAIL);
    AF_CHECK_INT(doctor_judge_memory(64 * MIB), WARN);
    AF_CHECK_INT(doctor_judge_memory(512 * MIB - 1), WARN);
    AF_CHECK_INT(doctor_judge_memory(512 * MIB), OK);
}

AF_TEST(room_thresholds)
{
    static const struct {
        uint64_t free_mib, all_mib;
        enum af_doctor_state want;
    } rows[] = {
        { 15, 20, FAIL },             /* nothing fits */
        { 16, 64, OK },               /* a small disk, half empty enough */
        { 999, 100000, FAIL },        /* under a hundredth */
        { 1001, 100000, WARN },       /* under a tenth and a gigabyte */
        { 4999, 100000, WARN },       /* under a twentieth */
        { 5001, 100000, OK },
        { 1023, 10000, OK },          /* over a tenth */
        { 999, 10000, WARN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        AF_CHECK_INT(doctor_judge_room(rows[i].free_mib * MIB, rows[i].all_mib * MIB), rows[i].want);
    AF_CHECK_INT(doctor_judge_inodes(0, 0), OK);
    AF_CHECK_INT(doctor_judge_inodes(99, 1000), FAIL);
    AF_CHECK_INT(doctor_judge_inodes(4999, 100000), WARN);
    AF_CHECK_INT(doctor_judge_inodes(5000, 100000), OK);
}

AF_TEST(clock_and_certificate_thresholds)
{
    const int64_t s = AF_NS_PER_S;
    AF_CHECK_INT(doctor_judge_clock(5 * s), OK);
    AF_CHECK_INT(doctor_judge_clock(-5 * s), OK);
    AF_CHECK_INT(doctor_judge_clock(5 * s + 1), WARN);
    AF_CHECK_INT(doctor_judge_clock(-300 * s), WARN);
    AF_CHECK_INT(doctor_judge_clock(300 * s + 1), FAIL);
    AF_CHECK_INT(doctor_judge_clock(-300 * s - 1), FAIL);
    AF_CHECK_INT(doctor_judge_certificate(-1), FAIL);
    AF_CHECK_INT(doctor_judge_certificate(0), WARN);
    AF_CHECK_INT(doctor_judge_certificate(20), WARN);
    AF_CHECK_INT(doctor_judge_certificate(21), OK);
    AF_CHECK_INT(doctor_days(0, AF_NS_PER_DAY - 1), 0);
    AF_CHECK_INT(doctor_days(1, 0), -1);
    AF_CHECK_INT(doctor_days(-2, INT64_MAX), INT64_MAX / AF_NS_PER_DAY);
    AF_CHECK_INT(doctor_days(INT64_MAX, INT64_MIN), INT64_MIN / AF_NS_PER_DAY);
}

AF_TEST(other_thresholds)
{
    AF_CHECK_INT(doctor_judge_files(127), FAIL);
    AF_CHECK_INT(doctor_judge_files(4095), WARN);
    AF_CHECK_INT(doctor_judge_files(4096), OK);
    AF_CHECK_INT(doctor_judge_connection(1000000), OK);
    AF_CHECK_INT(doctor_judge_connection(1000001), WARN);
    AF_CHECK_INT(doctor_judge_query(2000), OK);
    AF_CHECK_INT(doctor_judge_query(2001), WARN);
    AF_CHECK_INT(doctor_judge_series(800000, DOCTOR_INFLUX_1), OK);
    AF_CHECK_INT(doctor_judge_series(800001, DOCTOR_INFLUX_1), WARN);
    AF_CHECK_INT(doctor_judge_series(8000000, DOCTOR_INFLUX_2), OK);
    AF_CHECK_INT(doctor_judge_series(8000001, DOCTOR_INFLUX_2), WARN);
    AF_CHECK_INT(doctor_judge_credentials(0), FAIL);
    AF_CHECK_INT(doctor_judge_credentials(900 * AF_NS_PER_S - 1), WARN);
    AF_CHECK_INT(doctor_judge_credentials(900 * AF_NS_PER_S), OK);
    AF_CHECK_INT(doctor_judge_addresses(0), FAIL);
    AF_CHECK_INT(doctor_judge_addresses(7), WARN);
    AF_CHECK_INT(doctor_judge_addresses(8), OK);
    AF_CHECK_INT(doctor_judge_quota(35), OK);
    AF_CHECK_INT(doctor_judge_quota(36), WARN);
    AF_CHECK_INT(doctor_judge_quota(40), FAIL);
    AF_CHECK_INT(doctor_judge_dead_letters(0), OK);
    AF_CHECK_INT(doctor_judge_dead_letters(1), WARN);
    AF_CHECK_INT(doctor_judge_age(900), OK);
    AF_CHECK_INT(doctor_judge_age(901), WARN);
    AF_CHECK_INT(doctor_judge_log(2 * GIB), OK);
    AF_CHECK_INT(doctor_judge_log(2 * GIB + 1), WARN);
}

AF_TEST(statuses_of_instances)
{
    static const char *const failed[] = { "FAILED", "REBOOT_FAILED", "RESTORE_FAILED", "DELETED" };
    static const char *const passing[] = { "CREATING", "MODIFYING", "UPDATING", "UPDATING_INSTANCE_TYPE", "REBOOTING", "MAINTENANCE",
                                           "DELETING", "a status of tomorrow", "" };
    AF_CHECK_INT(doctor_judge_instance("AVAILABLE"), OK);
    for (size_t i = 0; i < sizeof failed / sizeof failed[0]; i++)
        AF_CHECK_INT(doctor_judge_instance(failed[i]), FAIL);
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        AF_CHECK_INT(doctor_judge_instance(passing[i]), WARN);
}

AF_TEST(generations_of_versions)
{
    static const struct {
        const char *version;
        enum doctor_kind want;
    } rows[] = {
        { "1.6.7", DOCTOR_INFLUX_1 }, { "1.8.10", DOCTOR_INFLUX_1 }, { "v1.11.0", DOCTOR_INFLUX_1 }, { "0.9.6", DOCTOR_INFLUX_1 },
        { "2.7.1", DOCTOR_INFLUX_2 }, { "v2.0.9", DOCTOR_INFLUX_2 }, { "Cloud", DOCTOR_INFLUX_2 }, { "dev", DOCTOR_INFLUX_2 },
        { "3.0.1", DOCTOR_INFLUX_3 }, { "v3.2.0", DOCTOR_INFLUX_3 }, { "4.0", DOCTOR_INFLUX_3 },
        { "", DOCTOR_NO_INFLUX }, { "v", DOCTOR_NO_INFLUX }, { "3", DOCTOR_INFLUX_2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        AF_CHECK_INT(doctor_kind_of(rows[i].version), rows[i].want);
}

AF_TEST(names_of_metrics)
{
    AF_CHECK_INT(doctor_judge_names(true, false), DOCTOR_NAMES_USUAL);
    AF_CHECK_INT(doctor_judge_names(false, true), DOCTOR_NAMES_OTHER);
    AF_CHECK_INT(doctor_judge_names(true, true), DOCTOR_NAMES_BOTH);
    AF_CHECK_INT(doctor_judge_names(false, false), DOCTOR_NAMES_NONE);
}

AF_TEST(of_two_states_the_worse)
{
    static const enum af_doctor_state rising[] = { AF_DOCTOR_UNCHECKED, OK, WARN, FAIL };
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            AF_CHECK_INT(doctor_worse(rising[i], rising[j]), rising[i > j ? i : j]);
}

AF_TEST(short_numbers)
{
    char out[32];
    AF_CHECK_STR(doctor_bytes(out, 0), "0 B");
    AF_CHECK_STR(doctor_bytes(out, 1023), "1023 B");
    AF_CHECK_STR(doctor_bytes(out, 1536), "1.5 KiB");
    AF_CHECK_STR(doctor_bytes(out, UINT64_MAX), "16777216.0 TiB");
    AF_CHECK_STR(doctor_span(out, 119), "119 s");
    AF_CHECK_STR(doctor_span(out, -120), "2 min");
    AF_CHECK_STR(doctor_span(out, 7200), "2 h");
    AF_CHECK_STR(doctor_span(out, 172800), "2 days");
}
