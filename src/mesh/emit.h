/* Building the files. Private to this folder. */
#ifndef GARENNE_MESH_EMIT_H
#define GARENNE_MESH_EMIT_H

#include <cjson/cJSON.h>

#include "mesh/compile.h"

struct emit {
	const struct mesh *m;
	const struct mesh_keys *keys;
	struct mesh_output *out;
	int node; /* whose file it is */
	bool failed;
};

enum { EMIT_TEXT = 200, EMIT_PREFIXES = 1024 };

/* Members; all take a NULL parent, which comes of memory being out. */
cJSON *emit_obj(struct emit *e, cJSON *obj, const char *key);
cJSON *emit_list(struct emit *e, cJSON *obj, const char *key);
cJSON *emit_item(struct emit *e, cJSON *list); /* an object in a list */
void emit_str(struct emit *e, cJSON *obj, const char *key, const char *text);
void emit_num(struct emit *e, cJSON *obj, const char *key, double v);
void emit_bool(struct emit *e, cJSON *obj, const char *key, bool v);
void emit_text(struct emit *e, cJSON *list, const char *text);
/** A list of one text. */
void emit_one(struct emit *e, cJSON *obj, const char *key, const char *text);
void emit_prefixes(struct emit *e, cJSON *obj, const char *key, const struct prefix *v, size_t n);
/** "22,80-90", or nothing when any port will do. */
void emit_ports(struct emit *e, cJSON *obj, const struct conf_ports *ports);
void emit_network(struct emit *e, cJSON *obj, unsigned networks);

/** "policy[0] name to paris" into @out; returns @out. */
char *emit_rule_tag(const struct mesh_rule *r, const char *node, char *out);
/** A routing rule with its tag and target; conditions are the caller's to add. */
cJSON *emit_rule(struct emit *e, cJSON *rules, const char *tag, const char *outbound);
/** Adds "network": "tcp,udp", so that a rule without other conditions takes everything. */
void emit_anything(struct emit *e, cJSON *rule);

void emit_blackhole(struct emit *e, cJSON *outbounds);
/** A way to the internet, but to nobody's LAN. */
void emit_exit(struct emit *e, cJSON *outbounds, const char *tag);
/** The prefixes that are on no internet, for rules that keep an exit from them. */
void emit_private(struct emit *e, cJSON *obj, const char *key);
/** True when another program does TLS for this hub, which listens on loopback at the port. */
bool emit_has_front(const struct mesh_node *hub);
uint16_t emit_front_port(const struct mesh *m, const struct mesh_node *hub);
/** The files of that program, and what is to be done with them. */
void emit_front(struct emit *e);
/** streamSettings of the mesh's own inbound of hub @hub. */
void emit_server_stream(struct emit *e, cJSON *inbound, int hub);
/** A VLESS outbound to hub @hub. @reverse: the tag of what comes back through it, or NULL. */
void emit_to_hub(struct emit *e, cJSON *outbounds, const char *tag, int hub,
		 const struct uuid *id, const char *reverse);
/** Local proxy and TUN of a node. */
void emit_local_inbounds(struct emit *e, cJSON *inbounds);
/** The tags of those under @key. */
void emit_local_tags(struct emit *e, cJSON *rule);
bool emit_has_local(const struct mesh_node *n);
/** Has @node an account at hub @hub? Sites, phones, and other hubs with users of their own. */
bool emit_has_account(const struct emit *e, size_t node, int hub);
/** The tag of the outbound that leads the node's own users to a hub. */
void emit_hub_tag(const struct emit *e, int hub, char out[EMIT_TEXT]);
/** "dns" with the names of one node, or of the node itself for @all. */
void emit_names(struct emit *e, cJSON *root);
/* ---- names of the whole mesh, in answers to DNS questions ---- */

/** True when the node's file has an outbound that answers. */
bool emit_has_dns(const struct emit *e);
/** "dns" and "dnsDomains" of its TUN. */
void emit_dns_tun(struct emit *e, cJSON *settings);
/** True when what the node does not know is asked at the hub: as flows of the tag EMIT_DNS_UP. */
#define EMIT_DNS_UP "names.up"
/** True when the node asks the mesh's resolver for names that are not the mesh's. Its queries are flows
 * of the tag EMIT_DNS_OWN, which go by an outbound of the same name. */
#define EMIT_DNS_OWN "names.own"
bool emit_asks_resolver(const struct emit *e);
bool emit_dns_by_hub(const struct emit *e);
void emit_dns_outbound(struct emit *e, cJSON *outbounds);
/** The rules that lead there; before all that speak of the mesh's addresses. */
void emit_dns_rules(struct emit *e, cJSON *rules);

/** log, and for stock programs the versions that understand the file. */
void emit_head(struct emit *e, cJSON *root);

/** Names of @node that lead into @to, as "full:NAME" under "domain"; false when there are none. */
bool emit_domains(struct emit *e, cJSON *rule, int node, const struct mesh_place *to, size_t n);

/** The kind of file that the node's program takes. */
enum mesh_file_kind emit_file_kind(const struct emit *e);
/** Takes @root. */
void emit_file(struct emit *e, cJSON *root, enum mesh_file_kind kind, const char *suffix);
/** Takes @text. */
void emit_file_text(struct emit *e, char *text, enum mesh_file_kind kind, const char *suffix);
void emit_note(struct emit *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void emit_hub(struct emit *e);
void emit_site(struct emit *e);
void emit_site_v2ray(struct emit *e);
void emit_phone(struct emit *e);
void emit_limits(struct emit *e);

/** The outbound of a site's or hub's own places, and for stock programs of its hosts. */
void emit_lan(struct emit *e, cJSON *outbounds, const char *tag);

#endif
