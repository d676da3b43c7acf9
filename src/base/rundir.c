#include "base/rundir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *rundir(char *out, size_t cap)
{
	const char *user = getenv("XDG_RUNTIME_DIR"), *unit = getenv("RUNTIME_DIRECTORY");

	if (unit && *unit == '/' && !strchr(unit, ':'))
		snprintf(out, cap, "%s", unit);
	else if (geteuid() == 0)
		snprintf(out, cap, "/run/garenne");
	else if (user && *user == '/')
		snprintf(out, cap, "%s/garenne", user);
	else
		return NULL;
	return out;
}
