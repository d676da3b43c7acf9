/*
 * Host and port as two families of protocols write them.
 *
 * Port first (VLESS, Mux.Cool, XUDP):
 *
 *     u16 port | u8 type | host         type 1 IPv4 (4 bytes)
 *                                            2 name (u8 length, bytes)
 *                                            3 IPv6 (16 bytes)
 *
 * Type first (SOCKS 5, RFC 1928 section 5; Shadowsocks):
 *
 *     u8 type | host | u16 port         type 1 IPv4, 3 name, 4 IPv6
 *
 * What a name may contain is decided by addr_set_host: an IP literal sent as a
 * name becomes an IP, and IPv4-mapped IPv6 becomes IPv4, as with every known peer.
 */
#ifndef GARENNE_PROTO_NETADDR_H
#define GARENNE_PROTO_NETADDR_H

#include "base/addr.h"
#include "base/span.h"

enum { NETADDR_MAX = 2 + 1 + 1 + ADDR_NAME_MAX }; /* bytes of the longest form */

/**
 * Reads one address. 1: done. 0: the reader ended too early and its flag is
 * set; more bytes may help. -ERR_MALFORMED: no further byte will help, reported
 * as soon as the type or an empty name is seen. @out is untouched unless 1.
 */
int netaddr_read_port_first(struct rd *r, struct addr *out);
int netaddr_read_socks(struct rd *r, struct addr *out);

/** Writes one address. 0, -ERR_LIMIT without room, -ERR_MALFORMED for ADDR_NONE; after a
 * failure the writer's flag is set. */
int netaddr_write_port_first(struct wr *w, const struct addr *a);
int netaddr_write_socks(struct wr *w, const struct addr *a);

/** Bytes that either form takes for @a; 0 for ADDR_NONE. */
size_t netaddr_size(const struct addr *a);

#endif
