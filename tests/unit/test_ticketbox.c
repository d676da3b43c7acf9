/* The folder of tickets: who is served, who is told what; and the outbound in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "guest.h"
#include "proxy/out_join.h"
#include "proxy/ticketbox.h"

enum { NOW = 1700000000, HOUR = 3600 };

static const char sealed[] = "what nobody but the node can read";
static char dir[64];

static int begin(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/garenne-tickets-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	(void)state;
	chmod(dir, 0700);
	while (d && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	return rmdir(dir); /* nothing hidden was left */
}

static char *path_of(char path[128], uint8_t id, const char *what)
{
	uint8_t b[JOINTICKET_ID];
	char text[JOINTICKET_ID_TEXT];

	memset(b, id, sizeof(b));
	snprintf(path, 128, "%s/%s.%s", dir, jointicket_id_text(b, text), what);
	return path;
}

static bool is_there(uint8_t id, const char *what)
{
	char path[128];

	return access(path_of(path, id, what), F_OK) == 0;
}

static void write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static void put(uint8_t id, uint64_t expires)
{
	struct jointicket t = {.expires_s = expires, .node = "paris", .sealed = span_str(sealed)};
	uint8_t room[128];
	struct wr w = wr_of(room, sizeof(room));
	char path[128];

	assert_int_equal(jointicket_encode(&w, &t), 0);
	write_file(path_of(path, id, "ticket"), room, w.n);
}

static struct joinmsg_request request(enum joinmsg_verb verb, uint8_t id, uint8_t claim)
{
	struct joinmsg_request q = {.verb = verb};

	memset(q.id, id, sizeof(q.id));
	memset(q.claim, claim, sizeof(q.claim));
	return q;
}

/* Asks from 192.0.2.CLAIM; the answer's bytes must be the ticket's, if there are any. */
static struct joinmsg_answer ask(enum joinmsg_verb verb, uint8_t id, uint8_t claim, uint64_t now)
{
	const uint8_t v4[4] = {192, 0, 2, claim};
	struct joinmsg_request q = request(verb, id, claim);
	struct ip from = ip_v4(v4);
	struct ticketbox_reply r;
	struct joinmsg_answer a;

	ticketbox_ask(dir, &q, now, &from, &r);
	a = r.answer;
	assert_int_equal(r.trouble != NULL, a.status == JOINMSG_TROUBLE);
	if (a.status == JOINMSG_SERVED)
		assert_true(span_eq(a.sealed, span_str(sealed)));
	else
		assert_int_equal(a.sealed.n, 0);
	ticketbox_reply_fini(&r);
	return a;
}

static void served_once(void **state)
{
	struct joinmsg_answer a;
	char text[64];

	(void)state;
	put(1, NOW + HOUR);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW).status, JOINMSG_SERVED);
	a = ask(JOINMSG_FETCH, 1, 8, NOW + 5);
	assert_int_equal(a.status, JOINMSG_USED);
	assert_int_equal(a.when_s, NOW);
	assert_string_equal(ip_text(&a.from, text, sizeof(text)), "192.0.2.7");
	assert_int_equal(ask(JOINMSG_SPEND, 1, 8, NOW + 5).status, JOINMSG_USED);
	assert_true(is_there(1, "ticket"));
	/* whoever came first, again: its connection broke */
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW + 6).status, JOINMSG_SERVED);
	assert_int_equal(ask(JOINMSG_SPEND, 1, 7, NOW + 7).status, JOINMSG_SPENT);
	assert_false(is_there(1, "ticket"));
	assert_int_equal(ask(JOINMSG_SPEND, 1, 7, NOW + 7).status, JOINMSG_SPENT);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW + 8).status, JOINMSG_USED);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 9, NOW + 8).status, JOINMSG_USED);
	/* copied there once more */
	put(1, NOW + HOUR);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 9, NOW + 9).status, JOINMSG_USED);
}

static void spent_elsewhere(void **state)
{
	(void)state;
	put(1, NOW + HOUR);
	assert_int_equal(ask(JOINMSG_SPEND, 1, 7, NOW).status, JOINMSG_SPENT);
	assert_false(is_there(1, "ticket"));
	assert_int_equal(ask(JOINMSG_FETCH, 1, 8, NOW).status, JOINMSG_USED);
}

static void time_is_the_hubs(void **state)
{
	struct joinmsg_answer a;

	(void)state;
	put(1, NOW);
	a = ask(JOINMSG_FETCH, 1, 7, NOW);
	assert_int_equal(a.status, JOINMSG_EXPIRED);
	assert_int_equal(a.when_s, NOW);
	assert_false(is_there(1, "used"));
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW - 1).status, JOINMSG_SERVED);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW).status, JOINMSG_EXPIRED);
	assert_int_equal(ask(JOINMSG_FETCH, 2, 7, NOW).status, JOINMSG_UNKNOWN);
	assert_int_equal(ask(JOINMSG_SPEND, 2, 7, NOW).status, JOINMSG_UNKNOWN);
	assert_false(is_there(2, "used")); /* strangers' names make no files */
}

static void damaged_ones_are_not_served(void **state)
{
	char path[128];

	(void)state;
	write_file(path_of(path, 1, "ticket"), "GJT\x01half", 8);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW).status, JOINMSG_TROUBLE);
	assert_false(is_there(1, "used")); /* it may be on its way: whole, it is served */
	put(1, NOW + HOUR);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW).status, JOINMSG_SERVED);
	put(2, NOW + HOUR);
	write_file(path_of(path, 2, "used"), "", 0);
	assert_int_equal(ask(JOINMSG_FETCH, 2, 7, NOW).status, JOINMSG_TROUBLE);
	assert_int_equal(symlink("/etc/hostname", path_of(path, 3, "ticket")), 0);
	assert_int_equal(ask(JOINMSG_FETCH, 3, 7, NOW).status, JOINMSG_TROUBLE);
	assert_int_equal(mkfifo(path_of(path, 4, "ticket"), 0600), 0);
	assert_int_equal(ask(JOINMSG_FETCH, 4, 7, NOW).status, JOINMSG_TROUBLE);
}

static void what_cannot_be_noted_is_not_served(void **state)
{
	(void)state;
	if (geteuid() == 0) /* whom no mode keeps from writing */
		skip();
	put(1, NOW + HOUR);
	assert_int_equal(chmod(dir, 0500), 0);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW).status, JOINMSG_TROUBLE);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(ask(JOINMSG_FETCH, 1, 7, NOW).status, JOINMSG_SERVED);
}

static void old_ones_are_swept(void **state)
{
	char path[128];

	(void)state;
	put(1, NOW - TICKETBOX_KEPT_S - 1);
	put(2, NOW - TICKETBOX_KEPT_S + 1);
	put(3, NOW - TICKETBOX_KEPT_S - HOUR);
	assert_int_equal(ask(JOINMSG_FETCH, 3, 7, NOW - TICKETBOX_KEPT_S - 2 * HOUR).status,
			 JOINMSG_SERVED);
	snprintf(path, sizeof(path), "%s/other.ticket", dir);
	write_file(path, "not ours", 8);
	put(9, NOW + HOUR);
	assert_true(is_there(1, "ticket") && is_there(3, "used"));
	assert_int_equal(ask(JOINMSG_FETCH, 9, 7, NOW).status, JOINMSG_SERVED);
	assert_false(is_there(1, "ticket") || is_there(3, "ticket") || is_there(3, "used"));
	assert_true(is_there(2, "ticket") && is_there(9, "ticket") && is_there(9, "used"));
	assert_int_equal(access(path, F_OK), 0);
}

static void no_folder_no_tickets(void **state)
{
	struct joinmsg_request q = request(JOINMSG_FETCH, 1, 1);
	struct ip from = {0};
	struct ticketbox_reply r;

	(void)state;
	ticketbox_ask("/nowhere/at/all", &q, NOW, &from, &r);
	assert_int_equal(r.answer.status, JOINMSG_UNKNOWN);
	ticketbox_reply_fini(&r);
	ticketbox_ask("/dev/null", &q, NOW, &from, &r);
	assert_int_equal(r.answer.status, JOINMSG_TROUBLE);
	ticketbox_reply_fini(&r);
}

/* ---- the outbound ---- */

struct world {
	struct rig r;
	struct guest g;
};

static void visit(struct world *w, unsigned net)
{
	struct addr to;

	memset(w, 0, sizeof(*w));
	rig_begin(&w->r);
	w->r.out_conf[0].join.tickets = dir;
	assert_true(rig_add_out(&w->r, out_join_new(&w->r.core, &w->r.out_conf[0])));
	addr_set_host(&to, span_str("192.0.2.1"), 22); /* whatever is asked for */
	flow_dispatch(guest_visit(&w->r, &w->g, net, &to));
}

static void leave(struct world *w)
{
	guest_leave(&w->r, &w->g);
	assert_int_equal(rig_end(&w->r), 0);
}

static void a_request_byte_by_byte(void **state)
{
	struct joinmsg_request q = request(JOINMSG_FETCH, 1, 7);
	uint8_t wire[JOINMSG_REQUEST_LEN], got[256];
	struct wr out = wr_of(wire, sizeof(wire));
	struct joinmsg_answer a;
	struct world w;
	size_t n;

	(void)state;
	put(1, (uint64_t)time(NULL) + HOUR);
	assert_int_equal(joinmsg_request_encode(&out, &q), 0);
	visit(&w, CONF_TCP);
	for (size_t i = 0; i < sizeof(wire); i++) {
		assert_int_equal(write(w.g.fd, wire + i, 1), 1);
		turn_idle(w.r.l);
	}
	n = turn_read(w.r.l, w.g.fd, got, sizeof(got)); /* to the end, which comes by itself */
	assert_int_equal(joinmsg_answer_decode(&a, span_of(got, n)), n);
	assert_int_equal(a.status, JOINMSG_SERVED);
	assert_true(span_eq(a.sealed, span_str(sealed)));
	leave(&w);
}

static void others_hear_nothing(void **state)
{
	uint8_t got[8];
	struct world w;

	(void)state;
	visit(&w, CONF_TCP);
	assert_int_equal(write(w.g.fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_int_equal(turn_read(w.r.l, w.g.fd, got, sizeof(got)), 0);
	leave(&w);
	visit(&w, CONF_TCP);
	assert_int_equal(write(w.g.fd, "GJR", 3), 3);
	assert_int_equal(shutdown(w.g.fd, SHUT_WR), 0);
	assert_int_equal(turn_read(w.r.l, w.g.fd, got, sizeof(got)), 0);
	leave(&w);
	visit(&w, CONF_UDP);
	turn_until(w.r.l, w.g.verdicts);
	assert_int_equal(w.g.verdict, -ERR_BLOCKED);
	leave(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(served_once, begin, end),
		cmocka_unit_test_setup_teardown(spent_elsewhere, begin, end),
		cmocka_unit_test_setup_teardown(time_is_the_hubs, begin, end),
		cmocka_unit_test_setup_teardown(damaged_ones_are_not_served, begin, end),
		cmocka_unit_test_setup_teardown(what_cannot_be_noted_is_not_served, begin, end),
		cmocka_unit_test_setup_teardown(old_ones_are_swept, begin, end),
		cmocka_unit_test_setup_teardown(no_folder_no_tickets, begin, end),
		cmocka_unit_test_setup_teardown(a_request_byte_by_byte, begin, end),
		cmocka_unit_test_setup_teardown(others_hear_nothing, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
