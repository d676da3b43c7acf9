/* The built-in resolver: name servers, fixed hosts and what to do when one fails. */
#ifndef GARENNE_CONF_DNS_H
#define GARENNE_CONF_DNS_H

#include "conf/value.h"

enum conf_dns_query {
	CONF_DNS_USE_IP = 0,
	CONF_DNS_USE_IP4,
	CONF_DNS_USE_IP6,
	CONF_DNS_USE_SYSTEM, /* the families that the host has routes for */
};

enum conf_dns_kind {
	CONF_DNS_SYSTEM = 0, /* "localhost": the system's resolver */
	CONF_DNS_UDP,
	CONF_DNS_TCP,
	CONF_DNS_HTTPS,
};

struct conf_dns_server {
	struct conf_at at;
	enum conf_dns_kind kind;
	struct addr addr;			       /* with its port, 53 unless given */
	const char *path;			       /* of HTTPS, begins with '/' */
	bool local;				       /* "+local": queries bypass routing */
	const char *tag;			       /* inboundTag of its queries */
	struct conf_strs domains;		       /* domain rules: asked first for these */
	struct conf_strs expected_ips, unexpected_ips; /* IP rules on the answers */
	bool skip_fallback;			       /* only for its domains */
	bool final_query;			       /* nobody is asked after it */
	enum conf_dns_query query;
	struct ip client_ip; /* EDNS client subnet; family 0 none */
	uint32_t timeout_ms;
	bool disable_cache, serve_stale;
	uint32_t expired_ttl_s;
};

/* Several entries may match a name; the first in file order wins. */
struct conf_dns_host {
	struct conf_at at;
	const char *rule;	 /* domain rule; without a prefix it means full: */
	struct conf_strs values; /* IP addresses, or exactly one name that takes its place */
};

struct conf_dns {
	struct conf_at at;
	bool given;
	const struct conf_dns_server *servers;
	size_t n_servers;
	const struct conf_dns_host *hosts;
	size_t n_hosts;
	const char *tag;
	enum conf_dns_query query;
	struct ip client_ip;
	bool disable_cache, serve_stale;
	uint32_t expired_ttl_s;
	bool disable_fallback, disable_fallback_if_match;
	bool parallel;
	bool use_system_hosts;
};

#endif
