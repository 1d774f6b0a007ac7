/* kms.c - see kms.h. A 256-bit data key; the blob is opaque. Keys in the clear are wiped from every buffer that they pass (call.h). */
#include "aws/kms.h"
#include "aws/call.h"
#include "codec/base64.h"
#include "codec/digest.h"

static const char service[] = "KMS";

static enum af_status put_context(struct aws_call *call, struct af_slice context, struct af_error *err)
{
    const struct af_json *object;
    AF_TRY(aws_take_object(call, context, "the encryption context", &object, err));
    if (object == NULL)
        return AF_OK;
    for (const struct af_json *member = object->first; member != NULL; member = member->next)
        if (member->kind != AF_JSON_STRING)
            return af_fail(err, AF_EINVAL, "the encryption context has a member \"" AF_SLICE_FMT "\" that is no text",
                           AF_SLICE_ARG(member->key));
    aws_put_name(call, "EncryptionContext");
    af_json_append(&call->body, object);
    return AF_OK;
}

/* `name` of the answer, base64, exactly or at most `cap` bytes. */
static enum af_status take_blob(const struct aws_call *call, const char *name, bool is_exact, uint8_t *out, size_t cap, size_t *out_len,
                                struct af_error *err)
{
    struct af_slice text;
    struct af_buf bytes;
    AF_TRY(aws_need_text(call, call->answer, name, &text, err));
    af_buf_init(&bytes, cap);
    (void)af_buf_reserve(&bytes, cap);
    const bool is_fine = af_base64_decode(text, &bytes) && !bytes.failed && (is_exact ? bytes.len == cap : bytes.len != 0);
    if (is_fine) {
        memcpy(out, bytes.ptr, bytes.len);
        *out_len = bytes.len;
    }
    if (bytes.ptr != NULL)
        af_wipe(bytes.ptr, bytes.cap);
    af_buf_done(&bytes);
    return is_fine ? AF_OK : aws_bad_answer(call, err, "has a \"%s\" that is not base64 of %s%zu bytes", name, is_exact ? "" : "1 to ",
                                            cap);
}

static enum af_status take_key(const struct aws_call *call, struct af_kms_data_key *out, struct af_error *err)
{
    size_t len;
    AF_TRY(aws_need_copy(call, call->answer, "KeyId", out->key_id, sizeof out->key_id, err));
    return take_blob(call, "Plaintext", true, out->plain, sizeof out->plain, &len, err);
}

static enum af_status make(struct aws_call *call, const char *key_id, struct af_slice context, struct af_kms_data_key *out,
                           struct af_error *err)
{
    aws_put_text(call, "KeyId", af_slice_of(key_id));
    AF_TRY(put_context(call, context, err));
    aws_put_text(call, "KeySpec", AF_SLICE_LIT("AES_256"));
    AF_TRY(aws_call_send(call, err));
    AF_TRY(take_blob(call, "CiphertextBlob", false, out->sealed, sizeof out->sealed, &out->sealed_len, err));
    return take_key(call, out, err);
}

enum af_status af_kms_data_key(struct af_aws_client *client, const char *key_id, struct af_slice context, struct af_kms_data_key *out,
                               struct af_error *err)
{
    struct aws_call call;
    struct af_kms_data_key key = { 0 };
    aws_call_begin(&call, client, service, "GenerateDataKey");
    const enum af_status status = make(&call, key_id, context, &key, err);
    aws_call_end(&call);
    if (status == AF_OK)
        *out = key;
    af_wipe(&key, sizeof key);
    return status;
}

static enum af_status open_key(struct aws_call *call, struct af_slice context, struct af_kms_data_key *key, struct af_error *err)
{
    aws_put_name(call, "CiphertextBlob");
    af_buf_append_char(&call->body, '"');
    af_base64_append(&call->body, af_slice_make(key->sealed, key->sealed_len));
    af_buf_append_char(&call->body, '"');
    AF_TRY(put_context(call, context, err));
    AF_TRY(aws_call_send(call, err));
    return take_key(call, key, err);
}

enum af_status af_kms_open(struct af_aws_client *client, struct af_slice context, struct af_kms_data_key *key, struct af_error *err)
{
    struct aws_call call;
    struct af_kms_data_key opened = *key;
    if (key->sealed_len == 0 || key->sealed_len > sizeof key->sealed)
        return af_fail(err, AF_EINVAL, "a sealed data key has 1 to %zu bytes, not %zu", sizeof key->sealed, key->sealed_len);
    aws_call_begin(&call, client, service, "Decrypt");
    const enum af_status status = open_key(&call, context, &opened, err);
    aws_call_end(&call);
    if (status == AF_OK)
        *key = opened;
    af_wipe(&opened, sizeof opened);
    return status;
}

enum af_status af_kms_state(struct af_aws_client *client, const char *key_id, char out_state[32], struct af_error *err)
{
    struct aws_call call;
    aws_call_begin(&call, client, service, "DescribeKey");
    aws_put_text(&call, "KeyId", af_slice_of(key_id));
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = aws_need_copy(&call, af_json_get(call.answer, "KeyMetadata"), "KeyState", out_state, 32, err);
    aws_call_end(&call);
    return status;
}
