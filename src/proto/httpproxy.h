/*
 * What an HTTP/1 proxy does with heads: where a request wants to go, how it looks on
 * the way there, how the answer looks on the way back; user names, CONNECT, and the
 * answers that the proxy gives by itself.
 *
 * Bodies pass unaltered, chunks included, so Transfer-Encoding and Trailer stay;
 * all else that belongs to one connection is taken out.
 */
#ifndef GARENNE_PROTO_HTTPPROXY_H
#define GARENNE_PROTO_HTTPPROXY_H

#include "base/addr.h"
#include "proto/http.h"

enum {
	HTTP_PORT = 80,
	HTTPS_PORT = 443,
	HTTP_LOGIN_MAX = 512,	/* user, colon, password */
	HTTP_NAMED_MAX = 32,	/* fields that Connection may name; more are no honest message */
	HTTP_KEEP_SECONDS = 60, /* what a persistent connection's client is told */
};

enum http_target_kind {
	HTTP_TARGET_ORIGIN,    /* "/path": not meant for a proxy, unless it is a transparent one */
	HTTP_TARGET_ABSOLUTE,  /* "http://host/path" */
	HTTP_TARGET_AUTHORITY, /* "host:port", of CONNECT */
	HTTP_TARGET_ASTERISK,  /* "*" */
};

struct http_target {
	uint8_t kind;
	struct addr addr;      /* ORIGIN: from Host, or none; ASTERISK: none */
	struct span authority; /* ABSOLUTE: what Host has to say */
	struct span path;      /* ABSOLUTE: path and query, maybe empty or '?' first */
};

/* What the client is told about its connection in a forwarded answer. */
enum http_persist {
	HTTP_INTERIM, /* nothing: 1xx */
	HTTP_CLOSE,
	HTTP_KEEP,
};

struct http_login {
	struct span user, password;
};

struct http_connect {
	struct addr target;
	const struct http_login *login;	 /* NULL: none */
	const struct http_field *fields; /* to be sent as well */
	size_t n_fields;
};

/* Answers that need no request. */
enum http_answer {
	HTTP_CONNECTED = 0,
	HTTP_BAD_REQUEST,
	HTTP_FORBIDDEN,
	HTTP_LOGIN_REQUIRED,
	HTTP_HEAD_TOO_LARGE,
	HTTP_UNAVAILABLE,
	HTTP_ANSWERS
};

/** "host", "host:port", "[v6]:port"; an empty port means @port too. 0 or -ERR_MALFORMED. */
int http_authority_parse(struct addr *out, struct span text, uint16_t port);

/** Where @in wants to go; the port is 80 where none is said, also after CONNECT, and 443 for https.
 * A name and password in the URI are dropped. 0 or -ERR_MALFORMED (also: two Host fields). */
int http_target_parse(struct http_target *out, const struct http_request *in);

/**
 * The head as the origin gets it: path alone, Host of the URI (which wins), connection fields
 * taken out, "Connection: close". For ABSOLUTE and ORIGIN targets of version 1. 0, -ERR_MALFORMED
 * (another target or version, more than HTTP_NAMED_MAX), or -ERR_LIMIT: twice the head and 128
 * bytes suffice.
 */
int http_request_rewrite(struct wr *out, const struct http_request *in,
			 const struct http_target *target);

/** The head as the client gets it; its version is always 1.1. Errors and room as above. */
int http_response_rewrite(struct wr *out, const struct http_response *in,
			  enum http_persist persist);

/**
 * The value of (Proxy-)Authorization, scheme Basic. The spans point into @scratch, which
 * the caller wipes. 0 or -ERR_MALFORMED (another scheme, bad base64, no colon, too long).
 */
int http_login_decode(struct http_login *out, uint8_t scratch[HTTP_LOGIN_MAX], struct span value);

/** A request for a tunnel. 0, -ERR_LIMIT (no room, login too long), -ERR_MALFORMED (a field that
 * is none, no target). */
int http_connect_encode(struct wr *out, const struct http_connect *in);

/** Whole answers in constant memory; all but CONNECTED end the connection. */
struct span http_answer_text(enum http_answer answer);

#endif
