#include "vpn/tun_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

/* Since Linux 6.2; the headers of the build may be older than the kernel of the run. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	VNET_HEAD = sizeof(struct virtio_net_hdr),
	PACKET_MAX = 65535 + 40, /* of IPv6, whose length does not count its header */
};

struct tun_dev {
	struct pktlink link;
	struct loop *loop;
	struct watch watch;
	struct tun_dev_user *user;
	struct buf *spare; /* the next packet is read into it */
	bool vnet;
	char name[TUN_DEV_NAME];
};

/* ---- in ---- */

/* False: not worth a look. */
static bool read_head(struct tun_dev *d, struct buf *b, struct tun_rx *rx)
{
	struct virtio_net_hdr h;

	*rx = (struct tun_rx){.summed = false};
	if (!d->vnet)
		return true;
	if (b->len < VNET_HEAD)
		return false;
	memcpy(&h, b->data, sizeof(h));
	buf_pull(b, VNET_HEAD);
	rx->summed = h.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
	if ((h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE) {
		rx->gso_size = h.gso_size;
		rx->udp_pieces = h.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 && h.gso_size;
	}
	return true;
}

/* A large block is kept for the next packet when what came fits a smaller one. */
static struct buf *right_sized(struct tun_dev *d, struct buf *b)
{
	struct buf *copy = b->len <= BUF_DATA ? buf_copy(buf_span(b)) : NULL;

	if (!copy)
		return b;
	buf_free(d->spare);
	d->spare = b;
	return copy;
}

/* Somebody deleted it. It would be readable for ever, and say so. */
static void lose(struct tun_dev *d, int sys)
{
	log_err("tun", "%s is gone: %s; nothing comes in by it until the next start", d->name,
		strerror(sys));
	watch_set(&d->watch, 0);
}

static bool read_one(struct tun_dev *d)
{
	struct buf *b = d->spare ? d->spare : buf_new_big(PACKET_MAX + VNET_HEAD);
	struct tun_rx rx;
	ssize_t n;

	d->spare = NULL;
	if (!b)
		return false;
	b->len = 0;
	n = read(d->watch.io.fd, b->data, PACKET_MAX + VNET_HEAD);
	if (n <= 0) {
		d->spare = b;
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			lose(d, errno);
		return false;
	}
	b->len = (uint32_t)n;
	if (!read_head(d, b, &rx)) {
		buf_free(b);
		return true;
	}
	b = right_sized(d, b);
	if (d->spare) /* what the head was pulled off begins at the front again */
		d->spare->data -= d->vnet ? VNET_HEAD : 0;
	d->user->on_packet(d->user, b, &rx);
	return true;
}

static void on_ready(struct watch *w, unsigned events)
{
	struct tun_dev *d = container_of(w, struct tun_dev, watch);

	(void)events;
	for (int i = 0; i < TUN_DEV_BATCH && read_one(d); i++)
		;
}

/* ---- out ---- */

static void fill_head(struct virtio_net_hdr *h, const struct pktout *o)
{
	*h = (struct virtio_net_hdr){.flags = 0};
	if (!o->sum_at)
		return;
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = o->head;
	h->csum_offset = o->sum_at;
	/* Without it the kernel would put the whole packet into one block. */
	h->hdr_len = (uint16_t)(o->head + o->l4_head);
	if (!o->gso_size)
		return;
	h->gso_size = o->gso_size;
	h->gso_type = o->udp ? VIRTIO_NET_HDR_GSO_UDP_L4 :
		      o->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

static int dev_send(struct pktlink *l, const struct pktout *o)
{
	struct tun_dev *d = container_of(l, struct tun_dev, link);
	struct iovec *iov = o->iov;
	struct virtio_net_hdr h;
	int n = o->n_iov;

	if (d->vnet) {
		fill_head(&h, o);
		*--iov = (struct iovec){&h, sizeof(h)};
		n++;
	}
	return writev(d->watch.io.fd, iov, n) == -1 ? -(int)err_from_errno(errno) : 0;
}

/* ---- opening ---- */

static bool offload(int fd, unsigned what)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)what) == 0;
}

/* The best that the kernel can do. */
static void negotiate(struct tun_dev *d, int fd)
{
	static const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int size = VNET_HEAD;

	if (!d->vnet || ioctl(fd, TUNSETVNETHDRSZ, &size) == -1)
		return;
	d->link.uso = offload(fd, tso | TUN_F_USO4 | TUN_F_USO6);
	d->link.tso = d->link.uso || offload(fd, tso);
	/* What the kernel takes from us does not depend on what it may hand to us. */
	d->link.csum = d->link.tso || offload(fd, TUN_F_CSUM) || d->vnet;
}

static int attach(struct tun_dev *d, int fd, short flags)
{
	struct ifreq r = {.ifr_flags = flags};

	memcpy(r.ifr_name, d->name, sizeof(r.ifr_name));
	if (ioctl(fd, TUNSETIFF, &r) == -1)
		return -1;
	memcpy(d->name, r.ifr_name, sizeof(d->name));
	d->name[TUN_DEV_NAME - 1] = 0;
	return 0;
}

static int open_dev(struct tun_dev *d, const char **op)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	*op = "open /dev/net/tun";
	if (fd == -1)
		return -1;
	*op = "TUNSETIFF";
	d->vnet = true;
	if (attach(d, fd, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR) == -1) {
		if (errno != EINVAL) {
			close(fd);
			return -1;
		}
		d->vnet = false;
		if (attach(d, fd, IFF_TUN | IFF_NO_PI) == -1) {
			close(fd);
			return -1;
		}
	}
	negotiate(d, fd);
	return fd;
}

struct tun_dev *tun_dev_new(struct loop *l, const char *name, uint16_t mtu,
			    struct tun_dev_user *user, char *why, size_t cap)
{
	struct tun_dev *d = calloc(1, sizeof(*d));
	const char *op;
	int fd;

	if (!d) {
		snprintf(why, cap, "%s", err_name(ERR_NOMEM));
		return NULL;
	}
	snprintf(d->name, sizeof(d->name), "%s", name);
	fd = open_dev(d, &op);
	if (fd == -1) {
		snprintf(why, cap, "device %s: %s: %s%s", name, op, strerror(errno),
			 errno == EPERM || errno == EACCES ? " (CAP_NET_ADMIN is needed)" :
			 errno == EBUSY ? " (another program holds it)" : "");
		free(d);
		return NULL;
	}
	d->loop = l;
	d->user = user;
	d->link.mtu = mtu;
	d->link.send = dev_send;
	watch_init(&d->watch, l, fd, on_ready);
	log_info("tun", "%s: mtu %u, offload of sums %s, TCP %s, UDP %s", d->name, mtu,
		 d->link.csum ? "yes" : "no", d->link.tso ? "yes" : "no",
		 d->link.uso ? "yes" : "no");
	return d;
}

void tun_dev_start(struct tun_dev *d)
{
	watch_set(&d->watch, WATCH_READ);
}

void tun_dev_free(struct tun_dev *d)
{
	if (!d)
		return;
	watch_set(&d->watch, 0);
	close(d->watch.io.fd);
	buf_free(d->spare);
	free(d);
}

struct pktlink *tun_dev_link(struct tun_dev *d)
{
	return &d->link;
}

const char *tun_dev_name(const struct tun_dev *d)
{
	return d->name;
}
