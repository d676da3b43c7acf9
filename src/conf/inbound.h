/*
 * Inbounds: whatever accepts flows by listening on a socket. The protocol's
 * own settings are in the union member of the same name.
 */
#ifndef GARENNE_CONF_INBOUND_H
#define GARENNE_CONF_INBOUND_H

#include "base/uuid.h"
#include "conf/stream.h"
#include "conf/tun.h"
#include "conf/value.h"

enum conf_in_proto {
	CONF_IN_TUNNEL = 0, /* dokodemo-door */
	CONF_IN_SOCKS,	    /* mixed: also HTTP on the same port */
	CONF_IN_HTTP,
	CONF_IN_VLESS,
	CONF_IN_SHADOWSOCKS,
	CONF_IN_TUN,
};

enum conf_listen_kind {
	CONF_LISTEN_ANY = 0, /* dual-stack wildcard unless sockopt.v6only */
	CONF_LISTEN_IP,
	CONF_LISTEN_UNIX,
};

struct conf_listen {
	enum conf_listen_kind kind;
	struct ip ip;
	const char *unix_path; /* absolute, or "@name" in the abstract namespace */
	int unix_mode;	       /* -1: as the umask says */
	struct conf_ports ports;
};

/* Another target for one local port. */
struct conf_port_map {
	uint16_t local;
	struct addr to; /* ADDR_NONE keeps the host; port 0 keeps the port */
};

struct conf_in_tunnel {
	unsigned networks;   /* CONF_TCP | CONF_UDP, never 0 */
	struct addr rewrite; /* ADDR_NONE: loopback of the accepted family; port 0: local port */
	const struct conf_port_map *map;
	size_t n_map;
	bool follow_redirect;
	uint32_t level;
};

struct conf_in_socks {
	bool auth; /* a password is asked for */
	const struct conf_account *accounts;
	size_t n_accounts;
	bool udp;
	struct ip udp_ip; /* told to UDP clients and bound; family 0: where the client connected */
	bool reply_after_connect; /* ours: the success reply waits for the far side */
	uint32_t level;
};

struct conf_in_http {
	const struct conf_account *accounts; /* any: Basic authentication is asked for */
	size_t n_accounts;
	bool allow_transparent;
	bool reply_after_connect; /* ours, as for socks */
	uint32_t level;
};

enum conf_flow {
	CONF_FLOW_NONE = 0,
	CONF_FLOW_VISION,
	CONF_FLOW_VISION_UDP443, /* outbounds only: UDP to port 443 is let through */
};

struct conf_vless_user {
	struct conf_at at;
	struct uuid id; /* secret */
	const char *email;
	uint32_t level;
	enum conf_flow flow;
	const char *reverse_tag; /* not "": this user is a bridge; the tag names an outbound */
	bool reverse_forward;	 /* ours: the bridge is an ordinary client, too */
	/* ours: his flows have this source address, by family of their target; family 0: none */
	struct ip source4, source6;
	/* or one in these prefixes, if he says so; the two above are among them */
	const struct prefix *sources;
	size_t n_sources;
};

struct conf_fallback {
	struct conf_at at;
	const char *name, *alpn, *path; /* "" matches everything else */
	struct addr dest;		/* ADDR_NONE: see dest_unix */
	const char *dest_unix;		/* path or "@name" */
	uint8_t xver;			/* PROXY protocol version to prepend, 0 none */
};

struct conf_in_vless {
	const struct conf_vless_user *users;
	size_t n_users;
	const struct conf_fallback *fallbacks;
	size_t n_fallbacks;
	uint32_t testseed[4]; /* padding parameters of Vision */
};

enum conf_ss_method {
	CONF_SS_AES_128_GCM = 0,
	CONF_SS_AES_256_GCM,
	CONF_SS_CHACHA20_POLY1305,
	CONF_SS_XCHACHA20_POLY1305,
	CONF_SS_2022_AES_128_GCM,
	CONF_SS_2022_AES_256_GCM,
	CONF_SS_2022_CHACHA20_POLY1305,
};

static inline bool conf_ss_is_2022(enum conf_ss_method m)
{
	return m >= CONF_SS_2022_AES_128_GCM;
}

enum { CONF_SS_KEY_MAX = 32 };

/* A 2022 key, already of the length that the method wants. Secret. */
struct conf_ss_key {
	uint8_t b[CONF_SS_KEY_MAX];
	uint8_t n;
};

struct conf_ss_user {
	struct conf_at at;
	const char *email; /* "" when none was given */
	uint32_t level;
	enum conf_ss_method method; /* classic users may differ from each other */
	const char *password;	    /* classic methods: any text. Secret */
	struct conf_ss_key key;	    /* 2022 methods */
};

struct conf_in_ss {
	unsigned networks; /* CONF_TCP | CONF_UDP, never 0 */
	enum conf_ss_method method;
	/* 2022 with @multi: the identity key in front of each user's own. Else unused */
	struct conf_ss_key identity;
	bool multi;			  /* "users" was given */
	const struct conf_ss_user *users; /* at least one; a single-user inbound has exactly one */
	size_t n_users;
};

struct conf_inbound {
	struct conf_at at;
	const char *tag;
	enum conf_in_proto proto;
	const char *proto_name; /* as in the file */
	struct conf_listen listen;
	struct conf_stream stream;
	struct conf_sniff sniff;
	union {
		struct conf_in_tunnel tunnel;
		struct conf_in_socks socks;
		struct conf_in_http http;
		struct conf_in_vless vless;
		struct conf_in_ss ss;
		struct conf_in_tun tun;
	};
};

#endif
