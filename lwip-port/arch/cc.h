/* What lwIP asks of a compiler and a platform, where its own defaults for C11 do not do. */
#ifndef GARENNE_LWIP_CC_H
#define GARENNE_LWIP_CC_H

#include <endian.h>
#include <stdlib.h>

/* A broken invariant of lwIP costs the connection that the call was about; vpn/tcp_engine.c. */
_Noreturn void lwip_core_broken(const char *what, const char *file, int line);

#define LWIP_PLATFORM_ASSERT(x) lwip_core_broken(x, __FILE__, __LINE__)
#define LWIP_PLATFORM_DIAG(x) \
	do { \
	} while (0)

#define LWIP_RAND() ((u32_t)random())

#endif
