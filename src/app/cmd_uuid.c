#include <stdio.h>
#include <string.h>

#include "app/cli.h"
#include "app/opts.h"
#include "base/uuid.h"
#include "crypto/uuid4.h"
#include "crypto/uuid5.h"

static int run(int argc, char **argv)
{
	const char *text = "";
	const struct opts table[] = {{.name = "i", .text = &text}, {.name = NULL}};
	int code = opts_parse(&cmd_uuid, table, argc, argv, NULL);
	char out[UUID_TEXT];
	struct uuid u;

	if (code)
		return code;
	if (*text == 0) {
		if (uuid4_make(&u) != 0) {
			fprintf(stderr, "garenne uuid: no random numbers\n");
			return EXIT_FAILED;
		}
	} else if (uuid5_from_text(&u, span_str(text)) != 0) {
		fprintf(stderr, "Input must be within 30 bytes.\n");
		return EXIT_USAGE;
	}
	printf("%s\n", uuid_text(&u, out));
	return EXIT_OK;
}

const struct command cmd_uuid = {
	.name = "uuid",
	.brief = "make an id for VLESS",
	.usage = "usage: garenne uuid [-i TEXT]\n\n"
		 "Prints a random UUID (version 4).\n\n"
		 "  -i TEXT  the UUID that stands for this text of 1 to 30 bytes when it is "
		 "written\n"
		 "           as an \"id\" (version 5 in the all-zero namespace, as in Xray)\n",
	.run = run,
};
