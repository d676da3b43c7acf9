/* The two ends of what lies between nodes and hubs. */
#include <stdio.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/secret.h"
#include "mesh/emit.h"

/* Connections that a node keeps ready while it talks to a hub: a new flow waits for neither TCP nor
 * TLS, and what stands open between two flows is what a browser keeps open, too. */
enum { WARM = 2 };

static void alpn(struct emit *e, cJSON *tls)
{
	cJSON *list = emit_list(e, tls, "alpn");

	emit_text(e, list, "h2");
	emit_text(e, list, "http/1.1");
}

/* A text in PEM as the list of its lines. */
static void pem(struct emit *e, cJSON *obj, const char *key, const char *text)
{
	cJSON *list = emit_list(e, obj, key);
	char line[128];

	for (; text && *text; text += strcspn(text, "\n"), text += *text == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		emit_text(e, list, line);
	}
	secret_wipe(line, sizeof(line));
}

static void server_reality(struct emit *e, cJSON *stream, int hub)
{
	const struct mesh_node *v = &e->m->nodes[hub];
	cJSON *r = emit_obj(e, stream, "realitySettings"), *list;
	char text[MESH_KEY_TEXT];
	uint8_t short_id[MESH_SHORT_ID];
	struct uuid account;

	emit_str(e, r, "target", v->hub.target);
	emit_one(e, r, "serverNames", v->hub.server_name);
	base64_encode(text, sizeof(text), span_of(e->keys[hub].reality, X25519_LEN),
		      BASE64_URL | BASE64_RAW);
	emit_str(e, r, "privateKey", text);
	secret_wipe(text, sizeof(text));
	/* Phones whose core is sing-box say that they are Xray 1.8.1. */
	if (v->software == MESH_XRAY)
		emit_str(e, r, "minClientVer", "1.8.0");
	list = emit_list(e, r, "shortIds");
	for (size_t i = 0; i < e->m->n_nodes; i++)
		if (emit_has_account(e, i, hub))
			emit_text(e, list, mesh_short_id_text(e->keys[i].short_id, text));
	if (!mesh_serves_tickets(v))
		return;
	if (mesh_keys_join(&e->keys[hub], &account, short_id) != 0)
		e->failed = true;
	emit_text(e, list, mesh_short_id_text(short_id, text));
}

void emit_server_stream(struct emit *e, cJSON *inbound, int hub)
{
	const struct mesh_hub *h = &e->m->nodes[hub].hub;
	cJSON *s = emit_obj(e, inbound, "streamSettings"), *tls, *cert;
	bool front = emit_has_front(&e->m->nodes[hub]);

	emit_str(e, s, "network", "tcp");
	emit_str(e, s, "security", front ? "none" : mesh_security_name(h->security));
	if (h->security == MESH_REALITY)
		server_reality(e, s, hub);
	if (h->security != MESH_TLS || front)
		return;
	tls = emit_obj(e, s, "tlsSettings");
	alpn(e, tls);
	cert = emit_item(e, emit_list(e, tls, "certificates"));
	if (*h->cert) {
		emit_str(e, cert, "certificateFile", h->cert);
		emit_str(e, cert, "keyFile", h->key);
	} else {
		pem(e, cert, "certificate", e->keys[hub].cert);
		pem(e, cert, "key", e->keys[hub].cert_key);
	}
}

static void client_tls(struct emit *e, cJSON *stream, int hub)
{
	const struct mesh_hub *h = &e->m->nodes[hub].hub;
	bool pins = e->m->nodes[e->node].software != MESH_V2RAY;
	cJSON *t = emit_obj(e, stream, "tlsSettings"), *cert;
	char host[ADDR_TEXT_MAX];

	emit_str(e, t, "serverName",
		 *h->server_name ? h->server_name
				 : addr_host_text(&h->address, host, sizeof(host)));
	if (pins)
		emit_str(e, t, "fingerprint", "chrome");
	alpn(e, t);
	if (*h->pin && pins)
		emit_str(e, t, "pinnedPeerCertSha256", h->pin);
	/* Where pins are not known, or not yet (Xray of 2025): the certificate itself as a root. */
	if (*h->pin && e->m->nodes[e->node].software != MESH_GARENNE) {
		cert = emit_item(e, emit_list(e, t, "certificates"));
		emit_str(e, cert, "usage", "verify");
		pem(e, cert, "certificate", e->keys[hub].cert);
	}
}

static void client_stream(struct emit *e, cJSON *out, int hub)
{
	const struct mesh_hub *h = &e->m->nodes[hub].hub;
	cJSON *s = emit_obj(e, out, "streamSettings"), *r;
	char text[MESH_SHORT_ID_TEXT];

	emit_str(e, s, "network", "tcp");
	emit_str(e, s, "security", mesh_security_name(h->security));
	if (h->security == MESH_TLS)
		client_tls(e, s, hub);
	if (h->security != MESH_REALITY)
		return;
	r = emit_obj(e, s, "realitySettings");
	emit_str(e, r, "serverName", h->server_name);
	emit_str(e, r, "fingerprint", "chrome");
	emit_str(e, r, "publicKey", h->public_key);
	emit_str(e, r, "shortId", mesh_short_id_text(e->keys[e->node].short_id, text));
	emit_str(e, r, "spiderX", "/");
}

/* Older programs know the nested form only; it cannot say "reverse". */
static void nested(struct emit *e, cJSON *settings, const struct mesh_hub *h, const char *id)
{
	cJSON *server = emit_item(e, emit_list(e, settings, "vnext")), *user;
	char host[ADDR_TEXT_MAX];

	emit_str(e, server, "address", addr_host_text(&h->address, host, sizeof(host)));
	emit_num(e, server, "port", h->address.port);
	user = emit_item(e, emit_list(e, server, "users"));
	emit_str(e, user, "id", id);
	emit_str(e, user, "encryption", "none");
}

/* Phones run an app of other people. */
static bool ours(const struct emit *e, int node)
{
	return e->m->nodes[node].software == MESH_GARENNE && e->m->nodes[node].kind != MESH_PHONE;
}

static void tell_one(struct emit *e, cJSON *list, const struct prefix *from, const struct prefix *to)
{
	cJSON *o = emit_item(e, list);
	char text[64];

	emit_str(e, o, "from", prefix_text(from, text, sizeof(text)));
	emit_str(e, o, "to", prefix_text(to, text, sizeof(text)));
}

/* Whose flow it is, in the mesh's terms: the hub knows the node by its account, and takes its word
 * for who in its LANs it is. */
static void tell_source(struct emit *e, cJSON *settings)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	cJSON *list = emit_list(e, settings, "tellSource");
	struct prefix own = {v->ip4, 32};

	tell_one(e, list, &own, &own);
	own = (struct prefix){v->ip6, 128};
	if (v->ip6.family)
		tell_one(e, list, &own, &own);
	for (size_t i = 0; i < v->n_lans; i++)
		tell_one(e, list, &v->lans[i].real, &v->lans[i].seen);
}

/* Without the suffix Vision's clients refuse UDP to port 443, which makes browsers take TCP. That
 * is of use where flows leave for the internet, as those of phones do; between nodes it is a hole. */
static const char *flow(const struct emit *e)
{
	if (strcmp(e->m->flow, "xtls-rprx-vision") != 0 ||
	    e->m->nodes[e->node].kind == MESH_PHONE)
		return e->m->flow;
	return "xtls-rprx-vision-udp443";
}

void emit_to_hub(struct emit *e, cJSON *outbounds, const char *tag, int hub,
		 const struct uuid *uuid, const char *reverse)
{
	const struct mesh_hub *h = &e->m->nodes[hub].hub;
	cJSON *o = emit_item(e, outbounds), *s;
	char id[UUID_TEXT], host[ADDR_TEXT_MAX];

	uuid_text(uuid, id);
	emit_str(e, o, "tag", tag);
	emit_str(e, o, "protocol", "vless");
	s = emit_obj(e, o, "settings");
	if (e->m->nodes[e->node].software == MESH_V2RAY) {
		nested(e, s, h, id);
	} else {
		emit_str(e, s, "address", addr_host_text(&h->address, host, sizeof(host)));
		emit_num(e, s, "port", h->address.port);
		emit_str(e, s, "id", id);
		emit_str(e, s, "encryption", "none");
		if (!reverse && *mesh_flow(e->m, (size_t)hub))
			emit_str(e, s, "flow", flow(e));
		/* Known beforehand, so the first closed port looks closed as well. */
		if (!reverse && ours(e, e->node) && ours(e, hub)) {
			emit_bool(e, s, "garenne", true);
			emit_num(e, s, "testpre", WARM);
			tell_source(e, s);
		}
		if (reverse)
			emit_str(e, emit_obj(e, s, "reverse"), "tag", reverse);
	}
	client_stream(e, o, hub);
	secret_wipe(id, sizeof(id));
}
