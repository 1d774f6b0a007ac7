/*
 * record_bench.c - points to a record of the log and back, against memcpy of as many bytes. 10,000 rows of 1,000 series in turn; fields as
 * the name says.
 */
#include "tsm/points_made.h"
#include <time.h>

enum { ROWS = 10000 };
static int rounds = 200;
static char copy[64 << 20];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double best(void (*run)(void *ctx), void *ctx)
{
    double least = 1e9;
    for (int i = 0; i < rounds; i++) {
        double start = now();
        run(ctx);
        double s = now() - start;
        least = s < least ? s : least;
    }
    return least;
}

struct bench {
    struct made made, back;
    struct af_buf bytes;
};

static void encode(void *ctx)
{
    struct bench *b = ctx;
    af_buf_clear(&b->bytes);
    made_must(af_record_encode(1, &b->made.points, &b->bytes, NULL) == AF_OK);
}
static void decode(void *ctx)
{
    struct bench *b = ctx;
    uint64_t bucket;
    af_arena_reset(&b->back.arena);
    made_must(af_record_decode(af_buf_slice(&b->bytes), &b->back.arena, &b->back.set, &bucket, &b->back.points, NULL) == AF_OK);
}
static void plain_copy(void *ctx)
{
    struct bench *b = ctx;
    memcpy(copy, b->bytes.ptr, b->bytes.len);
    __asm__ volatile("" ::: "memory");
}

static void bench(const char *name, size_t fields, uint32_t first_field, unsigned nulls)
{
    struct bench b;
    struct af_prng prng = { 1 };
    made_init(&b.made);
    made_init(&b.back);
    af_buf_init(&b.bytes, sizeof copy);
    made_points(&b.made, &prng, &(struct made_how){ .rows = ROWS, .fields = fields, .series = 1000, .null_percent = nulls,
                                                    .first_field = first_field });
    double e = best(encode, &b);
    double d = best(decode, &b);
    double m = best(plain_copy, &b);
    double gb = (double)b.bytes.len * 1e-9;
    printf("%-28s %7zu bytes  encode %5.2f GB/s (%4.1f x memcpy)  decode %5.2f GB/s (%4.1f x)\n", name, b.bytes.len, gb / e, e / m, gb / d,
           d / m);
    af_buf_done(&b.bytes);
    made_done(&b.made);
    made_done(&b.back);
}

int main(int argc, char **argv)
{
    rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : rounds;
    bench("a float and an integer", 2, 0, 0);
    bench("the same, half null", 2, 0, 50);
    bench("a string", 1, 3, 0);
    bench("ten of all types", 10, 0, 0);
    bench("ten, half of them half null", 10, 0, 50);
    return 0;
}
