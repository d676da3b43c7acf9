/* From what the kernel has to what a plan wants, in as few steps as possible. */
#ifndef GARENNE_VPN_RECONCILE_H
#define GARENNE_VPN_RECONCILE_H

#include "vpn/plan.h"
#include "vpn/rtnl.h"

/**
 * Sets what @p wants (NULL: nothing) and @k lacks, then removes what is ours, in
 * @table or in a table of a program that is gone, and not wanted. @link: of the
 * device; 0 when it is gone. 0, or -errno of the first step that failed; the others
 * are still taken.
 */
int reconcile(struct rtnl *n, const struct kstate *k, const struct plan *p, uint32_t table,
	      const char *name, uint32_t link);

#endif
