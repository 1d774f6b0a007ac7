/* base64_test.c - the vectors of RFC 4648, what is none, and back and forth. */
#include "codec/base64.h"
#include "base/prng.h"
#include "test/lib/test.h"

static const struct {
    const char *plain, *text;
} vectors[] = { { "", "" },           { "f", "Zg==" },       { "fo", "Zm8=" },         { "foo", "Zm9v" },
                { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xff\xef\xfe", "/+/+" } };

AF_TEST(base64_vectors)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct af_buf text, plain;
        af_buf_init(&text, 64);
        af_buf_init(&plain, 64);
        af_base64_append(&text, af_slice_of(vectors[i].plain));
        AF_CHECK_SLICE(af_buf_slice(&text), vectors[i].text);
        AF_CHECK(af_base64_decode(af_buf_slice(&text), &plain));
        AF_CHECK_SLICE(af_buf_slice(&plain), vectors[i].plain);
        while (text.len != 0 && text.ptr[text.len - 1] == '=')
            text.len--;
        af_buf_clear(&plain);
        AF_CHECK(af_base64_decode(af_buf_slice(&text), &plain));
        AF_CHECK_SLICE(af_buf_slice(&plain), vectors[i].plain);
        af_buf_done(&text);
        af_buf_done(&plain);
    }
}

AF_TEST(base64_of_anything)
{
    struct af_prng prng = { 5 };
    for (size_t round = 0; round < 2000; round++) {
        char bytes[64];
        struct af_buf text, plain;
        const size_t len = (size_t)af_prng_below(&prng, sizeof bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)af_prng_next(&prng);
        af_buf_init(&text, 128);
        af_buf_init(&plain, 128);
        af_base64_append(&text, (struct af_slice){ bytes, len });
        AF_CHECK_INT(text.len, (len + 2) / 3 * 4);
        AF_CHECK(af_base64_decode(af_buf_slice(&text), &plain));
        AF_CHECK(af_slice_eq(af_buf_slice(&plain), (struct af_slice){ bytes, len }));
        af_buf_done(&text);
        af_buf_done(&plain);
    }
}

AF_TEST(base64_that_is_none)
{
    static const char *const bad[] = { "Z", "Zm9vY", "Zm9v=", "Zg=", "=", "====", "Zm9v====", "Zm 9", "Zm9v\n", "Zm-_", "Zh==", "Zm9=",
                                       "\xff\xff\xff\xff",
                                       "Z=g=", "Zg==Zg==" };
    struct af_buf plain;
    af_buf_init(&plain, 64);
    af_buf_append_str(&plain, "before");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AF_CHECK(!af_base64_decode(af_slice_of(bad[i]), &plain));
        AF_CHECK_SLICE(af_buf_slice(&plain), "before");
    }
    af_buf_done(&plain);
}
