/* v1_user.c - 1.x's users and what they are granted. Passwords are not shown, logged or kept: meta/ hashes them. */
#include "server/core.h"
#include "server/v1_query.h"
#include <stdlib.h>

static enum af_status find_user(struct v1_run *run, const char *name, struct af_meta_user *out, struct af_error *err)
{
    struct af_meta_user *found = NULL;
    size_t count = 0;
    struct af_meta_filter filter = { .name = name };
    AF_TRY(af_meta_users(run->meta, &filter, run->arena, &found, &count, err));
    if (count == 0)
        return af_fail(err, AF_ENOTFOUND, "user not found");
    *out = found[0];
    return AF_OK;
}

/* --- users ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_password(const char *password, struct af_error *err)
{
    return password[0] != '\0' ? AF_OK : af_fail(err, AF_EINVAL, "password required");
}

/* Made already, with the same password and rights: fine. */
static enum af_status check_same(struct v1_run *run, const struct af_ql_statement *st, const struct af_meta_user *user,
                                 struct af_error *err)
{
    struct af_principal who = { 0 };
    struct af_error why = { 0 };
    enum af_status status = af_meta_by_password(run->meta, af_slice_of(st->user), af_slice_of(st->password), run->arena, &who, &why);
    if (status == AF_EBUSY)
        return af_fail(err, AF_EBUSY, "%s", why.message);
    bool is_same = status == AF_OK && user->is_admin == st->is_admin && who.user == user->id && who.token == 0;
    return is_same ? AF_OK : af_fail(err, AF_ECONFLICT, "user already exists");
}

static enum af_status create_user(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    struct af_meta_user user = { .name = st->user, .is_active = true, .is_admin = st->is_admin };
    struct af_meta_user present;
    if (st->user[0] == '\0')
        return af_fail(err, AF_EINVAL, "username required");
    AF_TRY(check_password(st->password, err));
    enum af_status status = find_user(run, st->user, &present, NULL);
    if (status == AF_OK && st->is_admin && core_is_own_user(&present)) /* what a script for a fresh InfluxDB begins with */
        return af_meta_user_password(run->meta, present.id, af_slice_of(st->password), err);
    if (status == AF_OK)
        return check_same(run, st, &present, err);
    AF_TRY(af_meta_user_put(run->meta, &user, true, err));
    status = af_meta_user_password(run->meta, user.id, af_slice_of(st->password), err);
    if (status != AF_OK)
        (void)!af_meta_user_drop(run->meta, user.id, NULL);
    return status;
}

static int by_age(const void *a, const void *b)
{
    const struct af_meta_user *x = a;
    const struct af_meta_user *y = b;
    return x->created_ns != y->created_ns ? (x->created_ns > y->created_ns) - (x->created_ns < y->created_ns) : strcmp(x->name, y->name);
}

static enum af_status show_users(struct v1_run *run, struct af_error *err)
{
    static const char *const columns[] = { "user", "admin" };
    struct af_meta_user *users = NULL;
    size_t count = 0;
    struct af_meta_filter all = { 0 };
    AF_TRY(af_meta_users(run->meta, &all, run->arena, &users, &count, err));
    if (count > 1)
        qsort(users, count, sizeof *users, by_age);
    af_made_begin(run->made, NULL, 2, columns);
    for (size_t i = 0; i < count; i++) {
        if (core_is_own_user(&users[i]))
            continue;
        af_made_cell(run->made, af_value_text(af_slice_of(users[i].name)));
        af_made_cell(run->made, af_value_bool(users[i].is_admin));
    }
    return AF_OK;
}

/* --- grants ------------------------------------------------------------------------------------------------------------------------ */

static enum af_status set_grant(struct v1_run *run, const struct af_ql_statement *st, const struct af_meta_user *user, struct af_error *err)
{
    struct af_meta_dbrp *dbrps = NULL;
    size_t dbrp_count = 0, count = 0;
    struct af_meta_granted *granted = NULL;
    AF_TRY(af_meta_dbrps(run->meta, run->org.id, st->database, run->arena, &dbrps, &dbrp_count, err));
    if (dbrp_count == 0)
        return af_fail(err, AF_ENOTFOUND, "database not found: %s", st->database);
    unsigned grant = (unsigned)st->privilege; /* the same bits */
    if (st->kind == AF_QL_REVOKE) {
        AF_TRY(af_meta_grants(run->meta, user->id, run->arena, &granted, &count, err));
        unsigned has = AF_GRANT_NONE;
        for (size_t i = 0; i < count; i++)
            if (granted[i].org == run->org.id && strcmp(granted[i].database, st->database) == 0)
                has = (unsigned)granted[i].grant;
        grant = has & ~grant;
    }
    return af_meta_grant(run->meta, user->id, run->org.id, st->database, (enum af_grant)(grant & AF_GRANT_ALL), err);
}

static const char *grant_name(enum af_grant grant)
{
    return grant == AF_GRANT_ALL ? "ALL PRIVILEGES" : grant == AF_GRANT_READ ? "READ" : grant == AF_GRANT_WRITE ? "WRITE" : "NO PRIVILEGES";
}

static enum af_status show_grants(struct v1_run *run, const struct af_meta_user *user, struct af_error *err)
{
    static const char *const columns[] = { "database", "privilege" };
    struct af_meta_granted *granted = NULL;
    size_t count = 0;
    AF_TRY(af_meta_grants(run->meta, user->id, run->arena, &granted, &count, err));
    af_made_begin(run->made, NULL, 2, columns);
    for (size_t i = 0; i < count; i++) {
        if (granted[i].org != run->org.id)
            continue;
        af_made_cell(run->made, af_value_text(af_slice_of(granted[i].database)));
        af_made_cell(run->made, af_value_text(af_slice_of(grant_name(granted[i].grant))));
    }
    return AF_OK;
}

static enum af_status change_user(struct v1_run *run, const struct af_ql_statement *st, struct af_meta_user *user, struct af_error *err)
{
    switch (st->kind) {
    case AF_QL_DROP_USER: return af_meta_user_drop(run->meta, user->id, err);
    case AF_QL_SET_PASSWORD:
        AF_TRY(check_password(st->password, err));
        AF_TRY(af_meta_user_password(run->meta, user->id, af_slice_of(st->password), err));
        core_sessions_end_of(run->request->server, user->id);
        return AF_OK;
    case AF_QL_GRANT:
    case AF_QL_REVOKE: return set_grant(run, st, user, err);
    default: break;
    }
    user->is_admin = st->kind == AF_QL_GRANT_ADMIN;
    return af_meta_user_put(run->meta, user, false, err);
}

enum af_status v1_run_user(struct v1_run *run, const struct af_ql_statement *st, struct af_error *err)
{
    static const char *const names[] = { [AF_QL_CREATE_USER] = "user created", [AF_QL_DROP_USER] = "user deleted",
                                         [AF_QL_SET_PASSWORD] = "password changed",
                                         [AF_QL_GRANT] = "granted", [AF_QL_GRANT_ADMIN] = "made admin", [AF_QL_REVOKE] = "revoked",
                                         [AF_QL_REVOKE_ADMIN] = "admin no more" };
    struct af_meta_user user;
    if (st->kind == AF_QL_SHOW_USERS)
        return show_users(run, err);
    if (st->kind == AF_QL_CREATE_USER) {
        AF_TRY(create_user(run, st, err));
    } else {
        AF_TRY(find_user(run, st->user, &user, err));
        if (st->kind == AF_QL_SHOW_GRANTS)
            return show_grants(run, &user, err);
        AF_TRY(change_user(run, st, &user, err));
    }
    af_audit(run->request, names[st->kind], "user %s%s%s", st->user, st->database != NULL ? ", database " : "",
             st->database != NULL ? st->database : "");
    return AF_OK;
}
