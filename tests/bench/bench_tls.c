/*
 * What TLS costs a relay: seconds of processor time per GiB, of the relays alone.
 * A child process sends, another swallows; between them this process has
 *
 *   source -> [TCP relay TLS] -> [TLS relay TCP] -> sink
 *
 * all in one loop: one sealing and one opening, like a portal and a bridge. The
 * engines are measured one after the other in the same run, with the same
 * relays without TLS for comparison. Also: memory of idle connections.
 *
 *   bench_tls [MiB]              figures for each engine and cipher
 *   bench_tls idle [connections]
 */
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "flow/relay.h"
#include "net/stream_tcp.h"
#include "net/stream_tls.h"
#include "net/tls_ctx.h"

static char *cert_pem, *key_pem;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *pem_text(BIO *b)
{
	char *at, *out;
	long n = BIO_get_mem_data(b, &at);

	out = calloc(1, (size_t)n + 1);
	memcpy(out, at, (size_t)n);
	BIO_free(b);
	return out;
}

static void make_cert(void)
{
	X509 *x = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());

	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	PEM_write_bio_X509(a, x);
	PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	cert_pem = pem_text(a);
	key_pem = pem_text(b);
	X509_free(x);
	EVP_PKEY_free(key);
}

/* Two ends of a TCP connection over loopback. */
static void tcp_pair(int fds[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (l == -1 || bind(l, (struct sockaddr *)&a, sizeof(a)) == -1 || listen(l, 1) == -1 ||
	    getsockname(l, (struct sockaddr *)&a, &n) == -1)
		die("listen");
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fds[0] == -1 || connect(fds[0], (struct sockaddr *)&a, sizeof(a)) == -1)
		die("connect");
	fds[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	close(l);
}

static int nonblocking(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void source(int fd, uint64_t bytes)
{
	static char b[1 << 18];

	while (bytes > 0) {
		ssize_t n = write(fd, b, bytes < sizeof(b) ? (size_t)bytes : sizeof(b));

		if (n <= 0)
			break;
		bytes -= (uint64_t)n;
	}
	shutdown(fd, SHUT_WR);
	while (read(fd, b, sizeof(b)) > 0)
		;
	exit(0);
}

static void sink(int fd)
{
	static char b[1 << 18];

	while (recv(fd, b, sizeof(b), MSG_TRUNC) > 0)
		;
	exit(0);
}

struct side {
	struct tls_user on_tls;
	struct relay_user on_relay;
	struct relay relay;
	struct stream *tls;
	bool ended;
};

static void on_tls(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
		   const char *why)
{
	struct side *d = container_of(u, struct side, on_tls);

	(void)err;
	if (!s) {
		fprintf(stderr, "handshake: %s\n", why);
		exit(1);
	}
	if (getenv("VERBOSE"))
		fprintf(stderr, "%s fast %d\n", info->cipher, info->fast);
	d->tls = s;
}

static void on_end(struct relay_user *u, struct relay *r, int err, bool a_side, const char *why)
{
	(void)r;
	(void)a_side;
	if (err)
		fprintf(stderr, "relay: %d %s\n", err, why ? why : "");
	container_of(u, struct side, on_relay)->ended = true;
}

/* Processor time of this process so far: in the program, in the kernel. */
struct cpu {
	double user, kernel;
};

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct cpu cpu_since(struct cpu start)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (struct cpu){seconds(u.ru_utime) - start.user, seconds(u.ru_stime) - start.kernel};
}

static double wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct plan {
	const char *name;
	bool tls, generic;
	const char *cipher; /* for TLS 1.2 a list of one, else NULL */
};

static struct conf_tls settings(const struct plan *p, struct conf_cert *cert)
{
	static const char *alpn[] = {"h2"};
	struct conf_tls c = {.server_name = "bench.test",
			     .alpn = {alpn, 1},
			     .certs = cert,
			     .n_certs = 1,
			     .allow_insecure = true,
			     .disable_system_root = true,
			     .session_resumption = p->generic,
			     .master_key_log = ""};

	if (p->cipher)
		c.max_version = CONF_TLS_1_2;
	return c;
}

/* Both handshakes on @mid, then the streams are in the sides. */
static void secure(struct loop *l, struct side *a, struct side *b, int mid[2],
		   struct tls_ctx *client, struct tls_ctx *server)
{
	a->on_tls.on_done = b->on_tls.on_done = on_tls;
	tls_client_start(stream_tcp_new(l, nonblocking(mid[0])), client, "bench.test", &a->on_tls);
	tls_server_start(stream_tcp_new(l, nonblocking(mid[1])), NULL, server, &b->on_tls);
	while (!a->tls || !b->tls)
		ev_run(loop_ev(l), EVRUN_ONCE);
}

static void run(const struct plan *p, uint64_t bytes)
{
	struct conf_cert cert = {.usage = CONF_CERT_SERVE,
				 .cert_file = "",
				 .key_file = "",
				 .cert_pem = cert_pem,
				 .key_pem = key_pem};
	struct conf_tls c = settings(p, &cert);
	struct relay_limits limits = {.a_half_close = true, .b_half_close = true};
	struct side a = {.on_relay = {on_end}}, b = {.on_relay = {on_end}};
	struct tls_ctx *client = NULL, *server = NULL;
	struct loop *l = loop_new(0);
	int in[2], mid[2], out[2];
	char why[TLS_CTX_WHY_MAX];
	double wall, gib = (double)bytes / 1073741824.0;
	struct cpu cpu;

	tcp_pair(in);
	tcp_pair(mid);
	tcp_pair(out);
	if (fork() == 0) {
		close(in[1]), close(mid[0]), close(mid[1]), close(out[0]), close(out[1]);
		source(in[0], bytes);
	}
	if (fork() == 0) {
		close(in[0]), close(in[1]), close(mid[0]), close(mid[1]), close(out[0]);
		sink(out[1]);
	}
	close(in[0]);
	close(out[1]);
	if (p->tls) {
		client = tls_ctx_new_client(&c, why);
		server = tls_ctx_new_server(&c, why);
		if (!client || !server) {
			fprintf(stderr, "%s\n", why);
			exit(1);
		}
		secure(l, &a, &b, mid, client, server);
	} else {
		a.tls = stream_tcp_new(l, nonblocking(mid[0]));
		b.tls = stream_tcp_new(l, nonblocking(mid[1]));
	}
	cpu = cpu_since((struct cpu){0, 0});
	wall = wall_s();
	relay_start(&a.relay, stream_tcp_new(l, nonblocking(in[1])), a.tls, NULL, &limits,
		    &a.on_relay);
	relay_start(&b.relay, b.tls, stream_tcp_new(l, nonblocking(out[0])), NULL, &limits,
		    &b.on_relay);
	while (!a.ended || !b.ended)
		ev_run(loop_ev(l), EVRUN_ONCE);
	cpu = cpu_since(cpu);
	wall = wall_s() - wall;
	printf("%-28s %6.3f CPU-s/GiB (program %.3f, kernel %.3f) %6.0f MiB/s\n", p->name,
	       (cpu.user + cpu.kernel) / gib, cpu.user / gib, cpu.kernel / gib, gib * 1024 / wall);
	fflush(stdout);
	loop_free(l);
	tls_ctx_free(client);
	tls_ctx_free(server);
	while (wait(NULL) > 0)
		;
}

/* What @n idle connections cost, both ends. */
static void idle(unsigned n, bool generic)
{
	const struct plan p = {.tls = true, .generic = generic};
	struct conf_cert cert = {.usage = CONF_CERT_SERVE,
				 .cert_file = "",
				 .key_file = "",
				 .cert_pem = cert_pem,
				 .key_pem = key_pem};
	struct conf_tls c = settings(&p, &cert);
	struct stream **s = calloc(n, 2 * sizeof(*s));
	struct loop *l = loop_new(0);
	char why[TLS_CTX_WHY_MAX];
	struct tls_ctx *client = tls_ctx_new_client(&c, why), *server = tls_ctx_new_server(&c, why);
	size_t before = 0, after;

	for (unsigned i = 0; i < n; i++) {
		struct side a = {0}, b = {0};
		int fds[2];

		if (i == n / 10) /* pools and caches are filled by now */
			before = mallinfo2().uordblks;
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
			die("socketpair");
		secure(l, &a, &b, fds, client, server);
		s[2 * i] = a.tls;
		s[2 * i + 1] = b.tls;
	}
	for (int i = 0; i < 3; i++)
		ev_run(loop_ev(l), EVRUN_NOWAIT);
	after = mallinfo2().uordblks;
	printf("%-28s %6.0f bytes per connection end (%u connections)\n",
	       generic ? "idle, generic engine" : "idle, fast engine",
	       (double)(after - before) / (2.0 * (n - n / 10)), n);
	for (unsigned i = 0; i < 2 * n; i++)
		stream_close(s[i], 0);
	free(s);
	loop_free(l);
	tls_ctx_free(client);
	tls_ctx_free(server);
}

int main(int argc, char **argv)
{
	static const struct plan plans[] = {
		{"no TLS (splice)", false, false, NULL},
		{"TLS 1.3, fast engine", true, false, NULL},
		{"TLS 1.3, generic engine", true, true, NULL},
		{"TLS 1.2, generic engine", true, false, "1.2"},
		{"TLS 1.3, fast engine", true, false, NULL},
	};
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	make_cert();
	if (argc > 1 && strcmp(argv[1], "idle") == 0) {
		unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 9000;

		getrlimit(RLIMIT_NOFILE, &files);
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
		idle(n, false);
		idle(n / 10, true);
	} else {
		uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 2048;

		for (size_t i = getenv("PLAN") ? (size_t)atoi(getenv("PLAN")) : 0; i < sizeof(plans) / sizeof(plans[0]); i++)
			run(&plans[i], mib << 20);
	}
	return 0;
}
