/*
 * judge.c - thresholds. One place, pure, and what docs/doctor.md lists; judge_test.c holds both ends of each.
 */
#include "base/calendar.h"
#include "doctor/doctor_int.h"
#include <inttypes.h>
#include <stdio.h>

static const uint64_t KIB = 1024, MIB = 1024 * 1024, GIB = 1024 * 1024 * 1024;

static enum af_doctor_state by(bool is_failed, bool is_warning)
{
    return is_failed ? AF_DOCTOR_FAILED : is_warning ? AF_DOCTOR_WARNING : AF_DOCTOR_OK;
}

enum af_doctor_state doctor_judge_memory(uint64_t available)
{
    return by(available < 64 * MIB, available < 512 * MIB);
}

/* A small disk is not a full one: a warning needs both, less than a gigabyte and less than a tenth, or less than a twentieth. */
enum af_doctor_state doctor_judge_room(uint64_t bytes_free, uint64_t bytes_all)
{
    return by(bytes_free < 16 * MIB || bytes_free < bytes_all / 100,
              (bytes_free < GIB && bytes_free < bytes_all / 10) || bytes_free < bytes_all / 20);
}

enum af_doctor_state doctor_judge_inodes(uint64_t free, uint64_t all)
{
    return all == 0 ? AF_DOCTOR_OK : by(free < 100, free < all / 20);
}

enum af_doctor_state doctor_judge_files(uint64_t hard)
{
    return by(hard < 128, hard < 4096);
}

enum af_doctor_state doctor_judge_clock(int64_t skew_ns)
{
    const int64_t off_ns = skew_ns < 0 ? -skew_ns : skew_ns;
    return by(off_ns > 300 * AF_NS_PER_S, off_ns > 5 * AF_NS_PER_S);
}

enum af_doctor_state doctor_judge_certificate(int64_t days)
{
    return by(days < 0, days < 21);
}

enum af_doctor_state doctor_judge_connection(uint64_t us)
{
    return by(false, us > 1000000);
}

enum af_doctor_state doctor_judge_query(uint64_t ms)
{
    return by(false, ms > 2000);
}

/* 1.x refuses more than a million a database unless it was told otherwise; 2.x as AWS runs it ends at ten. */
enum af_doctor_state doctor_judge_series(uint64_t series, enum doctor_kind kind)
{
    return by(false, series > (kind == DOCTOR_INFLUX_1 ? UINT64_C(800000) : UINT64_C(8000000)));
}

enum af_doctor_state doctor_judge_credentials(int64_t left_ns)
{
    return by(left_ns <= 0, left_ns < 900 * AF_NS_PER_S);
}

enum af_doctor_state doctor_judge_addresses(uint64_t free)
{
    return by(free == 0, free < 8);
}

enum af_doctor_state doctor_judge_quota(uint64_t instances)
{
    return by(instances >= 40, instances >= 36);
}

enum af_doctor_state doctor_judge_dead_letters(uint64_t messages)
{
    return by(false, messages != 0);
}

enum af_doctor_state doctor_judge_age(uint64_t seconds)
{
    return by(false, seconds > 900);
}

enum af_doctor_state doctor_judge_log(uint64_t bytes)
{
    return by(false, bytes > 2 * GIB);
}

enum af_doctor_state doctor_judge_instance(const char *status)
{
    const struct af_slice s = af_slice_of(status);
    if (af_slice_is(s, "AVAILABLE"))
        return AF_DOCTOR_OK;
    return by(af_slice_is(s, "FAILED") || af_slice_is(s, "REBOOT_FAILED") || af_slice_is(s, "RESTORE_FAILED") || af_slice_is(s, "DELETED"),
              true);
}

enum doctor_kind doctor_kind_of(const char *version)
{
    const char *at = version[0] == 'v' || version[0] == 'V' ? version + 1 : version;
    const struct af_slice s = af_slice_of(at);
    if (af_slice_has_prefix(s, "0.") || af_slice_has_prefix(s, "1."))
        return DOCTOR_INFLUX_1;
    if (af_slice_has_prefix(s, "2."))
        return DOCTOR_INFLUX_2;
    if (s.len > 1 && s.ptr[0] >= '3' && s.ptr[0] <= '9' && s.ptr[1] == '.')
        return DOCTOR_INFLUX_3;
    return s.len != 0 ? DOCTOR_INFLUX_2 : DOCTOR_NO_INFLUX; /* "Cloud" and builds by hand speak 2.x */
}

int64_t doctor_days(int64_t from_ns, int64_t to_ns)
{
    int64_t left_ns;
    if (__builtin_sub_overflow(to_ns, from_ns, &left_ns))
        return to_ns > from_ns ? INT64_MAX / AF_NS_PER_DAY : INT64_MIN / AF_NS_PER_DAY;
    return af_floor_div(left_ns, AF_NS_PER_DAY);
}

enum doctor_names doctor_judge_names(bool has_usual, bool has_other)
{
    if (has_usual)
        return has_other ? DOCTOR_NAMES_BOTH : DOCTOR_NAMES_USUAL;
    return has_other ? DOCTOR_NAMES_OTHER : DOCTOR_NAMES_NONE;
}

enum af_doctor_state doctor_worse(enum af_doctor_state a, enum af_doctor_state b)
{
    static const int ranks[AF_DOCTOR_STATES] = { [AF_DOCTOR_UNCHECKED] = 0, [AF_DOCTOR_OK] = 1, [AF_DOCTOR_WARNING] = 2,
                                                 [AF_DOCTOR_FAILED] = 3 };
    return ranks[a] >= ranks[b] ? a : b;
}

const char *doctor_bytes(char out[32], uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= (double)KIB && unit < 4; unit++)
        value /= (double)KIB;
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

const char *doctor_span(char out[32], int64_t seconds)
{
    const int64_t s = seconds < 0 ? -seconds : seconds;
    if (s < 120)
        (void)snprintf(out, 32, "%" PRId64 " s", s);
    else if (s < 7200)
        (void)snprintf(out, 32, "%" PRId64 " min", s / 60);
    else if (s < 172800)
        (void)snprintf(out, 32, "%" PRId64 " h", s / 3600);
    else
        (void)snprintf(out, 32, "%" PRId64 " days", s / 86400);
    return out;
}
