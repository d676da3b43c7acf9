#include "app/cli.h"

const char *cli_version(void)
{
	return GARENNE_VERSION;
}
