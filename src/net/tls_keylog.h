/*
 * The key log of NSS, by which Wireshark decrypts: "LABEL client-random secret" a
 * line. A log is a descriptor; -1 is none, and nothing is written then.
 */
#ifndef GARENNE_NET_TLS_KEYLOG_H
#define GARENNE_NET_TLS_KEYLOG_H

#include "crypto/tls13.h"

/** Opens masterKeyLog, if @path says there is one, and warns of it. 0 with *@fd, which is closed by
 * the caller, or -ERR_SYS and the cause in @why[TLS_WHY_MAX]. */
int tls_keylog_open(int *fd, const char *path, char *why);
/** Appends a line of the format. */
void tls_keylog_line(int fd, const char *line);
/** The same, made of its parts. */
void tls_keylog_put(int fd, const char *label, const uint8_t random[32],
		    const struct tls_secret *secret);

#endif
