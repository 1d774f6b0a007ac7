/* s3_read_test.c - the reader against an object that is made up, by a peer that tells the truth or does not. */
#include "aws/s3_fixture.h"
#include "os/thread.h"

enum { K = 1 << 10, M = 1 << 20 };

AF_TEST(s3_small_object_is_one_request)
{
    struct bucket b;
    bucket_open(&b, 300 * K, NULL);
    struct af_reader *reader = open_object(&b);
    check_read(reader, 300 * K - 8, 8);
    check_read(reader, 0, 4);
    const struct af_range range = { 100, 200 * K };
    af_reader_will_need(reader, &range, 1);
    check_read(reader, 0, 300 * K);
    AF_CHECK_INT(b.ranges, 1);
    AF_CHECK_INT(b.bytes, 300 * K);
    AF_CHECK(b.has_if_match);
    af_reader_close(reader);
    bucket_close(&b);
}

AF_TEST(s3_reads_that_nobody_announced)
{
    struct bucket b;
    uint64_t seed = 3;
    bucket_open(&b, 5 * M + 17, NULL);
    struct af_reader *reader = open_object(&b);
    check_read(reader, 5 * M + 9, 8); /* the end: what is before it comes too */
    check_read(reader, 5 * M - 200 * K, 100 * K);
    AF_CHECK_INT(b.ranges, 1);
    AF_CHECK_INT(b.asked[0].len, AF_S3_READ_BYTES_MIN);
    for (unsigned i = 0; i < 40; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t offset = (seed >> 20) % (5 * M);
        check_read(reader, offset, 1 + (size_t)((seed >> 8) % (5 * M + 17 - offset)));
    }
    check_read(reader, 0, 5 * M + 17);
    for (unsigned i = 0; i < b.ranges && i < 512; i++)
        AF_CHECK(b.asked[i].len >= AF_S3_READ_BYTES_MIN || b.asked[i].offset + b.asked[i].len == b.size);
    struct af_error err = { 0 };
    uint8_t past[2];
    AF_CHECK_FAILS(af_reader_read(reader, 5 * M + 16, past, 2, &err), AF_ECORRUPT);
    af_reader_close(reader);
    bucket_close(&b);
}

AF_TEST(s3_announced_ranges_are_fetched_once)
{
    struct bucket b;
    bucket_open(&b, 40 * M, NULL);
    struct af_reader *reader = open_object(&b);
    const struct af_range ranges[] = { { 4, 300 * K }, { 300 * K + 4 + 100 * K, M }, { 20 * M, 3 * M }, { 10 * M, 100 } };
    af_reader_will_need(reader, ranges, 4);
    for (size_t i = 0; i < 4; i++)
        for (uint64_t at = 0; at < ranges[i].len; at += 64 * K)
            check_read(reader, ranges[i].offset + at, ranges[i].len - at < 64 * K ? (size_t)(ranges[i].len - at) : 64 * K);
    AF_CHECK_INT(b.bytes, 300 * K + M + 3 * M + 100 + 100 * K); /* and the gap that was too small to leave out */
    AF_CHECK(b.ranges >= 6 && b.ranges <= 8);
    af_reader_close(reader);
    bucket_close(&b);
}

/* Much more than may be held, read slowly: no more is asked for than there is room for. */
AF_TEST(s3_memory_is_bounded)
{
    struct bucket b;
    const uint64_t memory = 4 * M;
    bucket_open(&b, 64 * M, &(struct af_s3_options){ .memory_bytes = memory, .connections = 3 });
    struct af_reader *reader = open_object(&b);
    const struct af_range all = { 0, 64 * M };
    af_reader_will_need(reader, &all, 1);
    uint64_t ahead_max = 0;
    for (uint64_t at = 0; at < 64 * M; at += 512 * K) {
        check_read(reader, at, 512 * K);
        if (at % (8 * M) == 0)
            af_clock_sleep_ms(30);
        af_mutex_lock(&b.lock);
        uint64_t ahead = b.bytes - at - 512 * K;
        af_mutex_unlock(&b.lock);
        ahead_max = ahead > ahead_max ? ahead : ahead_max;
    }
    AF_CHECK_INT(b.bytes, 64 * M);
    AF_CHECK(ahead_max <= memory + AF_S3_BLOCK_BYTES); /* a block larger than the memory comes when it is waited for */
    af_reader_close(reader);
    bucket_close(&b);
}

/* Row groups that are passed over, columns that are read side by side: right bytes whatever the order. */
AF_TEST(s3_order_is_a_wish)
{
    struct bucket b;
    bucket_open(&b, 48 * M, &(struct af_s3_options){ .memory_bytes = 3 * M, .connections = 2 });
    struct af_reader *reader = open_object(&b);
    struct af_range ranges[12];
    for (size_t i = 0; i < 12; i++)
        ranges[i] = (struct af_range){ i * 4 * M, 2 * M };
    af_reader_will_need(reader, ranges, 12);
    check_read(reader, 5 * 4 * M, M);       /* far ahead */
    check_read(reader, 0, 100);             /* and back */
    for (size_t i = 6; i < 9; i++)          /* side by side */
        for (uint64_t at = 0; at < 2 * M; at += 256 * K)
            check_read(reader, (i % 2 != 0 ? i : 14 - i) * 4 * M + at, 256 * K);
    af_reader_will_need(reader, ranges, 3); /* anew */
    check_read(reader, 0, 2 * M);
    check_read(reader, 3 * M, 3 * M);
    check_read(reader, 11 * 4 * M, 2 * M);
    af_reader_close(reader);
    bucket_close(&b);
}

AF_TEST(s3_size_and_version_are_asked_for)
{
    struct bucket b;
    struct af_error err = { 0 };
    struct af_reader *reader;
    bucket_open(&b, 3 * M, NULL);
    AF_CHECK_OK(af_s3_reader_open(b.s3, "bucket", "k", NULL, &reader, &err), err);
    AF_CHECK_INT(reader->size, 3 * M);
    check_read(reader, 2 * M, 10);
    af_reader_close(reader);
    bucket_close(&b);
}

/* --- objects that change ------------------------------------------------------------------------------------------------------- */

AF_TEST(s3_object_that_changes_is_never_a_mixture)
{
    struct bucket b;
    struct af_error err = { 0 };
    static uint8_t got[M];
    bucket_open(&b, 30 * M, &(struct af_s3_options){ .memory_bytes = 8 * M });
    b.changes_after = 4;
    struct af_reader *reader = open_object(&b);
    const struct af_range all = { 0, 30 * M };
    af_reader_will_need(reader, &all, 1);
    enum af_status status = AF_OK;
    unsigned good = 0;
    for (uint64_t at = 0; at < 30 * M && status == AF_OK; at += M) {
        status = af_reader_read(reader, at, got, M, &err);
        good += status == AF_OK;
        for (size_t i = 0; i < M && status == AF_OK; i++)
            AF_CHECK(got[i] == byte_at(at + i));
    }
    AF_CHECK_INT(status, AF_ECONFLICT);
    AF_CHECK(good < 30);
    AF_CHECK(strstr(err.message, "s3://bucket/data/x.parquet: changed while it was read") != NULL);
    unsigned asked = ranges_so_far(&b);
    AF_CHECK_FAILS(af_reader_read(reader, 29 * M, got, M, &err), AF_ECONFLICT); /* for ever, without asking */
    af_reader_close(reader);
    AF_CHECK(ranges_so_far(&b) <= asked + 8); /* what was on its way */
    bucket_close(&b);
}

static enum af_status read_lie(enum lie lie, unsigned lies, uint64_t offset, size_t len, unsigned *out_asked, struct af_error *err)
{
    struct bucket b;
    uint8_t *got = malloc(len);
    AF_CHECK(got != NULL);
    bucket_open(&b, 3 * M, NULL);
    b.lie = lie;
    b.lies_left = lies;
    struct af_reader *reader = open_object(&b);
    *err = (struct af_error){ 0 };
    enum af_status status = af_reader_read(reader, offset, got, len, err);
    for (size_t i = 0; i < len && status == AF_OK; i++)
        AF_CHECK(got[i] == byte_at(offset + i));
    *out_asked = b.ranges;
    af_reader_close(reader);
    bucket_close(&b);
    free(got);
    return status;
}

AF_TEST(s3_answers_that_lie)
{
    static const enum lie lies[] = { LIE_SHORT, LIE_LONG, LIE_OTHER_RANGE, LIE_NO_RANGE, LIE_SIZE, LIE_WHOLE };
    struct af_error err;
    unsigned asked;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        AF_CHECK_FAILS(read_lie(lies[i], UINT32_MAX, M, 1000, &asked, &err), AF_ECORRUPT);
        AF_CHECK_INT(asked, 3);
        AF_CHECK(strstr(err.message, "s3://bucket/data/x.parquet") != NULL);
        AF_CHECK_OK(read_lie(lies[i], 1, M, 1000, &asked, &err), err); /* who lies once is believed afterwards */
        AF_CHECK_INT(asked, 2);
    }
}

AF_TEST(s3_answers_that_fail)
{
    static const struct {
        enum lie lie;
        enum af_status last;
        const char *words;
    } faults[] = { { LIE_CUT, AF_EIO, NULL }, { LIE_500, AF_EIO, "InternalError" }, { LIE_503, AF_EBUSY, "SlowDown" },
                   { LIE_404, AF_ENOTFOUND, "deleted since it was listed" }, { LIE_416, AF_ECONFLICT, "changed while it was read" } };
    struct af_error err;
    unsigned asked;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        AF_CHECK_FAILS(read_lie(faults[i].lie, UINT32_MAX, M, 1000, &asked, &err), faults[i].last);
        AF_CHECK(faults[i].words == NULL || strstr(err.message, faults[i].words) != NULL);
        bool is_final = faults[i].last == AF_ENOTFOUND || faults[i].last == AF_ECONFLICT;
        AF_CHECK_INT(asked, is_final ? 1 : 2);
        if (!is_final)
            AF_CHECK_OK(read_lie(faults[i].lie, 1, M, 1000, &asked, &err), err);
    }
}

AF_TEST(s3_server_without_ranges_is_fine_for_whole_objects)
{
    struct bucket b;
    bucket_open(&b, 300 * K, NULL);
    b.lie = LIE_WHOLE;
    b.lies_left = UINT32_MAX;
    struct af_reader *reader = open_object(&b);
    check_read(reader, 10, 100 * K);
    AF_CHECK_INT(b.ranges, 1);
    af_reader_close(reader);
    bucket_close(&b);
}

/* A part that failed is asked for again by who reads it again. */
AF_TEST(s3_failure_is_not_remembered)
{
    struct bucket b;
    struct af_error err = { 0 };
    uint8_t got[100];
    bucket_open(&b, 3 * M, NULL);
    struct af_reader *reader = open_object(&b);
    b.lie = LIE_500;
    b.lies_left = 2;
    const struct af_range range = { M, 2 * M };
    af_reader_will_need(reader, &range, 1);
    enum af_status first = af_reader_read(reader, M, got, 100, &err);
    AF_CHECK(first == AF_EIO || first == AF_OK); /* whichever of the two parts met them */
    check_read(reader, M, 100);
    check_read(reader, 2 * M, M);
    af_reader_close(reader);
    bucket_close(&b);
}

AF_TEST(s3_patience_outlasts_failures)
{
    struct bucket b;
    bucket_open(&b, 3 * M, &(struct af_s3_options){ .patience_ms = 20000 });
    b.lie = LIE_500;
    b.lies_left = 5; /* more than the two attempts of a call, twice */
    struct af_reader *reader = open_object(&b);
    check_read(reader, M, 100);
    AF_CHECK_INT(b.ranges, 6);
    af_reader_close(reader);
    bucket_close(&b);
}

/* --- stopping ------------------------------------------------------------------------------------------------------------------ */

static void flag_later(void *ctx)
{
    af_clock_sleep_ms(200);
    __atomic_store_n((bool *)ctx, true, __ATOMIC_RELAXED);
}

static void check_cancel(bool is_announced)
{
    static const struct af_peer_step silent[] = { { .then = AF_PEER_HANG }, { .then = AF_PEER_HANG }, { .then = AF_PEER_HANG } };
    struct af_error err = { 0 };
    struct af_aws *aws;
    struct af_s3 *s3;
    struct af_reader *reader;
    struct af_thread thread = { 0 };
    bool cancel = false;
    uint8_t got[100];
    struct af_peer *peer = af_peer_start(silent, 3);
    pool_open(af_peer_url(peer), &(struct af_s3_options){ .cancel = &cancel }, &aws, &s3);
    const struct af_s3_object known = { .bytes = 3 * M, .etag = "one" };
    AF_CHECK_OK(af_s3_reader_open(s3, "bucket", "k", &known, &reader, &err), err);
    const struct af_range range = { M, M };
    if (is_announced)
        af_reader_will_need(reader, &range, 1);
    AF_CHECK_OK(af_thread_start(&thread, "later", flag_later, &cancel, &err), err);
    int64_t begin = af_clock_mono_ns();
    AF_CHECK_FAILS(af_reader_read(reader, M, got, 100, &err), AF_ECANCELED);
    af_reader_close(reader);
    af_s3_close(s3);
    AF_CHECK(af_clock_mono_ns() - begin < INT64_C(3000000000));
    af_thread_join(&thread);
    af_aws_close(aws);
    af_peer_stop(peer);
}

AF_TEST(s3_waiting_ends_when_cancelled)
{
    check_cancel(true);
    check_cancel(false);
}

/* Closed while parts are on their way and waiting: nobody waits for them, nothing is lost. */
AF_TEST(s3_close_does_not_wait)
{
    static const struct af_peer_step silent[] = { { .then = AF_PEER_HANG }, { .then = AF_PEER_HANG }, { .then = AF_PEER_HANG } };
    struct af_error err = { 0 };
    struct af_aws *aws;
    struct af_s3 *s3;
    struct af_reader *reader;
    struct af_peer *peer = af_peer_start(silent, 3);
    pool_open(af_peer_url(peer), &(struct af_s3_options){ .connections = 2 }, &aws, &s3);
    const struct af_s3_object known = { .bytes = 100 * M, .etag = "one" };
    AF_CHECK_OK(af_s3_reader_open(s3, "bucket", "k", &known, &reader, &err), err);
    const struct af_range all = { 0, 100 * M };
    int64_t begin = af_clock_mono_ns();
    af_reader_will_need(reader, &all, 1);
    af_clock_sleep_ms(100);
    af_reader_will_need(reader, &all, 1);
    af_reader_close(reader);
    af_s3_close(s3);
    AF_CHECK(af_clock_mono_ns() - begin < INT64_C(3000000000));
    af_aws_close(aws);
    af_peer_stop(peer);
}

/* --- several threads, no memory -------------------------------------------------------------------------------------------------- */

struct thread_reader {
    struct af_reader *reader;
    uint64_t seed;
};

static void read_much(void *ctx)
{
    struct thread_reader *t = ctx;
    for (unsigned i = 0; i < 30; i++) {
        t->seed = t->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t offset = (t->seed >> 20) % (10 * M);
        if (i % 10 == 5) {
            const struct af_range range = { offset, 3 * M };
            af_reader_will_need(t->reader, &range, 1);
        }
        check_read(t->reader, offset, (size_t)((t->seed >> 8) % (600 * K)));
    }
}

AF_TEST(s3_reader_of_several_threads)
{
    struct bucket b;
    struct af_error err = { 0 };
    bucket_open(&b, 11 * M, &(struct af_s3_options){ .memory_bytes = 2 * M, .connections = 3 });
    struct af_reader *reader = open_object(&b);
    struct thread_reader t[3];
    struct af_thread threads[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        t[i] = (struct thread_reader){ reader, i * 77 + 1 };
        AF_CHECK_OK(af_thread_start(&threads[i], "reader", read_much, &t[i], &err), err);
    }
    for (size_t i = 0; i < 3; i++)
        af_thread_join(&threads[i]);
    af_reader_close(reader);
    bucket_close(&b);
}

AF_TEST(s3_reader_without_memory)
{
    struct bucket b;
    bucket_open(&b, 3 * M, NULL);
    for (size_t nth = 1; nth < 400; nth++) {
        struct af_error err = { 0 };
        struct af_reader *reader = NULL;
        uint8_t got[100];
        const struct af_s3_object known = { .bytes = b.size, .etag = "one" };
        const struct af_range range = { 2 * M, M / 2 };
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_s3_reader_open(b.s3, "bucket", "k", &known, &reader, &err);
        if (status == AF_OK) {
            af_reader_will_need(reader, &range, 1);
            status = af_reader_read(reader, 2 * M, got, 100, &err);
            if (status == AF_OK)
                status = af_reader_read(reader, 100, got, 100, &err);
        }
        size_t made = af_alloc_fail_nth(0);
        af_reader_close(reader);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        if (status == AF_OK && made < nth)
            break;
    }
    bucket_close(&b);
}
