#include "app/app.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/ctlsock.h"
#include "app/kinds.h"
#include "app/reload.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "flow/core.h"
#include "flow/dns_flows.h"
#include "flow/history.h"
#include "flow/inbound.h"
#include "flow/names.h"
#include "flow/observatory.h"
#include "flow/splice.h"
#include "net/ledger.h"
#include "net/netmon.h"
#include "net/resolve.h"
#include "net/stream_tcp.h"
#include "net/tls_ctx.h"
#include "proxy/bridge.h"
#include "proxy/mux_accept.h"
#include "proxy/portal.h"
#include "route/lists.h"
#include "route/router.h"
#include "vpn/netconf.h"

enum { LINE_LEN = 1024 };

struct thread {
	pthread_t id;
	struct loop *loop;
};

struct app {
	const struct conf *conf;
	struct core core;
	struct names *names;
	struct dns_flows dns_flows;
	struct tls_ctx *dns_tls; /* NULL: no name server speaks HTTPS */
	struct inbound **inbounds;
	size_t n_inbounds;
	struct bridge **bridges;
	size_t n_bridges;
	struct observatory *observatory; /* NULL: not configured */
	struct netmon *netmon; /* NULL: the kernel does not tell */
	struct netconf *netconf; /* NULL: there is no TUN */
	struct ledger *ledger;	 /* the same */
	struct netmon_user on_network;
	struct status_view view;
	struct reloader *reloader; /* NULL: none */
	struct ctlsock *ctlsock; /* NULL: none */
	struct thread threads[CORE_LOOPS_MAX];
	unsigned n_threads; /* besides the main one */
	struct signal_watch on_term, on_int, on_hup;
	atomic_bool stopping;
};

/* ---- building ---- */

/* Name servers with HTTPS are checked as a browser would, by the name that stands in the file. */
static int build_dns(struct app *a)
{
	static const char *const protocols[] = {"h2", "http/1.1"};
	static const struct conf_tls conf = {
		.server_name = "", .alpn = {protocols, 2}, .fingerprint = "", .master_key_log = ""};
	const struct conf_dns *dns = &a->conf->dns;
	char why[TLS_CTX_WHY_MAX];

	dns_flows_init(&a->dns_flows, &a->core);
	for (size_t i = 0; i < dns->n_servers && !a->dns_tls; i++) {
		if (dns->servers[i].kind != CONF_DNS_HTTPS)
			continue;
		a->dns_tls = tls_ctx_new_client(&conf, why);
		if (!a->dns_tls) {
			log_err("app", "name servers with HTTPS: %s", why);
			return -ERR_TLS;
		}
	}
	return 0;
}

static int build_workers(struct app *a)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = a->conf->workers ? a->conf->workers : cores > 0 ? (unsigned)cores : 1;
	struct resolve_setup setup = {.dns = &a->conf->dns,
				      .rules = names_rules(a->names),
				      .opts = &a->conf->own,
				      .door = &a->dns_flows.door,
				      .tls = a->dns_tls};

	if (n > CORE_LOOPS_MAX)
		n = CORE_LOOPS_MAX;
	if (conf_tun_find(a->conf)) {
		setup.never = conf_tun_find(a->conf)->tun.dns;
		setup.n_never = conf_tun_find(a->conf)->tun.n_dns;
		a->ledger = ledger_new();
		if (!a->ledger)
			return -ERR_NOMEM;
	}
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = &a->core.workers[i];

		list_init(&w->flows);
		list_init(&w->strangers);
		w->loop = loop_new(i);
		w->history = history_new();
		if (w->loop)
			loop_set_ledger(w->loop, a->ledger);
		w->resolver = w->loop ? resolver_new(w->loop, &setup) : NULL;
		a->core.n_workers = i + 1;
		if (!w->resolver) {
			log_err("app", "cannot make worker %u: out of memory or descriptors", i);
			return -ERR_NOMEM;
		}
	}
	return 0;
}

static void on_route_message(void *ctx, enum route_level level, const struct conf_at *at,
			     const char *text)
{
	char line[LINE_LEN];

	(void)ctx;
	fprintf(stderr, "%s\n", files_rule_text(level, at, text, line, sizeof(line)));
}

static void compile_exclusions(struct app *a, struct lists *lists, struct route_report *report)
{
	const struct conf *c = a->conf;

	for (size_t i = 0; i < c->n_inbounds; i++)
		core_add_exclusions(&a->core, &c->inbounds[i].sniff, lists, report);
	for (size_t i = 0; i < c->n_outbounds; i++)
		if (c->outbounds[i].proto == CONF_OUT_VLESS)
			core_add_exclusions(&a->core, &c->outbounds[i].vless.reverse_sniff, lists,
					    report);
}

/* Everything that names and addresses are compared with; lists are shared. */
static int build_rules(struct app *a)
{
	struct route_report report = {.msg = on_route_message};
	struct lists *lists = lists_new();
	uint64_t seed;

	if (!lists || rand_bytes(&seed, sizeof(seed)) != 0) {
		lists_free(lists);
		return -ERR_NOMEM;
	}
	a->names = names_new(&a->conf->dns, lists, &report);
	a->core.router = router_new(&a->conf->routing, lists, seed, &report);
	compile_exclusions(a, lists, &report);
	lists_free(lists);
	return a->names && a->core.router && report.errors == 0 ? 0 : -ERR_MALFORMED;
}

static int add_outbound(struct app *a, struct outbound *o)
{
	if (!o)
		return -ERR_NOMEM;
	if (*o->tag && core_outbound(&a->core, o->tag)) {
		log_err("app", "existing tag found: %s", o->tag);
		o->ops->free(o);
		return -ERR_LIMIT;
	}
	return core_add_outbound(&a->core, o);
}

/* Portals come after the configured outbounds: the default stays what the file says. */
static int build_portals(struct app *a)
{
	const struct conf_reverse *r = &a->conf->reverse;
	struct outbound **portals = NULL;
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < r->n_portals && !err; i++)
		err = add_outbound(a, portal_new(&a->core, &r->portals[i]));
	if (!err)
		err = kinds_portals(&a->core, a->conf, &portals, &n);
	for (size_t i = 0; i < n; i++) {
		int e = add_outbound(a, portals[i]);

		err = err ? err : e;
	}
	free(portals);
	return err;
}

static int build_outbounds(struct app *a)
{
	const struct conf *c = a->conf;
	int err = 0;

	for (size_t i = 0; i < c->n_outbounds && !err; i++)
		err = add_outbound(a, kinds_outbound(&a->core, &c->outbounds[i]));
	if (!err)
		err = build_portals(a);
	if (!err) {
		a->core.mux_acceptor = mux_accept_new(&a->core);
		err = a->core.mux_acceptor ? 0 : -ERR_NOMEM;
	}
	return err;
}

static int add_bridge(struct app *a, struct bridge *b)
{
	if (!b)
		return -ERR_NOMEM;
	a->bridges[a->n_bridges++] = b;
	return 0;
}

static int build_bridges(struct app *a)
{
	const struct conf *c = a->conf;
	int err = 0;

	a->bridges = calloc(c->reverse.n_bridges + c->n_outbounds + 1, sizeof(*a->bridges));
	if (!a->bridges)
		return -ERR_NOMEM;
	for (size_t i = 0; i < c->reverse.n_bridges && !err; i++)
		err = add_bridge(a, bridge_new(&a->core, &c->reverse.bridges[i]));
	for (size_t i = 0; i < c->n_outbounds && !err; i++) {
		const struct conf_outbound *o = &c->outbounds[i];

		if (o->proto == CONF_OUT_VLESS && *o->vless.user.reverse_tag)
			err = add_bridge(a, bridge_new_vless(&a->core, o, a->core.outbounds[i]));
	}
	return err;
}

/* After all outbounds: it watches those that are there. */
static int build_observatory(struct app *a)
{
	if (a->conf->observatory.kind == CONF_OBSERVE_OFF)
		return 0;
	a->observatory = observatory_new(&a->core, &a->conf->observatory, NULL);
	return a->observatory ? 0 : -ERR_MALFORMED;
}

static int build_inbounds(struct app *a)
{
	const struct conf *c = a->conf;

	a->inbounds = calloc(c->n_inbounds + 1, sizeof(*a->inbounds));
	if (!a->inbounds)
		return -ERR_NOMEM;
	for (size_t i = 0; i < c->n_inbounds; i++) {
		struct inbound *in = kinds_inbound(&a->core, &c->inbounds[i]);

		if (!in || inbound_prepare(in) != 0) {
			inbound_free(in);
			return -ERR_NOMEM;
		}
		a->inbounds[a->n_inbounds++] = in;
	}
	return 0;
}

static void set_name(struct core *c)
{
	const char *name = c->conf->control.name;

	if (*name)
		snprintf(c->node, sizeof(c->node), "%s", name);
	else if (gethostname(c->node, sizeof(c->node)) != 0)
		snprintf(c->node, sizeof(c->node), "?");
	c->node[sizeof(c->node) - 1] = 0;
}

static int build(struct app *a, const struct conf *c)
{
	int err;

	a->conf = c;
	a->core.conf = c;
	set_name(&a->core);
	for (size_t i = 0; i < c->n_env; i++)
		setenv(c->env[i].name, c->env[i].value, 1);
	err = build_rules(a);
	if (!err)
		err = build_dns(a);
	if (!err)
		err = build_workers(a);
	if (!err)
		err = build_outbounds(a);
	if (!err)
		err = build_bridges(a);
	if (!err)
		err = build_observatory(a);
	if (!err)
		err = build_inbounds(a);
	return err;
}

enum { SETTLE_ROUNDS = 1000 };

/* Flows that were on their way to another loop when the loops stopped arrive while the outbounds
 * that they are for are there. What arrives may send more, but not for ever. */
static void settle(struct core *c)
{
	bool any = true;

	for (int round = 0; any && round < SETTLE_ROUNDS; round++) {
		any = false;
		for (unsigned i = 0; i < c->n_workers; i++)
			if (c->workers[i].loop)
				any |= loop_drain(c->workers[i].loop);
	}
}

static void destroy(struct app *a)
{
	struct core *c = &a->core;

	atomic_store(&a->stopping, true);
	reload_stop(a->reloader);
	settle(c);
	ctlsock_stop(a->ctlsock);
	observatory_stop(a->observatory);
	netmon_free(a->netmon);
	netconf_stop(a->netconf);
	for (size_t i = 0; i < a->n_inbounds; i++)
		inbound_free(a->inbounds[i]);
	for (size_t i = 0; i < a->n_bridges; i++)
		bridge_free(a->bridges[i]);
	for (size_t i = 0; i < c->n_outbounds; i++)
		c->outbounds[i]->ops->free(c->outbounds[i]);
	if (c->mux_acceptor)
		c->mux_acceptor->ops->free(c->mux_acceptor);
	for (unsigned i = 0; i < c->n_workers; i++) {
		resolver_free(c->workers[i].resolver);
		loop_free(c->workers[i].loop);
	}
	ctlsock_free(a->ctlsock);
	observatory_free(a->observatory);
	router_free(c->router);
	names_free(a->names);
	core_fini(c);
	ledger_free(a->ledger);
	tls_ctx_free(a->dns_tls);
	reload_free(a->reloader);
	free(a->inbounds);
	free(a->bridges);
	buf_thread_exit();
	splice_thread_exit();
}

int app_test(const struct conf *c)
{
	struct app *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return EXIT_START;
	err = build(a, c);
	destroy(a);
	free(a);
	return err ? EXIT_CONFIG : EXIT_OK;
}

/* ---- a visit ---- */

int app_visit(const struct conf *c, struct app_visit *v)
{
	struct app *a = calloc(1, sizeof(*a));
	int code = EXIT_OK;

	if (!a || log_open(&c->log.setup) != 0) {
		free(a);
		return EXIT_START;
	}
	signal(SIGPIPE, SIG_IGN);
	if (build(a, c) != 0) {
		code = EXIT_CONFIG;
	} else {
		v->begin(v, &a->core, a->core.workers[0].loop);
		loop_run(a->core.workers[0].loop);
	}
	destroy(a);
	free(a);
	return code;
}

/* ---- another network ---- */

struct news {
	struct post post;
	struct app *app;
};

/* In each loop, before its farewell: that one is posted later, by the same loop. */
static void on_news(struct loop *l, struct post *p)
{
	struct news *n = container_of(p, struct news, post);
	struct app *a = n->app;

	free(n);
	resolver_refresh(core_resolver(&a->core, l));
	stream_tcp_check_addresses(l);
	for (size_t i = 0; i < a->n_bridges; i++)
		if (bridge_loop(a->bridges[i]) == l)
			bridge_network_changed(a->bridges[i]);
	for (size_t i = 0; i < a->core.n_outbounds; i++) {
		struct outbound *o = a->core.outbounds[i];

		if (o->home == l && o->ops->network_changed)
			o->ops->network_changed(o);
	}
}

static void on_network(struct netmon_user *u, struct netmon *m)
{
	struct app *a = container_of(u, struct app, on_network);

	(void)m;
	log_info("app", "the network of this machine changed");
	atomic_fetch_add_explicit(&a->core.network, 1, memory_order_relaxed);
	if (a->netconf)
		netconf_refresh(a->netconf);
	for (unsigned i = 0; i < a->core.n_workers; i++) {
		struct news *n = calloc(1, sizeof(*n));

		if (!n) /* each finds out by itself, later */
			return;
		n->app = a;
		n->post.run = on_news;
		loop_post(a->core.workers[i].loop, &n->post);
	}
}

/* ---- running ---- */

struct farewell {
	struct post post;
	struct app *app;
};

/* In each loop: its flows end, then the loop. */
static void on_farewell(struct loop *l, struct post *p)
{
	struct farewell *f = container_of(p, struct farewell, post);
	struct worker *w = core_worker(&f->app->core, l);

	free(f);
	resolver_stop(w->resolver); /* its queries are flows, too, and would come again */
	while (!list_empty(&w->flows))
		flow_abort(list_first(&w->flows, struct flow, all), -ERR_CLOSED);
	loop_stop(l);
}

static void say_farewell(struct app *a)
{
	for (unsigned i = 0; i < a->core.n_workers; i++) {
		struct farewell *f = calloc(1, sizeof(*f));

		if (!f) {
			loop_stop(a->core.workers[i].loop);
			continue;
		}
		f->app = a;
		f->post.run = on_farewell;
		loop_post(a->core.workers[i].loop, &f->post);
	}
}

static void stop(struct app *a, int signo)
{
	if (atomic_exchange(&a->stopping, true))
		_exit(128 + signo); /* asked twice: at once */
	log_warn("app", "stopping: %s", strsignal(signo));
	/* First of all: whatever happens now, the machine's network is as it was. */
	netconf_stop(a->netconf);
	a->netconf = NULL;
	for (size_t i = 0; i < a->n_inbounds; i++)
		inbound_stop(a->inbounds[i]);
	ctlsock_stop(a->ctlsock);
	observatory_stop(a->observatory);
	netmon_free(a->netmon);
	a->netmon = NULL;
	say_farewell(a);
}

static void on_term(struct signal_watch *w, int signo)
{
	stop(container_of(w, struct app, on_term), signo);
}

static void on_int(struct signal_watch *w, int signo)
{
	stop(container_of(w, struct app, on_int), signo);
}

static void on_hup(struct signal_watch *w, int signo)
{
	(void)w;
	(void)signo;
	log_reopen();
	log_warn("app", "log files opened anew");
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	loop_run(t->loop);
	buf_thread_exit();
	splice_thread_exit();
	return NULL;
}

static void start_control(struct app *a, const struct files *files)
{
	a->view = (struct status_view){
		.core = &a->core,
		.inbounds = a->inbounds,
		.n_inbounds = a->n_inbounds,
		.bridges = a->bridges,
		.n_bridges = a->n_bridges,
		.started_ms = loop_now(a->core.workers[0].loop),
	};
	a->reloader = reload_new(&a->view, files, a->conf, &a->stopping);
	a->ctlsock = ctlsock_start(&a->view, a->reloader, &a->stopping);
}

static int start(struct app *a, const struct files *files)
{
	struct loop *main_loop = a->core.workers[0].loop;

	/* Before anybody can see that we run, and ask us to end. */
	signal_watch_start(&a->on_term, main_loop, SIGTERM, on_term);
	signal_watch_start(&a->on_int, main_loop, SIGINT, on_int);
	signal_watch_start(&a->on_hup, main_loop, SIGHUP, on_hup);
	for (size_t i = 0; i < a->n_inbounds; i++)
		if (inbound_start(a->inbounds[i]) != 0)
			return -ERR_SYS;
	/* The device is there now. Before the first connection of ours, for the mark alone does not
	 * keep it outside if a route of somebody else's leads into the TUN. */
	if (conf_tun_find(a->conf)) {
		a->netconf = netconf_start(main_loop, a->core.workers[0].resolver, a->conf);
		if (!a->netconf)
			return -ERR_SYS;
	}
	for (size_t i = 0; i < a->n_bridges; i++)
		bridge_start(a->bridges[i]);
	if (a->observatory)
		observatory_start(a->observatory);
	start_control(a, files);
	a->on_network.on_change = on_network;
	a->netmon = netmon_new(main_loop, &a->on_network);
	for (unsigned i = 1; i < a->core.n_workers; i++) {
		struct thread *t = &a->threads[a->n_threads];

		t->loop = a->core.workers[i].loop;
		if (pthread_create(&t->id, NULL, thread_main, t) != 0) {
			log_err("app", "cannot start a thread");
			return -ERR_SYS;
		}
		a->n_threads++;
	}
	return 0;
}

/* Each flow takes two descriptors; the soft limit of most systems is far too low. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int app_run(const struct conf *c, const struct files *f)
{
	struct app *a = calloc(1, sizeof(*a));
	int code = EXIT_OK;

	if (!a)
		return EXIT_START;
	if (log_open(&c->log.setup) != 0) {
		perror("garenne: cannot open the log files");
		free(a);
		return EXIT_START;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_limits();
	if (build(a, c) != 0) {
		code = EXIT_CONFIG;
	} else if (start(a, f) != 0) {
		code = EXIT_START;
		say_farewell(a);
	} else {
		log_warn("app", "garenne %s started, %u workers", cli_version(), a->core.n_workers);
		loop_run(a->core.workers[0].loop);
	}
	for (unsigned i = 0; i < a->n_threads; i++)
		pthread_join(a->threads[i].id, NULL);
	destroy(a);
	free(a);
	return code;
}
