/* fuzz_main.c - a fuzz target over the files of its corpus, without a fuzzer: every file once, and every file cut and flipped a bit. */
#include "base/prng.h"
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIANTS = 20, FILE_BYTES_MAX = 1 << 20 };

static void run_variants(const uint8_t *data, size_t size)
{
    struct af_prng prng = { size * 31 + (size != 0 ? data[size / 2] : 0) };
    LLVMFuzzerTestOneInput(data, size);
    for (int i = 0; i < VARIANTS && size != 0; i++) {
        size_t len = i % 4 == 0 ? (size_t)af_prng_below(&prng, size) : size;
        uint8_t *copy = malloc(len != 0 ? len : 1);
        if (copy == NULL)
            abort();
        memcpy(copy, data, len);
        for (int flips = i % 3; flips > 0 && len != 0; flips--)
            copy[af_prng_below(&prng, len)] ^= (uint8_t)(1u << af_prng_below(&prng, 8));
        LLVMFuzzerTestOneInput(copy, len);
        free(copy);
    }
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    uint8_t *data = malloc(FILE_BYTES_MAX);
    if (data == NULL)
        abort();
    size_t size = fread(data, 1, FILE_BYTES_MAX, file);
    fclose(file);
    uint8_t *exact = malloc(size != 0 ? size : 1); /* so that a read past the end is found */
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    run_variants(exact, size);
    free(exact);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            files += run_file(argv[i]);
            continue;
        }
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (entry->d_name[0] != '.')
                files += run_file(path);
        }
        closedir(dir);
    }
    if (files == 0) {
        fprintf(stderr, "%s: no corpus\n", argv[0]);
        return 1;
    }
    return 0;
}
