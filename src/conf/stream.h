/*
 * streamSettings: what lies between a socket and the proxy protocol. One kind
 * of transport (raw TCP), optionally TLS or REALITY on it, and the socket options.
 */
#ifndef GARENNE_CONF_STREAM_H
#define GARENNE_CONF_STREAM_H

#include "conf/reality.h"
#include "conf/value.h"

enum conf_security {
	CONF_SEC_NONE = 0,
	CONF_SEC_TLS,
	CONF_SEC_REALITY,
};

enum conf_cert_usage {
	CONF_CERT_SERVE = 0, /* shown to clients ("encipherment") */
	CONF_CERT_VERIFY,    /* an additional root for checking servers */
	CONF_CERT_ISSUE,     /* an authority that signs a certificate for each name asked for */
};

/* Either the file or the PEM text is set, the file wins; paths are ready to open. */
struct conf_cert {
	struct conf_at at;
	enum conf_cert_usage usage;
	const char *cert_file, *key_file;
	const char *cert_pem, *key_pem; /* key_pem is secret */
	uint32_t ocsp_s;		/* stapling interval, 0 off */
	bool one_time;			/* never read the files again */
	bool build_chain;		/* issue: the authority's certificates are sent, too */
};

enum { CONF_PIN_LEN = 32 };

struct conf_pin {
	uint8_t sha256[CONF_PIN_LEN]; /* of a whole certificate in DER */
};

enum conf_tls_version {
	CONF_TLS_DEFAULT = 0,
	CONF_TLS_1_0 = 10,
	CONF_TLS_1_1 = 11,
	CONF_TLS_1_2 = 12,
	CONF_TLS_1_3 = 13,
};

struct conf_tls {
	struct conf_at at;
	const char *server_name; /* "" : the dialled address */
	struct conf_strs alpn;	 /* never empty: h2 and http/1.1 unless given */
	const char *fingerprint; /* lower case; "" unless given: the hello is OpenSSL's */
	const struct conf_cert *certs;
	size_t n_certs;
	bool disable_system_root;
	bool allow_insecure; /* no verification at all; old files only, loudly warned about */
	bool reject_unknown_sni;
	bool session_resumption;
	const struct conf_pin *pins;
	size_t n_pins;
	struct conf_strs verify_names;	/* verify for any of these instead of server_name */
	struct conf_strs cipher_suites; /* TLS 1.2, IANA names */
	struct conf_strs curves;	/* lower case: x25519, curvep256, ... */
	enum conf_tls_version min_version, max_version;
	const char *master_key_log; /* path or "" */
};

enum conf_tproxy {
	CONF_TPROXY_OFF = 0,
	CONF_TPROXY_REDIRECT,
	CONF_TPROXY_TPROXY,
};

struct conf_custom_opt {
	struct conf_at at;
	unsigned networks; /* CONF_TCP | CONF_UDP */
	int level, opt;
	bool is_str;
	int num;	 /* value when !is_str */
	const char *str; /* value when is_str */
};

struct conf_happy_eyeballs {
	bool prioritize6;
	uint32_t delay_ms; /* 0: off */
	uint32_t interleave;
	uint32_t max_concurrent;
};

struct conf_sockopt {
	struct conf_at at;
	uint32_t mark; /* SO_MARK, 0 none */
	const char *interface;
	bool fast_open_given;
	uint32_t fast_open; /* queue length for a listener; 0 off */
	enum conf_tproxy tproxy;
	enum conf_strategy strategy; /* for the name of the server that is dialled */
	const char *dialer_proxy;    /* tag of an outbound, or "" */
	/* seconds; 0: the default (45 when dialling, off when accepting), negative: off */
	int32_t keepalive_idle_s, keepalive_interval_s;
	uint32_t user_timeout_ms;
	const char *congestion;
	uint32_t window_clamp, max_seg;
	bool mptcp, v6only;
	struct conf_happy_eyeballs happy;
	const struct conf_custom_opt *custom;
	size_t n_custom;
};

struct conf_stream {
	struct conf_at at;
	enum conf_security security;
	const struct conf_tls *tls;		       /* not NULL when security says TLS */
	const struct conf_reality_server *reality;     /* the same for an inbound with REALITY */
	const struct conf_reality_client *reality_out; /* and for an outbound */
	struct conf_sockopt sockopt;
	bool accept_proxy; /* a listener that requires a PROXY v1 or v2 header */
};

#endif
