/*
 * Outbounds: whatever ends flows. The protocol's own settings are in the union
 * member of the same name. Portals are outbounds too, see reverse.h.
 */
#ifndef GARENNE_CONF_OUTBOUND_H
#define GARENNE_CONF_OUTBOUND_H

#include "conf/dns.h"
#include "conf/inbound.h"
#include "conf/map.h"
#include "conf/stream.h"
#include "conf/value.h"

enum conf_out_proto {
	CONF_OUT_FREEDOM = 0, /* direct */
	CONF_OUT_BLACKHOLE,   /* block */
	CONF_OUT_VLESS,
	CONF_OUT_SHADOWSOCKS,
	CONF_OUT_SOCKS,
	CONF_OUT_HTTP,
	CONF_OUT_DNS,
	CONF_OUT_LOOPBACK,
	CONF_OUT_TUN,
	CONF_OUT_JOIN, /* ours */
};

enum conf_via {
	CONF_VIA_NONE = 0, /* the kernel chooses */
	CONF_VIA_PREFIX,   /* an address of the prefix, which may be one host */
	CONF_VIA_ORIGIN,   /* the local address on which the flow arrived */
	CONF_VIA_SRCIP,	   /* the client's own address */
};

struct conf_send_through {
	enum conf_via kind;
	struct prefix prefix;
};

enum conf_udp443 {
	CONF_UDP443_REJECT = 0,
	CONF_UDP443_ALLOW,
	CONF_UDP443_SKIP, /* native UDP of the proxy instead of mux */
};

struct conf_mux {
	struct conf_at at;
	bool enabled;
	int16_t concurrency; /* sub-connections per carrier, 8 unless given; < 0: TCP without mux */
	int16_t xudp_concurrency; /* 0: UDP shares the carriers of TCP; < 0: UDP without mux */
	enum conf_udp443 udp443;
};

struct conf_final_rule {
	struct conf_at at;
	bool allow;
	unsigned networks; /* 0: any */
	struct conf_ports ports;
	struct conf_strs ips; /* IP rules as written; empty: any */
	struct conf_range block_delay_s;
};

enum conf_fragment_kind {
	CONF_FRAGMENT_NONE = 0,
	CONF_FRAGMENT_TLSHELLO, /* the first write, as pieces in records of their own */
	CONF_FRAGMENT_WRITES,	/* writes number first..last, all when last is 0 */
};

struct conf_fragment {
	enum conf_fragment_kind kind;
	uint32_t first, last;
	struct conf_range length, interval_ms, max_split; /* max_split 0: no bound */
};

/* A datagram that goes out before the first one of a UDP flow. */
struct conf_noise {
	struct conf_at at;
	bool random;
	struct conf_range random_len;
	struct span packet; /* when !random */
	struct conf_range delay_ms;
	bool ipv4, ipv6; /* for targets of these families */
};

struct conf_out_freedom {
	enum conf_strategy strategy;
	struct addr redirect;	/* ADDR_NONE keeps the host; port 0 keeps the port */
	const struct conf_map *maps; /* ours: the first that has the target counts; before @redirect */
	size_t n_maps;
	uint8_t proxy_protocol; /* 0, 1, 2 */
	const struct conf_final_rule *final_rules;
	size_t n_final_rules;
	struct conf_fragment fragment;
	const struct conf_noise *noises;
	size_t n_noises;
	uint32_t level;
};

/* Connections are made from the addresses of their originators, through the device. */
struct conf_out_tun {
	const char *inbound_tag; /* of the tun inbound whose device is used; "": the only one */
	const struct conf_map *maps; /* the first that has the target counts */
	size_t n_maps;
	const struct conf_final_rule *final_rules; /* none: everything may be reached */
	size_t n_final_rules;
	uint32_t level;
};

struct conf_out_blackhole {
	bool http; /* answer with a 403 page */
	bool no_content; /* ours: with a 204 answer instead */
};

struct conf_out_vless {
	struct addr server;
	struct conf_vless_user user; /* reverse_tag: names an inbound here; "" no bridge */
	struct conf_sniff reverse_sniff;
	bool garenne;	  /* ours: the server is one of us, the file says */
	const struct conf_map *tell; /* ours: which originators a server of ours is told, as whom */
	size_t n_tell;
	uint32_t testpre; /* idle connections opened in advance */
	uint32_t testseed[4];
};

struct conf_out_ss {
	struct addr server;
	enum conf_ss_method method;
	const char *password; /* classic methods. Secret */
	/* 2022 methods: identity keys first, the user's own key last; at least one */
	const struct conf_ss_key *keys;
	size_t n_keys;
	const char *email;
	uint32_t level;
};

struct conf_header {
	const char *name, *value;
};

/* SOCKS5 or HTTP CONNECT, by conf_outbound.proto. */
struct conf_out_proxy {
	struct addr server;
	bool auth;
	struct conf_account account;
	const char *email;
	uint32_t level;
	const struct conf_header *headers; /* HTTP only */
	size_t n_headers;
};

enum conf_dns_action {
	CONF_DNS_DIRECT = 0, /* forward the query */
	CONF_DNS_DROP,
	CONF_DNS_RETURN, /* an empty answer with rcode */
	CONF_DNS_HIJACK, /* answered by the built-in resolver */
};

struct conf_dns_rule {
	struct conf_at at;
	enum conf_dns_action action;
	struct conf_ports qtypes; /* record types as number ranges; not given: any */
	struct conf_strs domains; /* domain rules as written; empty: any */
	uint16_t rcode;
};

struct conf_out_dns {
	unsigned network;		   /* CONF_TCP or CONF_UDP; 0: as it came */
	struct addr rewrite;		   /* ADDR_NONE keeps the host; port 0 keeps the port */
	const struct conf_dns_rule *rules; /* nothing matches: A and AAAA hijacked, others empty */
	size_t n_rules;
	uint32_t level;
	/* Names that are answered here before any rule is asked; ours. A zone is the end of names, or
	 * a prefix: the names of its addresses. What is in a zone but not in @hosts does not exist, or
	 * if there is a @rewrite host, is asked there. */
	struct conf_strs zones;
	const struct conf_dns_host *hosts; /* addresses only */
	size_t n_hosts;
};

struct conf_out_loopback {
	const char *inbound_tag;
	struct conf_sniff sniff;
};

/* Where new nodes of a mesh fetch their files. */
struct conf_out_join {
	const char *tickets; /* a folder */
};

struct conf_outbound {
	struct conf_at at;
	const char *tag;
	enum conf_out_proto proto;
	const char *proto_name; /* as in the file */
	struct conf_send_through via;
	enum conf_strategy target_strategy; /* resolves a flow's target before the proxy sees it */
	struct conf_stream stream; /* proxySettings.tag stands in stream.sockopt.dialer_proxy */
	struct conf_mux mux;
	union {
		struct conf_out_freedom freedom;
		struct conf_out_blackhole blackhole;
		struct conf_out_vless vless;
		struct conf_out_ss ss;
		struct conf_out_proxy proxy;
		struct conf_out_dns dns;
		struct conf_out_loopback loopback;
		struct conf_out_tun tun;
		struct conf_out_join join;
	};
};

/** What Xray takes for a server that is not on the internet: only such may be talked to in the
 * clear. */
bool conf_server_is_private(const struct addr *a);

#endif
