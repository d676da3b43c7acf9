/*
 * JA3 and JA4 (FoxIO) of a ClientHello: the two hashes by which observers tell
 * programs apart. GREASE values do not count.
 */
#ifndef GARENNE_TESTS_JA_H
#define GARENNE_TESTS_JA_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/md5.h"
#include "crypto/sha.h"
#include "proto/tlshello.h"

static inline bool ja_grease(unsigned v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

/* The numbers of a list, without GREASE. */
static inline size_t ja_list(uint16_t *out, size_t max, struct span list)
{
	struct rd r = rd_of(list);
	size_t n = 0;

	while (r.n >= 2 && n < max) {
		uint16_t v = rd_u16(&r);

		if (!ja_grease(v))
			out[n++] = v;
	}
	return n;
}

static inline size_t ja_types(uint16_t *out, size_t max, struct span extensions)
{
	struct rd r = rd_of(extensions);
	struct span body;
	uint16_t type;
	size_t n = 0;

	while (tlshello_extension_next(&r, &type, &body) && n < max)
		if (!ja_grease(type))
			out[n++] = type;
	return n;
}

/* The body of @type without the @skip bytes of its length field. */
static inline struct span ja_body(const struct tlshello_client *h, uint16_t type, size_t skip)
{
	struct span s;

	if (!tlshello_extension(h->extensions, type, &s) || s.n < skip)
		return span_of(NULL, 0);
	return span_of(s.p + skip, s.n - skip);
}

static inline void ja_join(char *out, size_t cap, const uint16_t *v, size_t n, const char *form,
			   const char *sep)
{
	size_t at = strlen(out);

	for (size_t i = 0; i < n; i++) {
		char num[8];

		snprintf(num, sizeof(num), form[1] == 'd' ? "%d" : "%04x", v[i]);
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? sep : "", num);
	}
}

static inline int ja_order(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* 32 hexadecimal digits. */
static inline void ja3(char out[33], const struct tlshello_client *h)
{
	struct span formats = ja_body(h, 11, 1);
	char text[2048];
	uint16_t v[128];
	uint8_t sum[MD5_LEN];
	size_t n;

	snprintf(text, sizeof(text), "%d,", h->version);
	n = ja_list(v, 128, h->suites);
	ja_join(text, sizeof(text), v, n, "%d", "-");
	strcat(text, ",");
	n = ja_types(v, 128, h->extensions);
	ja_join(text, sizeof(text), v, n, "%d", "-");
	strcat(text, ",");
	n = ja_list(v, 128, ja_body(h, TLS_EXT_GROUPS, 2));
	ja_join(text, sizeof(text), v, n, "%d", "-");
	strcat(text, ",");
	for (n = 0; n < formats.n; n++)
		v[n] = formats.p[n];
	ja_join(text, sizeof(text), v, n, "%d", "-");
	struct span all = span_str(text);
	md5(sum, &all, 1);
	for (size_t i = 0; i < MD5_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static inline void ja_sum12(char *out, const char *text)
{
	uint8_t sum[SHA256_LEN];

	sha256(sum, span_str(text));
	for (size_t i = 0; i < 6; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* "t13d1516h2_8daaf6152771_d8a2da3f94cd": 36 characters. */
static inline void ja4(char out[64], const struct tlshello_client *h)
{
	struct span alpn = tlshello_alpn(h), name;
	char text[2048] = "", ciphers[16], extensions[16];
	uint16_t v[128], types[128], version = 0;
	size_t n_suites = ja_list(v, 128, h->suites), n, n_types, kept = 0;
	char a = '0', z = '0';

	qsort(v, n_suites, sizeof(v[0]), ja_order);
	ja_join(text, sizeof(text), v, n_suites, "%04x", ",");
	ja_sum12(ciphers, text);
	n_types = ja_types(types, 128, h->extensions);
	for (size_t i = 0; i < n_types; i++)
		if (types[i] != TLS_EXT_SERVER_NAME && types[i] != TLS_EXT_ALPN)
			v[kept++] = types[i];
	qsort(v, kept, sizeof(v[0]), ja_order);
	*text = 0;
	ja_join(text, sizeof(text), v, kept, "%04x", ",");
	strcat(text, "_");
	n = ja_list(v, 128, ja_body(h, TLS_EXT_SIGNATURES, 2));
	ja_join(text, sizeof(text), v, n, "%04x", ",");
	ja_sum12(extensions, text);
	n = ja_list(v, 128, ja_body(h, TLS_EXT_VERSIONS, 1));
	for (size_t i = 0; i < n; i++)
		version = v[i] > version ? v[i] : version;
	if (alpn.n > 1) {
		a = (char)alpn.p[1];
		z = (char)alpn.p[alpn.p[0]];
	}
	snprintf(out, 64, "t%s%c%02zu%02zu%c%c_%s_%s", version == TLS_VERSION_1_3 ? "13" : "12",
		 tlshello_sni(h, &name) == 0 ? 'd' : 'i', n_suites, n_types, a, z, ciphers,
		 extensions);
}

#endif
