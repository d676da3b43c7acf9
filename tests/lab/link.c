/*
 * A cable between two hosts of the lab, for kernels that cannot delay or lose packets
 * themselves: a TAP device in each of two network namespaces, and this process between.
 *
 *     link /run/netns/A DEVICE-A /run/netns/B DEVICE-B [ORDER...]
 *
 * Each direction has a delay, a loss, and a rate with a queue of so many bytes in front of
 * it. Orders come as arguments and, one per line, on the standard input, whose end is the
 * end of the cable:
 *
 *     ab|ba|both KEY=NUMBER ...     delay (us), loss (per million), rate (bit/s, 0: any),
 *                                   queue (bytes), seed (of the losses)
 *     count                         what went, was lost, and found the queue full
 *
 * Each order is answered by one line. Packets stay in order: a shorter delay holds for those
 * that come later. What is lost depends on seed and number of the packet only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	FRAME_MAX = 1600,
	ROUND = 64,	   /* frames read before those that are due leave */
	HELD_MAX = 200000, /* frames under way in one direction */
	ORDER_MAX = 512,
	MILLION = 1000000,
};

#define SECOND 1000000000ull

struct frame {
	struct frame *next;
	uint64_t due;
	size_t len;
	uint8_t data[FRAME_MAX];
};

struct way {
	const char *name;
	int from, to;
	uint64_t delay_ns, rate, queue, loss, random;
	uint64_t free_at;  /* when the line has sent all that was put on it */
	uint64_t last_due; /* nothing overtakes */
	struct frame *head, **tail;
	size_t held;
	uint64_t passed, lost, full;
};

static struct frame *spare;

static void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("link: ", stderr);
	vfprintf(stderr, format, ap);
	fprintf(stderr, " (%s)\n", strerror(errno));
	va_end(ap);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int device_in(const char *space, const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int ns = open(space, O_RDONLY | O_CLOEXEC), fd;

	if (ns == -1 || setns(ns, CLONE_NEWNET) != 0)
		die("namespace %s", space);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd == -1 || ioctl(fd, TUNSETIFF, &r) != 0)
		die("device %s", name);
	return fd;
}

/* ---- a direction ---- */

static uint64_t draw(struct way *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1d;
}

static struct frame *frame_get(void)
{
	struct frame *f = spare;

	if (f)
		spare = f->next;
	else
		f = malloc(sizeof(*f));
	if (!f)
		die("memory");
	return f;
}

static void frame_put(struct frame *f)
{
	f->next = spare;
	spare = f;
}

/* When the last bit of @len bytes is on the line; 0: the queue is full. */
static uint64_t departure(struct way *w, uint64_t now, size_t len)
{
	uint64_t begin = w->free_at > now ? w->free_at : now;

	if (w->rate == 0)
		return now;
	if ((begin - now) * (w->rate / 8) / SECOND + len > w->queue)
		return 0;
	w->free_at = begin + len * 8 * SECOND / w->rate;
	return w->free_at;
}

/* Takes @f. */
static void way_put(struct way *w, struct frame *f)
{
	uint64_t at;

	if (draw(w) % MILLION < w->loss) {
		w->lost++;
		frame_put(f);
		return;
	}
	at = departure(w, now_ns(), f->len);
	if (at == 0 || w->held == HELD_MAX) {
		w->full++;
		frame_put(f);
		return;
	}
	f->due = at + w->delay_ns;
	if (f->due < w->last_due)
		f->due = w->last_due;
	w->last_due = f->due;
	f->next = NULL;
	*w->tail = f;
	w->tail = &f->next;
	w->held++;
}

static void way_read(struct way *w)
{
	for (int i = 0; i < ROUND; i++) {
		struct frame *f = frame_get();
		ssize_t n = read(w->from, f->data, sizeof(f->data));

		if (n <= 0) {
			frame_put(f);
			return;
		}
		f->len = (size_t)n;
		way_put(w, f);
	}
}

/* Hands over what is due. A device that is down takes nothing: as with a cable. */
static void way_write(struct way *w)
{
	while (w->head && w->head->due <= now_ns()) {
		struct frame *f = w->head;

		w->head = f->next;
		if (!w->head)
			w->tail = &w->head;
		w->held--;
		if (write(w->to, f->data, f->len) == (ssize_t)f->len)
			w->passed++;
		frame_put(f);
	}
}

static void way_init(struct way *w, const char *name, int from, int to)
{
	*w = (struct way){.name = name, .from = from, .to = to, .queue = MILLION, .random = 1};
	w->tail = &w->head;
}

/* ---- orders ---- */

static bool set(struct way *w, const char *key, uint64_t n)
{
	if (strcmp(key, "delay") == 0)
		w->delay_ns = n * 1000;
	else if (strcmp(key, "loss") == 0)
		w->loss = n;
	else if (strcmp(key, "rate") == 0)
		w->rate = n;
	else if (strcmp(key, "queue") == 0)
		w->queue = n;
	else if (strcmp(key, "seed") == 0)
		w->random = n ? n : 1;
	else
		return false;
	return true;
}

static bool order(struct way *ways, char *line)
{
	char *rest = NULL, *which = strtok_r(line, " ", &rest), *word;

	if (!which)
		return true;
	while ((word = strtok_r(NULL, " ", &rest))) {
		char *value = strchr(word, '='), *end;
		uint64_t n;

		if (!value)
			return false;
		*value++ = '\0';
		n = strtoull(value, &end, 10);
		if (end == value || *end)
			return false;
		for (int i = 0; i < 2; i++)
			if ((strcmp(which, "both") == 0 || strcmp(which, ways[i].name) == 0) &&
			    !set(&ways[i], word, n))
				return false;
	}
	return strcmp(which, "both") == 0 || strcmp(which, "ab") == 0 || strcmp(which, "ba") == 0;
}

static void obey(struct way *ways, char *line)
{
	if (strcmp(line, "count") == 0)
		printf("%llu %llu %llu %llu %llu %llu\n", (unsigned long long)ways[0].passed,
		       (unsigned long long)ways[0].lost, (unsigned long long)ways[0].full,
		       (unsigned long long)ways[1].passed, (unsigned long long)ways[1].lost,
		       (unsigned long long)ways[1].full);
	else
		puts(order(ways, line) ? "ok" : "what?");
	fflush(stdout);
}

/* Orders that have arrived whole. False at the end. */
static bool take_orders(struct way *ways)
{
	static char text[ORDER_MAX];
	static size_t have;
	ssize_t n = read(0, text + have, sizeof(text) - 1 - have);
	char *end;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	have += (size_t)n;
	text[have] = '\0';
	while ((end = strchr(text, '\n'))) {
		*end++ = '\0';
		obey(ways, text);
		have -= (size_t)(end - text);
		memmove(text, end, have + 1);
	}
	return have < sizeof(text) - 1;
}

/* ---- the loop ---- */

static void run(struct way *ways)
{
	struct pollfd p[3] = {{.fd = 0, .events = POLLIN},
			      {.fd = ways[0].from, .events = POLLIN},
			      {.fd = ways[1].from, .events = POLLIN}};

	for (;;) {
		uint64_t now = now_ns(), due = UINT64_MAX;
		struct timespec wait;

		for (int i = 0; i < 2; i++)
			if (ways[i].head && ways[i].head->due < due)
				due = ways[i].head->due;
		due = due <= now ? 0 : due - now;
		wait = (struct timespec){(time_t)(due / SECOND), (long)(due % SECOND)};
		if (ppoll(p, 3, due > 3600 * SECOND ? NULL : &wait, NULL) == -1 && errno != EINTR)
			die("waiting");
		if (p[0].revents && !take_orders(ways))
			return;
		for (int i = 0; i < 2; i++) {
			if (p[1 + i].revents & POLLIN)
				way_read(&ways[i]);
			way_write(&ways[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct sched_param first = {.sched_priority = 1};
	struct way ways[2];
	int a, b;

	if (argc < 5) {
		fputs("usage: link NETNS-A DEVICE-A NETNS-B DEVICE-B [ORDER...]\n", stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1);
	/* It does little, and that in time, or its delays are those of the machine. */
	sched_setscheduler(0, SCHED_RR, &first);
	a = device_in(argv[1], argv[2]);
	b = device_in(argv[3], argv[4]);
	way_init(&ways[0], "ab", a, b);
	way_init(&ways[1], "ba", b, a);
	for (int i = 5; i < argc; i++)
		if (!order(ways, argv[i])) {
			fprintf(stderr, "link: not understood: %s\n", argv[i]);
			return 2;
		}
	puts("up");
	fflush(stdout);
	run(ways);
	return 0;
}
