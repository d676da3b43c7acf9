#include "net/tls_hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/rand.h"
#include "net/tls_cert.h"
#include "proto/fingerprint.h"

/* Longer names before their beginnings. Browsers built on Chromium send what Chrome sends. */
static const struct {
	const char *begins, *profile; /* NULL: any; "": OpenSSL's */
} names[] = {
	{"unsafe", ""},	       {"hellogolang", ""},	  {"random", NULL},
	{"hellorandom", NULL}, {"firefox", "firefox"},	  {"hellofirefox", "firefox"},
	{"safari", "safari"},  {"hellosafari", "safari"}, {"ios", "ios"},
	{"helloios", "ios"},
};

static const char *any(void)
{
	static const char *const common[] = {"chrome", "chrome", "safari", "firefox"};

	return common[rand_below(sizeof(common) / sizeof(common[0]))];
}

struct tls_hello_choice tls_hello_choose(const char *name)
{
	struct tls_hello_choice c = {.profile = "chrome"};

	if (!name || *name == 0)
		return (struct tls_hello_choice){NULL, false};
	c.no_alpn = strstr(name, "noalpn") != NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(name, names[i].begins, strlen(names[i].begins)) != 0)
			continue;
		c.profile = names[i].profile ? names[i].profile : any();
		break;
	}
	if (*c.profile == 0)
		c.profile = NULL;
	return c;
}

struct fingerprint *tls_hello_load(const char *profile, char *why)
{
	struct fingerprint *fp = malloc(sizeof(*fp));
	struct fingerprint_fault fault;

	if (!fp) {
		snprintf(why, TLS_WHY_MAX, "out of memory");
		return NULL;
	}
	if (fingerprint_parse(fp, fingerprint_text(profile), &fault) == 0)
		return fp;
	snprintf(why, TLS_WHY_MAX, "fingerprint %s, line %u: %s", profile, fault.line, fault.what);
	free(fp);
	return NULL;
}
