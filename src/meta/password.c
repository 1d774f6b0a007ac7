/* password.c - passwords by crypt(3), yescrypt: slow on purpose, a salt each. */
#include "meta/meta_int.h"
#include "os/clock.h"
#include <crypt.h>

enum { SALT_BYTES = 32 };
const char META_NOBODY[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";

static const char *hash_with(const char *password, const char *setting, struct crypt_data *data)
{
    const char *hash = crypt_rn(password, setting, data, (int)sizeof *data);
    return hash != NULL && hash[0] != '*' ? hash : NULL;
}

/* A C string of it, at most what crypt takes; false: a NUL inside or too long. */
static bool to_text(struct af_slice password, char out[CRYPT_MAX_PASSPHRASE_SIZE])
{
    if (password.len >= CRYPT_MAX_PASSPHRASE_SIZE || (password.len != 0 && memchr(password.ptr, '\0', password.len) != NULL))
        return false;
    if (password.len != 0)
        memcpy(out, password.ptr, password.len);
    out[password.len] = '\0';
    return true;
}

enum af_status meta_password_hash(struct af_slice password, char out[META_HASH_BYTES], struct af_error *err)
{
    char text[CRYPT_MAX_PASSPHRASE_SIZE];
    char salt[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!to_text(password, text))
        return af_fail(err, AF_EINVAL, "a password has at most %d bytes, none of them zero", CRYPT_MAX_PASSPHRASE_SIZE - 1);
    af_random_bytes(salt, sizeof salt);
    struct crypt_data data = { 0 };
    const char *hash = NULL;
    if (crypt_gensalt_rn("$y$", 0, salt, SALT_BYTES, setting, (int)sizeof setting) != NULL)
        hash = hash_with(text, setting, &data);
    size_t len = hash != NULL ? strlen(hash) : META_HASH_BYTES;
    if (len < META_HASH_BYTES)
        memcpy(out, hash, len + 1);
    af_wipe(text, sizeof text);
    af_wipe(&data, sizeof data);
    return len < META_HASH_BYTES ? AF_OK : af_fail(err, AF_ENOMEM, "the password could not be hashed");
}

bool meta_password_is(struct af_slice password, const char *hash)
{
    char text[CRYPT_MAX_PASSPHRASE_SIZE];
    struct crypt_data data = { 0 };
    const char *got = to_text(password, text) ? hash_with(text, hash, &data) : NULL;
    size_t len = strlen(hash);
    bool is_same = got != NULL && strlen(got) == len && af_equal_secret(got, hash, len);
    af_wipe(text, sizeof text);
    af_wipe(&data, sizeof data);
    return is_same;
}
