/*
 * Turns the lists of conditions of a configuration into compiled ones: knows the
 * files of named lists, complains about what is wrong, and gives the same object
 * for the same list, because a list of a hundred thousand names is often named
 * in the rules and again for a name server.
 *
 * Lives while a configuration is compiled. What it gives outlives it.
 */
#ifndef GARENNE_ROUTE_LISTS_H
#define GARENNE_ROUTE_LISTS_H

#include <stdint.h>

#include "conf/value.h"
#include "route/domset.h"
#include "route/iprules.h"
#include "route/report.h"

struct lists;

/** NULL without memory. */
struct lists *lists_new(void);
void lists_free(struct lists *l);

/**
 * Compiles IP conditions. Gives a reference, to be dropped by iprules_free, or
 * NULL after at least one error was reported; every entry is looked at.
 */
struct iprules *lists_ips(struct lists *l, struct conf_strs rules, struct route_report *report);

/**
 * Compiles domain conditions, all numbered 0; @plain is the kind of a text
 * without prefix (DOMSET_KEYWORD but for fixed hosts, where it is DOMSET_FULL).
 * Gives a reference, to be dropped by domset_free, or NULL as above.
 */
struct domset *lists_domains(struct lists *l, struct conf_strs rules, enum domset_kind plain,
			     struct route_report *report);

/**
 * For tables in which the first entry that matches wins: adds one condition to
 * @s under the number @value, to be called in the order of the numbers. Errors
 * are counted in @report; domset_seal is the caller's.
 */
void lists_add_domain(struct lists *l, struct domset *s, const char *rule, enum domset_kind plain,
		      uint32_t value, struct route_report *report);

#endif
