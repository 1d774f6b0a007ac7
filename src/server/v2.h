/*
 * v2.h - what the routes of the 2.x management API share: fields of a JSON body, paging, objects as InfluxDB prints them; see v2_common.c.
 */
#ifndef AF_SERVER_V2_H
#define AF_SERVER_V2_H
#include "server/server_int.h"

enum { V2_PAGE_DEFAULT = 20, V2_PAGE_MAX = 100 };

/* Every type of resource that permissions speak of; NULL at the end. */
extern const char *const v2_resource_types[];
AF_MUST_CHECK bool v2_is_resource_type(const char *type);

/* The body, an object; NULL: 400 has been answered. */
const struct af_json *v2_body(struct af_request *request);
/* Members of it. Absent or null: *out stays as it is. False: 400 has been answered. */
AF_MUST_CHECK bool v2_text(struct af_request *request, const struct af_json *object, const char *key, const char **out);
AF_MUST_CHECK bool v2_id(struct af_request *request, const struct af_json *object, const char *key, uint64_t *out);
AF_MUST_CHECK bool v2_int(struct af_request *request, const struct af_json *object, const char *key, int64_t *out);
AF_MUST_CHECK bool v2_bool(struct af_request *request, const struct af_json *object, const char *key, bool *out);
/* `status`: active or inactive; `words` of the refusal. */
AF_MUST_CHECK bool v2_status(struct af_request *request, const struct af_json *object, const char *words, bool *out_is_active);

/* An id of the query; absent: *out stays. False: 400. */
AF_MUST_CHECK bool v2_arg_id(struct af_request *request, const char *name, uint64_t *out);
/* limit, offset, after, descending. False: 400. */
AF_MUST_CHECK bool v2_paging(struct af_request *request, size_t limit_default, struct af_meta_filter *out);
/* "links": {self, next, prev} of a page of `count` with the query's own filters. */
void v2_print_page_links(struct af_out *out, struct af_request *request, const char *path, const struct af_meta_filter *filter,
                         size_t count);
void v2_print_self(struct af_out *out, const char *path); /* "links": {"self": path} */

/* Objects. `key` NULL inside arrays and at the top. */
void v2_print_org(struct af_out *out, struct af_request *request, const char *key, const struct af_meta_org *org);
void v2_print_bucket(struct af_out *out, const char *key, const struct af_meta_bucket *bucket);
void v2_print_user(struct af_out *out, const char *key, const struct af_meta_user *user, const char *role); /* role may be NULL */
/* `secret` NULL: it is not told any more. */
void v2_print_token(struct af_out *out, struct af_request *request, const char *key, const struct af_meta_token *token, const char *secret);
/* Who belongs to a thing is not kept: nobody, but that users who may do everything own organisations. `role`: "members", "owners". */
void v2_answer_people(struct af_request *request, const char *kind, uint64_t id, const char *role, bool with_admins);
void v2_refuse_people(struct af_request *request); /* POST, DELETE on them */

/* By the {} of the path. False: 400, 404 or 403 has been answered. */
AF_MUST_CHECK bool v2_org_of_path(struct af_request *request, enum af_action action, struct af_meta_org *out);
AF_MUST_CHECK bool v2_bucket_of_path(struct af_request *request, enum af_action action, struct af_meta_bucket *out);
AF_MUST_CHECK bool v2_user_of_path(struct af_request *request, struct af_meta_user *out); /* 404 only: who may what differs */
/* One by id; AF_ENOTFOUND without words. */
AF_MUST_CHECK enum af_status v2_find_org(struct af_request *request, uint64_t id, struct af_meta_org *out, struct af_error *err);
AF_MUST_CHECK enum af_status v2_find_user(struct af_request *request, uint64_t id, struct af_meta_user *out, struct af_error *err);
AF_MUST_CHECK enum af_status v2_find_bucket(struct af_request *request, uint64_t id, struct af_meta_bucket *out, struct af_error *err);
/* What the catalogue refused: 422 conflict, 404, 400 in its words. */
void v2_answer_meta_error(struct af_request *request, const struct af_error *err);
/* A user that 1.x grants gave something: reads and writes points, manages nothing. */
AF_MUST_CHECK bool v2_is_granted_only(const struct af_request *request);

/* May everything that makes, changes or stands for others: what it takes to touch who may everything. */
AF_MUST_CHECK bool v2_is_operator(const struct af_request *request);

/* Catalogue first, engine second; changes of buckets do not overtake each other between the two. */
AF_MUST_CHECK enum af_status v2_bucket_put(struct af_request *request, struct af_meta_bucket *bucket, bool is_new, struct af_error *err);
AF_MUST_CHECK enum af_status v2_bucket_drop(struct af_request *request, uint64_t id, struct af_error *err);
AF_MUST_CHECK enum af_status v2_org_drop(struct af_request *request, uint64_t id, struct af_error *err); /* with its buckets */
/* Retention and shard length as InfluxDB allows them; shard_ns 0 is chosen. False: *out_words says why not. */
AF_MUST_CHECK bool v2_retention_check(int64_t retention_ns, int64_t *shard_ns, const char **out_words);
#endif
