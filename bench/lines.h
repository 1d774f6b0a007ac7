/*
 * lines.h - the bench's line protocol, the same bytes every time: rows of a set, one after another, into memory.
 *
 *     plants   1,000 plants (or `series`), hourly, 3 tags, 2 floats of 3 and 1 decimals that wander      ~120 bytes a line
 *     cpu      4,000 hosts (or `series`), every 10 s, 10 tags, 10 floats of 2 decimals: TSBS's cpu rows  ~360 bytes a line
 *     series   `series` of one float; `points` of one, a minute apart, before the next: many series      ~50 bytes a line
 */
#ifndef AF_BENCH_LINES_H
#define AF_BENCH_LINES_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum lines_set { LINES_PLANTS, LINES_CPU, LINES_SERIES };
enum { LINES_BYTES_MAX = 640, LINES_CPU_FIELDS = 10 }; /* of one line */

struct lines {
    enum lines_set set;
    uint64_t series, points; /* points: of LINES_SERIES */
    uint64_t next;           /* number of the next line */
    uint64_t random;
    int32_t *walk;           /* where each value stands, in its last decimal */
    char (*tags)[256];       /* measurement and tags of each series; not of LINES_SERIES */
    uint16_t *tags_len;
};
#define LINES_BEGIN_S INT64_C(1672531200) /* 2023-01-01 */

static inline uint64_t lines_random(struct lines *l)
{
    uint64_t z = l->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline size_t lines_fields(enum lines_set set)
{
    return set == LINES_PLANTS ? 2 : set == LINES_CPU ? LINES_CPU_FIELDS : 1;
}

static inline void lines_make_tags(struct lines *l)
{
    static const char *const sources[] = { "hydro", "wind", "solar", "thermal", "nuclear" };
    static const char *const regions[] = { "N", "NE", "S", "SE" };
    static const char *const aws[] = { "us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1" };
    for (uint64_t i = 0; i < l->series; i++) {
        int len = l->set == LINES_PLANTS
                      ? snprintf(l->tags[i], sizeof l->tags[i], "generation_data,energy_source=%s,plant_name=plant_%04u,region=%s",
                                 sources[i % 5], (unsigned)i, regions[i % 4])
                      : snprintf(l->tags[i], sizeof l->tags[i],
                                 "cpu,hostname=host_%u,region=%s,datacenter=%s%c,rack=%u,os=Ubuntu16.10,arch=x64,team=%s,service=%u,"
                                 "service_version=%u,service_environment=%s",
                                 (unsigned)i, aws[i % 4], aws[i % 4], (char)('a' + i % 3), (unsigned)(i * 7 % 100), i % 2 ? "NYC" : "SF",
                                 (unsigned)(i % 20), (unsigned)(i % 2), i % 3 ? "production" : "test");
        l->tags_len[i] = (uint16_t)len;
    }
}

static inline int lines_init(struct lines *l, const char *set, uint64_t series, uint64_t points)
{
    *l = (struct lines){ .set = strcmp(set, "plants") == 0 ? LINES_PLANTS : strcmp(set, "cpu") == 0 ? LINES_CPU : LINES_SERIES };
    l->series = series != 0 ? series : l->set == LINES_PLANTS ? 1000 : l->set == LINES_CPU ? 4000 : 1000000;
    l->points = points != 0 ? points : 1;
    if (l->set == LINES_SERIES)
        return 1;
    size_t values = l->series * lines_fields(l->set);
    l->walk = malloc(values * sizeof *l->walk);
    l->tags = malloc(l->series * sizeof *l->tags);
    l->tags_len = malloc(l->series * sizeof *l->tags_len);
    if (l->walk == NULL || l->tags == NULL || l->tags_len == NULL)
        return 0;
    for (size_t i = 0; i < values; i++)
        l->walk[i] = (int32_t)(lines_random(l) % (l->set == LINES_CPU ? 10000 : 90000));
    lines_make_tags(l);
    return 1;
}

static inline char *lines_text(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static inline char *lines_number(char *at, uint64_t number, unsigned least)
{
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0 || n < least);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static inline char *lines_decimal(char *at, int32_t value, unsigned decimals)
{
    static const unsigned powers[] = { 1, 10, 100, 1000 };
    at = lines_number(at, (unsigned)value / powers[decimals], 1);
    *at++ = '.';
    return lines_number(at, (unsigned)value % powers[decimals], decimals);
}

/* A step up or down, reflected at 0 and `most`. */
static inline int32_t lines_step(int32_t *value, uint32_t random, int32_t width, int32_t most)
{
    int32_t next = *value + (int32_t)(random % (uint32_t)(2 * width + 1)) - width;
    next = next < 0 ? -next : next > most ? 2 * most - next : next;
    return *value = next;
}

static inline char *lines_time(char *at, int64_t seconds)
{
    *at++ = ' ';
    at = lines_number(at, (uint64_t)seconds, 1);
    return lines_text(at, "000000000\n", 10);
}

static inline char *lines_plant(struct lines *l, char *at, uint64_t number)
{
    uint64_t plant = number % l->series;
    int32_t *walk = l->walk + 2 * plant;
    uint64_t random = lines_random(l);
    at = lines_text(at, l->tags[plant], l->tags_len[plant]);
    at = lines_text(at, " power_mw=", 10);
    at = lines_decimal(at, lines_step(&walk[0], (uint32_t)random, 2000, 900000), 3);
    at = lines_text(at, ",flow_m3s=", 10);
    at = lines_decimal(at, lines_step(&walk[1], (uint32_t)(random >> 32), 50, 90000), 1);
    return lines_time(at, LINES_BEGIN_S + (int64_t)(number / l->series) * 3600);
}

static inline char *lines_cpu(struct lines *l, char *at, uint64_t number)
{
    static const char *const names[LINES_CPU_FIELDS] = { " usage_user=", ",usage_system=", ",usage_idle=", ",usage_nice=", ",usage_iowait=",
                                                         ",usage_irq=", ",usage_softirq=", ",usage_steal=", ",usage_guest=",
                                                         ",usage_guest_nice=" };
    uint64_t host = number % l->series;
    at = lines_text(at, l->tags[host], l->tags_len[host]);
    uint64_t random = 0;
    for (unsigned f = 0; f < LINES_CPU_FIELDS; f++, random >>= 32) {
        random = f % 2 == 0 ? lines_random(l) : random;
        at = lines_text(at, names[f], strlen(names[f]));
        at = lines_decimal(at, lines_step(&l->walk[host * LINES_CPU_FIELDS + f], (uint32_t)random, 100, 10000), 2);
    }
    return lines_time(at, LINES_BEGIN_S + (int64_t)(number / l->series) * 10);
}

static inline char *lines_series(struct lines *l, char *at, uint64_t number)
{
    uint64_t series = number / l->points % l->series, point = number % l->points + number / l->points / l->series * l->points;
    at = lines_text(at, "meter,id=", 9);
    at = lines_number(at, series, 7);
    at = lines_text(at, ",site=s", 7);
    at = lines_number(at, series % 1000, 1);
    at = lines_text(at, " v=", 3);
    at = lines_decimal(at, (int32_t)(lines_random(l) % 100000), 2);
    return lines_time(at, LINES_BEGIN_S + (int64_t)point * 60);
}

/* The next line, at most LINES_BYTES_MAX, to `at`; its end. */
static inline char *lines_next(struct lines *l, char *at)
{
    uint64_t number = l->next++;
    if (l->set == LINES_PLANTS)
        return lines_plant(l, at, number);
    return l->set == LINES_CPU ? lines_cpu(l, at, number) : lines_series(l, at, number);
}

static inline void lines_done(struct lines *l)
{
    free(l->walk);
    free(l->tags);
    free(l->tags_len);
}
#endif
