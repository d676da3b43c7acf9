/*
 * From the classic reverse proxy ("reverse" with portals and bridges), which
 * Xray has refused since 26.4.25, to VLESS reverse, which current Xray and we
 * both run. Works on the files as JSON trees, so that everything that has
 * nothing to do with the tunnel stays as it is written.
 *
 *   portal file   the inbound where bridges register becomes VLESS over TLS;
 * each portal becomes a user of it with "reverse", under the same tag, so that
 * the rules for visitors stay; the rules that told registrations apart go
 *   bridge file   the outbound that led to the portal becomes VLESS with
 * "reverse" under the bridge's tag; its rule goes; freedom gets finalRules
 *
 * It does not merge files, and does not convert other protocols than
 * Shadowsocks and VLESS.
 */
#ifndef GARENNE_APP_CONVERT_H
#define GARENNE_APP_CONVERT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"
#include "conf/conf.h"
#include "net/cert.h"

enum { CONVERT_LINKS_MAX = 16, CONVERT_VISITORS_MAX = 256 };

/* One portal and the bridge with the same domain. */
struct convert_link {
	const char *domain;
	const char *tag;	/* of the portal or of the bridge, whichever file is there */
	const char *bridge_tag; /* NULL: no bridge file, or no such bridge in it */
	char id[UUID_TEXT];	/* of the bridge as a user */
};

struct convert_visitor {
	char id[UUID_TEXT];
	const char *email;
};

/* All pointers are borrowed, but for the trees, which are changed in place. */
struct convert {
	const struct conf *portal_conf, *bridge_conf; /* either may be NULL */
	cJSON *portal, *bridge;
	const char *cert, *key;	  /* PEM texts for an inbound that has no TLS yet */
	char pin[CERT_HASH_TEXT]; /* of that certificate; "": the bridge goes by its
				     name */
	struct convert_link links[CONVERT_LINKS_MAX];
	size_t n_links;
	struct convert_visitor visitors[CONVERT_VISITORS_MAX]; /* those with a new id */
	size_t n_visitors;
	size_t notes;
};

/** Pairs portals and bridges by domain and draws ids; @id (may be NULL) is the
 * first one's. 0, or -ERR_MALFORMED after the reason was printed, or -ERR_SYS.
 */
int convert_link_all(struct convert *c, const char *id);
int convert_portal_file(struct convert *c);
int convert_bridge_file(struct convert *c);

/* ---- for the two halves ---- */

/** One line to standard error about what the user must know. */
void convert_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The member @key, any case, of an object or NULL. */
cJSON *convert_get(const cJSON *obj, const char *key);
/** Takes the registration name @domain out of the conditions of a rule. True
 * when that was all that they held, so that the rule has no purpose any more.
 */
bool convert_strip_domain(cJSON *rule, const char *domain);
/** True when the rule's list of names in the configuration holds @domain. */
bool convert_names_domain(const struct conf_rule *r, const char *domain);
bool convert_has(const struct conf_strs *l, const char *text);
/** Removes a member of an object, any case. */
void convert_drop(cJSON *obj, const char *key);

#endif
