/* arch.h - included before everything of the arm64 build: the builtins of x86 that are used without a header. */
#define __builtin_ia32_pause() __asm__ volatile("yield")
