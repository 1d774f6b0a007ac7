/*
 * http_fault.c - what went wrong below HTTP, in words that say what to check; see net_int.h.
 *
 * Nothing of the request but scheme, host and port is printed: headers and query hold secrets.
 */
#include "net/net_int.h"
#include <string.h>

/* X509_V_ERR_... of OpenSSL; fixed numbers, so that no OpenSSL header is needed. */
enum {
    CERT_NOT_YET_VALID = 9,
    CERT_EXPIRED = 10,
    CERT_SELF_SIGNED = 18,
    CERT_SELF_SIGNED_IN_CHAIN = 19,
    CERT_NO_ISSUER = 20,
    CERT_NO_ISSUER_FOR_LEAF = 21,
};

static enum af_status fail_verify(const struct af_http_fault *fault, struct af_error *err)
{
    switch (fault->verify_result) {
    case CERT_NOT_YET_VALID:
        return af_fail(err, AF_EIO, "%s: the server's certificate is not valid yet: check this machine's clock", fault->base);
    case CERT_EXPIRED:
        return af_fail(err, AF_EIO, "%s: the server's certificate has expired: renew it on the server (or check this machine's "
                       "clock)", fault->base);
    case CERT_SELF_SIGNED:
    case CERT_SELF_SIGNED_IN_CHAIN:
    case CERT_NO_ISSUER:
    case CERT_NO_ISSUER_FOR_LEAF:
        return af_fail(err, AF_EIO, "%s: the server's certificate is signed by a CA that %s does not hold (or by itself): give the "
                       "CA's certificate as CA file", fault->base, fault->ca_file != NULL ? fault->ca_file : "this machine");
    default:
        break;
    }
    if (strstr(fault->said, "subject name") != NULL || strstr(fault->said, "host name") != NULL)
        return af_fail(err, AF_EIO, "%s: the server's certificate is for another name than %s: use the name it was made for, or a "
                       "certificate that has this one", fault->base, fault->host);
    return af_fail(err, AF_EIO, "%s: the server's certificate was not accepted: %s", fault->base, fault->said);
}

static enum af_status fail_connect(const struct af_http_fault *fault, struct af_error *err)
{
    switch (fault->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return af_fail(err, AF_EIO, "%s: no address is known for %s: check the name, the network and the DNS", fault->base,
                       fault->host);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return af_fail(err, AF_EIO, "%s: the proxy's name is not known (%s): check http_proxy and https_proxy in the environment",
                       fault->base, fault->said);
    case CURLE_SSL_CONNECT_ERROR:
        return af_fail(err, AF_EIO, "%s: no TLS connection (%s): is that port https?", fault->base, fault->said);
    default:
        return af_fail(err, AF_EIO, "%s: no connection (%s): is the server running, is the port right, does a firewall let us "
                       "through?", fault->base, fault->said);
    }
}

static enum af_status fail_transfer(const struct af_http_fault *fault, struct af_error *err)
{
    unsigned long long got = (unsigned long long)fault->bytes_received;
    switch (fault->code) {
    case CURLE_GOT_NOTHING:
        return af_fail(err, AF_EIO, "%s: the server closed the connection without an answer", fault->base);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
        return af_fail(err, AF_EIO, "%s: the connection ended in the middle of the answer, after %llu bytes (%s)", fault->base, got,
                       fault->said);
    case CURLE_SEND_ERROR:
        return af_fail(err, AF_EIO, "%s: the connection ended while the request was being sent (%s)", fault->base, fault->said);
    case CURLE_BAD_CONTENT_ENCODING:
        return af_fail(err, AF_EIO, "%s: the answer's compression is broken (%s)", fault->base, fault->said);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return af_fail(err, AF_EIO, "%s: what answers there does not speak HTTP/1 (%s)", fault->base, fault->said);
    case CURLE_TOO_MANY_REDIRECTS:
        return af_fail(err, AF_EIO, "%s: redirects go round in circles", fault->base);
    default:
        return af_fail(err, AF_EIO, "%s: %s", fault->base, fault->said[0] != '\0' ? fault->said : curl_easy_strerror(fault->code));
    }
}

enum af_status af_http_fault_fail(const struct af_http_fault *fault, struct af_error *err)
{
    switch (fault->code) {
    case CURLE_OUT_OF_MEMORY:
        return af_fail_nomem(err, "an HTTP request");
    case CURLE_URL_MALFORMAT:
        return af_fail(err, AF_EINVAL, "%s: libcurl does not take this URL (%s)", fault->base, fault->said);
    case CURLE_SSL_CACERT_BADFILE:
        return af_fail(err, AF_EINVAL, "cannot read the CA file %s: it must hold certificates in PEM form",
                       fault->ca_file != NULL ? fault->ca_file : "of this system");
    case CURLE_PEER_FAILED_VERIFICATION:
        return fail_verify(fault, err);
    case CURLE_OPERATION_TIMEDOUT:
        return af_fail(err, AF_EIO, "%s: no connection within %u ms: is the host up, does a firewall swallow the packets?",
                       fault->base, (unsigned)fault->connect_timeout_ms);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return fail_connect(fault, err);
    default:
        return fail_transfer(fault, err);
    }
}
