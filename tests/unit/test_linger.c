/* Connections that are closed while the peer's bytes wait in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "net/linger.h"
#include "turn.h"

/* Two ends of a TCP connection over loopback; ours blocks no more than the peer's. */
static void connected(int *ours, int *peer)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	*peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*peer, (struct sockaddr *)&sa, len), 0);
	*ours = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	fcntl(*peer, F_SETFL, O_NONBLOCK);
	close(l);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void arrived(struct loop *l, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	turn_until(l, poll(&p, 1, 0) == 1);
}

/* The answer is read whole although it came before all of the question was. */
static void what_was_said_is_heard(void **state)
{
	struct loop *l = loop_new(0);
	char got[6];
	int ours, peer;

	(void)state;
	connected(&ours, &peer);
	say(peer, "a question that nobody reads");
	arrived(l, ours);
	say(ours, "answer");
	linger_close(l, ours);
	say(peer, "more of it");
	turn_idle(l);
	assert_int_equal(turn_read(l, peer, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, "answer", sizeof(got));
	assert_true(turn_ends(l, peer));
	close(peer);
	loop_free(l);
}

static void not_longer_than_some_bytes(void **state)
{
	static char much[4096];
	struct loop *l = loop_new(0);
	int ours, peer;

	(void)state;
	connected(&ours, &peer);
	say(peer, "x");
	arrived(l, ours);
	linger_close(l, ours);
	turn_until(l, send(peer, much, sizeof(much), MSG_NOSIGNAL) == -1 && errno != EAGAIN);
	close(peer);
	loop_free(l);
}

static void not_longer_than_some_time(void **state)
{
	struct loop *l = loop_new(0);
	int ours, peer;

	(void)state;
	connected(&ours, &peer);
	say(peer, "x");
	arrived(l, ours);
	linger_close(l, ours);
	turn_until(l, fcntl(ours, F_GETFD) == -1);
	assert_int_equal(send(peer, "x", 1, MSG_NOSIGNAL), 1); /* to which a reset answers */
	turn_until(l, send(peer, "x", 1, MSG_NOSIGNAL) == -1 && errno != EAGAIN);
	close(peer);
	loop_free(l);
}

static void at_once_when_nothing_waits(void **state)
{
	struct loop *l = loop_new(0);
	int ours, peer;

	(void)state;
	connected(&ours, &peer);
	linger_close(l, ours);
	assert_int_equal(fcntl(ours, F_GETFD), -1);
	assert_true(turn_ends(l, peer));
	close(peer);
	loop_free(l);
}

static void the_loop_ends_first(void **state)
{
	struct loop *l = loop_new(0);
	int ours, peer;

	(void)state;
	connected(&ours, &peer);
	say(peer, "x");
	arrived(l, ours);
	linger_close(l, ours);
	loop_free(l);
	assert_int_equal(fcntl(ours, F_GETFD), -1);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_said_is_heard),
		cmocka_unit_test(not_longer_than_some_bytes),
		cmocka_unit_test(not_longer_than_some_time),
		cmocka_unit_test(at_once_when_nothing_waits),
		cmocka_unit_test(the_loop_ends_first),
	};

	return cmocka_run_group_tests_name("linger", tests, NULL, NULL);
}
