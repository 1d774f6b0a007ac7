/*
 * provision_group.c - a parameter group by its contents: the name holds a digest of the parameters, so that the same parameters are found
 * again and others are another group.
 *
 *     parameters --> canonical text --> name --> listed? --yes--> its parameters are these? --> its id
 *                                                  | no
 *                                                  v
 *                                         CreateDbParameterGroup --ConflictException--> somebody just made it: listed?
 *
 * The service changes and deletes no group: what is not wanted any more stays, and the answer to a delete says so.
 */
#include "base/numbers.h"
#include "codec/digest.h"
#include "lambda/provision_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { BODY_BYTES_MAX = 64 << 10, DIGEST_DIGITS = 12, DESCRIPTION_BYTES_MAX = 500, ID_BYTES = 65, LOOKS_MAX = 3, LOOK_EVERY_MS = 1000 };

struct group {
    struct af_aws_client *tfi;
    struct af_arena *arena;
    const struct af_json *parameters;   /* as given */
    struct af_buf canonical;
    struct af_slice description;
    char name[PROVISION_GROUP_BYTES];
    char id[ID_BYTES];                  /* "": not found */
    bool is_made;
};

/* Letters and digits with single hyphens inside, a letter first. */
static bool is_name(const char *name)
{
    char before = '-';
    const size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        const char c = name[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), is_digit = c >= '0' && c <= '9';
        if (!(is_letter || (i != 0 && is_digit) || (c == '-' && before != '-')))
            return false;
        before = c;
    }
    return len >= 3 && before != '-' && strncmp(name, "dbpg-", 5) != 0;
}

enum af_status provision_group_name(struct af_slice prefix, struct af_slice parameters, char out[PROVISION_GROUP_BYTES],
                                    struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    char hex[DIGEST_DIGITS + 1] = "";
    if (!af_sha256(parameters, digest))
        return af_fail_nomem(err, "a digest");
    *af_hex_print(hex, digest, DIGEST_DIGITS / 2) = '\0';
    if (prefix.len > PROVISION_GROUP_BYTES - DIGEST_DIGITS - 2 || memchr(prefix.ptr != NULL ? prefix.ptr : "", 0, prefix.len) != NULL)
        return af_fail(err, AF_EINVAL, "prefix: the name of a parameter group ends at 64 characters, and a digest of %d stands behind the "
                                       "prefix", DIGEST_DIGITS);
    (void)snprintf(out, PROVISION_GROUP_BYTES, "%.*s-%s", (int)prefix.len, prefix.ptr != NULL ? prefix.ptr : "", hex);
    if (!is_name(out))
        return af_fail(err, AF_EINVAL, "prefix \"%.*s\": a letter first, then letters, digits and single hyphens (no periods), and not "
                                       "\"dbpg-\", which is the service's own", (int)prefix.len, prefix.ptr != NULL ? prefix.ptr : "");
    return AF_OK;
}

/* --- the service ---------------------------------------------------------------------------------------------------------------- */

static enum af_status copy_id(struct group *g, struct af_slice id, struct af_error *err)
{
    if (id.len == 0 || id.len >= ID_BYTES)
        return af_fail(err, AF_ECORRUPT, "the service's answer: a parameter group's id has 1 to %d bytes", ID_BYTES - 1);
    memcpy(g->id, id.ptr, id.len);
    g->id[id.len] = '\0';
    return AF_OK;
}

static enum af_status see(void *ctx, const struct af_json *item, struct af_error *err)
{
    struct group *g = ctx;
    if (!af_slice_is(af_json_string(item, "name"), g->name))
        return AF_OK;
    return copy_id(g, af_json_string(item, "id"), err);
}

static enum af_status check_contents(const struct group *g, struct af_error *err)
{
    const struct af_json *json = NULL;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_append_str(&body, "{\"identifier\":");
    af_json_append_string(&body, af_slice_of(g->id));
    af_buf_append_char(&body, '}');
    const enum af_status status = af_tfi_call(g->tfi, AF_TFI_GetDbParameterGroup, af_buf_slice(&body), g->arena, &json, err);
    af_buf_done(&body);
    AF_TRY(status);
    const char *other = provision_parameters_differ(g->parameters, af_json_get(af_json_get(json, "parameters"), "InfluxDBv2"));
    if (other != NULL)
        return af_fail(err, AF_ECONFLICT, "the parameter group %s exists and has another %s: somebody else made it. Take another prefix",
                       g->name, other);
    return AF_OK;
}

static enum af_status find(struct group *g, struct af_error *err)
{
    AF_TRY(af_tfi_list(g->tfi, AF_TFI_ListDbParameterGroups, AF_SLICE_LIT("{\"maxResults\":100}"), see, g, err));
    return g->id[0] != '\0' ? check_contents(g, err) : AF_OK;
}

static enum af_status create(struct group *g, struct af_error *err)
{
    const struct af_json *json = NULL;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES_MAX);
    af_buf_printf(&body, "{\"name\":\"%s\",\"description\":", g->name);
    af_json_append_string(&body, g->description);
    af_buf_append_str(&body, ",\"parameters\":{\"InfluxDBv2\":");
    af_buf_append_slice(&body, af_buf_slice(&g->canonical));
    af_buf_append_str(&body, "}}");
    enum af_status status = af_buf_check(&body, "a parameter group", err);
    if (status == AF_OK)
        status = af_tfi_call(g->tfi, AF_TFI_CreateDbParameterGroup, af_buf_slice(&body), g->arena, &json, err);
    af_buf_done(&body);
    AF_TRY(status);
    g->is_made = true;
    return copy_id(g, af_json_string(json, "id"), err);
}

/* A conflict may be with somebody else, or with our own first attempt whose answer was lost. */
static enum af_status find_or_create(struct group *g, struct af_error *err)
{
    struct af_error why = { 0 };
    AF_TRY(find(g, err));
    if (g->id[0] != '\0')
        return AF_OK;
    const enum af_status status = create(g, &why);
    for (int look = 0; status == AF_ECONFLICT && g->id[0] == '\0' && look < LOOKS_MAX; look++) {
        af_clock_sleep_ms(look == 0 ? 0 : LOOK_EVERY_MS);
        AF_TRY(find(g, err));
    }
    if (g->id[0] == '\0' && err != NULL)
        *err = why;
    return g->id[0] != '\0' ? AF_OK : status;
}

static enum af_status read_event(struct group *g, const struct af_json *event, struct af_error *err)
{
    const struct af_json *description = af_json_get(event, "description");
    g->parameters = af_json_get(event, "parameters");
    if (g->parameters != NULL && g->parameters->kind == AF_JSON_NULL)
        g->parameters = NULL;
    g->description = af_json_string(event, "description");
    if ((description != NULL && description->kind != AF_JSON_STRING) || g->description.len > DESCRIPTION_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "description is a text of at most %d bytes", DESCRIPTION_BYTES_MAX);
    AF_TRY(provision_parameters_print(g->parameters, &g->canonical, err));
    if (g->canonical.len == 2)
        return af_fail(err, AF_EINVAL, "parameters names none: the service's default group has the defaults already. Leave the group out");
    return provision_group_name(af_json_string(event, "prefix"), af_buf_slice(&g->canonical), g->name, err);
}

static void print_kept(const struct group *g, struct af_buf *answer)
{
    af_buf_printf(answer, "\"kept\":\"parameter group %s: the service has no call that deletes one\"", g->name);
}

static enum af_status carry_out(struct group *g, const struct af_json *event, bool deletes, struct af_buf *answer, struct af_error *err)
{
    AF_TRY(read_event(g, event, err));
    if (deletes) {
        print_kept(g, answer);
        return AF_OK;
    }
    AF_TRY(find_or_create(g, err));
    af_buf_append_str(answer, "\"id\":");
    af_json_append_string(answer, af_slice_of(g->id));
    af_buf_printf(answer, ",\"name\":\"%s\",\"created\":%s", g->name, g->is_made ? "true" : "false");
    return AF_OK;
}

enum af_status provision_group(struct af_aws_client *tfi, const struct af_json *event, bool deletes, struct af_arena *arena,
                               struct af_buf *answer, struct af_error *err)
{
    struct group g = { .tfi = tfi, .arena = arena };
    af_buf_init(&g.canonical, BODY_BYTES_MAX);
    const enum af_status status = carry_out(&g, event, deletes, answer, err);
    af_buf_done(&g.canonical);
    return status;
}
