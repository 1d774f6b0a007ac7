/*
 * provision_secret.c - secrets read and replaced.
 *
 *     read ---> version v, contents ---> replace(v, new contents): PutSecretValue with the client token H(name, v)
 *
 * Secrets Manager takes a client token as the new version's id, and refuses one that exists with other contents. So each version has one
 * successor: whoever repeats himself makes no second one, and of two who read the same version one is refused.
 */
#include "base/numbers.h"
#include "codec/digest.h"
#include "lambda/provision_int.h"
#include <stdio.h>

enum { SECRET_BYTES_MAX = 64 << 10 };

/* --- wiping ---------------------------------------------------------------------------------------------------------------------- */

static void wipe_tree(struct af_json *node)
{
    for (; node != NULL; node = node->next) {
        if (node->kind == AF_JSON_STRING && node->text.len != 0)
            af_wipe((char *)node->text.ptr, node->text.len);
        wipe_tree(node->first);
    }
}

static void on_tree(void *tree)
{
    wipe_tree(tree);
}

static void on_text(void *text)
{
    const struct af_slice *slice = text;
    af_wipe((char *)slice->ptr, slice->len);
}

bool provision_wipe_tree(struct af_arena *arena, struct af_json *tree)
{
    if (tree == NULL || af_arena_on_reset(arena, on_tree, tree))
        return true;
    wipe_tree(tree);
    return false;
}

bool provision_wipe_text(struct af_arena *arena, struct af_slice text)
{
    struct af_slice *kept = af_arena_alloc(arena, sizeof *kept);
    if (kept != NULL)
        *kept = text;
    if (kept != NULL && af_arena_on_reset(arena, on_text, kept))
        return true;
    af_wipe((char *)text.ptr, text.len);
    return false;
}

/* --- reading --------------------------------------------------------------------------------------------------------------------- */

static enum af_status parse(const char *name, struct af_slice text, struct af_arena *arena, const struct af_json **out,
                            struct af_error *err)
{
    struct af_json *tree = NULL;
    if (text.len == 0)
        return AF_OK;
    const enum af_status status = af_json_parse(text, arena, &tree, NULL); /* whose message could show what is inside */
    if (status == AF_ENOMEM || (tree != NULL && !provision_wipe_tree(arena, tree)))
        return af_fail_nomem(err, "a secret");
    if (status != AF_OK || tree->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_EINVAL, "secret \"%s\" holds something that is no JSON object, which nobody here wrote: take it away "
                                       "(put-secret-value with {}), and call again", name);
    *out = tree->first != NULL ? tree : NULL;
    return AF_OK;
}

enum af_status provision_secret_read(struct af_secrets *secrets, const char *name, struct af_arena *arena, const struct af_json **out,
                                     char out_version[65], struct af_error *err)
{
    struct af_buf text;
    struct af_error why = { 0 };
    *out = NULL;
    out_version[0] = '\0';
    af_buf_init(&text, SECRET_BYTES_MAX);
    enum af_status status = af_secrets_get(secrets, name, &text, out_version, &why);
    if (status == AF_OK)
        status = parse(name, af_slice_trim(af_buf_slice(&text)), arena, out, &why);
    else if (status == AF_ENOTFOUND) /* no version yet; that there is no such secret shows when one is put */
        status = AF_OK;
    lambda_wipe(&text);
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

/* --- replacing ------------------------------------------------------------------------------------------------------------------- */

static enum af_status successor(const char *name, const char *version, char out[65], struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    struct af_buf text;
    af_buf_init(&text, SECRET_BYTES_MAX);
    af_buf_printf(&text, "afluxo provision\n%s\n%s\n", name, version);
    const bool is_made = !text.failed && af_sha256(af_buf_slice(&text), digest);
    af_buf_done(&text);
    if (!is_made)
        return af_fail_nomem(err, "a version");
    *af_hex_print(out, digest, sizeof digest) = '\0';
    return AF_OK;
}

enum af_status provision_secret_replace(struct af_secrets *secrets, const char *name, char version[65], struct af_slice json,
                                        struct af_error *err)
{
    char next[65];
    AF_TRY(successor(name, version, next, err));
    const enum af_status status = af_secrets_put(secrets, name, json, next, err);
    if (status == AF_ECONFLICT)
        af_error_prefix(err, "another provisioning has replaced it meanwhile, or AWSCURRENT was moved back by hand (then put its value "
                             "once more, as a new version): ");
    if (status == AF_OK)
        memcpy(version, next, sizeof next);
    return status;
}
