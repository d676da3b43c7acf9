/* Parts that are right by themselves and cannot work together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/msg.h"

/* ---- two listeners on one port ---- */

static unsigned listen_networks(const struct conf_inbound *in)
{
	if (in->proto == CONF_IN_TUNNEL)
		return in->tunnel.networks;
	if (in->proto == CONF_IN_SHADOWSOCKS)
		return in->ss.networks;
	return CONF_TCP;
}

static bool ranges_meet(const struct conf_port_range *a, const struct conf_port_range *b,
			uint16_t *port)
{
	*port = a->from > b->from ? a->from : b->from;
	return *port <= a->to && *port <= b->to;
}

static bool ports_meet(const struct conf_ports *a, const struct conf_ports *b, uint16_t *port)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			if (ranges_meet(&a->v[i], &b->v[k], port))
				return true;
	return false;
}

/* The wildcard takes both families, unless it was told not to. */
static bool addresses_meet(const struct conf_inbound *a, const struct conf_inbound *b)
{
	const struct conf_listen *la = &a->listen, *lb = &b->listen;

	if (la->kind == CONF_LISTEN_IP && lb->kind == CONF_LISTEN_IP)
		return ip_eq(&la->ip, &lb->ip);
	if (la->kind == CONF_LISTEN_ANY && lb->kind == CONF_LISTEN_IP)
		return lb->ip.family == 6 || !a->stream.sockopt.v6only;
	if (la->kind == CONF_LISTEN_IP && lb->kind == CONF_LISTEN_ANY)
		return la->ip.family == 6 || !b->stream.sockopt.v6only;
	return true;
}

static void check_pair(struct load *ld, const struct conf_inbound *a, const struct conf_inbound *b)
{
	uint16_t port;

	if (a->listen.kind == CONF_LISTEN_UNIX || b->listen.kind == CONF_LISTEN_UNIX) {
		if (a->listen.kind == b->listen.kind &&
		    strcmp(a->listen.unix_path, b->listen.unix_path) == 0)
			check_error(ld, &b->at,
				    "listens on %.100s like the inbound at %s:%d: address already "
				    "in use",
				    b->listen.unix_path, a->at.file, a->at.line);
		return;
	}
	if ((listen_networks(a) & listen_networks(b)) == 0 || !addresses_meet(a, b) ||
	    !ports_meet(&a->listen.ports, &b->listen.ports, &port))
		return;
	check_error(ld, &b->at,
		    "port %u is already taken by the inbound at %s:%d: address already in use",
		    port, a->at.file, a->at.line);
}

/* A list like "80,80-90" would listen twice. */
static void check_own_ports(struct load *ld, const struct conf_inbound *in)
{
	const struct conf_ports *p = &in->listen.ports;
	uint16_t port;

	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < i; k++)
			if (ranges_meet(&p->v[i], &p->v[k], &port)) {
				check_error(ld, &in->at, "port %u is in the list twice", port);
				return;
			}
}

static void check_ports(struct load *ld)
{
	const struct conf *c = ld->conf;

	for (size_t i = 0; i < c->n_inbounds; i++) {
		check_own_ports(ld, &c->inbounds[i]);
		for (size_t k = 0; k < i; k++)
			check_pair(ld, &c->inbounds[k], &c->inbounds[i]);
	}
}

/* ---- TLS ---- */

static bool has_certificate(const struct conf_tls *t)
{
	for (size_t i = 0; i < t->n_certs; i++)
		if (t->certs[i].usage != CONF_CERT_VERIFY)
			return true;
	return false;
}

static void check_server_tls(struct load *ld, const struct conf_inbound *in)
{
	const struct conf_tls *t = in->stream.tls;

	if (t && !has_certificate(t))
		check_error(
			ld, &t->at,
			"security is tls, but there is no certificate to show to clients; expected "
			"\"certificates\": [{\"certificateFile\": ..., \"keyFile\": ...}]");
	for (size_t i = 0; in->proto == CONF_IN_VLESS && in->stream.security == CONF_SEC_NONE &&
			   i < in->vless.n_users;
	     i++)
		if (in->vless.users[i].flow != CONF_FLOW_NONE)
			check_error(ld, &in->vless.users[i].at,
				    "flow is xtls-rprx-vision, which needs \"security\": \"tls\" "
				    "or \"reality\" on the inbound");
}

static bool below_tls13(const struct conf_tls *t)
{
	return t && t->max_version != CONF_TLS_DEFAULT && t->max_version < CONF_TLS_1_3;
}

static void check_client_tls(struct load *ld, const struct conf_outbound *out)
{
	if (out->proto == CONF_OUT_VLESS && out->vless.user.flow != CONF_FLOW_NONE &&
	    out->stream.security == CONF_SEC_NONE)
		check_error(ld, &out->at,
			    "flow is xtls-rprx-vision, which needs \"security\": \"tls\" or "
			    "\"reality\"");
	else if (out->proto == CONF_OUT_VLESS && out->vless.user.flow != CONF_FLOW_NONE &&
		 below_tls13(out->stream.tls))
		check_error(ld, &out->stream.tls->at,
			    "\"maxVersion\" is below 1.3, which the flow xtls-rprx-vision needs");
}

/* What is accepted beside a flow and does something else than it says. */
static void check_vision(struct load *ld, const struct conf_outbound *out)
{
	if (out->proto != CONF_OUT_VLESS)
		return;
	if (out->vless.testpre > 0 && *out->vless.user.reverse_tag)
		check_warn(ld, &out->at, "\"testpre\" has no effect beside \"reverse\"");
	else if (out->vless.testpre > 0 &&
		 (out->via.kind == CONF_VIA_ORIGIN || out->via.kind == CONF_VIA_SRCIP))
		check_warn(ld, &out->at,
			   "\"testpre\" has no effect beside \"sendThrough\": a connection that is "
			   "opened in advance cannot have a flow's own address");
	if (out->vless.user.flow != CONF_FLOW_NONE && out->mux.enabled && out->mux.concurrency > 0)
		check_warn(ld, &out->mux.at,
			   "with the flow xtls-rprx-vision servers accept UDP only inside mux: TCP "
			   "goes without it, as \"concurrency\": -1 says");
}

/* ---- users ---- */

/* Bytes 6 and 7 of an id are the client's to choose (vlessRoute), so they tell no users apart. */
static int cmp_id(const struct conf_vless_user *a, const struct conf_vless_user *b)
{
	int c = memcmp(a->id.b, b->id.b, 6);

	return c ? c : memcmp(a->id.b + 8, b->id.b + 8, UUID_LEN - 8);
}

static int by_id(const void *a, const void *b)
{
	return cmp_id(*(const struct conf_vless_user *const *)a,
		      *(const struct conf_vless_user *const *)b);
}

static int by_email(const void *a, const void *b)
{
	return strcasecmp((*(const struct conf_vless_user *const *)a)->email,
			  (*(const struct conf_vless_user *const *)b)->email);
}

static void report_user(struct load *ld, const struct conf_at *a, const struct conf_at *b,
			const char *what)
{
	const struct conf_at *late = a->line > b->line ? a : b, *early = late == a ? b : a;

	check_error(ld, late, "%s (the other is at line %d)", what, early->line);
}

static void check_vless_users(struct load *ld, const struct conf_in_vless *v)
{
	const struct conf_vless_user **sorted =
		conf_arena_array(ld->arena, v->n_users, sizeof(*sorted));
	char what[120];

	if (!sorted)
		return;
	for (size_t i = 0; i < v->n_users; i++)
		sorted[i] = &v->users[i];
	qsort(sorted, v->n_users, sizeof(*sorted), by_id);
	for (size_t i = 1; i < v->n_users; i++)
		if (cmp_id(sorted[i - 1], sorted[i]) == 0)
			report_user(ld, &sorted[i - 1]->at, &sorted[i]->at,
				    "two users have one id (bytes 7 and 8 do not count)");
	qsort(sorted, v->n_users, sizeof(*sorted), by_email);
	for (size_t i = 1; i < v->n_users; i++) {
		if (*sorted[i]->email == 0 ||
		    strcasecmp(sorted[i - 1]->email, sorted[i]->email) != 0)
			continue;
		snprintf(what, sizeof(what), "User %.80s already exists.", sorted[i]->email);
		report_user(ld, &sorted[i - 1]->at, &sorted[i]->at, what);
	}
}

static bool same_key(const struct conf_ss_user *a, const struct conf_ss_user *b)
{
	if (a->method != b->method)
		return false;
	if (conf_ss_is_2022(a->method))
		return memcmp(a->key.b, b->key.b, a->key.n) == 0;
	return strcmp(a->password, b->password) == 0;
}

static int by_key(const void *a, const void *b)
{
	const struct conf_ss_user *x = *(const struct conf_ss_user *const *)a;
	const struct conf_ss_user *y = *(const struct conf_ss_user *const *)b;
	int c = memcmp(x->key.b, y->key.b, sizeof(x->key.b));

	return c ? c : strcmp(x->password, y->password);
}

static void check_ss_users(struct load *ld, const struct conf_in_ss *s)
{
	const struct conf_ss_user **sorted =
		conf_arena_array(ld->arena, s->n_users, sizeof(*sorted));

	if (!sorted)
		return;
	for (size_t i = 0; i < s->n_users; i++)
		sorted[i] = &s->users[i];
	qsort(sorted, s->n_users, sizeof(*sorted), by_key);
	for (size_t i = 1; i < s->n_users; i++)
		if (same_key(sorted[i - 1], sorted[i]))
			report_user(ld, &sorted[i - 1]->at, &sorted[i]->at,
				    "two users have one password, so nobody can tell them apart");
}

/* ---- outbounds behind outbounds ---- */

static void check_dialer_circle(struct load *ld, const struct conf_outbound *start)
{
	const struct conf_outbound *at = start;

	for (size_t steps = 0; at && steps <= ld->conf->n_outbounds; steps++) {
		at = conf_outbound_find(ld->conf, at->stream.sockopt.dialer_proxy);
		if (at == start) {
			check_error(ld, &start->at,
				    "dialerProxy leads back to this outbound after %zu step%s",
				    steps + 1, steps ? "s" : "");
			return;
		}
	}
}

/* ---- balancers ---- */

static void check_observatory(struct load *ld)
{
	const struct conf *c = ld->conf;

	if (c->observatory.kind != CONF_OBSERVE_OFF)
		return;
	for (size_t i = 0; i < c->routing.n_balancers; i++) {
		const struct conf_balancer *b = &c->routing.balancers[i];

		if (b->strategy == CONF_BALANCE_LEAST_PING)
			check_error(ld, &b->at,
				    "not all dependencies are resolved. leastPing needs the "
				    "section \"observatory\"");
		else if (b->strategy == CONF_BALANCE_LEAST_LOAD)
			check_error(ld, &b->at,
				    "not all dependencies are resolved. leastLoad needs the "
				    "section \"burstObservatory\"");
	}
}

void check_sense(struct load *ld)
{
	const struct conf *c = ld->conf;

	check_ports(ld);
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		check_server_tls(ld, in);
		check_reality(ld, in);
		if (in->proto == CONF_IN_VLESS)
			check_vless_users(ld, &in->vless);
		else if (in->proto == CONF_IN_SHADOWSOCKS)
			check_ss_users(ld, &in->ss);
	}
	for (size_t i = 0; i < c->n_outbounds; i++) {
		check_client_tls(ld, &c->outbounds[i]);
		check_vision(ld, &c->outbounds[i]);
		check_dialer_circle(ld, &c->outbounds[i]);
	}
	check_observatory(ld);
	check_tun(ld);
}
