/* What lwIP asks of a compiler and a platform, where its own defaults for C11 do not do. */
#ifndef GARENNE_LWIP_CC_H
#define GARENNE_LWIP_CC_H

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

/* A broken invariant of lwIP is a bug; better to end than to go on with it. */
#define LWIP_PLATFORM_ASSERT(x) \
	do { \
		fprintf(stderr, "lwIP: %s (%s:%d)\n", x, __FILE__, __LINE__); \
		abort(); \
	} while (0)
#define LWIP_PLATFORM_DIAG(x) \
	do { \
	} while (0)

#define LWIP_RAND() ((u32_t)random())

#endif
