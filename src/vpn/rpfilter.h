/*
 * The reverse path filter of the link that our own packets leave by. With the
 * default route in the TUN, a strict filter takes answers to them for forged. The
 * old value is kept in a file, so that it comes back even if this program is killed.
 */
#ifndef GARENNE_VPN_RPFILTER_H
#define GARENNE_VPN_RPFILTER_H

/** Makes the filter of @dev loose, on behalf of the TUN @name. A line is logged when it cannot. */
void rpfilter_loosen(const char *name, const char *dev);
/** Puts back what rpfilter_loosen changed for @name, in this life or an earlier one. */
void rpfilter_restore(const char *name);

#endif
