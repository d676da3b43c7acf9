/* "tls cert", "tls hash" and "tls ping" against each other and the openssl command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli.h"
#include "tool.h"

static char dir[] = "/tmp/garenne-tools-XXXXXX";

static int enter(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* our server's tickets may find the client gone */
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	static const char *const files[] = {"ca.crt", "ca.key", "hub.crt", "hub.key", "chain.pem"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void make_files(void)
{
	struct tool t;

	tool_run(&t, "tls", "cert", "-ca", "-name", "test ca", "-file", "ca", "-json=false", NULL);
	assert_int_equal(t.code, EXIT_OK);
	assert_string_equal(t.out, "");
	tool_run(&t, "tls", "cert", "-issuer", "ca", "-domain", "hub.example", "-domain",
		 "192.0.2.7", "-org", "Example", "-file", "hub", "-expire", "48h", NULL);
	assert_int_equal(t.code, EXIT_OK);
	assert_ptr_equal(t.out, strstr(t.out, "{\n  \"certificate\": [\n    \"-----BEGIN CERT"));
}

static void key_files_are_ours_alone(void **state)
{
	struct stat st;

	(void)state;
	make_files();
	assert_int_equal(stat("hub.key", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void openssl_accepts_them(void **state)
{
	(void)state;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	make_files();
	assert_int_equal(system("openssl verify -CAfile ca.crt -verify_hostname hub.example "
				"hub.crt >/dev/null"),
			 0);
	assert_int_equal(
		system("openssl verify -CAfile ca.crt -verify_ip 192.0.2.7 hub.crt >/dev/null"), 0);
	assert_int_not_equal(system("openssl verify -CAfile ca.crt -verify_hostname "
				    "other.example hub.crt >/dev/null 2>&1"),
			     0);
	assert_int_equal(system("openssl x509 -in hub.crt -noout -checkend 172700 >/dev/null"), 0);
	assert_int_not_equal(system("openssl x509 -in hub.crt -noout -checkend 172900 >/dev/null"),
			     0);
}

static void hash_is_that_of_openssl(void **state)
{
	char line[256] = "", want[65] = "";
	struct tool t;
	size_t n = 0;
	FILE *f;

	(void)state;
	if (system("openssl version >/dev/null 2>&1") != 0)
		skip();
	make_files();
	f = popen("openssl x509 -in hub.crt -noout -fingerprint -sha256", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	pclose(f);
	for (const char *p = strchr(line, '=') + 1; *p && n < 64; p++)
		if (*p != ':' && *p != '\n')
			want[n++] = *p >= 'A' && *p <= 'F' ? (char)(*p + 32) : *p;
	tool_run(&t, "tls", "hash", "--cert", "hub.crt", NULL);
	assert_int_equal(t.code, EXIT_OK);
	assert_non_null(strstr(t.out, want));
	assert_int_equal(system("cat hub.crt ca.crt > chain.pem"), 0);
	tool_run(&t, "tls", "hash", "--cert", "chain.pem", NULL);
	assert_non_null(strstr(t.out, want));
	assert_non_null(strstr(t.out, "CA <test ca> SHA256:"));
	tool_run(&t, "tls", "hash", "--cert", "hub.key", NULL);
	assert_int_equal(t.code, EXIT_FAILED);
}

static void wrong_words_are_errors(void **state)
{
	static const char *const durations[] = {"3", "h", "3x", "-3h", "0h", "999999999h", "1h30"};
	struct tool t;

	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		tool_run(&t, "tls", "cert", "-expire", durations[i], NULL);
		assert_int_equal(t.code, EXIT_USAGE);
	}
	tool_run(&t, "tls", "cert", "-json=false", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	tool_run(&t, "tls", "cert", "-json=maybe", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	tool_run(&t, "tls", "cert", "-domain", "no name", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	make_files();
	tool_run(&t, "tls", "cert", "-issuer", "hub", NULL);
	assert_int_equal(t.code, EXIT_FAILED);
}

/* ---- a server for two handshakes ---- */

static void *serve(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int listener = *(int *)arg;

	SSL_CTX_use_certificate_file(ctx, "hub.crt", SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(ctx, "hub.key", SSL_FILETYPE_PEM);
	for (int i = 0; i < 2; i++) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(ctx);
		char end;

		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			SSL_read(ssl, &end, 1);
		SSL_free(ssl);
		close(fd);
	}
	SSL_CTX_free(ctx);
	return NULL;
}

static void ping_shows_the_certificate(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sa);
	char where[64], *line, *pin;
	struct tool t, h;
	pthread_t thread;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	make_files();
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(fd, 2), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &fd), 0);
	snprintf(where, sizeof(where), "hub.example:%u", ntohs(sa.sin_port));
	tool_run(&t, "tls", "ping", "-ip", "127.0.0.1", where, NULL);
	pthread_join(thread, NULL);
	close(fd);
	assert_int_equal(t.code, EXIT_OK);
	line = strstr(t.out, "Pinging with SNI\nHandshake succeeded\n");
	assert_non_null(line);
	assert_non_null(strstr(line, "[hub.example 192.0.2.7]\n"));
	assert_non_null(strstr(line, "Cert's verification:               unable to"));
	tool_run(&h, "tls", "hash", "-cert", "hub.crt", NULL);
	pin = strstr(line, "Cert's leaf SHA256:");
	assert_non_null(pin);
	assert_memory_equal(pin + 35, h.out + strlen("Leaf SHA256:  "), 64);
	tool_run(&t, "tls", "ping", "-ip", "127.0.0.1", where, NULL);
	assert_int_equal(t.code, EXIT_FAILED);
	assert_non_null(strstr(t.out, "Failed to dial tcp: Connection refused"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files_are_ours_alone),
		cmocka_unit_test(openssl_accepts_them),
		cmocka_unit_test(hash_is_that_of_openssl),
		cmocka_unit_test(wrong_words_are_errors),
		cmocka_unit_test(ping_shows_the_certificate),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
