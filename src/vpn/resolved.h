/*
 * Telling the system which name servers to ask through the TUN. systemd-resolved keeps
 * servers and domains per link, and forgets them with the link; its own tool is asked
 * to do it. resolv.conf only if the file says so (resolvconf.h), no other resolver's files.
 */
#ifndef GARENNE_VPN_RESOLVED_H
#define GARENNE_VPN_RESOLVED_H

#include "conf/tun.h"

/** For a device that is up. Without name servers in @t: nothing. Waits for the tool, some seconds
 * at most; a line is logged when it fails. Before the loops run. False: it is not there. */
bool resolved_set(const struct conf_in_tun *t);

#endif
