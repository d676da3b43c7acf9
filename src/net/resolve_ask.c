/* Getting an entry its answer: the host table, the servers in their order, the system. */
#include "net/resolve_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "net/sock.h"

enum {
	ALIASES_MAX = 8, /* of the host table in a row */
	TTL_MIN_S = 2,
	TTL_MAX_S = 3600,
	TTL_NONE_S = 5,	  /* "no such host" */
	TTL_FAILED_S = 1, /* no answer: soon asked again, but not by every packet */
};

enum { V4 = RESOLVE_V4, V6 = RESOLVE_V6, V46 = V4 | V6 };

static uint32_t keep_s(const struct dns_answer *a)
{
	if (a->status == DNS_NONE)
		return TTL_NONE_S;
	if (a->status != DNS_OK)
		return TTL_FAILED_S;
	return a->ttl < TTL_MIN_S ? TTL_MIN_S : a->ttl > TTL_MAX_S ? TTL_MAX_S : a->ttl;
}

static bool no_cache(const struct resolve_entry *e)
{
	const struct conf_dns *dns = e->r->dns;

	return e->source == SOURCE_DNS && dns &&
	       (dns->disable_cache ||
		(e->by != RESOLVE_BY_NOBODY && dns->servers[e->by].disable_cache));
}

static const struct conf_dns_server *answered_by(const struct resolve_entry *e)
{
	return e->by == RESOLVE_BY_NOBODY ? NULL : &e->r->dns->servers[e->by];
}

bool resolve_may_be_stale(const struct resolve_entry *e)
{
	const struct conf_dns_server *s = answered_by(e);
	uint64_t now = loop_now(e->r->loop);

	if (!s || !s->serve_stale || e->status != DNS_OK || e->state != ENTRY_KNOWN || !e->over)
		return false;
	return s->expired_ttl_s == 0 || now < e->over + (uint64_t)s->expired_ttl_s * 1000;
}

/* No answer is no reason to forget one that may be given away. True when it stays. */
static bool keep_stale(struct resolve_entry *e, const struct dns_answer *a)
{
	if (!e->stale || a->status == DNS_OK || a->status == DNS_NONE)
		return false;
	e->state = ENTRY_KNOWN;
	if (!resolve_may_be_stale(e))
		return false;
	e->stale = false;
	e->until = loop_now(e->r->loop) + TTL_FAILED_S * 1000;
	resolve_tell_later(e);
	return true;
}

static void settle_by(struct resolve_entry *e, const struct dns_answer *a, uint8_t by)
{
	struct resolver *r = e->r;

	if (keep_stale(e, a))
		return;
	e->stale = false;
	e->by = by;
	free(e->ip);
	e->ip = NULL;
	e->n = 0;
	e->status = a->status;
	if (a->status == DNS_OK) {
		e->ip = calloc(a->n, sizeof(*e->ip));
		if (e->ip) {
			memcpy(e->ip, a->ip, a->n * sizeof(*e->ip));
			e->n = a->n;
		} else {
			e->status = DNS_NOMEM;
		}
	}
	e->state = ENTRY_KNOWN;
	e->until = no_cache(e) ? 0 : loop_now(r->loop) + (uint64_t)keep_s(a) * 1000;
	e->over = e->until;
	resolve_tell_later(e);
}

static void settle(struct resolve_entry *e, const struct dns_answer *a)
{
	settle_by(e, a, RESOLVE_BY_NOBODY);
}

static void settle_status(struct resolve_entry *e, enum dns_status status)
{
	struct dns_answer a = {.status = status};

	settle(e, &a);
}

static unsigned families_of_query(enum conf_dns_query query)
{
	unsigned has;

	switch (query) {
	case CONF_DNS_USE_IP4:
		return V4;
	case CONF_DNS_USE_IP6:
		return V6;
	case CONF_DNS_USE_SYSTEM:
		has = (sock_has_route(4) ? (unsigned)V4 : 0u) |
		      (sock_has_route(6) ? (unsigned)V6 : 0u);
		return has ? has : (unsigned)V46;
	case CONF_DNS_USE_IP:
		break;
	}
	return V46;
}

static unsigned families_of(const struct resolve_entry *e)
{
	const struct conf_dns *dns = e->r->dns;

	if (e->source == SOURCE_SYSTEM || !dns)
		return e->families;
	return e->families & families_of_query(dns->query);
}

static void in_flight(struct resolve_entry *e)
{
	e->state = ENTRY_ASKING;
	e->r->flight++;
	if (!timer_on(&e->r->poll))
		timer_start(&e->r->poll, RESOLVE_POLL_MS);
}

static void ask_system(struct resolve_entry *e, struct dns_question *q, unsigned families)
{
	in_flight(e);
	dns_ask(e->r->system, q, e->alias ? e->alias : e->name, families & V4, families & V6);
}

/* False when server @i has nothing to say about @e. */
static bool ask_server(struct resolve_entry *e, uint8_t i, struct dns_question *q)
{
	struct resolver *r = e->r;
	const struct conf_dns_server *conf = &r->dns->servers[i];
	unsigned families = families_of(e) & families_of_query(conf->query);

	if (families == 0)
		return false;
	if (conf->kind == CONF_DNS_SYSTEM) {
		ask_system(e, q, families);
		return true;
	}
	if (!r->server[i])
		return false;
	in_flight(e);
	dns_server_ask(r->server[i], q, e->alias ? e->alias : e->name, families & V4, families & V6);
	return true;
}

/* Asks the next server that may know; when none is left the last one's words stand. */
void resolve_ask_next(struct resolve_entry *e)
{
	for (; e->at < e->order_n && !e->r->closing; e->at++)
		if (ask_server(e, e->order[e->at], &e->question))
			return;
	settle_status(e, e->last);
}

/* Leaves what server @i is expected to answer; an address out of the blue is a forged one. */
static void sieve(const struct resolve_entry *e, uint8_t i, struct dns_answer *a)
{
	const struct resolve_rules *rules = e->r->setup.rules;
	unsigned n = 0;

	if (a->status != DNS_OK || !rules || !rules->accepts)
		return;
	for (unsigned k = 0; k < a->n; k++)
		if (rules->accepts(rules, i, &a->ip[k]))
			a->ip[n++] = a->ip[k];
	a->n = n;
	if (n == 0)
		a->status = DNS_NONE;
}

void resolve_on_answer(struct dns_question *q, const struct dns_answer *answer)
{
	struct resolve_entry *e = container_of(q, struct resolve_entry, question);
	struct resolver *r = e->r;
	struct dns_answer a = *answer;

	r->flight--;
	if (r->closing)
		return;
	if (a.status == DNS_GONE) {
		e->state = ENTRY_AGAIN;
		resolve_tell_later(e);
		return;
	}
	if (e->order_n == 0) { /* the system itself */
		settle(e, &a);
		return;
	}
	sieve(e, e->order[e->at], &a);
	if (a.status == DNS_OK) {
		settle_by(e, &a, e->order[e->at]);
		return;
	}
	/* c-ares may be on the stack: the next server is asked from the deferred call. */
	e->last = a.status;
	e->at++;
	e->state = ENTRY_NEXT;
	resolve_tell_later(e);
}

/* The last one that was under way has come back. */
static void race_over(struct resolve_entry *e, bool mine)
{
	free(e->races);
	e->races = NULL;
	if (!mine || e->state != ENTRY_ASKING)
		return;
	if (e->last == DNS_GONE) {
		e->state = ENTRY_AGAIN;
		resolve_tell_later(e);
	} else {
		settle_status(e, e->last);
	}
}

static void on_race_answer(struct dns_question *q, const struct dns_answer *answer)
{
	struct resolve_race *race = container_of(q, struct resolve_race, question);
	struct resolve_entry *e = race->e;
	bool mine = race->round == e->round; /* else the entry has been asked again since */
	struct dns_answer a = *answer;

	e->r->flight--;
	e->racing--;
	if (e->r->closing)
		return;
	if (mine && e->state == ENTRY_ASKING) {
		sieve(e, race->server, &a);
		if (a.status == DNS_OK)
			settle_by(e, &a, race->server);
		else if (a.status > e->last)
			e->last = a.status;
	}
	if (e->racing == 0)
		race_over(e, mine);
}

/* All that may know at once. False: one after the other. */
static bool ask_all(struct resolve_entry *e)
{
	struct resolve_race *races;

	if (!e->r->dns->parallel || e->order_n < 2 || e->racing)
		return false;
	races = calloc(e->order_n, sizeof(*races));
	if (!races)
		return false;
	e->races = races;
	e->racing = 1; /* answers may come at once: this one stays until all are asked */
	for (uint8_t i = 0; i < e->order_n; i++) {
		races[i] = (struct resolve_race){{on_race_answer}, e, e->round, e->order[i]};
		e->racing++;
		if (!ask_server(e, e->order[i], &races[i].question))
			e->racing--;
	}
	if (--e->racing == 0) {
		if (e->state != ENTRY_KNOWN)
			e->state = ENTRY_ASKING;
		race_over(e, true);
	}
	return true;
}

/* Without the final dot, which rules do not know. */
static void plain_name(char out[ADDR_NAME_MAX + 1], const char *name)
{
	size_t n = strlen(name);

	if (n > 1 && name[n - 1] == '.')
		n--;
	memcpy(out, name, n);
	out[n] = 0;
}

/* True when the host table decided. */
static bool ask_hosts(struct resolve_entry *e)
{
	const struct resolve_rules *rules = e->r->setup.rules;
	struct dns_answer a = {.ttl = TTL_MAX_S};
	char name[ADDR_NAME_MAX + 1];
	struct ip ip[DNS_ADDRS_MAX];
	bool listed = false;

	if (!rules || !rules->hosts)
		return false;
	plain_name(name, e->name);
	for (int i = 0; i < ALIASES_MAX && !listed; i++) {
		const char *alias = NULL;
		size_t n = rules->hosts(rules, name, ip, DNS_ADDRS_MAX, &alias);

		listed = n > 0;
		for (size_t k = 0; k < n; k++)
			if (families_of(e) & (ip[k].family == 4 ? V4 : V6))
				a.ip[a.n++] = ip[k];
		if (n || !alias || strlen(alias) > ADDR_NAME_MAX)
			break;
		plain_name(name, alias);
		free(e->alias);
		e->alias = strdup(name);
		if (!e->alias) {
			settle_status(e, DNS_NOMEM);
			return true;
		}
	}
	if (!listed)
		return false;
	a.status = a.n ? DNS_OK : DNS_NONE;
	settle(e, &a);
	return true;
}

/* Appends server @i; true when nobody may come after it. */
static bool choose(struct resolve_entry *e, size_t i)
{
	e->order[e->order_n++] = (uint8_t)i;
	return e->r->dns->servers[i].final_query;
}

/* Those whose domains match first, then the others unless that is ruled out, else the first. */
static void choose_servers(struct resolve_entry *e)
{
	struct resolver *r = e->r;
	const struct conf_dns *dns = r->dns;
	const struct resolve_rules *rules = r->setup.rules;
	bool matched[RESOLVE_SERVERS_MAX] = {false};
	char name[ADDR_NAME_MAX + 1];

	plain_name(name, e->alias ? e->alias : e->name);

	for (size_t i = 0; i < r->servers_n; i++) {
		matched[i] = rules && rules->matches && rules->matches(rules, i, name);
		if (matched[i] && choose(e, i))
			return;
	}
	if (!dns->disable_fallback && !(dns->disable_fallback_if_match && e->order_n))
		for (size_t i = 0; i < r->servers_n; i++)
			if (!matched[i] && !dns->servers[i].skip_fallback && choose(e, i))
				return;
	if (e->order_n == 0)
		choose(e, 0);
}

void resolve_ask(struct resolve_entry *e)
{
	struct resolver *r = e->r;
	struct dns_answer literal = {.n = 1};

	e->at = e->order_n = 0;
	if (r->closing) {
		settle_status(e, DNS_FAILED);
		return;
	}
	e->round++;
	free(e->alias);
	e->alias = NULL;
	if (ip_parse(&literal.ip[0], span_str(e->name)) == 0) {
		settle(e, &literal);
		return;
	}
	if (e->source == SOURCE_DNS) {
		if (ask_hosts(e))
			return;
		if (r->servers_n) {
			e->last = DNS_NONE;
			choose_servers(e);
			if (!ask_all(e))
				resolve_ask_next(e);
			return;
		}
	}
	if (families_of(e))
		ask_system(e, &e->question, families_of(e));
	else
		settle_status(e, DNS_NONE);
}

static struct resolve_mark mark_of(const char *path)
{
	struct resolve_mark m = {0};
	struct stat st;

	if (stat(path, &st) == 0)
		m = (struct resolve_mark){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
	return m;
}

static const char *resolv_conf(const struct resolver *r)
{
	return r->setup.resolv_conf ? r->setup.resolv_conf : "/etc/resolv.conf";
}

static struct dns_channel *new_system(struct resolver *r)
{
	struct dns_channel_setup d = {.resolv_conf = r->setup.resolv_conf,
				      .never = r->setup.never,
				      .n_never = r->setup.n_never,
				      .opts = r->setup.opts};

	return dns_channel_new(r->loop, &d);
}

static struct dns_server *new_server(struct resolver *r, const struct conf_dns_server *s)
{
	struct dns_server_terms t = {.loop = r->loop,
				     .conf = s,
				     .door = r->setup.door,
				     .names = r,
				     .opts = r->setup.opts,
				     .tls = r->setup.tls};

	return dns_server_new(&t);
}

/* Sockets of the old network lead nowhere: everything is made anew. What cannot be stays, which is
 * better than nothing; the failure is in the log. */
static void replace_all(struct resolver *r)
{
	struct dns_channel *system = new_system(r), *old_system = r->system;

	if (system) {
		r->system = system;
		dns_channel_free(old_system);
	}
	for (size_t i = 0; i < r->servers_n; i++) {
		struct dns_server *old = r->server[i];
		struct dns_server *fresh = old ? new_server(r, &r->dns->servers[i]) : NULL;

		if (!fresh)
			continue;
		r->server[i] = fresh;
		dns_server_free(old);
	}
}

void resolver_refresh(struct resolver *r)
{
	struct resolve_entry *e;

	if (r->closing)
		return;
	r->mark = mark_of(resolv_conf(r));
	r->looked = loop_now(r->loop);
	list_each(e, &r->lru, lru)
		e->until = e->over = 0;
	replace_all(r);
}

void resolve_look(struct resolver *r)
{
	uint64_t now = loop_now(r->loop);
	struct resolve_mark m;

	if (now - r->looked < RESOLVE_POLL_MS)
		return;
	r->looked = now;
	m = mark_of(resolv_conf(r));
	if (m.dev == r->mark.dev && m.ino == r->mark.ino && m.size == r->mark.size &&
	    m.changed.tv_sec == r->mark.changed.tv_sec &&
	    m.changed.tv_nsec == r->mark.changed.tv_nsec)
		return;
	log_info("dns", "%s has changed", resolv_conf(r));
	resolver_refresh(r);
}

/* A server that cannot be asked stays silent: the system never speaks in its place. */
static int open_servers(struct resolver *r)
{
	size_t n = r->dns->n_servers;

	r->servers_n = n < RESOLVE_SERVERS_MAX ? n : RESOLVE_SERVERS_MAX;
	for (size_t i = 0; i < r->servers_n; i++) {
		const struct conf_dns_server *s = &r->dns->servers[i];

		if (s->kind == CONF_DNS_SYSTEM || (s->kind == CONF_DNS_HTTPS && !r->setup.tls))
			continue;
		r->server[i] = new_server(r, s);
		if (!r->server[i])
			return -ERR_SYS;
	}
	return 0;
}

int resolve_ask_open(struct resolver *r)
{
	r->mark = mark_of(resolv_conf(r));
	r->looked = loop_now(r->loop);
	r->system = new_system(r);
	if (!r->system)
		return -ERR_SYS;
	return r->dns ? open_servers(r) : 0;
}

void resolve_ask_close(struct resolver *r)
{
	r->closing = true;
	dns_channel_free(r->system);
	for (size_t i = 0; i < RESOLVE_SERVERS_MAX; i++)
		dns_server_free(r->server[i]);
}
