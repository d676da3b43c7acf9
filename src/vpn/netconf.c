#include "vpn/netconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "net/ledger.h"
#include "vpn/plan.h"
#include "vpn/reconcile.h"
#include "vpn/resolvconf.h"
#include "vpn/resolved.h"
#include "vpn/rpfilter.h"
#include "vpn/rtnl.h"

enum {
	QUEUE = 10000,	    /* packets: the usual 500 lose bursts of UDP */
	NAMES_MAX = 64,	    /* servers with a name of their own; more are not pinned */
	KNOWN_MAX = NAMES_MAX * 4,
	ASK_AGAIN_MS = 300 * 1000, /* names of servers change seldom */
	ASK_SOON_MS = 10 * 1000,
};

/* A server's name that is being kept resolved. */
struct named {
	struct netconf *n;
	struct resolve_req req;
	const char *name;
};

struct netconf {
	struct loop *loop;
	struct resolver *resolver;
	const struct conf *conf;
	const struct conf_in_tun *tun;
	struct rtnl *rtnl;
	uint32_t link, table;
	struct named named[NAMES_MAX];
	size_t n_named;
	struct plan_name known[KNOWN_MAX];
	size_t n_known;
	struct timer again;
	bool warned; /* the warnings of the plan were logged */
};

/* ---- applying ---- */

static void log_plan(struct netconf *n, const struct plan *p)
{
	static const enum log_level levels[] = {LOG_INFO, LOG_WARN, LOG_ERROR};

	for (size_t i = 0; i < p->n_msgs; i++)
		if (!n->warned || p->msgs[i].level == PLAN_REFUSED)
			log_line(levels[p->msgs[i].level], 0, "tun", "%s", p->msgs[i].text);
	n->warned = true;
}

static bool has_addr(const struct netconf *n, const struct kstate *k,
		     const struct conf_tun_addr *a)
{
	for (size_t i = 0; i < k->n_addrs; i++)
		if (k->addrs[i].link == n->link && k->addrs[i].len == a->len &&
		    ip_eq(&k->addrs[i].ip, &a->ip))
			return true;
	return false;
}

static int add_addrs(struct netconf *n, const struct kstate *k, const struct plan *p)
{
	int result = 0;

	for (size_t i = 0; i < n->tun->n_addrs; i++) {
		const struct conf_tun_addr *a = &n->tun->addrs[i];
		char text[ADDR_TEXT_MAX];
		int err;

		if ((a->ip.family == 6 && !p->with6) || has_addr(n, k, a))
			continue;
		err = rtnl_addr_add(n->rtnl, n->link, &a->ip, a->len);
		if (err)
			log_err("tun", "address %s/%u: %s", ip_text(&a->ip, text, sizeof(text)),
				a->len, strerror(-err));
		result = result ? result : err;
	}
	return result;
}

/* Without addresses and routes the device may be somebody else's, who brought it up. */
static int bring_up(struct netconf *n, const struct kstate *k)
{
	const struct klink *l = kstate_link(k, n->link);
	bool bare = n->tun->n_addrs == 0 && n->tun->n_routes == 0;
	int err = rtnl_link_up(n->rtnl, n->link, n->tun->mtu, QUEUE, !k->no_ipv6);

	if (err == -EPERM && bare && l && l->up)
		return 0;
	if (err)
		log_err("tun", "%s cannot be brought up: %s", n->tun->name, strerror(-err));
	return err;
}

static int apply(struct netconf *n, const struct kstate *k, const struct plan *p, bool first)
{
	int err = first ? bring_up(n, k) : 0;

	if (!err)
		err = add_addrs(n, k, p);
	if (err && first)
		return err;
	n->table = p->table;
	for (size_t i = 0; i < p->n_carriers; i++) {
		struct ipport peer = {p->carriers[i].ip, p->carriers[i].server->port};

		if (peer.ip.family)
			ledger_add_peer(loop_ledger(n->loop), &peer);
	}
	for (size_t i = 0; i < p->n_loose; i++)
		rpfilter_loosen(n->tun->name, p->loose[i]);
	return reconcile(n->rtnl, k, p, p->table, n->tun->name, n->link);
}

/* Plans anew and sets the difference. A later plan that would be refused changes nothing: the
 * flows that there are shall not suffer for what somebody else did to the network. */
static int update(struct netconf *n, bool first)
{
	const struct klink *l;
	struct kstate k;
	struct plan p = {0};
	int err = rtnl_read(n->rtnl, &k);

	if (err)
		return err;
	l = kstate_link_named(&k, n->tun->name);
	n->link = l ? l->index : 0;
	if (!l) {
		log_err("tun", "there is no device %s", n->tun->name);
		err = -ERR_SYS;
	} else if (!plan_make(&p, n->conf, &k, n->known, n->n_known)) {
		err = -ERR_NOMEM;
	} else {
		log_plan(n, &p);
		err = p.refusals ? -ERR_LOOP : apply(n, &k, &p, first);
	}
	plan_fini(&p);
	kstate_fini(&k);
	return err;
}

void netconf_refresh(struct netconf *n)
{
	update(n, false);
	timer_start(&n->again, 0);
}

/* ---- names of servers ---- */

static void forget_name(struct netconf *n, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->n_known; i++)
		if (strcmp(n->known[i].name, name) != 0)
			n->known[kept++] = n->known[i];
	n->n_known = kept;
}

static void on_resolved(struct resolve_req *q, const struct resolve_result *res)
{
	struct named *d = container_of(q, struct named, req);
	struct netconf *n = d->n;

	if (res->err) { /* what was known may still be true */
		if (!timer_on(&n->again) || n->again.due > loop_now(n->loop) + ASK_SOON_MS)
			timer_start(&n->again, ASK_SOON_MS);
		return;
	}
	forget_name(n, d->name);
	for (unsigned i = 0; i < res->n && n->n_known < KNOWN_MAX; i++)
		n->known[n->n_known++] = (struct plan_name){d->name, res->ip[i]};
	update(n, false);
}

static void on_again(struct timer *t)
{
	struct netconf *n = container_of(t, struct netconf, again);

	if (n->n_named)
		timer_start(&n->again, ASK_AGAIN_MS);
	for (size_t i = 0; i < n->n_named; i++) {
		struct named *d = &n->named[i];

		resolve_cancel(&d->req);
		d->req.on_done = on_resolved;
		resolve_start(n->resolver, &d->req, d->name, CONF_USE_IP, 0);
	}
}

static void add_name(struct netconf *n, const char *name)
{
	for (size_t i = 0; i < n->n_named; i++)
		if (strcmp(n->named[i].name, name) == 0)
			return;
	if (n->n_named == NAMES_MAX)
		return;
	n->named[n->n_named].n = n;
	n->named[n->n_named++].name = name;
}

static void collect_names(struct netconf *n)
{
	struct kstate none = {0};
	struct plan p;

	/* The plan knows which outbounds have a server that we dial. */
	if (plan_make(&p, n->conf, &none, NULL, 0))
		for (size_t i = 0; i < p.n_carriers; i++)
			if (p.carriers[i].server->kind == ADDR_NAME)
				add_name(n, p.carriers[i].server->name);
	plan_fini(&p);
}

/* ---- life ---- */

static void name_servers(const struct conf_in_tun *t)
{
	if (resolved_set(t))
		return;
	if (t->resolv_conf)
		resolvconf_set(RESOLVCONF_DIR, t);
	else
		log_warn("tun", "\"dns\" has no effect: there is no systemd-resolved on this machine; "
				"set \"resolvConf\", or name its servers to the resolver that you use");
}

struct netconf *netconf_start(struct loop *l, struct resolver *r, const struct conf *c)
{
	struct netconf *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->loop = l;
	n->resolver = r;
	n->conf = c;
	n->tun = &conf_tun_find(c)->tun;
	timer_init(&n->again, l, on_again);
	n->rtnl = rtnl_open();
	if (!n->rtnl) {
		free(n);
		return NULL;
	}
	rpfilter_restore(n->tun->name);
	resolvconf_restore(RESOLVCONF_DIR, n->tun->name);
	collect_names(n);
	if (update(n, true) != 0) {
		log_err("tun", "%s is not set up", n->tun->name);
		netconf_stop(n);
		return NULL;
	}
	name_servers(n->tun);
	on_again(&n->again);
	return n;
}

static void remove_all(struct netconf *n)
{
	struct kstate k;

	if (rtnl_read(n->rtnl, &k) != 0)
		return;
	reconcile(n->rtnl, &k, NULL, n->table, n->tun->name, n->link);
	for (size_t i = 0; i < n->tun->n_addrs && n->link; i++)
		if (has_addr(n, &k, &n->tun->addrs[i]))
			rtnl_addr_del(n->rtnl, n->link, &n->tun->addrs[i].ip,
				      n->tun->addrs[i].len);
	kstate_fini(&k);
}

void netconf_stop(struct netconf *n)
{
	if (!n)
		return;
	timer_stop(&n->again);
	for (size_t i = 0; i < n->n_named; i++)
		resolve_cancel(&n->named[i].req);
	remove_all(n);
	rpfilter_restore(n->tun->name);
	resolvconf_restore(RESOLVCONF_DIR, n->tun->name);
	rtnl_close(n->rtnl);
	free(n);
}
