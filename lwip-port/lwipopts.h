/*
 * How lwIP is built here: a TCP engine and nothing else. Packets are read, checked and told apart
 * by our own code (src/proto/ippkt.h, src/vpn/), which hands lwIP one TCP segment of one connection
 * at a time; see docs/adr/ for why. lwIP's sources are not changed.
 */
#ifndef GARENNE_LWIPOPTS_H
#define GARENNE_LWIPOPTS_H

/* One thread, no operating system layer; we call the TCP timers ourselves. */
#define NO_SYS 1
#define LWIP_TIMERS 0
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SINGLE_NETIF 1

/* Only small objects are allocated (connections, headers): malloc does that well, and the bounds
 * are ours, not those of fixed pools. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8

#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_IPV6_SCOPES 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ND6_QUEUEING 0

#define LWIP_TCP 1
#define LWIP_UDP 0
#define LWIP_RAW 0
#define LWIP_DNS 0
#define LWIP_DHCP 0
#define LWIP_IGMP 0
#define LWIP_ARP 0
#define LWIP_ETHERNET 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0

/* A segment of 64 KiB goes to the kernel whole, with the size to cut it to beside it: were these
 * on, lwIP would fragment it at the MTU. Reassembly is for UDP only, and ours. */
#define IP_FRAG 0
#define LWIP_IPV6_FRAG 0
#define IP_REASSEMBLY 0
#define LWIP_IPV6_REASS 0

/* The ceiling at compile time; the MSS that is advertised comes from the MTU of the device. */
#define TCP_MSS 65495
#define TCP_CALCULATE_EFF_SEND_MSS 1
/* Ceilings, too: each connection's window starts much smaller and grows (src/vpn/tcp_window). */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (4 * 1024 * 1024)
#define TCP_SND_BUF (4 * 1024 * 1024)
#define TCP_SND_QUEUELEN 65000
#define MEMP_NUM_TCP_SEG 65000
#define TCP_SNDLOWAT 32768
#define TCP_SNDQUEUELOWAT 1024
/* The default, a quarter of TCP_WND, is larger than a whole window of ours: a window that had
 * closed would never open again. */
#define TCP_WND_UPDATE_THRESHOLD 16384
/* The shortest retransmission time-out is three slow ticks of twice this. The other end is the
 * local kernel, or a link away. */
#define TCP_TMR_INTERVAL 50
/* TIME_WAIT is kept by src/vpn, not by lwIP; this also bounds LAST_ACK, to 20 s. */
#define TCP_MSL 10000
#define TCP_MAXRTX 12
#define TCP_SYNMAXRTX 6

/* Data is sent from where it lies. */
#define TCP_OVERSIZE 0
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define PBUF_LINK_HLEN 0

#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES (256 * 1024)
#define LWIP_TCP_SACK_OUT 0
#define LWIP_TCP_TIMESTAMPS 0

#define TCP_LISTEN_BACKLOG 0
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1

/* The kernel or src/vpn computes and verifies sums, except that of the IPv4 header. */
#define CHECKSUM_GEN_IP 1
#define CHECKSUM_GEN_UDP 0
#define CHECKSUM_GEN_TCP 0
#define CHECKSUM_GEN_ICMP 0
#define CHECKSUM_GEN_ICMP6 0
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_UDP 0
#define CHECKSUM_CHECK_TCP 0
#define CHECKSUM_CHECK_ICMP 0
#define CHECKSUM_CHECK_ICMP6 0
#define LWIP_CHECKSUM_ON_COPY 0

/* Initial sequence numbers that cannot be guessed (RFC 6528); defined in src/vpn/lwip_core.c. */
#define LWIP_HOOK_FILENAME "hooks.h"
#define LWIP_HOOK_TCP_ISN lwip_core_isn

/* One of the checks wants the low-water mark above two MSS, in 16 bits: not with an MSS of 64 KiB.
 * What they guard was gone through by hand. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

#endif
