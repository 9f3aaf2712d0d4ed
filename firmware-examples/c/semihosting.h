/* Files, text and the end of the run on the host that emulates the board (or debugs it). */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

/* Arm's "Semihosting for AArch32 and AArch64", the operations used here. */
enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };

static inline uintptr_t host_call(uintptr_t operation, const void *arguments)
{
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void host_print(const char *text)
{
    host_call(SYS_WRITE0, text);
}

/* A file to read, negative when there is none. */
static inline int host_open(const char *name)
{
    size_t length = 0;
    while (name[length]) {
        length++;
    }
    const uintptr_t arguments[] = {(uintptr_t)name, 1 /* "rb" */, length};
    return (int)host_call(SYS_OPEN, arguments);
}

/* Whether all of `bytes` were there to read. */
static inline int host_read(int file, void *place, size_t bytes)
{
    const uintptr_t arguments[] = {(uintptr_t)file, (uintptr_t)place, bytes};
    return host_call(SYS_READ, arguments) == 0;
}

static inline void host_exit(int code)
{
    const uintptr_t application_exit = 0x20026;
    const uintptr_t arguments[] = {application_exit, (uintptr_t)code};
    host_call(SYS_EXIT_EXTENDED, arguments);
}

#endif
