// A preloaded shim for the User-Mode Linux of Debian 12 (6.1) on processors whose xsave area is
// bigger than its buffer of 832 bytes (AVX-512, AMX). PTRACE_SETREGSET(NT_X86_XSTATE) takes the
// whole area or nothing, so that machine would panic in put_fp_registers at its first process.
// The whole area is kept here, by the address of the buffer that the kernel meant it for.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEK_FIRST = 1, PEEK_LAST = 3, GET_REGISTERS = 0x4204, SET_REGISTERS = 0x4205 };
enum { XSTATE = 0x202, AREAS = 4096, AREA_MAX = 2816 };

static struct { void *buffer; size_t length; unsigned char bytes[AREA_MAX]; } areas[AREAS];

static long call(long request, long pid, long address, void *data) {
    return syscall(SYS_ptrace, request, pid, address, data);
}

// Finds the area kept for a buffer, or a free one; -1 when all are taken.
static int area_of(void *buffer) {
    unsigned start = (uint32_t)((uintptr_t)buffer >> 6) * 2654435761u >> 20;
    for (unsigned step = 0; step < AREAS; step++) {
        unsigned at = (start + step) % AREAS;
        if (areas[at].buffer == buffer || !areas[at].buffer) return at;
    }
    return -1;
}

static long get_xstate(long pid, struct iovec *asked) {
    static unsigned char whole[3 * 4096];
    struct iovec got = { whole, sizeof whole };
    if (call(GET_REGISTERS, pid, XSTATE, &got)) return -1;
    int at = area_of(asked->iov_base);
    if (at >= 0 && got.iov_len <= AREA_MAX) {
        areas[at].buffer = asked->iov_base;
        areas[at].length = got.iov_len;
        memcpy(areas[at].bytes, whole, got.iov_len);
    }
    if (asked->iov_len > got.iov_len) asked->iov_len = got.iov_len;
    memcpy(asked->iov_base, whole, asked->iov_len);
    return 0;
}

static long set_xstate(long pid, struct iovec *asked) {
    static unsigned char whole[3 * 4096];
    struct iovec put = { whole, sizeof whole };
    int at = area_of(asked->iov_base);
    if (at >= 0 && areas[at].buffer) {
        put.iov_len = areas[at].length;
        memcpy(whole, areas[at].bytes, put.iov_len);
    } else if (call(GET_REGISTERS, pid, XSTATE, &put)) {
        return -1;
    }
    memcpy(whole, asked->iov_base, asked->iov_len < put.iov_len ? asked->iov_len : put.iov_len);
    return call(SET_REGISTERS, pid, XSTATE, &put);
}

long ptrace(long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    long pid = (int)va_arg(arguments, long);
    long address = va_arg(arguments, long);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    if (request == GET_REGISTERS && address == XSTATE) return get_xstate(pid, data);
    if (request == SET_REGISTERS && address == XSTATE) return set_xstate(pid, data);
    if (request >= PEEK_FIRST && request <= PEEK_LAST) {
        long word;
        long failed = call(request, pid, address, &word);
        return failed < 0 ? -1 : word;
    }
    return call(request, pid, address, data);
}
