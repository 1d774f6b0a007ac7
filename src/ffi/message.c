/* message.c - the last failure of a thread in words, and what the library says about itself. */
#include "base/alloc.h"
#include "ffi/ffi_int.h"
#include <stdio.h>

#ifndef AF_VERSION
#define AF_VERSION "0"
#endif

static _Thread_local char last_words[sizeof((struct af_error *)0)->message];

int ffi_result(enum af_status status, const struct af_error *err)
{
    if (status == AF_OK)
        return 0;
    const char *words = err != NULL && err->message[0] != '\0' ? err->message : af_status_text(status);
    (void)snprintf(last_words, sizeof last_words, "%s", words);
    return -(int)status;
}

int af_ffi_abi(void)
{
    return AFLUXO_ABI;
}

const char *af_ffi_version(void)
{
    return AF_VERSION;
}

const char *af_ffi_message(void)
{
    return last_words;
}

const char *af_ffi_status_name(int status)
{
    enum af_status known = AF_EBUG;
    if (status <= 0 && status >= -(int)AF_EBUG)
        known = (enum af_status)-status;
    return af_status_name(known);
}

void af_ffi_free(void *text)
{
    af_free(text);
}
