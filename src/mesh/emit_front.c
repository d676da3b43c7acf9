/*
 * TLS in front of a hub with v2ray, which up to 4.34 loses bytes when it sends by
 * TLS what came in pieces (it joins buffers of which a part was read, and what has
 * no room is gone). stunnel does it instead; v2ray listens on loopback.
 */
#include <stdio.h>

#include "mesh/emit.h"

bool emit_has_front(const struct mesh_node *hub)
{
	return hub->kind == MESH_HUB && hub->software == MESH_V2RAY &&
	       hub->hub.security == MESH_TLS;
}

static bool taken(const struct mesh *m, const struct mesh_node *hub, uint16_t port)
{
	if (hub->hub.address.port == port ||
	    (hub->socks.kind != ADDR_NONE && hub->socks.port == port))
		return true;
	for (size_t i = 0; i < m->n_forwards; i++)
		if (&m->nodes[m->forwards[i].hub] == hub && m->forwards[i].port == port)
			return true;
	return false;
}

uint16_t emit_front_port(const struct mesh *m, const struct mesh_node *hub)
{
	uint16_t port = 10443;

	while (taken(m, hub, port))
		port++;
	return port;
}

static char *config(const struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	const struct mesh_hub *h = &v->hub;
	char own[64], *text = NULL;

	snprintf(own, sizeof(own), "/etc/stunnel/%s.pem", v->name);
	if (asprintf(&text,
		     "; TLS in front of v2ray, which loses bytes when it does TLS itself.\n"
		     "foreground = yes\n"
		     "syslog = no\n"
		     "pid =\n"
		     "\n"
		     "[mesh]\n"
		     "accept = %s:%u\n"
		     "connect = 127.0.0.1:%u\n"
		     "sslVersionMin = TLSv1.2\n"
		     "cert = %s\n"
		     "key = %s\n",
		     *h->listen ? h->listen : "::", h->address.port,
		     emit_front_port(e->m, v), *h->cert ? h->cert : own, *h->cert ? h->key : own) == -1)
		return NULL;
	return text;
}

void emit_front(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	const struct mesh_keys *k = &e->keys[e->node];
	char *pem = NULL;

	if (!emit_has_front(v))
		return;
	emit_file_text(e, config(e), MESH_FILE_FRONT, ".stunnel.conf");
	if (*v->hub.cert == 0) {
		if (asprintf(&pem, "%s%s", k->cert ? k->cert : "", k->cert_key ? k->cert_key : "") == -1)
			pem = NULL;
		emit_file_text(e, pem, MESH_FILE_FRONT, ".pem");
	}
	emit_note(e, "does not do TLS itself, for v2ray up to 4.34 loses bytes then: stunnel does it. On "
		     "Debian \"apt install stunnel4\"; %s.stunnel.conf goes to /etc/stunnel/%s.conf%s%s%s; "
		     "\"systemctl enable --now stunnel@%s\"",
		  v->name, v->name, *v->hub.cert ? "" : ", ", *v->hub.cert ? "" : v->name,
		  *v->hub.cert ? "" : ".pem beside it with mode 600", v->name);
}
