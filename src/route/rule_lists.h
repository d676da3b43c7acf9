/*
 * The lists that an outbound's own rules name, compiled: for each rule a set of names
 * or of addresses, or nothing, which everything fits.
 */
#ifndef GARENNE_ROUTE_RULE_LISTS_H
#define GARENNE_ROUTE_RULE_LISTS_H

#include "base/addr.h"
#include "route/lists.h"

struct domkey;
struct rule_lists;

/** For @n rules, which are then added one by one. Gives, or NULL. */
struct rule_lists *rule_lists_new(size_t n);
/** The next rule, at @at. @lists and @report are borrowed for the call; @r may be NULL. */
void rule_lists_add_names(struct rule_lists *r, const struct conf_at *at, struct conf_strs names,
			  struct lists *lists, struct route_report *report);
void rule_lists_add_ips(struct rule_lists *r, const struct conf_at *at, struct conf_strs ips,
			struct lists *lists, struct route_report *report);
/** All have been added. Gives @r, or NULL (then it is freed) if an error was reported. */
struct rule_lists *rule_lists_done(struct rule_lists *r);
/** Takes NULL too. */
void rule_lists_free(struct rule_lists *r);

/** Does @name (NULL: there is none) fit rule @i? */
bool rule_lists_fit_name(const struct rule_lists *r, size_t i, const struct domkey *name);
bool rule_lists_fit_ip(const struct rule_lists *r, size_t i, const struct ip *ip);

#endif
