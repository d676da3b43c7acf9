/* mesh join: a token becomes this node's file. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/joiner.h"
#include "app/mesh_dir.h"
#include "app/opts.h"
#include "app/outfile.h"
#include "app/stamp.h"
#include "base/err.h"
#include "conf/conf.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

enum { ASK_MS = 20000, ROUNDS = 5, PAUSE_S = 3, TEXT_MAX = 2 * JOINTOKEN_TEXT_MAX, SHOWN_MAX = 15 };

struct join {
	struct jointoken token;
	struct joinmsg_request ask;
	struct outfile out;
	const struct jointoken_hub *served_by;
	char *file; /* the node's; secret */
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("garenne mesh join: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* ---- the token ---- */

/* From the operands, which a line break may have made several, or from standard input. */
static bool read_token(const struct opts_list *words, char text[TEXT_MAX])
{
	size_t n = 0;

	if (words->n == 0 || strcmp(words->v[0], "-") == 0) {
		if (isatty(STDIN_FILENO))
			fputs("token: ", stderr);
		/* A terminal gives a line; a pipe all that it has. */
		while (n < TEXT_MAX - 1 && fgets(text + n, (int)(TEXT_MAX - n), stdin)) {
			n += strlen(text + n);
			if (isatty(STDIN_FILENO) && n > 1)
				break;
		}
		text[n] = 0;
		return true;
	}
	for (size_t i = 0; i < words->n; i++) {
		size_t len = strlen(words->v[i]);

		if (len >= TEXT_MAX - n)
			return false;
		memcpy(text + n, words->v[i], len + 1);
		n += len;
	}
	return true;
}

static void say_fault(enum jointoken_fault fault, size_t at, const char *text)
{
	char word[SHOWN_MAX + 1]; /* not more: it may be another secret */

	snprintf(word, sizeof(word), "%s", text + strspn(text, " \t\r\n"));
	switch (fault) {
	case JOINTOKEN_FOREIGN:
		if (*word == 0)
			say("found nothing, expected the token: the line that \"garenne mesh token\" "
			    "printed");
		else
			say("this is no token: found \"%.*s\", expected garenne-join-1. and what "
			    "follows it", (int)strcspn(word, " \t\r\n"), word);
		break;
	case JOINTOKEN_VERSION:
		say("this token was made by another version of garenne: found \"%s\", expected "
		    "garenne-join-1.", word);
		break;
	case JOINTOKEN_CHARACTER:
		say("the token has a character that none has, at place %zu: expected A-Z, a-z, 0-9, "
		    "\"-\" and \"_\"", at + 1);
		break;
	case JOINTOKEN_SHORT:
		say("the token is cut off after %zu characters: copy all of the line", at);
		break;
	case JOINTOKEN_LONG:
		say("something follows the token: copy this one line and nothing else");
		break;
	case JOINTOKEN_CHECKSUM:
		say("the token was changed on the way: its checksum is wrong. Copy it anew");
		break;
	default:
		say("the token is whole, but makes no sense to this version of garenne");
		break;
	}
}

/* ---- asking ---- */

static const char *hub_name(const struct jointoken_hub *h)
{
	static char text[ADDR_TEXT_MAX];

	return addr_text(&h->address, text, sizeof(text));
}

static void say_used(const struct jointoken_hub *h, const struct joinmsg_answer *a)
{
	char when[STAMP_TEXT], from[64];

	stamp_text(a->when_s, when);
	if (a->from.family)
		say("this token was used at %s from %s, says %s: a token is good once; ask for "
		    "another, and if that was none of yours, for new keys", when,
		    ip_text(&a->from, from, sizeof(from)), hub_name(h));
	else
		say("this token was used at %s, says %s: a token is good once", when, hub_name(h));
}

/* Opens what @h has served; NULL when that is not what the token is for. */
static char *unseal(const struct join *j, struct span sealed)
{
	size_t n = sealed.n - JOINTICKET_TAG;
	char *text = calloc(1, n + 1);

	if (text && jointicket_open((uint8_t *)text, j->token.secret, j->token.node, sealed) == 0)
		return text;
	free(text);
	return NULL;
}

enum turn {
	TURN_DONE = 0, /* there is the file */
	TURN_OVER,     /* no other hub could help */
	TURN_NEXT,     /* another one may know more */
	TURN_AGAIN,    /* it may be different in a moment */
};

static enum turn ask_one(struct join *j, const struct jointoken_hub *h)
{
	struct joiner_reply r;
	char when[STAMP_TEXT];
	enum turn turn = TURN_OVER;

	joiner_ask(h, &j->ask, ASK_MS, &r);
	if (!r.answered) {
		say("%s: %s", hub_name(h), r.why);
		turn = TURN_AGAIN;
	} else if (r.answer.status == JOINMSG_SERVED) {
		j->file = unseal(j, r.answer.sealed);
		j->served_by = h;
		turn = j->file ? TURN_DONE : TURN_OVER;
		if (!j->file)
			say("%s keeps something under this token's name that it does not open: it was "
			    "damaged or exchanged there", hub_name(h));
	} else if (r.answer.status == JOINMSG_USED) {
		say_used(h, &r.answer);
	} else if (r.answer.status == JOINMSG_EXPIRED) {
		say("this token expired at %s, says %s: ask for another",
		    stamp_text(r.answer.when_s, when), hub_name(h));
	} else if (r.answer.status == JOINMSG_UNKNOWN) {
		say("%s does not know this token: the ticket was not put there yet, or was taken back "
		    "or forgotten long after its end", hub_name(h));
		turn = TURN_NEXT;
	} else {
		say("%s cannot serve this token: its log says why", hub_name(h));
		turn = TURN_NEXT;
	}
	joiner_reply_fini(&r);
	return turn;
}

/* All hubs in turn, and again as long as one of them might answer later. */
static bool fetch(struct join *j)
{
	for (int round = 0; round < ROUNDS; round++) {
		bool again = false;

		if (round > 0)
			sleep(PAUSE_S);
		for (size_t i = 0; i < j->token.n_hubs; i++) {
			enum turn t = ask_one(j, &j->token.hubs[i]);

			if (t == TURN_DONE || t == TURN_OVER)
				return t == TURN_DONE;
			again |= t == TURN_AGAIN;
		}
		if (!again)
			return false;
	}
	return false;
}

/* ---- afterwards ---- */

/* Tells every hub that the ticket is used up. False when another had it before us. */
static bool spend(struct join *j)
{
	bool alone = true;

	j->ask.verb = JOINMSG_SPEND;
	for (size_t i = 0; i < j->token.n_hubs; i++) {
		const struct jointoken_hub *h = &j->token.hubs[i];
		struct joiner_reply r;

		joiner_ask(h, &j->ask, ASK_MS, &r);
		if (!r.answered)
			say("warning: %s could not be told that the token is used: %s. Until it "
			    "expires it is good there; take the ticket away", hub_name(h), r.why);
		else if (r.answer.status == JOINMSG_TROUBLE)
			say("warning: %s cannot take the ticket away: its log says why", hub_name(h));
		if (r.answered && r.answer.status == JOINMSG_USED) {
			say_used(h, &r.answer);
			say("ALARM: somebody else has this node's file, too. Its owner must remove %s "
			    "from mesh.json, add it anew and give all hubs their new files",
			    j->token.node);
			alone = false;
		}
		joiner_reply_fini(&r);
	}
	return alone;
}

static int say_next(const struct join *j)
{
	static const char folder[] = "/etc/garenne/";
	const char *path = j->out.path, *name = path + strlen(folder);
	size_t n = strlen(path);
	struct conf_msgs msgs = {0};
	struct conf *c = conf_load_text(path, span_str(j->file), &msgs);

	mesh_dir_messages(&msgs);
	conf_free(c);
	printf("%s written: the file of %s, served by %s\n", path, j->token.node,
	       hub_name(j->served_by));
	if (!c) {
		say("this version of garenne cannot run it: the hub's owner has another one");
		return EXIT_CONFIG;
	}
	if (strncmp(path, folder, strlen(folder)) == 0 && n > strlen(folder) + 5 &&
	    strcmp(path + n - 5, ".json") == 0 && !strchr(name, '/'))
		printf("next: systemctl enable --now garenne@%.*s\n", (int)(strlen(name) - 5), name);
	else
		printf("next: garenne run -c %s\n", path);
	return EXIT_OK;
}

static int join(struct join *j, const char *out, bool replace)
{
	char path[MESH_PATH_MAX];
	int code;

	snprintf(path, sizeof(path), "%s.json", j->token.node);
	if (outfile_open(&j->out, out ? out : path, replace) != 0)
		return EXIT_FAILED;
	j->ask.verb = JOINMSG_FETCH;
	if (jointicket_id(j->ask.id, j->token.secret) != 0 ||
	    rand_bytes(j->ask.claim, sizeof(j->ask.claim)) != 0) {
		say("no random numbers, or no memory");
		return EXIT_FAILED;
	}
	if (!fetch(j) || outfile_commit(&j->out, span_str(j->file)) != 0)
		return EXIT_FAILED;
	/* Only now: a hub may forget what is on a disk here. */
	code = spend(j) ? EXIT_OK : EXIT_FAILED;
	return say_next(j) ? EXIT_CONFIG : code;
}

static int run_join(int argc, char **argv)
{
	const char *out = NULL;
	bool replace = false;
	const struct opts table[] = {{.name = "o", .text = &out},
				     {.name = "out", .text = &out},
				     {.name = "force", .flag = &replace},
				     {.name = NULL}};
	struct opts_list rest = {.n = 0};
	struct join j = {.out = {.fd = -1}};
	char text[TEXT_MAX] = "";
	enum jointoken_fault fault;
	size_t at;
	int code = opts_parse(&cmd_mesh_join, table, argc, argv, &rest);

	if (code)
		return code;
	if (!read_token(&rest, text))
		return cli_usage(&cmd_mesh_join, "expected one token");
	if (jointoken_parse(&j.token, span_str(text), &fault, &at) == 0) {
		code = join(&j, out, replace);
	} else {
		say_fault(fault, at, text);
		code = EXIT_USAGE;
	}
	outfile_drop(&j.out);
	if (j.file)
		secret_wipe(j.file, strlen(j.file));
	free(j.file);
	secret_wipe(&j, sizeof(j));
	secret_wipe(text, sizeof(text));
	return code;
}

const struct command cmd_mesh_join = {
	.name = "mesh join",
	.brief = "fetch this node's file with a token",
	.usage = "usage: garenne mesh join [-o FILE] [-force] [TOKEN]\n\n"
		 "TOKEN is the line that \"garenne mesh token\" printed for this node; without it, it is\n"
		 "read from standard input, where no list of processes shows it. Asks the hubs that the\n"
		 "token names, one after the other, writes the node's file (mode 0600) and tells all\n"
		 "hubs that the token is used. A token is good once, and until its time is over.\n\n"
		 "  -o FILE  where to write (NODE.json here)\n"
		 "  -force   replace a file that is there\n\n"
		 "Exit status: 0 joined; 1 not, or somebody else had joined with this token; 2 the\n"
		 "token is no good; 23 the file is not for this version of garenne.\n",
	.run = run_join,
};
