/*
 * One parser per section of the files. Each fills its part of the result from a
 * node that may be absent (then with the defaults) and reports what is wrong;
 * none of them stops the load.
 */
#ifndef GARENNE_CONF_SECTIONS_H
#define GARENNE_CONF_SECTIONS_H

#include "conf/jnode.h"

void section_log(const struct jnode *n, struct conf_log *out);
void section_policy(const struct jnode *n, struct conf_policies *out);
void section_routing(const struct jnode *n, struct conf_routing *out);
void section_observatory(const struct jnode *plain, const struct jnode *burst,
			 struct conf_observatory *out);
void section_dns(const struct jnode *n, struct conf_dns *out);
void section_reverse(const struct jnode *n, struct conf_reverse *out);
void section_api(const struct jnode *n, struct conf_api *out);
void section_metrics(const struct jnode *n, struct conf_api *out);
void section_version(const struct jnode *n);
void section_control(const struct jnode *n, struct conf_control *out);

void conf_parse_inbound(const struct jnode *n, struct conf_inbound *out);
void conf_parse_outbound(const struct jnode *n, struct conf_outbound *out);

/** "protocol" of @obj: a value of @words, or -1 with an error. @side: "inbound" or "outbound", for
 * messages. *@name is what the file says. */
int conf_parse_protocol(const struct jnode *obj, const char *side, const struct word *words,
			const char **name);
/** "streamSettings" of @obj; @server tells which side it is for. */
void conf_parse_stream(const struct jnode *obj, bool server, struct conf_stream *out);
/** "tlsSettings" of @obj, which may lack them. Gives memory of the arena, NULL without memory. */
const struct conf_tls *conf_parse_tls(const struct jnode *obj, bool server);
/** "fingerprint" of @obj in lower case, @otherwise when it is not given or empty. */
const char *conf_parse_fingerprint(const struct jnode *obj, const char *otherwise);
/** "realitySettings" of @obj, an outbound's streamSettings. Gives as above. */
const struct conf_reality_client *conf_parse_reality_client(const struct jnode *obj);
/** "realitySettings" of @obj, an inbound's streamSettings. Gives as above. */
const struct conf_reality_server *conf_parse_reality_server(const struct jnode *obj);

/* Settings of the protocols, one function per side. */
void conf_parse_vless_in(const struct jnode *settings, struct conf_in_vless *out);
void conf_parse_vless_out(const struct jnode *settings, struct conf_out_vless *out);
void conf_parse_ss_in(const struct jnode *settings, struct conf_in_ss *out);
void conf_parse_ss_out(const struct jnode *settings, struct conf_out_ss *out);
void conf_parse_freedom(const struct jnode *settings, struct conf_out_freedom *out);
/** "finalRules" of @settings; memory of the arena. */
void conf_parse_final_rules(const struct jnode *settings, const struct conf_final_rule **out,
			    size_t *out_n);
void conf_parse_tun_in(const struct jnode *settings, struct conf_in_tun *out);
void conf_parse_tun_out(const struct jnode *settings, struct conf_out_tun *out);
/** Keeps a socket with these options out of the TUN, if @own says how. What the file says stays. */
void conf_own_socket(struct conf_sockopt *so, const struct conf_sockopt *own);
/** What every socket of ours needs beside the inbound @tun. */
void conf_tun_own(const struct conf_in_tun *tun, struct conf_sockopt *own);
/** Member "hosts" of @obj: names and their values, checked. */
void conf_parse_hosts(const struct jnode *obj, const struct conf_dns_host **out, size_t *out_n);
void conf_parse_dnsout(const struct jnode *settings, struct conf_out_dns *out);

/** "address" and "port" of a server into @out; both must be there. @missing is Xray's message. */
void conf_parse_server(const struct jnode *obj, const char *missing, struct addr *out);
/**
 * The object that describes the server of an outbound: @settings itself when it
 * has "address" (the flat form), else the only element of the list @list.
 * False with an error when there is neither. @name is the protocol as Xray's messages spell it.
 */
bool conf_parse_server_object(const struct jnode *settings, const char *list, const char *name,
			      const struct key *list_keys, struct jnode *holder, struct jnode *out);
/** "level" or "userLevel". */
uint32_t conf_parse_level(const struct jnode *obj, const char *key);

#endif
