/* "protocol" of an inbound or outbound, the same for both. */
#include <strings.h>

#include "conf/sections.h"

int conf_parse_protocol(const struct jnode *obj, const char *side, const struct word *words,
			const char **name)
{
	static const char *const foreign[] = {"vmess", "trojan", "wireguard", "hysteria"};
	struct jnode n;
	char list[160];
	int value;

	jnode_get(obj, "protocol", &n);
	*name = jnode_text(&n, "");
	value = word_find(words, *name);
	if (value >= 0)
		return value;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (strcasecmp(*name, foreign[i]) != 0)
			continue;
		jnode_error(&n, "%s protocol \"%s\" is not supported", side, foreign[i]);
		return -1;
	}
	word_list(words, list, sizeof(list));
	if (**name == 0)
		jnode_error(&n, "found nothing, expected one of: %s", list);
	else
		jnode_error(&n,
			    "failed to load %s detour config for protocol %.40s > unknown config id: "
			    "%.40s, expected one of: %s",
			    side, *name, *name, list);
	return -1;
}
