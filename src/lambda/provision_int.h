/*
 * provision_int.h - the parts of provisioning: what Terraform cannot make, made by a function that may be called again at any time.
 *
 *     provision.c              the function: which event, which part of it
 *     provision_group.c        a parameter group by its contents; provision_parameters.c knows what may stand in one
 *     provision_event.c        {"do":"bootstrap"|"rotate", ...} read and judged before anything is called
 *     provision_influx.c       HTTP to the instance
 *     provision_secret.c       secrets read, and replaced only where nobody else replaced them meanwhile
 *     provision_password.c     the first password replaced; never without one that a secret holds
 *     provision_tokens.c       buckets that are missing, tokens with the permissions that are named
 */
#ifndef AF_LAMBDA_PROVISION_INT_H
#define AF_LAMBDA_PROVISION_INT_H
#include "aws/timestream.h"
#include "lambda/lambda_int.h"
#include "net/http.h"

/* --- provision_parameters.c ----------------------------------------------------------------------------------------------------- */

/* The parameters as the service takes them, in the table's order, appended to `out`: the same settings are the same bytes. AF_EINVAL names
 * the parameter and says what is allowed. `given` NULL: none. */
AF_MUST_CHECK enum af_status provision_parameters_print(const struct af_json *given, struct af_buf *out, struct af_error *err);
/* The first parameter of `given` (which was printed without complaint) that `kept` holds another value of; NULL: none. */
const char *provision_parameters_differ(const struct af_json *given, const struct af_json *kept);

/* --- provision_group.c ---------------------------------------------------------------------------------------------------------- */

enum { PROVISION_GROUP_BYTES = 65 };
/* prefix-<12 digits of the parameters' digest>. AF_EINVAL: no name that the service takes. */
AF_MUST_CHECK enum af_status provision_group_name(struct af_slice prefix, struct af_slice parameters, char out[PROVISION_GROUP_BYTES],
                                                  struct af_error *err);
/* {"do":"parameter-group"}: found or made, the answer's members appended to `answer`. */
AF_MUST_CHECK enum af_status provision_group(struct af_aws_client *tfi, const struct af_json *event, bool deletes, struct af_arena *arena,
                                             struct af_buf *answer, struct af_error *err);

/* --- provision_event.c ---------------------------------------------------------------------------------------------------------- */

struct provision_bucket {
    const char *name;
    int64_t retention_s, shard_group_s;  /* 0: for ever; what InfluxDB chooses */
    const char *id;                      /* found or made later (provision_tokens.c) */
    bool is_made;
};
struct provision_token {
    const char *secret, *description;
    const char **read, **write;          /* names of buckets */
    size_t read_count, write_count;
    bool is_operator;
    int64_t valid_days;
    /* What its secret holds (provision_tokens.c); NULL: nothing of ours. */
    const char *token, *id, *expires;
    char version[65];
    bool is_made;
};
struct provision_order {
    const char *instance;                /* NULL: nobody waits for it */
    const char *url, *org, *prefix;
    const char *initial_secret;          /* NULL: there is none */
    const char *secret;
    struct provision_bucket *buckets;
    struct provision_token *tokens;
    size_t bucket_count, token_count;
};
/* AF_EINVAL names the member. Lives in `arena`, copied. */
AF_MUST_CHECK enum af_status provision_order_read(const struct af_json *event, struct af_arena *arena, struct provision_order *out,
                                                  struct af_error *err);

/* --- one call's memory: what is secret in it is wiped when the arena is done ---------------------------------------------------- */

/* True: `text` of the arena, or all texts of the tree, will be wiped. False: no memory, and they are wiped already. */
AF_MUST_CHECK bool provision_wipe_text(struct af_arena *arena, struct af_slice text);
AF_MUST_CHECK bool provision_wipe_tree(struct af_arena *arena, struct af_json *tree);

/* --- provision_secret.c --------------------------------------------------------------------------------------------------------- */

/* The secret's JSON object; *out NULL: it holds nothing yet, and out_version is "". AF_EINVAL: it holds something else. */
AF_MUST_CHECK enum af_status provision_secret_read(struct af_secrets *secrets, const char *name, struct af_arena *arena,
                                                   const struct af_json **out, char out_version[65], struct af_error *err);
/* Replace the version that was read; `version` is the new one then. Its id is made of the old one's: of two who replace the same version,
 * the second is told AF_ECONFLICT, and one who repeats himself made one. */
AF_MUST_CHECK enum af_status provision_secret_replace(struct af_secrets *secrets, const char *name, char version[65], struct af_slice json,
                                                      struct af_error *err);

/* --- provision_influx.c --------------------------------------------------------------------------------------------------------- */

struct provision_influx {
    struct af_http *http;
    const char *url;                     /* no slash at its end */
    char cookie[512];                    /* "Cookie: ..." of the session; "": none */
    const bool *cancel;
    struct af_arena *arena;              /* of answers */
    uint32_t patience_ms;                /* an instance that does not answer yet is waited for so long when signing in */
};
AF_MUST_CHECK enum af_status provision_influx_open(struct provision_influx *influx, const char *url, const char *ca_file,
                                                   const bool *cancel, struct af_arena *arena, struct af_error *err);
void provision_influx_close(struct provision_influx *influx); /* signs out */
/* AF_EUNAUTH: the password is another one. */
AF_MUST_CHECK enum af_status provision_influx_signin(struct provision_influx *influx, const char *username, const char *password,
                                                     struct af_error *err);
/* One request of the session; *out: the answer's object, NULL if it has none. AF_ENOTFOUND 404, AF_ECONFLICT 409 and 422 of that code. */
AF_MUST_CHECK enum af_status provision_influx_call(struct provision_influx *influx, const char *method, const char *path,
                                                   struct af_slice body, const struct af_json **out, struct af_error *err);
/* Is it a token that the instance knows? */
AF_MUST_CHECK enum af_status provision_influx_knows(struct provision_influx *influx, const char *token, bool *out, struct af_error *err);

/* --- provision_password.c ------------------------------------------------------------------------------------------------------- */

/* Which password opens the instance: one of those that the secret holds, or the first one. */
enum provision_opens { PROVISION_NOTHING, PROVISION_PASSWORD, PROVISION_PREVIOUS, PROVISION_INITIAL };
enum provision_step {
    PROVISION_KEEP,    /* all is well */
    PROVISION_SETTLE,  /* the change was made and only not written down */
    PROVISION_FINISH,  /* the new password is written down and not set yet */
    PROVISION_RENEW,   /* write a new one down, set it, settle */
    PROVISION_LOST     /* nothing opens it */
};
struct provision_password_facts {
    enum provision_opens opens;
    bool is_pending;   /* the secret has `previous` */
    bool is_initial;   /* the password that opens is the first one, wherever it stands: Terraform's state holds it */
    bool rotates;
};
enum provision_step provision_password_step(const struct provision_password_facts *facts);

struct provision_session {
    struct provision_influx *influx;
    struct af_secrets *secrets;
    const struct provision_order *order;
    struct af_arena *arena;
    bool rotates, only_opens;            /* only_opens: sign in, change nothing */
    enum provision_step step;            /* what was done */
};
/* Signs in, and sees to it that the password is one that no state holds. */
AF_MUST_CHECK enum af_status provision_password(struct provision_session *session, struct af_error *err);

/* --- provision_tokens.c --------------------------------------------------------------------------------------------------------- */

/* Buckets, then tokens; what is left of earlier ones is revoked. Fills the order's ids; ids that were revoked into `revoked`, as a JSON
 * array's members. */
AF_MUST_CHECK enum af_status provision_tokens(struct provision_session *session, struct provision_order *order, int64_t now_ns,
                                              struct af_buf *revoked, struct af_error *err);
/* All of them are revoked. */
AF_MUST_CHECK enum af_status provision_tokens_revoke(struct provision_session *session, const struct provision_order *order,
                                                     struct af_buf *revoked, struct af_error *err);
#endif
