#include "net/ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct dial {
	uint8_t net; /* 0: free */
	struct ipport from, to;
};

struct ledger {
	pthread_mutex_t lock;
	struct ipport peers[LEDGER_PEERS];
	unsigned n_peers, next_peer;
	struct dial dials[LEDGER_DIALS];
};

struct ledger *ledger_new(void)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (l)
		pthread_mutex_init(&l->lock, NULL);
	return l;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static bool find_peer(const struct ledger *l, const struct ipport *peer)
{
	for (unsigned i = 0; i < l->n_peers; i++)
		if (ipport_eq(&l->peers[i], peer))
			return true;
	return false;
}

void ledger_add_peer(struct ledger *l, const struct ipport *peer)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	if (!find_peer(l, peer)) {
		l->peers[l->next_peer] = *peer;
		l->next_peer = (l->next_peer + 1) % LEDGER_PEERS;
		if (l->n_peers < LEDGER_PEERS)
			l->n_peers++;
	}
	pthread_mutex_unlock(&l->lock);
}

bool ledger_has_peer(struct ledger *l, const struct ipport *peer)
{
	bool found;

	if (!l)
		return false;
	pthread_mutex_lock(&l->lock);
	found = find_peer(l, peer);
	pthread_mutex_unlock(&l->lock);
	return found;
}

/* FNV-1a: nobody gains by steering entries into one place. */
static struct dial *place(struct ledger *l, unsigned net, uint16_t port, const struct ipport *to)
{
	uint32_t h = 2166136261u;

	h = (h ^ net) * 16777619u;
	h = (h ^ port) * 16777619u;
	h = (h ^ to->port) * 16777619u;
	for (unsigned i = 0; i < (to->ip.family == 4 ? 4u : 16u); i++)
		h = (h ^ to->ip.b[i]) * 16777619u;
	return &l->dials[h % LEDGER_DIALS];
}

void ledger_add_dial(struct ledger *l, unsigned net, const struct ipport *from,
		     const struct ipport *to)
{
	struct dial d = {(uint8_t)net, *from, *to};

	if (!l || !from->port)
		return;
	if (from->ip.family && ip_is_any(&from->ip))
		d.from.ip = (struct ip){0};
	pthread_mutex_lock(&l->lock);
	*place(l, net, from->port, to) = d;
	pthread_mutex_unlock(&l->lock);
}

static bool matches(const struct dial *d, unsigned net, const struct ipport *from,
		    const struct ipport *to)
{
	return d->net == net && d->from.port == from->port && ipport_eq(&d->to, to) &&
	       (!d->from.ip.family || ip_eq(&d->from.ip, &from->ip));
}

void ledger_del_dial(struct ledger *l, unsigned net, const struct ipport *from,
		     const struct ipport *to)
{
	struct dial *d;

	if (!l || !from->port)
		return;
	pthread_mutex_lock(&l->lock);
	d = place(l, net, from->port, to);
	if (matches(d, net, from, to))
		d->net = 0;
	pthread_mutex_unlock(&l->lock);
}

bool ledger_has_dial(struct ledger *l, unsigned net, const struct ipport *from,
		     const struct ipport *to)
{
	bool found;

	if (!l)
		return false;
	pthread_mutex_lock(&l->lock);
	found = matches(place(l, net, from->port, to), net, from, to);
	pthread_mutex_unlock(&l->lock);
	return found;
}
