/*
 * net_int.h - between the files of this folder: how libcurl's failures are worded.
 */
#ifndef AF_NET_INT_H
#define AF_NET_INT_H
#include "base/error.h"
#include <curl/curl.h>

struct af_http_fault {
    CURLcode code;
    long verify_result;     /* CURLINFO_SSL_VERIFYRESULT: OpenSSL's X509_V_ERR_... */
    const char *said;       /* libcurl's own words, "" if it had none */
    const char *base;       /* scheme://host:port */
    const char *host;
    const char *ca_file;    /* NULL: the system's */
    uint64_t bytes_received;
    uint32_t connect_timeout_ms;
};
enum af_status af_http_fault_fail(const struct af_http_fault *fault, struct af_error *err);
#endif
