/* store_contract_int.h - what the files of the suite share; the suite itself is store_contract.h. */
#ifndef AF_TEST_STORE_CONTRACT_INT_H
#define AF_TEST_STORE_CONTRACT_INT_H
#include "test/lib/store_contract.h"

extern const char *contract_running; /* for messages */
extern const struct af_scan contract_everything; /* of measurement m */

void contract_put(struct af_store *store, const char *lines); /* nanoseconds; all must be kept */
void contract_check_scan(struct af_store *store, struct af_scan scan, const char *want);
/* A listing, a name a line; of fields `name:type`. */
void contract_list(struct af_store *store, enum af_listing what, const struct af_scan *scan, struct af_buf *out);
void contract_check_list(struct af_store *store, enum af_listing what, struct af_scan scan, const char *want);
/* Open, check, close. */
void contract_with(const struct af_contract *contract, void (*check)(struct af_store *store, const struct af_contract *contract));

void contract_selects(const struct af_contract *contract); /* store_contract_select.c: predicates, listings */
void contract_erases(const struct af_contract *contract);  /* store_contract_erase.c: deletes, random work */
void contract_folds(const struct af_contract *contract);   /* store_contract_fold.c: patterns, counts, series by name, folds */
#endif
