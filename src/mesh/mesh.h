/*
 * A whole network in one file: hubs with public addresses, sites with LANs,
 * phones, and who may reach what.
 *
 * The file ("mesh.json") holds public things only. What each node keeps to
 * itself is in a file of its own beside it (keys.h). From both, compile.h makes
 * one ordinary configuration for each node: nothing that carries traffic knows
 * what a mesh is.
 *
 * Words: a node's *virtual* address is its own in the mesh; a LAN is *seen*
 * under a prefix of the mesh, which may differ from the *real* one; a node's
 * *places* are all prefixes of the mesh that lead to it.
 *
 * The tree is read-only once parsed and lives in an arena; mesh_free wipes it.
 */
#ifndef GARENNE_MESH_MESH_H
#define GARENNE_MESH_MESH_H

#include "conf/conf.h"

enum {
	MESH_NODES_MAX = 4096,
	MESH_RULES_MAX = 1024,
	MESH_NAME_MAX = 32, /* of a node, a host, a group, a forward */
	MESH_NOBODY = -1,   /* no node: the internet */
};

enum mesh_kind {
	MESH_HUB = 0,
	MESH_SITE,
	MESH_PHONE,
	MESH_KINDS,
};

enum mesh_software {
	MESH_GARENNE = 0,
	MESH_XRAY,
	MESH_V2RAY, /* the classic reverse proxy, nothing newer */
};

enum mesh_security {
	MESH_REALITY = 0,
	MESH_TLS,
	MESH_CLEAR,
};

enum mesh_app {
	MESH_APP_V2RAYNG = 0, /* takes Xray's files */
	MESH_APP_SING_BOX,    /* and its relatives */
	MESH_APP_OTHER,	      /* a link is all it gets */
};

/* How a flow out of the mesh is brought to its place: who the service there sees. */
enum mesh_delivery {
	MESH_DIAL = 0,	  /* the site itself */
	MESH_PROXY,	  /* the site, and in a PROXY header the originator */
	MESH_TRANSPARENT, /* the originator: the site's TUN sends his packets */
	MESH_DELIVERIES,
};

struct mesh_lan {
	struct conf_at at;
	struct prefix real, seen; /* equal when it is not mapped */
	enum mesh_delivery delivery;
};

/* A machine of a site's LAN that has a name in the mesh. */
struct mesh_host {
	struct conf_at at;
	const char *name;
	struct ip real, seen;
};

struct mesh_hub {
	struct addr address; /* as everybody dials it */
	const char *listen;  /* "" any */
	enum mesh_security security;
	const char *server_name; /* shown in the clear; "" the address */
	const char *target;	 /* REALITY: the site it looks like, host:port */
	const char *public_key;	 /* REALITY: base64url */
	const char *cert, *key;	 /* TLS: files on the hub; "": the texts are in its key file */
	const char *pin;	 /* TLS: hex SHA-256 of a certificate that nobody has signed; "" */
	const char *tickets;	 /* the folder on the hub where nodes that join find their files; "" none */
};

struct mesh_node {
	struct conf_at at;
	const char *name;
	enum mesh_kind kind;
	enum mesh_software software;
	enum mesh_app app;
	struct ip ip4, ip6; /* family 0: none */
	const struct mesh_lan *lans;
	size_t n_lans;
	const struct mesh_host *hosts;
	size_t n_hosts;
	bool tun;
	bool resolv_conf; /* the TUN's name server may go into resolv.conf */
	enum mesh_delivery delivery; /* of its own address, and of LANs that do not say */
	struct addr socks; /* of a local proxy; ADDR_NONE: there is none */
	struct mesh_hub hub;
};

struct mesh_group {
	struct conf_at at;
	const char *name;
	bool *member; /* by node */
};

/* Whose flows: some nodes, and the shortest list of prefixes that stands for their addresses. */
struct mesh_from {
	const bool *member; /* by node */
	bool all;
	const struct prefix *prefixes;
	size_t n_prefixes;
};

struct mesh_place {
	int node;
	struct prefix prefix;
};

struct mesh_rule {
	struct conf_at at;
	size_t number; /* 1 is the first */
	const char *name;
	bool allow;
	struct mesh_from from;
	const struct mesh_place *to;
	size_t n_to;
	struct conf_ports ports;
	unsigned networks; /* 0: both */
	bool delivers;	   /* in a way of its own, wherever that can be done: */
	enum mesh_delivery delivery;
};

/* Who leaves for the internet through whom. */
struct mesh_exit {
	struct conf_at at;
	size_t number;
	struct mesh_from from;
	int through;
};

/* A port of a hub that leads to one port in the mesh, for everybody. */
struct mesh_forward {
	struct conf_at at;
	size_t number;
	const char *name;
	int hub;
	const char *listen; /* "" any */
	uint16_t port;
	unsigned networks;
	struct mesh_place to;
	uint16_t to_port;
	enum mesh_delivery delivery; /* never transparent: answers would not come back here */
};

/* "alice may reach nas.paris:443/tcp" */
struct mesh_expect {
	struct conf_at at;
	const char *text;
	int from; /* a node */
	bool may;
	bool internet; /* any address outside of the mesh */
	struct ip target;
	uint16_t port;
	unsigned network;
};

struct mesh {
	const char *name;
	const char *domain; /* names are NODE.DOMAIN and HOST.NODE.DOMAIN */
	struct prefix range4, range6, mapped; /* range6: family 0 for a mesh without IPv6 */
	struct ip resolver; /* asked for names that are not the mesh's; family 0: they are refused */
	const char *flow;		      /* of VLESS, "" or xtls-rprx-vision */
	struct mesh_node *nodes; /* hubs, then sites, then phones, in the order of the file */
	size_t n_nodes, n_hubs;
	struct mesh_group *groups;
	size_t n_groups;
	struct mesh_rule *rules;
	size_t n_rules;
	struct mesh_exit *exits;
	size_t n_exits;
	struct mesh_forward *forwards;
	size_t n_forwards;
	struct mesh_expect *expects;
	size_t n_expects;
	struct conf_arena *arena; /* private to this folder */
};

/** Parses and checks; strict: whatever is not understood is an error. @msgs gets what is wrong,
 * as conf_load does. Borrows all; gives, or NULL. */
struct mesh *mesh_parse(const char *file, struct span text, struct conf_msgs *msgs);
/** Takes NULL too. */
void mesh_free(struct mesh *m);

/** True when @name can be the name of something: a label of a host name, in lower case. */
bool mesh_name_ok(const char *name);
/** By name, or MESH_NOBODY. */
int mesh_find(const struct mesh *m, struct span name);
/** Whose place @ip is, or MESH_NOBODY. */
int mesh_owner(const struct mesh *m, const struct ip *ip);
/** True when @ip belongs to the mesh, whether somebody has it or not. */
bool mesh_inside(const struct mesh *m, const struct ip *ip);
/** All places of a node into @out, up to @max; returns their number. */
size_t mesh_places(const struct mesh *m, int node, struct prefix *out, size_t max);
/** What every node routes into the mesh: the ranges, and LANs that are seen as they are. */
size_t mesh_routes(const struct mesh *m, struct prefix *out, size_t max);
enum { MESH_ROUTES_TEXT = 300 };
/** Those of one family, in words, as far as there is room; returns @out. */
char *mesh_routes_text(const struct mesh *m, int family, char out[MESH_ROUTES_TEXT]);
/** The address of the mesh that answers questions for names: the last but one of the IPv4 range, or
 * of the IPv6 range when there is no other. False: the ranges are too small for one. */
bool mesh_name_server(const struct mesh *m, struct ip *out);
/** The part of the range that new nodes of a kind get their addresses from; family 0: none. */
struct prefix mesh_kind_range(const struct mesh *m, enum mesh_kind kind, int family);
/** "hub", "site", "phone"; "garenne", ...; "reality", ... */
const char *mesh_kind_name(enum mesh_kind kind);
const char *mesh_software_name(enum mesh_software s);
const char *mesh_security_name(enum mesh_security s);
/** True when @site offers itself to @hub by the classic reverse proxy: one of them knows no other. */
bool mesh_classic(const struct mesh *m, size_t site, size_t hub);
/** The flow of VLESS between @hub and others: mesh.flow, or "" where the hub knows none. */
const char *mesh_flow(const struct mesh *m, size_t hub);
/** True when the destination of a flow can tell who sent it: every hub says so. */
bool mesh_sources_known(const struct mesh *m);
/** How flows that rule @r (NULL: any) lets through reach @place of @node: as the rule says, else
 * the LAN, else the node, as far as it can be done there. */
enum mesh_delivery mesh_delivery(const struct mesh *m, const struct mesh_rule *r, int node,
				 const struct prefix *place);
/** Bits (1 << enum mesh_delivery) of how flows reach @node, or this one of its places. */
unsigned mesh_deliveries(const struct mesh *m, int node, const struct prefix *place);
/** True when @node can deliver so. */
bool mesh_delivers(const struct mesh *m, int node, enum mesh_delivery d);
/** "dial", "proxy", "transparent". */
const char *mesh_delivery_name(enum mesh_delivery d);
/** True for a hub through which nodes can join. */
bool mesh_serves_tickets(const struct mesh_node *hub);
/** The exit that @node uses, or NULL. */
const struct mesh_exit *mesh_exit_of(const struct mesh *m, int node);

#endif
