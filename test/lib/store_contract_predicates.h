/* store_contract_predicates.h - predicates written down in one expression, for tests. They live as long as the block they are in. */
#ifndef AF_TEST_STORE_CONTRACT_PREDICATES_H
#define AF_TEST_STORE_CONTRACT_PREDICATES_H
#include "data/predicate.h"

#define P_COMPARE(o, t, v)                                                                                   \
    (&(const struct af_predicate){ .op = (o), .tag = { (t), sizeof(t) - 1 }, .value = { (v), sizeof(v) - 1 } })
#define P_EQ(t, v) P_COMPARE(AF_PREDICATE_EQUAL, t, v)
#define P_NE(t, v) P_COMPARE(AF_PREDICATE_NOT_EQUAL, t, v)
#define P_OF(o, ...)                                                                                         \
    (&(const struct af_predicate){                                                                           \
        .op = (o),                                                                                           \
        .items = (const struct af_predicate *const[]){ __VA_ARGS__ },                                        \
        .item_count = sizeof((const struct af_predicate *const[]){ __VA_ARGS__ }) / sizeof(struct af_predicate *) })
#define P_AND(...) P_OF(AF_PREDICATE_AND, __VA_ARGS__)
#define P_OR(...) P_OF(AF_PREDICATE_OR, __VA_ARGS__)
#define P_NOT(p) P_OF(AF_PREDICATE_NOT, p)
#define P_ALL (&(const struct af_predicate){ .op = AF_PREDICATE_AND })
#define P_NONE (&(const struct af_predicate){ .op = AF_PREDICATE_OR })
#endif
