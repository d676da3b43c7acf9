/* Our functions that lwIP calls. */
#ifndef GARENNE_LWIP_HOOKS_H
#define GARENNE_LWIP_HOOKS_H

#include "lwip/ip_addr.h"

u32_t lwip_core_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
		    u16_t remote_port);

#endif
