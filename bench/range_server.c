/*
 * range_server.c - as much of S3 as reading needs: a directory as a bucket, HEAD, GET with Range, ListObjectsV2 of a prefix.
 *
 *     range_server PORT DIR [DELAY_MS [MB_PER_S]]     until it is killed; a thread a connection, loopback only; PORT 0: a free one
 *
 * /BUCKET/KEY is DIR/KEY, whatever the bucket. Each answer begins after DELAY_MS, and a connection gives MB_PER_S at most, as S3 gives some
 * 30 ms and 80 MB/s: what a client gains by several connections and by few requests can be seen then. Prints "listening PORT".
 * GET /?counts: requests and bytes so far. Signatures are not looked at.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 64 << 10, PIECE_BYTES = 256 << 10 };

static const char *root;
static unsigned delay_ms;
static double bytes_per_s;
static atomic_ullong requests, bytes_sent;

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_s(double s)
{
    if (s > 0)
        (void)usleep((useconds_t)(s * 1e6));
}

static int send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        bytes += n;
        len -= (size_t)n;
    }
    return 1;
}

static int say(int fd, int status, const char *headers, const char *body)
{
    char head[512];
    int len = snprintf(head, sizeof head, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body), headers);
    return send_all(fd, head, (size_t)len) && send_all(fd, body, strlen(body));
}

static void decode(char *text)
{
    char *to = text;
    for (char *at = text; *at != '\0'; at++) {
        unsigned code;
        if (*at == '%' && sscanf(at + 1, "%2x", &code) == 1) {
            *to++ = (char)code;
            at += 2;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

/* --- a listing ----------------------------------------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t len, cap;
};

static void append(struct text *t, const char *words)
{
    size_t len = strlen(words);
    if (t->len + len + 1 > t->cap) {
        t->cap = (t->len + len + 1) * 2;
        t->at = realloc(t->at, t->cap);
        if (t->at == NULL)
            abort();
    }
    memcpy(t->at + t->len, words, len + 1);
    t->len += len;
}

static void list_one(struct text *t, const char *key, const struct stat *st)
{
    char line[4600];
    (void)snprintf(line, sizeof line, "<Contents><Key>%s</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>\"%llx\"</ETag><Size>%llu"
                   "</Size></Contents>", key, (unsigned long long)st->st_size, (unsigned long long)st->st_size);
    append(t, line);
}

static void list_below(struct text *t, const char *folder, const char *prefix)
{
    char path[4096];
    char key[2048];
    struct dirent **names = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", root, folder);
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        struct stat st;
        (void)snprintf(key, sizeof key, "%s%s%.255s", folder, folder[0] != '\0' ? "/" : "", names[i]->d_name);
        (void)snprintf(path, sizeof path, "%s/%s", root, key);
        size_t common = strlen(prefix) < strlen(key) ? strlen(prefix) : strlen(key);
        if (names[i]->d_name[0] != '.' && stat(path, &st) == 0 && strncmp(key, prefix, common) == 0) {
            if (S_ISDIR(st.st_mode))
                list_below(t, key, prefix);
            else if (common == strlen(prefix))
                list_one(t, key, &st);
        }
        free(names[i]);
    }
    free(names);
}

static int answer_list(int fd, const char *query)
{
    struct text t = { 0 };
    char prefix[2048] = "";
    const char *at = strstr(query, "prefix=");
    if (at != NULL)
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)strcspn(at + 7, "&"), at + 7);
    decode(prefix);
    append(&t, "<ListBucketResult><IsTruncated>false</IsTruncated>");
    list_below(&t, "", prefix);
    append(&t, "</ListBucketResult>");
    int goes_on = say(fd, 200, "Content-Type: application/xml\r\n", t.at);
    free(t.at);
    return goes_on;
}

/* --- an object ----------------------------------------------------------------------------------------------------------------- */

static int send_range(int fd, int file, off_t first, size_t len)
{
    double begin = now_s();
    size_t done = 0;
    while (done < len) {
        size_t want = bytes_per_s > 0 && len - done > PIECE_BYTES ? PIECE_BYTES : len - done;
        ssize_t n = sendfile(fd, file, &first, want);
        if (n <= 0)
            return 0;
        done += (size_t)n;
        if (bytes_per_s > 0)
            sleep_s(begin + (double)done / bytes_per_s - now_s());
    }
    atomic_fetch_add(&bytes_sent, len);
    return 1;
}

static int answer_object(int fd, const char *head, const char *key, int is_head)
{
    char path[4096];
    char text[400];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", root, key);
    int file = strstr(key, "..") == NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (file >= 0)
            (void)close(file);
        return say(fd, 404, "", is_head ? "" : "<Error><Code>NoSuchKey</Code></Error>");
    }
    unsigned long long first = 0;
    unsigned long long last = (unsigned long long)st.st_size - 1;
    const char *range = strcasestr(head, "\r\nRange: bytes=");
    int is_part = range != NULL && sscanf(range + 15, "%llu-%llu", &first, &last) >= 1 && first < (unsigned long long)st.st_size;
    if (last >= (unsigned long long)st.st_size)
        last = (unsigned long long)st.st_size - 1;
    int len = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %llu\r\nETag: \"%llx\"\r\nAccept-Ranges: bytes\r\n"
                       "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", is_part ? "206 Partial Content" : "200 OK", last - first + 1,
                       (unsigned long long)st.st_size);
    if (is_part)
        len += snprintf(text + len, sizeof text - (size_t)len, "Content-Range: bytes %llu-%llu/%llu\r\n", first, last,
                        (unsigned long long)st.st_size);
    len += snprintf(text + len, sizeof text - (size_t)len, "\r\n");
    int goes_on = send_all(fd, text, (size_t)len) && (is_head || send_range(fd, file, (off_t)first, (size_t)(last - first + 1)));
    (void)close(file);
    return goes_on;
}

/* --- connections --------------------------------------------------------------------------------------------------------------- */

static int answer(int fd, char *head)
{
    char target[4096];
    char text[100];
    if (sscanf(head, "%*15s %4095s", target) != 1)
        return 0;
    if (strcmp(target, "/?counts") == 0) {
        (void)snprintf(text, sizeof text, "%llu %llu\n", atomic_load(&requests), atomic_load(&bytes_sent));
        return say(fd, 200, "", text);
    }
    atomic_fetch_add(&requests, 1);
    sleep_s(delay_ms / 1e3);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    if (query != NULL && strstr(query, "list-type=2") != NULL)
        return answer_list(fd, query);
    char *key = strchr(target + 1, '/');
    if (key == NULL)
        return say(fd, 404, "", "");
    decode(key);
    return answer_object(fd, head, key + 1, strncmp(head, "HEAD ", 5) == 0);
}

static void *serve(void *ctx)
{
    int fd = (int)(intptr_t)ctx;
    char head[HEAD_BYTES_MAX];
    size_t len = 0;
    for (;;) {
        char *end;
        head[len] = '\0';
        while ((end = strstr(head, "\r\n\r\n")) == NULL) {
            ssize_t n = len + 1 < sizeof head ? recv(fd, head + len, sizeof head - 1 - len, 0) : 0;
            if (n <= 0) {
                (void)close(fd);
                return NULL;
            }
            len += (size_t)n;
            head[len] = '\0';
        }
        size_t used = (size_t)(end - head) + 4;
        char next = head[used];
        head[used] = '\0';
        if (!answer(fd, head)) {
            (void)close(fd);
            return NULL;
        }
        head[used] = next;
        len -= used;
        memmove(head, head + used, len);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs("usage: range_server PORT DIR [DELAY_MS [MB_PER_S]]\n", stderr);
        return 2;
    }
    root = argv[2];
    delay_ms = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    bytes_per_s = argc > 4 ? strtod(argv[4], NULL) * 1e6 : 0;
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)) };
    socklen_t len = sizeof addr;
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) != 0) {
        perror("range_server");
        return 1;
    }
    (void)printf("listening %u\n", ntohs(addr.sin_port));
    (void)fflush(stdout);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
            (void)close(fd);
        else
            (void)pthread_detach(thread);
    }
}
