/*
 * arc4random.c - for the wheel's library only: what Debian's libcrypt.a wants of a newer C library (2.36) than the systems have that the wheel is
 * for, Lambda's among them (2.34). The same from the kernel.
 */
#include <stddef.h>
#include <sys/random.h>

void arc4random_buf(void *dst, size_t len);
__attribute__((visibility("hidden"))) void arc4random_buf(void *dst, size_t len)
{
    char *at = dst;
    while (len != 0) {
        ssize_t got = getrandom(at, len < 256 ? len : 256, 0);
        if (got < 0)
            continue; /* interrupted: nothing else can happen with so few bytes */
        at += got;
        len -= (size_t)got;
    }
}
