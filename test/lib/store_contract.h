/*
 * store_contract.h - what every filling of store/store.h must do. A factory and a suite: the same checks run on the memory store,
 * on decorators around it and on a remote InfluxDB.
 *
 *     static struct af_store *open_mine(void *ctx) { ... an empty bucket ... }
 *     AF_TEST(mine_keeps_the_contract)
 *     {
 *         af_store_contract(&(struct af_contract){ .name = "mine", .open = open_mine });
 *     }
 */
#ifndef AF_TEST_STORE_CONTRACT_H
#define AF_TEST_STORE_CONTRACT_H
#include "base/buf.h"
#include "store/store.h"

struct af_contract {
    const char *name;
    struct af_store *(*open)(void *ctx);   /* a store without any point; the suite closes it */
    struct af_store *(*oracle)(void *ctx); /* the same for the store to compare with; NULL: no comparison */
    void *ctx;
    bool is_v2;                            /* judges bad lines as InfluxDB 2.x */
    bool has_unsigned;
    bool is_flux;                          /* read in Flux: no empty strings, no carriage returns, not the last nanosecond */
    bool may_linger;                       /* a measurement may stay listed after its last point is deleted (InfluxDB 1.x) */
};
void af_store_contract(const struct af_contract *contract);

/* A scan as text, a row a line: `key time field=value ...`, floats in hexadecimal, rows in order of key and time; the check
 * that times ascend within a series is made on the way. `fields` as in af_scan. */
void af_contract_dump(struct af_store *store, const struct af_scan *scan, struct af_buf *out);

/* Write lines that must all be kept. */
void af_contract_write(struct af_store *store, struct af_slice lines, int64_t precision_ns);
#endif
