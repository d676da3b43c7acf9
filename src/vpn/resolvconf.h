/*
 * resolv.conf, where the file says so and there is no systemd-resolved: our name servers in front of
 * those that were there. The new file appears whole; the old one is beside it, whatever it was
 * (a link, too), and is put back at the end, or by the next start after a kill: a first line of ours
 * tells. What somebody else has written since stays.
 */
#ifndef GARENNE_VPN_RESOLVCONF_H
#define GARENNE_VPN_RESOLVCONF_H

#include "conf/tun.h"

#define RESOLVCONF_DIR "/etc"

/** For a device that is up. A line is logged when it cannot be done; then nothing has changed. */
void resolvconf_set(const char *dir, const struct conf_in_tun *t);
/** Puts back what was there before the TUN @name, or before one that is gone. Silent when there is
 * nothing of ours. */
void resolvconf_restore(const char *dir, const char *name);

#endif
