/* Getters for the composed values of Xray's files: lists, ports, addresses, durations. */
#ifndef GARENNE_CONF_VALUE_PARSE_H
#define GARENNE_CONF_VALUE_PARSE_H

#include "conf/jnode.h"

/** ["a","b"] or "a,b"; blanks round the items of the second form are dropped with a warning. */
struct conf_strs jnode_strs(const struct jnode *obj, const char *key);
struct conf_strs jnode_string_list(const struct jnode *n);
/** A set of CONF_TCP, CONF_UDP; @def when absent. */
unsigned jnode_networks(const struct jnode *obj, const char *key, unsigned def);
unsigned jnode_network_set(const struct jnode *n, unsigned def);
/** 443, "443", "1-5", "53, 443,1000-2000", "env:NAME". */
struct conf_ports jnode_ports(const struct jnode *obj, const char *key);
struct conf_ports jnode_port_list(const struct jnode *n);
/** 0..65535 as a number. */
uint16_t jnode_port(const struct jnode *obj, const char *key);
/** Host into @out (port untouched); false when absent or wrong (then with an error). */
bool jnode_host(const struct jnode *obj, const char *key, struct addr *out);
bool jnode_host_value(const struct jnode *n, struct addr *out);
/** "host:port" where ":port" keeps the host (ADDR_NONE) and port 0 keeps the port; an
 * unspecified host counts as none. @what is Xray's word before "address: X". */
bool jnode_redirect(const struct jnode *n, const char *what, struct addr *out);
/** 5, "5", "5-9", "9-5". */
struct conf_range jnode_range(const struct jnode *obj, const char *key, struct conf_range def);
/** "1m30s" in ms, cut to uint32_t. */
uint32_t jnode_duration_ms(const struct jnode *obj, const char *key, uint32_t def);
uint32_t jnode_duration_value_ms(const struct jnode *n, uint32_t def);
/** One IP address, or false when absent or (with an error) wrong. */
bool jnode_ip(const struct jnode *obj, const char *key, struct ip *out);
/** Any of the 11 words; @what is Xray's beginning of the error. */
enum conf_strategy jnode_strategy(const struct jnode *obj, const char *key, const char *what);
/** The environment as "env" of the files and the process give it; NULL when unset. */
const char *conf_env_get(const struct load *ld, const char *name);
/** Sniffing settings; the object may be absent. */
void jnode_sniff(const struct jnode *obj, const char *key, struct conf_sniff *out);

#endif
