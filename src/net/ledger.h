/*
 * What our own sockets are up to, for a process that also takes in packets of this
 * machine: a flow that one of them began, or that goes to the peer of one of our
 * carriers, would go round in circles.
 *
 *   peers  servers that we connect to; remembered, the oldest go
 *   dials  connections being opened and places that datagrams go to, by local and
 *          remote address; of two with one place in the table the later counts
 *
 * One for the whole process, known to every loop (loop_ledger); where there is no
 * TUN there is none. Any thread may call; nothing here is on the path of payload.
 */
#ifndef GARENNE_NET_LEDGER_H
#define GARENNE_NET_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct ledger;

enum { LEDGER_PEERS = 256, LEDGER_DIALS = 1024 };

/** Gives, or NULL. */
struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);

/** In all of these @l may be NULL: then nothing is noted, and nothing is known. @net is CONF_TCP or
 * CONF_UDP. */
void ledger_add_peer(struct ledger *l, const struct ipport *peer);
bool ledger_has_peer(struct ledger *l, const struct ipport *peer);
/** @from has no address, only a port, for a socket that may send from any address of this machine:
 * it is then found for each. Without a port nothing is noted. */
void ledger_add_dial(struct ledger *l, unsigned net, const struct ipport *from,
		     const struct ipport *to);
void ledger_del_dial(struct ledger *l, unsigned net, const struct ipport *from,
		     const struct ipport *to);
bool ledger_has_dial(struct ledger *l, unsigned net, const struct ipport *from,
		     const struct ipport *to);

#endif
